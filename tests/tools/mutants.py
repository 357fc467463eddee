"""Break one line at a time and see whether a test notices: `python -m tests.tools.mutants storage`.

mutmut and cosmic-ray run the whole suite, or what coverage names, for each mutant; here every module has
the few test files that promise something about it (ROOMS), so that a sample fits in an hour on two cores. A
mutant is one change of the syntax tree: a comparison turned, an operand of `and`/`or` dropped, a condition
negated, a number moved by one, a raise or a call left out, a bool exchanged. It is put into a private copy.

Survivors are listed with their line. Those that change nothing that anyone could notice stand in EQUIVALENT,
each with its reason; everything else is a test that is missing.
"""

from __future__ import annotations

import argparse
import ast
import copy
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.txt")
TIMEOUT_S = 600
_CUSTODY = (
    "tests/storage",
    "tests/attacks/test_storage_forgeries.py",
    "tests/attacks/test_storage_tampering.py",
)
ROOMS: dict[str, dict[str, tuple[str, ...]]] = {
    "storage": {
        "storage/clock_trust.py": ("tests/storage/test_clock_trust.py", "tests/storage/test_retention.py"),
        "storage/purge.py": ("tests/storage/test_purge.py", "tests/attacks/test_storage_forgeries.py",
                             "tests/attacks/test_storage_at_rest.py", "tests/storage/test_retention.py"),
        "storage/recovery.py": ("tests/attacks/test_storage_forgeries.py", "tests/storage/test_ledger.py"),
        "storage/verify_pass.py": ("tests/attacks/test_storage_forgeries.py",
                                   "tests/attacks/test_storage_tampering.py"),
        "storage/verify_files.py": ("tests/attacks/test_storage_forgeries.py",),
        "storage/receipts.py": ("tests/storage/test_receipts.py", "tests/sync/test_lying_department.py"),
        "storage/retention.py": ("tests/storage/test_retention.py",),
        "storage/opening.py": _CUSTODY,
        "storage/outgoing.py": ("tests/sync/test_lying_department.py", "tests/storage/test_ledger.py",
                                "tests/sync/test_receiver.py"),
        "storage/epochs.py": _CUSTODY,
        "storage/access.py": ("tests/attacks/test_storage_door.py",),
        "storage/lockout.py": ("tests/storage/test_lockout.py",),
        "storage/times.py": ("tests/storage/test_times.py",),
        "storage/checkpoint.py": ("tests/storage/test_checkpoint.py", "tests/storage/test_cosigners.py"),
        "storage/merkle.py": ("tests/storage/test_merkle.py",),
    },
    "sync": {
        "sync/uplink.py": ("tests/sync/test_lying_department.py", "tests/sync/test_receiver.py",
                           "tests/sync/test_pieces.py"),
        "sync/handover.py": ("tests/sync/test_handover.py",),
        "sync/succession.py": ("tests/sync/test_handover.py", "tests/sync/test_rolled_back.py"),
        "sync/department/units/receiver.py": ("tests/sync/test_receiver.py", "tests/sync/test_hostile.py"),
    },
    "desk": {
        f"sync/department/desk/{noun}/rules.py": (
            f"tests/desk/test_{noun}.py", "tests/desk/test_attack_calls.py"
        )
        for noun in ("inquiry", "audit", "sharing", "holds", "people")
    },
    "detector": {
        f"detector/{name}.py": (f"tests/detector/test_{name}.py", "tests/detector/test_reader.py")
        for name in ("track", "vote", "confidence")
    },
    "console": {"storage/grant_format.py": ("tests/console/test_grants.py",),
                "firmware/console/login.py": ("tests/console/test_grants.py",)},
}  # fmt: skip

