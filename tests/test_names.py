"""One name for one thing: a class is defined once, and imported by its name from where it is defined."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache

import pytest

from tests.test_rooms import MAY_IMPORT, ROOT, TRAINING, module_name, modules, nodes_of, parsed, statements

pytestmark = pytest.mark.slow


@cache
def trees() -> dict[str, ast.Module]:
    """The parsed modules of the product by name, without training, which is not shipped."""
    paths = (path for room in MAY_IMPORT for path in modules(room))
    return {module_name(path): parsed(path) for path in paths if not module_name(path).startswith(TRAINING)}


@cache
def nodes(module: str) -> tuple[ast.AST, ...]:
    """All nodes of a module, cached: four tests walk them."""
    return tuple(nodes_of(trees()[module]))


@cache
def defined_by(module: str) -> frozenset[str]:
    """The names that a module defines or assigns, at any depth."""
    names = set()
    for node in nodes(module):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return frozenset(names)


def is_package(name: str) -> bool:
    return (ROOT / name.replace(".", "/") / "__init__.py").is_file()


def project_imports() -> Iterator[tuple[str, str, ast.alias]]:
    """Yield (importing module, module it imports from, name) for every `from` import within the product."""
    for importer in trees():
        for node in nodes(importer):
            if isinstance(node, ast.ImportFrom) and node.module in trees():
                yield from ((importer, node.module, alias) for alias in node.names)


def test_a_class_name_is_defined_once() -> None:
    """A class with a leading underscore is private to its module. Training and image tools count too."""
    defined = defaultdict(list)
    rooms = [*MAY_IMPORT, "image-build"]
    for path in sorted(path for room in rooms for path in (ROOT / room).rglob("*.py")):
        for node in statements(parsed(path).body):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined[node.name].append(path.relative_to(ROOT).as_posix())
    assert len(defined) > 500
    assert {name: where for name, where in defined.items() if len(where) > 1} == {}


def test_a_name_is_imported_from_the_module_that_defines_it() -> None:
    """A re-export hides where a rule is; `__init__.py` of a package may gather its names."""
    seen, passed_on = 0, set()
    for importer, source, alias in project_imports():
        if is_package(source):
            continue
        seen += 1
        if alias.name not in defined_by(source):
            passed_on.add(f"{importer} imports {alias.name} from {source}, which does not define it")
    assert seen > 2000
    assert passed_on == set()


def bound_names(module: str) -> Counter[str]:
    """How often a module binds each name: by import, assignment, parameter, definition or `except ... as`."""
    bound = Counter(defined_by(module))
    for node in nodes(module):
        if isinstance(node, ast.arg):
            bound[node.arg] += 1
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound[node.name] += 1
        elif isinstance(node, ast.ImportFrom):
            bound.update(alias.asname or alias.name for alias in node.names)
    return bound


def test_an_import_keeps_its_name_where_nothing_else_has_it() -> None:
    """An alias is allowed if the module also binds the name to something else or imports it twice. A module
    whose name several folders share (`rules`, `calls`) is imported elsewhere by its folder's name.
    """
    folders = Counter(module.rpartition(".")[2] for module in trees())
    seen, needless = 0, set()
    for importer in trees():
        aliases = [
            (node.module, alias.name, alias.asname)
            for node in nodes(importer)
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in MAY_IMPORT
            for alias in node.names
            if alias.asname
        ]
        bound = bound_names(importer) + Counter(name for _, name, _ in aliases)
        for source, name, alias_name in aliases:
            seen += 1
            by_folder = folders[name] > 1 and alias_name == source.rpartition(".")[2]
            if bound[name] == 1 and not (by_folder and source != importer.rpartition(".")[0]):
                needless.add(f"{importer} imports {source}.{name} as {alias_name}")
    assert seen > 20
    assert needless == set()


def test_the_errors_of_a_room_have_one_base() -> None:
    """`storage.errors.ExplainedError`; hw and detector import no other room, so each has its own base."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for module in trees()
        for node in nodes(module)
        if isinstance(node, ast.ClassDef)
    }
    family = {"ExplainedError", "HardwareError", "DetectorError"}
    while more := {name for name, above in bases.items() if above & family} - family:
        family |= more
    errors = {name for name in bases if name.endswith("Error")}
    assert len(errors) > 70
    assert errors - family == {"SettingError"}  # a ValueError, which both programs wrap in their own error
