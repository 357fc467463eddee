"""Counts the modules, code lines, floors and arrows of each room, at any revision of this repository.

    python -m tests.tools.rooms [REVISION] [--wheel]

An arrow is an import of one module by another of the same room. The floors of a room are the modules in its
longest chain of arrows. The second table counts the inner rooms of a house in the same way. A code line
is not blank, a comment or a docstring. --wheel also builds the unit's wheel of that revision.
"""

from __future__ import annotations

import argparse
import ast
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import tokenize
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOUSES = ("hw", "detector", "detector.training", "storage", "sync", "sync.department", "firmware")
IMAGE = "image-build"  # not a package: its folders are on the path
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


@dataclass(frozen=True, slots=True)
class Count:
    """A room at one revision. `floors`: modules in its longest chain of imports; `arrows`: inner imports."""

    name: str
    modules: int
    lines: int
    floors: int
    arrows: int


def name_of(path: str) -> str:
    """The dotted name of a module's file."""
    parts = path.removesuffix(".py").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def house_of(name: str) -> str | None:
    """The innermost house that contains a module."""
    held = [house for house in HOUSES if name == house or name.startswith(house + ".")]
    return max(held, key=len, default=None)


def code_lines(source: str) -> int:
    """The number of lines with code: not blank, a comment or a docstring."""
    documented: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                documented |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    used: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            used |= set(range(token.start[0], token.end[0] + 1))
    return len(used - documented)


def imported_names(name: str, source: str, package: bool) -> Iterator[str]:
    """Every name that a module imports anywhere in its code, as an absolute name."""
    home = name.split(".") if package else name.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = home[: len(home) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def arrows_of(sources: Mapping[str, str]) -> set[tuple[str, str]]:
    """(importing module, imported module) among these files."""
    modules = {name_of(path) for path in sources}
    found: set[tuple[str, str]] = set()
    for path, source in sources.items():
        name = name_of(path)
        for wanted in imported_names(name, source, path.endswith("__init__.py")):
            target = wanted if wanted in modules else wanted.rpartition(".")[0]
            if target in modules and target != name:
                found.add((name, target))
    return found


def floors_of(names: Iterable[str], arrows: Iterable[tuple[str, str]]) -> int:
    """How many modules the longest chain of imports has. Modules that import each other count as one."""
    below: dict[str, set[str]] = {name: set() for name in names}
    for start, end in arrows:
        below[start].add(end)

    @cache
    def reach(name: str) -> frozenset[str]:
        seen, ahead = {name}, [name]
        while ahead:
            new = below[ahead.pop()] - seen
            seen |= new
            ahead += new
        return frozenset(seen)

    @cache
    def height(circle: frozenset[str]) -> int:
        lower = {two for one in circle for two in below[one]} - circle
        return 1 + max((height(circle_of(name)) for name in lower), default=0)

    def circle_of(name: str) -> frozenset[str]:
        return frozenset(other for other in reach(name) if name in reach(other))

    return max((height(circle_of(name)) for name in below), default=0)


def count(name: str, sources: Mapping[str, str]) -> Count:
    """One room, from its files."""
    arrows = arrows_of(sources)
    modules = [name_of(path) for path in sources if not path.endswith("__init__.py")]
    return Count(
        name=name,
        modules=len(modules),
        lines=sum(code_lines(source) for source in sources.values()),
        floors=floors_of({name_of(path) for path in sources}, arrows),
        arrows=len(arrows),
    )


def count_rooms(house: str, sources: Mapping[str, str]) -> Count:
    """The inner rooms of a house: how many, on how many floors, with how many arrows between them."""
    rooms = {path: inner_room(house, path) for path in sources}
    names = {name_of(path): room for path, room in rooms.items()}
    between = {
        (names[start], names[end])
        for start, end in arrows_of(sources)
        if names[start] != names[end] and names[start] and names[end]
    }
    known = {room for room in rooms.values() if room}
    return Count(
        name=house, modules=len(known), lines=0, floors=floors_of(known, between), arrows=len(between)
    )


def inner_room(house: str, path: str) -> str:
    """The folder of a house that contains a file; empty for the house's own files."""
    inside = path.removeprefix(house.replace(".", "/") + "/").split("/")
    return inside[0] if len(inside) > 1 else ""


def files_at(revision: str) -> dict[str, str]:
    """The text of every module of the product at a revision, by path. Raises CalledProcessError."""
    tops = [*sorted({house.partition(".")[0] for house in HOUSES}), IMAGE]
    there = git("ls-tree", "--name-only", revision, *tops).decode().split()
    packed = git("archive", revision, *there)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        wanted = [one for one in archive.getmembers() if one.isfile() and one.name.endswith(".py")]
        return {
            one.name: read.read().decode() for one in wanted if (read := archive.extractfile(one)) is not None
        }


def git(*words: str) -> bytes:
    """What git prints. Raises CalledProcessError."""
    return subprocess.run(["git", *words], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout


def wheel_sizes(revision: str) -> tuple[int, int]:
    """The bytes of the unit's wheel at a revision, and of its unpacked files. Raises CalledProcessError."""
    packed = git("archive", revision)
    with tempfile.TemporaryDirectory(prefix="rooms-") as folder:
        tree, made = Path(folder) / "tree", Path(folder) / "made"
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(tree, filter="tar")  # our own files, which include absolute links
        alone = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index")
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", *alone, "--wheel-dir", str(made), str(tree)],
            env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}, check=True,
        )  # fmt: skip
        (wheel,) = made.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive_of_wheel:
            unpacked = sum(one.file_size for one in archive_of_wheel.infolist())
        return wheel.stat().st_size, unpacked


