"""The detectors that examine lookups: same_plate, burst, off_shift, no_case (see `detectors.py`). No I/O.

They take lookups one by one and keep what they found, so that `verify`, which asks after every day of a log,
examines only what came since: its cost grows with the log, and not with the square of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta, tzinfo
from typing import TypeAlias

from storage.plate_text import fold
from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.content.likeness import one_spelling
from sync.department.ground.local_time import local
from sync.department.journal.entries import Shift
from sync.department.policy.desk_terms import DetectorTerms

_NO_NUMBER = re.compile(r"(?:(.)\1*|0*1?-?2?3?4?5?6?7?8?9?|N-?A|NONE|TEST.*|X+|ASDF.*|CASE|PENDING|TBD)")
Shifts: TypeAlias = Sequence[tuple[int, Shift | None]]
"""The shifts of a person, in the order of the times from which each held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """One access as the detectors see it. The repr shows no plate.

    `action`: as in its entry; `reads`: the reads that it names, if it is not a search.
    """

    sequence: int
    at_us: int
    user: str
    on_behalf_of: str
    plate: str = field(repr=False)
    number: str
    action: str = "search"
    reads: tuple[str, ...] = ()

    @property
    def person(self) -> str:
        return self.on_behalf_of or self.user

    @property
    def targets(self) -> tuple[str, ...]:
        """What was looked at: for a search its plate, else each read by its name.

        All spellings that a search lists, exact and near, are reduced to one.
        """
        return (one_spelling(self.plate),) if self.plate else self.reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """What a detector found: whom it is about, which entries, and a text without a plate."""

    detector: str
    about: str
    entries: tuple[int, ...]
    detail: str


class LookUpDetectors:
    """The four detectors over a growing number of lookups."""

    def __init__(self) -> None:
        self._looks: list[LookUp] = []
        self._sorted = True
        self._taken = 0  # by the detectors below
        self._terms: tuple[DetectorTerms, tzinfo] | None = None
        self._shifts: dict[str, int] = {}  # how many of each person were known
        self._searched: dict[tuple[str, str, str], int] = {}
        self.acted: set[str] = set()
        """People who did more than look at answers."""

    def add(self, one: LookUp) -> None:
        """Add a lookup, in the order of the log."""
        if self._looks and (one.at_us, one.sequence) < (self._looks[-1].at_us, self._looks[-1].sequence):
            self._sorted = False  # the clock was set back
        self._looks.append(one)
        if one.action != "answer":
            self.acted.add(one.user)

    def flags(self, terms: DetectorTerms, shifts: Mapping[str, Shifts], zone: tzinfo = UTC) -> list[Flag]:
        """Return all flags over the lookups in order of time.

        `shifts`: each person's shifts, with when each was entered; they only grow between two calls.
        """
        if not self._sorted or self._terms != (terms, zone) or self._is_late(shifts):
            self._begin_again(terms, zone)
        self._shifts = {user: len(mine) for user, mine in shifts.items()}
        self._terms = None  # an error would leave the rest untaken
        for one in self._looks[self._taken :]:
            self._burst.add(one)
            self._off_shift.add(one, shifts.get(one.user, ()))
            self._no_case.add(one)
            if self._counts(one):
                self._same_plate.add(one)
        self._taken, self._terms = len(self._looks), (terms, zone)
        each = self._same_plate, self._burst, self._off_shift, self._no_case
        return [flag for detector in each for flag in detector.flags()]

    def _begin_again(self, terms: DetectorTerms, zone: tzinfo) -> None:
        self._looks.sort(key=lambda one: (one.at_us, one.sequence))
        self._sorted, self._taken = True, 0
        self._searched.clear()
        self._same_plate, self._burst = SamePlate(terms), Burst(terms)
        self._off_shift, self._no_case = OffShift(terms, zone), NoCase(terms)

    def _is_late(self, shifts: Mapping[str, Shifts]) -> bool:
        """Whether a shift that was entered since the last call held at a lookup that was examined."""
        if not self._taken:
            return False
        newest_us = self._looks[self._taken - 1].at_us
        return any(
            from_us <= newest_us
            for user, mine in shifts.items()
            for from_us, _ in mine[self._shifts.get(user, 0) :]
        )

    def _counts(self, one: LookUp) -> bool:
        """Whether an access counts as a lookup of its plate: not the pictures that follow a search within
        its hour."""
        key = one.user, fold(one.plate), one.number
        if one.action == "search":
            self._searched[key] = one.at_us
        elif one.plate and one.at_us - self._searched.get(key, -HOUR_US) < HOUR_US:
            return False
        return True


class SamePlate:
    """Flags one plate looked up again and again in one person's name."""

    def __init__(self, terms: DetectorTerms) -> None:
        self._count, self._span_us = terms.same_plate_count, terms.same_plate_days * DAY_US
        self._by_person: dict[tuple[str, str], list[LookUp]] = defaultdict(list)
        self._people: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._places: dict[tuple[str, str], int] = {}  # the order in which flags are given
        self._touched: set[tuple[str, str]] = set()
        self._found: dict[tuple[str, str], Flag] = {}

    def add(self, one: LookUp) -> None:
        for target in one.targets:
            self._places.setdefault((one.person, target), len(self._places))
            self._by_person[one.person, target].append(one)
            self._people[target, one.number].add(one.person)
            self._touched.update((person, target) for person in self._people[target, one.number])

    def flags(self) -> Iterator[Flag]:
        for key in self._touched:
            if (flag := self._flag(*key)) is not None:
                self._found[key] = flag
            else:
                self._found.pop(key, None)
        self._touched.clear()
        return (self._found[key] for key in sorted(self._found, key=self._places.__getitem__))

    def _flag(self, person: str, target: str) -> Flag | None:
        looks = self._by_person[person, target]
        if len(looks) < self._count:
            return None
        numbers = {one.number for one in looks}
        if len(numbers) == 1 and len(self._people[target, looks[0].number]) > 1:
            return None
        for last in range(self._count - 1, len(looks)):
            first = last - self._count + 1
            if looks[last].at_us - looks[first].at_us <= self._span_us:
                picked = tuple(one.sequence for one in looks[first:])
                detail = f"one plate or read {len(picked)} times under {len(numbers)} numbers"
                return Flag(detector="same_plate", about=person, entries=picked, detail=detail)
        return None


