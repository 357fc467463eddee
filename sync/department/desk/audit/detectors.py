"""Detectors of misuse over the access log: pure functions from lookups to flags. No I/O.

    same_plate   one plate, or one read, again and again in one person's name: flagged by the fifth look.
                 Spared only while a colleague looked at it under the same, single number (a team's case)
    burst        many different plates or reads opened by one person in a short time
    off_shift    run well outside the person's shift
    no_case      an invalid number (1234, TEST), or one that a single person uses for everything
    break_glass  emergency searches: each until a second person judged it, and many of one person
    one_hand     an account that was made or reset by one person alone, or trained by a person who made
                 or reset it, or a trainer whom one person alone trained; and then opened content, or
                 decided for others; or that this person then let in at units
    no_reviewer  a reviewer was removed while findings waited for that person
    ended_entry  an entry of the own hot list, ended by a person who neither requested nor approved it
                 (`ended_entries.py`)
    sample       drawn by the signed call with which the audit began

The detectors examine every kind of access: searches, images, holds, exports, deliveries, looks at an answer.
An access counts for the person in whose name it was made: the requester of a queued request, else the person
who made it. Bursts and shifts are about the person who made it. What follows a search of the same plate under
the same number within the hour belongs to that lookup.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta, tzinfo
from typing import TypeAlias

from storage.counts import counted
from storage.plate_text import fold
from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.content.likeness import one_spelling
from sync.department.ground.local_time import local
from sync.department.journal.entries import Entry, Shift
from sync.department.journal.statements import digest_of, said_in
from sync.department.policy.desk_terms import DetectorTerms

_NO_NUMBER = re.compile(r"(?:(.)\1*|0*1?-?2?3?4?5?6?7?8?9?|N-?A|NONE|TEST.*|X+|ASDF.*|CASE|PENDING|TBD)")
SAMPLE = "sample"
RULES = 1
"""The version of the detectors, and of what they are given. It rises with each change of what they find, so
that `verify` does not judge the findings of an earlier version by the rules of this one."""
DRAW = b"alpr-department/audit-sample/v1\x00"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """An emergency search. `justified`: the second person's decision, None while there is none."""

    access: int
    at_us: int
    user: str
    due_us: int
    justified: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleMaking:
    """An account, a credential or a training that one person alone made."""

    entry: int
    user: str
    by: str


def detect(
    look_ups: Sequence[LookUp],
    terms: DetectorTerms,
    shifts: Mapping[str, Shifts],
    zone: tzinfo = UTC,
) -> list[Flag]:
    """Return all flags over lookups in order of time. `shifts`: each person's shifts, with when each was
    entered."""
    return [
        *same_plate(look_ups, terms),
        *burst(look_ups, terms),
        *off_shift(look_ups, terms, shifts, zone),
        *no_case(look_ups, terms),
    ]


def looks_of(look_ups: Sequence[LookUp]) -> Iterator[LookUp]:
    """Accesses that count as lookups: not the pictures that follow a search within its hour."""
    searched: dict[tuple[str, str, str], int] = {}
    for one in look_ups:
        key = one.user, fold(one.plate), one.number
        if one.action == "search":
            searched[key] = one.at_us
        elif one.plate and one.at_us - searched.get(key, -HOUR_US) < HOUR_US:
            continue
        yield one


