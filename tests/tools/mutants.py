"""Break one line at a time and see whether a test notices: `python -m tests.tools.mutants storage`.

mutmut and cosmic-ray run the whole suite, or all tests of a covered function, for each mutant. Here a room's
tests (tests/tools/mutation/rooms.py) run once with a tracer that notes which of them reach each line; a
mutant then runs only those, fastest first, in a process forked after the libraries were imported. That fits
a sample of a room into minutes on one core. Mutants are put into a copy of the checkout, never into it.

Survivors are listed. One that changes nothing that anyone could notice belongs into
tests/tools/mutation/equivalent.txt with its reason; any other is a test that is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.tools.mutation.changes import Mutant, mutants_of
from tests.tools.mutation.rooms import ROOMS, Room

ROOT = Path(__file__).resolve().parents[2]
EQUIVALENT = Path(__file__).with_name("mutation") / "equivalent.txt"
LONGEST_S = 900  # an endless loop is a mutant killed


class BaselineFailedError(Exception):
    """The room's tests fail without any mutant: alone, or as the runner runs them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which tests run a line, and how long each takes in seconds."""

    lines: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    @classmethod
    def from_file(cls, path: Path, checkout: Path) -> Reach:
        """Read what the plugin wrote; module paths become relative to the checkout."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        lines = {
            Path(module).relative_to(checkout).as_posix(): {int(at): tests for at, tests in reached.items()}
            for module, reached in raw["lines"].items()
        }
        return cls(lines=lines, seconds=raw["seconds"])

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that run one of the mutant's lines: those of the fastest file first."""
        reached = self.lines.get(mutant.path, {})
        names = {name for at in mutant.lines for name in reached.get(at, ())}
        if "" in names:  # it runs on import: all that touch the module
            names = {name for tests in reached.values() for name in tests}
        files = {name for name in names if "::" not in name}
        chosen = [one for one in self.seconds if one in names or one.partition("::")[0] in files]
        cost: dict[str, float] = {}
        for one in chosen:
            file = one.partition("::")[0]
            cost[file] = cost.get(file, 0.0) + self.seconds[one]
        return sorted(
            chosen, key=lambda one: (cost[one.partition("::")[0]], one.partition("::")[0], self.seconds[one])
        )


def equivalent_names() -> dict[str, str]:
    """The names of the equivalent mutants, each with its reason. Raises ValueError where one has none."""
    found: dict[str, str] = {}
    for line in EQUIVALENT.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, found_reason, reason = line.partition(" ## ")
        if not found_reason or not reason.strip():
            raise ValueError(f"{EQUIVALENT.name}: no reason (NAME ## REASON): {line}")
        found[name.strip()] = reason.strip()
    return found


@contextmanager
def _copied_checkout() -> Iterator[Path]:
    """A copy of the working tree without environments and caches."""
    caches = shutil.ignore_patterns(".venv*", ".git", ".*_cache", "__pycache__", ".hypothesis")

    def skipped(folder: str, names: list[str]) -> set[str]:
        outputs = {"run", "build"} if Path(folder) == ROOT else set()
        return set(caches(folder, names)) | outputs

    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        checkout = Path(folder).resolve() / "tree"
        shutil.copytree(ROOT, checkout, ignore=skipped, symlinks=True)
        yield checkout


