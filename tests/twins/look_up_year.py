"""A simulated year of lookups at one department, some of which are planted misuse.

Honest work: cases with one to three plates, requested by a team of one to four and run by communications on
their shift; some overtime; now and then a busy incident. In one case of a hundred, the team looks a plate up
five to twelve times under its case number; one of these long cases in seven has a lone investigator.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from storage.times import DAY_US, MINUTE_US
from sync.department.desk.audit.look_up_detectors import LookUp, Shifts
from sync.department.journal.entries import Shift

YEAR_START_US = 1_767_225_600_000_000  # 2026-01-01
KINDS = (
    "stalker, many numbers",
    "stalker, one number",
    "trawler",
    "night searcher",
    "catch-all number",
    "no number",
)


@dataclass(frozen=True)
class Year:
    """All lookups in order, the entries of each planted pattern by kind, and each person's shift."""

    look_ups: list[LookUp]
    planted: list[tuple[str, frozenset[int]]]
    shifts: dict[str, Shifts]


@dataclass
class _Draft:
    at_us: int
    user: str
    name: str
    plate: str
    number: str
    pattern: int = -1


def _on_shift(chance: random.Random, day: int, runner: int) -> int:
    """A time on a day within a runner's eight hours."""
    start = (runner % 3) * 480
    return (
        YEAR_START_US
        + day * DAY_US
        + (start + chance.randrange(480)) * MINUTE_US
        + chance.randrange(MINUTE_US)
    )


def simulate(count: int, patterns_a_kind: int, seed: int) -> Year:
    """Simulate a year with about `count` honest lookups."""
    chance = random.Random(seed)
    runners = [f"comm{n}" for n in range(12)]
    staff = [f"officer{n}" for n in range(120)]
    shifts: dict[str, Shifts] = {
        runner: [(0, Shift(start_min=(n % 3) * 480, end_min=(n % 3) * 480 + 480))]
        for n, runner in enumerate(runners)
    }
    drafts: list[_Draft] = []

    def plate() -> str:
        letters = "".join(chance.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=3))
        return f"{chance.randrange(4, 10)}{letters}{chance.randrange(1000):03d}"

    def honest(day: int, name: str, what: str, number: str) -> None:
        runner = chance.randrange(12)
        at_us = _on_shift(chance, day, runner)
        if chance.random() < 0.0003:  # called in outside the shift
            at_us += chance.randrange(60, 240) * MINUTE_US
        drafts.append(_Draft(at_us, runners[runner], name, what, number))

    case = 0
    while len(drafts) < count:
        case += 1
        number, opened = f"26-{case:06d}", chance.randrange(330)
        if chance.random() < 0.01:
            team = chance.sample(staff, 1 if chance.random() < 1 / 7 else chance.randrange(2, 5))
            suspect = plate()
            for turn in range(chance.randrange(5, 13)):
                honest(opened + chance.randrange(35), team[turn % len(team)], suspect, number)
            continue
        team = chance.sample(staff, chance.choice((1, 1, 1, 2, 2, 3, 4)))
        for _ in range(chance.choice((1, 1, 1, 2, 2, 3))):
            suspect = plate()
            for _ in range(min(4, 1 + int(chance.expovariate(1.2)))):
                honest(opened + chance.randrange(14), chance.choice(team), suspect, number)
    kinds: list[str] = []
    for kind in KINDS:
        for _ in range(patterns_a_kind):
            kinds.append(kind)
            drafts += _pattern(chance, kind, len(kinds) - 1, plate, runners, staff)
    drafts.sort(key=lambda one: one.at_us)
    entries: list[set[int]] = [set() for _ in kinds]
    look_ups = []
    for sequence, one in enumerate(drafts):
        if one.pattern >= 0:
            entries[one.pattern].add(sequence)
        look_ups.append(
            LookUp(
                sequence=sequence,
                at_us=one.at_us,
                user=one.user,
                on_behalf_of=one.name,
                plate=one.plate,
                number=one.number,
            )
        )
    return Year(look_ups, [(kind, frozenset(own)) for kind, own in zip(kinds, entries, strict=True)], shifts)


def _pattern(
    chance: random.Random, kind: str, index: int, plate: object, runners: list[str], staff: list[str]
) -> list[_Draft]:
    """Plant one person's misuse."""
    make = plate  # a function
    assert callable(make)
    runner = chance.randrange(12)
    user, name, start = runners[runner], chance.choice(staff), chance.randrange(60)
    invented = f"27-{chance.randrange(10**6):06d}"

    def draft(at_us: int, what: str, number: str, asker: str = name) -> _Draft:
        return _Draft(at_us, user, asker, what, number, index)

    if kind.startswith("stalker"):
        victim = make()
        return [
            draft(
                _on_shift(chance, start + turn * chance.randrange(3, 5), runner),
                victim,
                invented if "one" in kind else f"27-{chance.randrange(10**6):06d}",
            )
            for turn in range(69)
        ]
    if kind == "trawler":
        begin = _on_shift(chance, start, runner) // DAY_US * DAY_US + ((runner % 3) * 480 + 60) * MINUTE_US
        return [draft(begin + turn * 30_000_000, make(), invented, "") for turn in range(40)]
    if kind == "night searcher":
        begin = YEAR_START_US + start * DAY_US + ((runner % 3) * 480 + 720) * MINUTE_US
        return [draft(begin + turn * 5 * MINUTE_US, make(), invented, "") for turn in range(4)]
    if kind == "catch-all number":
        return [draft(_on_shift(chance, start + turn * 6, runner), make(), invented) for turn in range(10)]
    return [
        draft(_on_shift(chance, start + turn, runner), make(), chance.choice(("N-A", "123", "TEST1", "0000")))
        for turn in range(3)
    ]
