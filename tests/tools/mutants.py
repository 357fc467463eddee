"""Breaks one line at a time and checks whether a test notices: `python -m tests.tools.mutants storage`.

mutmut and cosmic-ray run the whole suite, or all tests of a covered function, for each mutant. Here a room's
tests (tests/tools/mutation/rooms.py) run once with a tracer that notes which of them reach each line. A
mutant then runs only those, fastest first, in a process forked after they were collected, where its functions
are replaced. A mutant that changes what a module does on import gets a copy of the checkout and its own
process instead. So a sample of a room takes minutes on two cores.

Survivors are listed. A survivor without a visible effect belongs in tests/tools/mutation/equivalent.txt with
its reason; any other shows that a test is missing.
"""

from __future__ import annotations

import argparse
import math
import queue
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path

from tests.tools.mutation.bench import ROOT, BaselineFailedError, Reach, Runner, copied_checkout
from tests.tools.mutation.changes import Mutant, mutants_of
from tests.tools.mutation.kept import KeptReach
from tests.tools.mutation.rooms import ROOMS

EQUIVALENT = Path(__file__).with_name("mutation") / "equivalent.txt"


def equivalent_names() -> dict[str, str]:
    """The names of the equivalent mutants, each with its reason. Raises ValueError if one has none."""
    found: dict[str, str] = {}
    for line in EQUIVALENT.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, found_reason, reason = line.partition(" ## ")
        if not found_reason or not reason.strip():
            raise ValueError(f"{EQUIVALENT.name}: no reason (NAME ## REASON): {line}")
        found[name.strip()] = reason.strip()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a room's sample."""

    killed: int
    sampled: int
    of: int

    @property
    def percent(self) -> float:
        return 100.0 * self.killed / self.sampled if self.sampled else 100.0


def run_room(
    name: str,
    *,
    sample: int,
    seed: int,
    only: str | None,
    tests: list[str] | None,
    skipped: frozenset[str],
    jobs: int,
    most_s: float,
) -> Outcome:
    """Mutate a sample of a room, print the survivors. Raises BaselineFailedError."""
    room = ROOMS[name] if tests is None else replace(ROOMS[name], tests=tuple(tests))
    found = [
        mutant
        for path in room.module_paths(ROOT)
        if only in {None, path}
        for mutant in mutants_of(path, (ROOT / path).read_text(encoding="utf-8"))
        if mutant.name not in skipped
    ]
    chosen = random.Random(seed).sample(found, min(sample, len(found)))
    with ExitStack() as stack:
        benches = [stack.enter_context(copied_checkout()) for _ in range(jobs)]
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        kept = KeptReach(ROOT / "run/mutants", ROOT, room)
        known = {one: kept.get(one) for one in room.test_paths(ROOT)}
        files = [one for one, found in known.items() if found is None]

        def measured(at: int) -> Reach:
            share = files[at::jobs]
            if not share:
                return Reach(lines={}, seconds={})
            found = benches[at].measure(room, share)
            kept.put(share, found)
            return found

        started = time.monotonic()
        reach = reduce(or_, pool.map(measured, range(jobs)))
        reach = reduce(or_, (found for found in known.values() if found is not None), reach)
        print(
            f"{name}: {len(reach.seconds)} tests ({time.monotonic() - started:.0f} s), "
            f"{len(found)} mutants, {len(chosen)} sampled",
            flush=True,
        )
        free: queue.SimpleQueue[Runner] = queue.SimpleQueue()
        for bench in benches:
            free.put(stack.enter_context(bench.runner(reach)))

        def killed(mutant: Mutant) -> bool:
            runner = free.get()
            try:
                return runner.kills(mutant, most_s)
            finally:
                free.put(runner)

        dead = 0
        for tried, (mutant, died) in enumerate(zip(chosen, pool.map(killed, chosen), strict=True), 1):
            dead += died
            print(f"{name}: {dead} of the first {tried} killed", file=sys.stderr, flush=True)
            if not died:
                print(f"survived  {mutant.name}  [line {mutant.line}]", flush=True)
    return Outcome(killed=dead, sampled=len(chosen), of=len(found))


def main() -> int:
    """Run a sample of each room; returns 1 if fewer mutants are killed than required."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=", ".join(ROOMS))
    parser.add_argument(
        "--sample", type=int, default=40, metavar="N", help="mutants of each room (default 40)"
    )
    parser.add_argument("--seed", type=int, default=463)
    parser.add_argument("--module", metavar="PATH", help="of this module alone")
    parser.add_argument(
        "--tests", nargs="+", metavar="PATH", help="by these tests alone: quick, and the room kills no fewer"
    )
    parser.add_argument(
        "--most-s", type=float, default=math.inf, metavar="S",
        help="try the quickest tests of so many seconds on a mutant: the room kills no fewer",
    )  # fmt: skip
    parser.add_argument("--at-least", type=int, default=90, metavar="PERCENT", help="killed (default 90)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (default 2)")
    args = parser.parse_args()
    if unknown := [one for one in args.rooms if one not in ROOMS]:
        parser.error(f"no room {unknown[0]}; choose from {', '.join(ROOMS)}")
    skipped = frozenset(equivalent_names())
    worst = 100.0
    for name in args.rooms or ROOMS:
        try:
            outcome = run_room(
                name,
                sample=args.sample,
                seed=args.seed,
                only=args.module,
                tests=args.tests,
                skipped=skipped,
                jobs=args.jobs,
                most_s=args.most_s,
            )
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