def same_plate(look_ups: Sequence[LookUp], terms: DetectorTerms) -> Iterator[Flag]:
    """Flag one plate looked up again and again in one person's name."""
    by_person: dict[tuple[str, str], list[LookUp]] = defaultdict(list)
    people: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in looks_of(look_ups):
        for target in one.targets:
            by_person[one.person, target].append(one)
            people[target, one.number].add(one.person)
    span = terms.same_plate_days * DAY_US
    for (person, target), all_of_them in by_person.items():
        if len(all_of_them) < terms.same_plate_count:
            continue
        numbers = {one.number for one in all_of_them}
        if len(numbers) == 1 and len(people[target, all_of_them[0].number]) > 1:
            continue
        for last in range(terms.same_plate_count - 1, len(all_of_them)):
            first = last - terms.same_plate_count + 1
            if all_of_them[last].at_us - all_of_them[first].at_us <= span:
                picked = tuple(one.sequence for one in all_of_them[first:])
                yield Flag(
                    detector="same_plate",
                    about=person,
                    entries=picked,
                    detail=f"one plate or read {len(picked)} times under {len(numbers)} numbers",
                )
                break


def burst(look_ups: Sequence[LookUp], terms: DetectorTerms) -> Iterator[Flag]:
    """Flag many different plates or reads opened by one person in a short time."""
    by_user: dict[str, list[LookUp]] = defaultdict(list)
    for one in look_ups:
        by_user[one.user].append(one)
    window = terms.burst_minutes * MINUTE_US
    for user, mine in by_user.items():
        start, spared_until = 0, -1
        for end, one in enumerate(mine):
            while one.at_us - mine[start].at_us > window:
                start += 1
            if start <= spared_until:
                continue
            inside = mine[start : end + 1]
            if len({target for other in inside for target in other.targets or ("",)}) >= terms.burst_count:
                spared_until = end
                yield Flag(
                    detector="burst",
                    about=user,
                    entries=tuple(other.sequence for other in inside),
                    detail=f"{len(inside)} lookups in {terms.burst_minutes} minutes",
                )


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


def off_shift(
    look_ups: Sequence[LookUp], terms: DetectorTerms, shifts: Mapping[str, Shifts], zone: tzinfo
) -> Iterator[Flag]:
    """Flag lookups outside the shift that the person had then, in the department's local time.

    Each person and day gets one flag. A shift entered within the day before excuses nothing that the earlier
    ones did not.
    """
    nights: dict[tuple[str, date], list[LookUp]] = defaultdict(list)
    for one in look_ups:
        clock = local(one.at_us, zone)
        minute = clock.hour * 60 + clock.minute
        held = _held(shifts.get(one.user, ()), one.at_us)
        if any(minutes_off(shift, minute) > terms.off_shift_minutes for shift in held):
            nights[one.user, (clock + timedelta(hours=12)).date()].append(one)
    for (user, _), found in nights.items():
        yield Flag(
            detector="off_shift",
            about=user,
            entries=tuple(one.sequence for one in found),
            detail=f"{len(found)} lookups outside the shift",
        )


def no_case(look_ups: Sequence[LookUp], terms: DetectorTerms) -> Iterator[Flag]:
    """Flag case numbers that are not real ones, and a number that one person uses for everything."""
    nothing: dict[str, list[LookUp]] = defaultdict(list)
    by_number: dict[str, list[LookUp]] = defaultdict(list)
    for one in look_ups:
        if _NO_NUMBER.fullmatch(one.number):
            nothing[one.person].append(one)
        else:
            by_number[one.number].append(one)
    for person, found in nothing.items():
        yield Flag(
            detector="no_case",
            about=person,
            entries=tuple(one.sequence for one in found),
            detail=f"{len(found)} lookups under an invalid number",
        )
    for found in by_number.values():
        plates = {target for one in found for target in one.targets}
        days = (found[-1].at_us - found[0].at_us) / DAY_US
        if len({one.person for one in found}) == 1 and len(plates) >= terms.catch_all_plates:
            if days <= terms.catch_all_days:
                continue
            yield Flag(
                detector="no_case",
                about=found[0].person,
                entries=tuple(one.sequence for one in found),
                detail=f"one number for {len(plates)} plates over {days:.0f} days, used by one person alone",
            )