_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed line: `what` tells how, `source` is the whole module with it."""

    path: str
    line: int
    what: str
    source: str

    @property
    def name(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def mutants_of(path: str, text: str) -> Iterator[Mutant]:
    """Every mutant of a module, in order."""
    lines, parsed = text.splitlines(), ast.parse(text)
    decorators = {
        id(part)
        for node in ast.walk(parsed)
        for one in getattr(node, "decorator_list", ())
        for part in ast.walk(one)
    }
    for number, node in enumerate(ast.walk(parsed)):
        if id(node) in decorators:
            continue  # frozen and slots are the type checker's to guard
        for what, changed in _changes(node):
            tree = ast.parse(text)
            for at, other in enumerate(ast.walk(tree)):
                if at == number:
                    _put(tree, other, changed)
                    break
            line = getattr(node, "lineno", 0)
            shown = " ".join(lines[line - 1].split()) if line else ""
            yield Mutant(path, line, f"{what}: {shown}", ast.unparse(ast.fix_missing_locations(tree)))


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """(how, the node instead) of one node; a changed node is a copy."""
    if isinstance(node, ast.Compare):
        for at, one in enumerate(node.ops):
            turned = copy.deepcopy(node)
            turned.ops[at] = _TURNED[type(one)]()
            yield f"{type(one).__name__} to {_TURNED[type(one)].__name__}", turned
    elif isinstance(node, ast.BoolOp):
        for at in range(len(node.values)):
            left = copy.deepcopy(node)
            del left.values[at]
            yield f"operand {at + 1} dropped", left.values[0] if len(left.values) == 1 else left
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        other = copy.deepcopy(node)
        other.test = ast.UnaryOp(ast.Not(), other.test)
        yield "condition negated", other
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield f"{node.value} to {node.value + 1}", ast.Constant(node.value + 1)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield f"{node.value} to {not node.value}", ast.Constant(not node.value)
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield "left out", ast.Pass()
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        moved = copy.deepcopy(node)
        moved.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield "+ and - exchanged", moved


def _put(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    """Put a node in the place of another."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, ast.copy_location(new, old))
                return
            if isinstance(value, list):
                for at, one in enumerate(value):
                    if one is old:
                        value[at] = ast.copy_location(new, old)
                        return


def is_killed(checkout: Path, mutant: Mutant, tests: tuple[str, ...]) -> bool:
    """Whether a test fails with the mutant in place of the module."""
    target = checkout / mutant.path
    before = target.read_text(encoding="utf-8")
    target.write_text(mutant.source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]
    try:
        done = subprocess.run(command, cwd=checkout, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return True
    finally:
        target.write_text(before, encoding="utf-8")
    return done.returncode != 0


def main() -> int:
    """Run a sample of a room's mutants; the exit status is 1 where fewer are killed than asked for."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "rooms", nargs="*", default=sorted(ROOMS), metavar="ROOM", help=", ".join(sorted(ROOMS))
    )
    parser.add_argument(
        "--sample", type=int, default=40, metavar="N", help="mutants of each room (default 40)"
    )
    parser.add_argument("--seed", type=int, default=463)
    parser.add_argument("--module", metavar="PATH", help="of this module alone")
    parser.add_argument("--at-least", type=int, default=90, metavar="PERCENT", help="killed (default 90)")
    args = parser.parse_args()
    equivalent = {
        line.split(" # ", 1)[0].strip()
        for line in (EQUIVALENT.read_text(encoding="utf-8").splitlines() if EQUIVALENT.exists() else ())
        if line.strip() and not line.startswith("#")
    }
    worst = 100.0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        checkout = Path(folder) / "tree"
        skipped = shutil.ignore_patterns(
            ".venv*", ".git", ".mypy_cache", "__pycache__", ".ruff_cache", "build"
        )
        shutil.copytree(ROOT, checkout, ignore=skipped, symlinks=True)
        for room in args.rooms:
            modules = {path: tests for path, tests in ROOMS[room].items() if args.module in {None, path}}
            found = [one for path in modules if (checkout / path).is_file()
                     for one in mutants_of(path, (checkout / path).read_text(encoding="utf-8"))
                     if one.name not in equivalent]  # fmt: skip
            sample = random.Random(args.seed).sample(found, min(args.sample, len(found)))
            killed = 0
            for one in sample:
                tests = tuple(test for test in modules[one.path] if (checkout / test).exists())
                dead = is_killed(checkout, one, tests)
                killed += dead
                if not dead:
                    print(f"survived  {one.name}", flush=True)
            share = 100.0 * killed / len(sample) if sample else 100.0
            worst = min(worst, share)
            print(
                f"{room}: {killed} of {len(sample)} killed ({share:.0f} %), of {len(found)} mutants",
                flush=True,
            )
    return int(worst < args.at_least)


if __name__ == "__main__":
    sys.exit(main())
