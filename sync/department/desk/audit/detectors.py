"""Detectors of misuse over the access log: pure functions to flags. No I/O.

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

The first four are in `look_up_detectors.py`. They examine every kind of access: searches, images, holds,
exports, deliveries, looks at an answer. An access counts for the person in whose name it was made: the
requester of a queued request, else the person who made it. Bursts and shifts are about the person who made
it. What follows a search of the same plate under the same number within the hour belongs to that lookup.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storage.counts import counted
from storage.times import DAY_US
from sync.department.desk.audit.look_up_detectors import Flag, LookUp
from sync.department.journal.entries import Entry
from sync.department.journal.statements import digest_of, said_in
from sync.department.policy.desk_terms import DetectorTerms

SAMPLE = "sample"
RULES = 1
"""The version of the detectors, and of what they are given. It rises with each change of what they find, or
of the words in which they say it: `verify` judges no findings of an earlier version by the rules of this one.
"""
DRAW = b"alpr-department/audit-sample/v1\x00"


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