def emergencies(glass: Sequence[Emergency], terms: DetectorTerms, now_us: int) -> Iterator[Flag]:
    """Flag emergency searches that were not judged justified in time, and many by one person."""
    by_person: dict[str, list[Emergency]] = defaultdict(list)
    for one in glass:
        by_person[one.user].append(one)
        if one.justified is False or (one.justified is None and now_us >= one.due_us):
            why = "judged unjustified" if one.justified is False else "not judged in time"
            yield Flag(detector="break_glass_open", about=one.user, entries=(one.access,), detail=why)
    span = terms.break_glass_days * DAY_US
    for user, mine in by_person.items():
        for last in range(terms.break_glass_count, len(mine)):
            first = last - terms.break_glass_count
            if mine[last].at_us - mine[first].at_us <= span:
                picked = tuple(one.access for one in mine[first:])
                detail = f"{len(picked)} emergency searches within {counted(terms.break_glass_days, 'day')}"
                yield Flag(detector="break_glass_often", about=user, entries=picked, detail=detail)
                break


def one_hand(makings: Sequence[SingleMaking], acted: frozenset[str]) -> Iterator[Flag]:
    """Flag accounts that one person alone made, reset or trained and that then opened content or approved
    something."""
    by_user: dict[str, list[SingleMaking]] = defaultdict(list)
    for one in makings:
        by_user[one.user].append(one)
    for user, mine in by_user.items():
        if user in acted:
            hands = ", ".join(sorted({one.by for one in mine}))
            yield Flag(
                detector="one_hand",
                about=user,
                entries=tuple(one.entry for one in mine),
                detail=f"account, credential or training by {hands} alone",
            )


def no_reviewer(removed: Sequence[SingleMaking]) -> Iterator[Flag]:
    """Flag each person who removed a reviewer while findings waited for that reviewer."""
    for one in removed:
        yield Flag(
            detector="no_reviewer",
            about=one.by,
            entries=(one.entry,),
            detail=f"{one.user} was removed as reviewer while findings waited",
        )


def let_in(grants: Sequence[SingleMaking], makings: Sequence[SingleMaking]) -> Iterator[Flag]:
    """Flag people who used a unit after one person alone had made, reset or trained their account."""
    for one in grants:
        mine = [each.entry for each in makings if (each.user, each.by) == (one.user, one.by)]
        if mine:
            yield Flag(
                detector="one_hand",
                about=one.user,
                entries=(*sorted(mine), one.entry),
                detail=f"account, credential or training by {one.by}, and a grant by {one.by} alone",
            )


def sample(look_ups: Sequence[LookUp], per_thousand: int, seed: bytes) -> list[Flag]:
    """Flag a random sample, at least one of any. It is keyed by entry, so that a growing log keeps the
    choice."""
    chosen = set(drawn([one.sequence for one in look_ups], per_thousand, seed))
    return [
        Flag(detector=SAMPLE, about=one.person, entries=(one.sequence,), detail="random sample")
        for one in look_ups
        if one.sequence in chosen
    ]


def seed_of(begun: Entry, salt: bytes) -> bytes:
    """The seed that draws the sample of the audit that begins with this entry. Raises StorageError.

    Root cannot choose the random number that the person signed. The person does not know the salt, which is
    that of the log's first credential entry, fixed since then and in no answer. So neither can try until a
    sample suits.
    """
    said = digest_of(said_in(begun.signed)) if begun.signed else b""
    return hashlib.sha256(DRAW + salt + said).digest()


def drawn(sequences: Sequence[int], per_thousand: int, seed: bytes) -> list[int]:
    """The entries of a random sample; at least one of any."""
    if not sequences:
        return []
    chances = [(hashlib.sha256(seed + one.to_bytes(8, "big")).digest(), one) for one in sequences]
    limit = (
        ((1 << 256) * per_thousand // 1000).to_bytes(33, "big")[1:] if per_thousand < 1000 else b"\xff" * 32
    )
    return [one for chance, one in chances if chance < limit] or [min(chances, key=lambda pair: pair[0])[1]]