def _measure(room: Room, checkout: Path, into: Path) -> Reach:
    """Run the room's tests once. Raises BaselineFailedError."""
    modules = [str(checkout / one) for one in room.module_paths(checkout)]
    environment = os.environ | {"MUTATION_MODULES": "\n".join(modules), "MUTATION_REACH": str(into)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += ["-p", "tests.tools.mutation.reach", *room.test_paths(checkout)]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BaselineFailedError(done.stdout[-3000:] + done.stderr[-1000:])
    for cached in checkout.rglob("__pycache__/*.pyc"):
        if any(cached.name.startswith(f"{Path(one).stem}.") for one in modules):
            cached.unlink()
    return Reach.from_file(into, checkout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a room's sample."""

    killed: int
    sampled: int
    of: int

    @property
    def percent(self) -> float:
        return 100.0 * self.killed / self.sampled if self.sampled else 100.0


def run_room(name: str, *, sample: int, seed: int, only: str | None, skipped: frozenset[str]) -> Outcome:
    """Mutate a sample of a room, print the survivors. Raises BaselineFailedError."""
    room = ROOMS[name]
    with _copied_checkout() as checkout:
        noted = checkout.parent / "reach.json"
        reach = _measure(room, checkout, noted)
        paths = [one for one in room.module_paths(checkout) if only in {None, one}]
        found = [
            mutant
            for path in paths
            for mutant in mutants_of(path, (checkout / path).read_text(encoding="utf-8"))
            if mutant.name not in skipped
        ]
        chosen = random.Random(seed).sample(found, min(sample, len(found)))
        print(f"{name}: {len(reach.seconds)} tests, {len(found)} mutants, {len(chosen)} sampled", flush=True)
        command = [sys.executable, "-m", "tests.tools.mutation.runner", str(noted)]
        killed = 0
        with subprocess.Popen(
            command, cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as runner:
            _demand_alive(runner, reach)
            for mutant in chosen:
                dead = _is_killed(runner, checkout, mutant, reach.tests(mutant), reach)
                killed += dead
                if not dead:
                    print(f"survived  {mutant.name}  [line {mutant.line}]", flush=True)
            assert runner.stdin is not None
            runner.stdin.close()
    return Outcome(killed=killed, sampled=len(chosen), of=len(found))


def _is_killed(
    runner: subprocess.Popen[str], checkout: Path, mutant: Mutant, tests: list[str], reach: Reach
) -> bool:
    """Whether a test fails with the mutant in place of the module."""
    if not tests:
        return False
    target = checkout / mutant.path
    before = target.read_text(encoding="utf-8")
    target.write_text(mutant.source, encoding="utf-8")
    try:
        return _fails(runner, tests, reach)
    finally:
        target.write_text(before, encoding="utf-8")


def _demand_alive(runner: subprocess.Popen[str], reach: Reach) -> None:
    """The quickest test of each file passes where nothing is changed, or each mutant would count as killed.

    Raises BaselineFailedError.
    """
    quickest: dict[str, str] = {}
    for one in sorted(reach.seconds, key=lambda name: reach.seconds[name]):
        quickest.setdefault(one.partition("::")[0], one)
    for one in quickest.values():
        if _fails(runner, [one], reach):
            raise BaselineFailedError(f"{one} fails in the runner without a mutant")


def _fails(runner: subprocess.Popen[str], tests: list[str], reach: Reach) -> bool:
    """Whether one of the tests fails in the runner, with the checkout as it is now."""
    assert runner.stdin is not None
    assert runner.stdout is not None
    timeout_s = min(LONGEST_S, 60 + 20 * sum(reach.seconds[one] for one in tests))
    runner.stdin.write(json.dumps({"tests": tests, "timeout_s": timeout_s}) + "\n")
    runner.stdin.flush()
    return bool(json.loads(runner.stdout.readline())["failed"])


def main() -> int:
    """Run a sample of each room; the exit status is 1 where fewer are killed than asked for."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=", ".join(ROOMS))
    parser.add_argument(
        "--sample", type=int, default=40, metavar="N", help="mutants of each room (default 40)"
    )
    parser.add_argument("--seed", type=int, default=463)
    parser.add_argument("--module", metavar="PATH", help="of this module alone")
    parser.add_argument("--at-least", type=int, default=90, metavar="PERCENT", help="killed (default 90)")
    args = parser.parse_args()
    if unknown := [one for one in args.rooms if one not in ROOMS]:
        parser.error(f"no room {unknown[0]}; choose from {', '.join(ROOMS)}")
    skipped = frozenset(equivalent_names())
    worst = 100.0
    for name in args.rooms or ROOMS:
        try:
            outcome = run_room(name, sample=args.sample, seed=args.seed, only=args.module, skipped=skipped)
        except BaselineFailedError as error:
            print(f"{name}: its tests fail without a mutant:\n{error}", file=sys.stderr)
            return 3
        worst = min(worst, outcome.percent)
        print(
            f"{name}: {outcome.killed} of {outcome.sampled} killed ({outcome.percent:.0f} %), "
            f"of {outcome.of} mutants",
            flush=True,
        )
    return int(worst < args.at_least)


if __name__ == "__main__":
    sys.exit(main())