class Burst:
    """Flags many different plates or reads opened by one person in a short time."""

    def __init__(self, terms: DetectorTerms) -> None:
        self._count, self._minutes = terms.burst_count, terms.burst_minutes
        self._recent: dict[str, list[LookUp]] = defaultdict(list)  # within the window
        self._spared: dict[str, int] = {}  # how many of them a flag names
        self._found: dict[str, list[Flag]] = {}

    def add(self, one: LookUp) -> None:
        recent, found = self._recent[one.user], self._found.setdefault(one.user, [])
        recent.append(one)
        since_us = one.at_us - self._minutes * MINUTE_US
        old = next(at for at, other in enumerate(recent) if other.at_us >= since_us)
        del recent[:old]
        self._spared[one.user] = max(0, self._spared.get(one.user, 0) - old)
        if self._spared[one.user]:
            return
        if len({target for other in recent for target in other.targets or ("",)}) >= self._count:
            self._spared[one.user] = len(recent)
            detail = f"{len(recent)} lookups in {self._minutes} minutes"
            entries = tuple(other.sequence for other in recent)
            found.append(Flag(detector="burst", about=one.user, entries=entries, detail=detail))

    def flags(self) -> Iterator[Flag]:
        return (flag for found in self._found.values() for flag in found)


def minutes_off(shift: Shift, minute: int) -> int:
    """How many minutes a time of day is outside a shift, whichever way around the clock is shorter."""
    length = (shift.end_min - shift.start_min) % 1440 or 1440
    since = (minute - shift.start_min) % 1440
    return 0 if since < length else min(since - length + 1, 1440 - since)


def _held(shifts: Shifts, at_us: int) -> list[Shift]:
    """The shifts that a person had then and at any time during the day before."""
    held: list[Shift | None] = []
    for from_us, shift in shifts:
        if from_us > at_us:
            break
        held = [*held, shift] if at_us - from_us < DAY_US else [shift]
    return [one for one in held if one is not None]


class OffShift:
    """Flags lookups outside the shift that the person had then, in the department's local time.

    Each person and day gets one flag. A shift entered within the day before excuses nothing that the earlier
    ones did not.
    """

    def __init__(self, terms: DetectorTerms, zone: tzinfo) -> None:
        self._minutes, self._zone = terms.off_shift_minutes, zone
        self._nights: dict[tuple[str, date], list[int]] = defaultdict(list)

    def add(self, one: LookUp, shifts: Shifts) -> None:
        clock = local(one.at_us, self._zone)
        minute = clock.hour * 60 + clock.minute
        if any(minutes_off(shift, minute) > self._minutes for shift in _held(shifts, one.at_us)):
            self._nights[one.user, (clock + timedelta(hours=12)).date()].append(one.sequence)

    def flags(self) -> Iterator[Flag]:
        for (user, _), found in self._nights.items():
            detail = f"{len(found)} lookups outside the shift"
            yield Flag(detector="off_shift", about=user, entries=tuple(found), detail=detail)


@dataclass(slots=True)
class _UnderNumber:
    """The lookups under one number. `place`: in the order of the numbers."""

    place: int
    since_us: int
    until_us: int = 0
    entries: list[int] = field(default_factory=list)
    people: set[str] = field(default_factory=set)
    plates: set[str] = field(default_factory=set)


class NoCase:
    """Flags case numbers that are not real ones, and a number that one person uses for everything."""

    def __init__(self, terms: DetectorTerms) -> None:
        self._plates, self._days = terms.catch_all_plates, terms.catch_all_days
        self._nothing: dict[str, list[int]] = defaultdict(list)
        self._by_number: dict[str, _UnderNumber] = {}
        self._wide: dict[int, _UnderNumber] = {}  # with that many plates, by the order of their numbers

    def add(self, one: LookUp) -> None:
        if _NO_NUMBER.fullmatch(one.number):
            self._nothing[one.person].append(one.sequence)
            return
        under = self._by_number.setdefault(one.number, _UnderNumber(len(self._by_number), one.at_us))
        under.until_us = one.at_us
        under.entries.append(one.sequence)
        under.people.add(one.person)
        under.plates.update(one.targets)
        if len(under.plates) >= self._plates:
            self._wide[under.place] = under

    def flags(self) -> Iterator[Flag]:
        for person, found in self._nothing.items():
            detail = f"{len(found)} lookups under an invalid number"
            yield Flag(detector="no_case", about=person, entries=tuple(found), detail=detail)
        for _, under in sorted(self._wide.items()):
            days = (under.until_us - under.since_us) / DAY_US
            if len(under.people) == 1 and days > self._days:
                (person,) = under.people
                over = f"one number for {len(under.plates)} plates over {days:.0f} days"
                yield Flag(
                    detector="no_case",
                    about=person,
                    entries=tuple(under.entries),
                    detail=f"{over}, used by one person alone",
                )
