"""The table of who may import whom, checked against the imports of every module."""

from __future__ import annotations

import ast
import functools
import gc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "hw": set[str](),
    "detector": set[str](),
    "storage": set[str](),
    "sync": {"storage"},
    "firmware": {"hw", "detector", "storage", "sync"},
}
TRAINING = "detector.training"
BODIES = ("body", "orelse", "finalbody", "handlers", "cases")  # the fields in which a statement has others
DEPARTMENT = "sync.department"
# Inner rooms in order: each may import itself and those before it.
FLOORS = {
    DEPARTMENT: (
        "ground",
        "policy",
        "store",
        "journal",
        "content",
        "units",
        "desk",
        "pages",
        "server",
        "commands",
        "cli",
    ),
    "firmware": (
        "errors",
        "screen",
        "threads",
        "settings",
        "frames",
        "health",
        "fleet",
        "custody",
        "console",
        "alerts",
        "run",
        "commands",
        "cli",
    ),
}
# Rooms that must not import each other.
APART = {(DEPARTMENT, "store", "policy"), (DEPARTMENT, "journal", "store")}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def parsed(path: Path) -> ast.Module:
    """Parse a module, once for all tests."""
    return tree_of(path.read_text(encoding="utf-8"))


def tree_of(text: str) -> ast.Module:
    """Parse a module without garbage collection: for a thousand trees it would triple the time."""
    looking = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(text)
    finally:
        if looking:
            gc.enable()


def nodes_of(tree: ast.AST) -> Iterator[ast.AST]:
    """The same nodes as `ast.walk`, in another order and in half the time."""
    found = [tree]
    while found:
        yield (node := found.pop())
        for value in vars(node).values():
            if isinstance(value, ast.AST):
                found.append(value)
            elif type(value) is list:
                found += (one for one in value if isinstance(one, ast.AST))


def statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every statement below these, including those in functions and branches: a tenth of all nodes."""
    for one in body:
        yield one
        for inner in BODIES:
            yield from statements(getattr(one, inner, ()))


@functools.cache
def imported_names(path: Path) -> frozenset[str]:
    """Every module that the file imports, anywhere in it, with relative imports made absolute."""
    return frozenset(_imported_names(path))


def _imported_names(path: Path) -> Iterator[str]:
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in statements(parsed(path).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_room_imports_only_what_the_table_allows(room: str) -> None:
    allowed = MAY_IMPORT[room] | {room}
    foreign = {
        f"{module_name(path)} imports {name}"
        for path in modules(room)
        for name in imported_names(path)
        if name.split(".")[0] in MAY_IMPORT and name.split(".")[0] not in allowed
    }
    assert foreign == set()


def test_nothing_that_runs_on_the_unit_imports_the_training() -> None:
    guilty = {
        f"{module_name(path)} imports {name}"
        for room in MAY_IMPORT
        for path in modules(room)
        if not module_name(path).startswith(TRAINING)
        for name in imported_names(path)
        if name == TRAINING or name.startswith(TRAINING + ".")
    }
    assert guilty == set()


def test_no_room_imports_the_image_build_or_the_tests() -> None:
    guilty = {
        f"{module_name(path)} imports {name}"
        for room in MAY_IMPORT
        for path in modules(room)
        for name in imported_names(path)
        if name.split(".")[0] in {"tests", "image_build"}
    }
    assert guilty == set()


def inner_room(name: str, house: str) -> str | None:
    """The room of `house` that the module `name` is in; None for the house itself and for other houses."""
    return name[len(house) + 1 :].split(".", maxsplit=1)[0] or None if name.startswith(house + ".") else None


def inner_imports(house: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield (module, its room, imported name, that name's room) for every import within a house."""
    for path in modules(house.replace(".", "/")):
        mine = inner_room(module_name(path), house)
        for name in imported_names(path):
            theirs = inner_room(name, house)
            if mine is not None and theirs is not None and mine != theirs:
                yield module_name(path), mine, name, theirs


@pytest.mark.parametrize("house", FLOORS)
def test_inner_rooms_import_downward_only(house: str) -> None:
    floors = FLOORS[house]
    upward = {
        f"{module} imports {name}"
        for module, mine, name, theirs in inner_imports(house)
        if floors.index(mine) < floors.index(theirs)
    }
    assert upward == set()


def test_rooms_side_by_side_share_nothing() -> None:
    shared = {
        f"{module} imports {name}"
        for house in FLOORS
        for module, mine, name, theirs in inner_imports(house)
        if (house, mine, theirs) in APART
    }
    assert shared == set()


@pytest.mark.parametrize("house", FLOORS)
def test_every_inner_room_has_a_floor(house: str) -> None:
    rooms = {inner_room(module_name(path), house) for path in modules(house.replace(".", "/"))}
    assert rooms - {None} <= set(FLOORS[house])


def test_nothing_of_the_unit_imports_the_department() -> None:
    guilty = {
        f"{module_name(path)} imports {name}"
        for room in ("hw", "detector", "storage", "sync", "firmware")
        for path in modules(room)
        if not module_name(path).startswith(DEPARTMENT)
        for name in imported_names(path)
        if name == DEPARTMENT or name.startswith(DEPARTMENT + ".")
    }
    assert guilty == set()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_package_says_what_it_promises(room: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text(encoding="utf-8")))
    assert docstring is not None
    assert "Promises" in docstring


def test_every_module_has_a_header_that_says_its_noun() -> None:
    silent = [
        module_name(path)
        for room in MAY_IMPORT
        for path in modules(room)
        if not ast.get_docstring(parsed(path))
    ]
    assert silent == []