def table(files: Mapping[str, str]) -> Iterator[str]:
    """The lines to print."""
    yield f"{'room':24} {'modules':>7} {'code lines':>10} {'floors':>6} {'arrows':>6}"
    houses = {house: {p: s for p, s in files.items() if house_of(name_of(p)) == house} for house in HOUSES}
    product = 0
    for house, sources in houses.items():
        one = count(house, sources)
        yield line(house.replace(".", "/"), one)
        product += 0 if house == "detector.training" else one.lines
        if house in {"sync.department", "firmware"}:
            for room in sorted({inner_room(house, path) for path in sources}):
                inside = {path: s for path, s in sources.items() if inner_room(house, path) == room}
                yield line(f"  {room or '(in no room)'}", count(room, inside))
    image = [source for path, source in files.items() if path.startswith(IMAGE + "/")]
    lines = sum(code_lines(source) for source in image)
    yield f"{IMAGE:24} {len(image):>7} {lines:>10}"
    yield f"code lines of the product, without training: {product + lines}"
    yield ""
    yield f"{'house':24} {'rooms':>7} {'':>10} {'floors':>6} {'arrows':>6}"
    for house in ("sync.department", "firmware"):
        one = count_rooms(house, houses[house])
        yield f"{house.replace('.', '/'):24} {one.modules:>7} {'':>10} {one.floors:>6} {one.arrows:>6}"


def line(name: str, one: Count) -> str:
    """One row of the table."""
    return f"{name:24} {one.modules:>7} {one.lines:>10} {one.floors:>6} {one.arrows:>6}"


def main() -> int:
    """Print the figures of one revision."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revision", nargs="?", default="HEAD", help="commit, branch or tag (default: HEAD)")
    parser.add_argument("--wheel", action="store_true", help="also build the unit's wheel and print its size")
    args = parser.parse_args()
    try:
        print(*table(files_at(args.revision)), sep="\n")
        if args.wheel:
            packed, unpacked = wheel_sizes(args.revision)
            print(f"\nunit's wheel: {packed / 1024:.0f} KiB, installed {unpacked / 1024:.0f} KiB")
    except subprocess.CalledProcessError as error:
        print(f"rooms: {' '.join(map(str, error.cmd[:3]))} failed for {args.revision}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
