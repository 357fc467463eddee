"""Holds and evidence (463.8): five grounds and no other, export, booking, release by two people. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Protocol

from storage.times import DAY_US
from sync.department.content.reads import parse_name
from sync.department.desk.inquiry.rules import check_ground, example_of, is_number
from sync.department.desk.words import demand_words
from sync.department.journal.change_entries import HoldRests
from sync.department.journal.entries import Entry, EntryOf, is_of
from sync.department.journal.hold_entries import (
    ASKED_DAYS,
    HoldBooked,
    HoldExported,
    HoldPlaced,
    HoldReleased,
    ReleaseAsked,
)
from sync.department.journal.inquiry_entries import Access, Ground
from sync.department.journal.malformed import form_of
from sync.department.journal.second_hands import SecondHands
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError, demand, refuse_each
from sync.department.policy.roles import Call

CLAUSE = "463.8"
ITEM = re.compile(r"[A-Z0-9][A-Z0-9./-]{2,39}")
MAX_READS = 1000


@dataclass(slots=True)
class Holds:
    """What the log says of holds.

    `begun`: the holds of which an export began, with the entry that began the first. No entry can prove that
    nothing left, because only the desk itself would say so.
    """

    placed: dict[int, EntryOf[HoldPlaced]] = field(default_factory=dict)
    exported: dict[int, EntryOf[HoldExported]] = field(default_factory=dict)
    booked: dict[int, EntryOf[HoldBooked]] = field(default_factory=dict)
    asked: dict[int, EntryOf[ReleaseAsked]] = field(default_factory=dict)
    released: dict[int, EntryOf[HoldReleased]] = field(default_factory=dict)
    rests: dict[int, EntryOf[HoldRests]] = field(default_factory=dict)
    begun: dict[int, int] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        if is_of(entry, HoldPlaced):
            self.placed[entry.sequence] = entry
        elif is_of(entry, HoldExported):
            self.exported[entry.note.hold] = entry
            self.begun.setdefault(entry.note.hold, entry.note.access)
        elif is_of(entry, Access):
            self._begin(entry)
        elif is_of(entry, HoldBooked):
            self.booked[entry.note.hold] = entry
        elif is_of(entry, ReleaseAsked):
            self.asked[entry.note.hold] = entry
        elif is_of(entry, HoldRests):
            self.rests.setdefault(entry.note.access, entry)
        elif is_of(entry, HoldReleased):
            self.released.setdefault(entry.note.hold, entry)  # a later one, forged, ends no hold again

    def _begin(self, entry: EntryOf[Access]) -> None:
        hold = form_of(entry.signed).get("hold") if entry.note.action == "export" else None
        if type(hold) is int:
            self.begun.setdefault(hold, entry.sequence)

    def open_holds(self) -> list[EntryOf[HoldPlaced]]:
        return [entry for number, entry in self.placed.items() if number not in self.released]

    def held_reads(self) -> set[str]:
        """The reads under any open hold, which a purge leaves."""
        return {read for entry in self.open_holds() for read in entry.note.reads}


class _Wanted(Protocol):
    """What is to be held, and why."""

    @property
    def hold_ground(self) -> str: ...
    @property
    def authority(self) -> str: ...
    @property
    def number(self) -> str: ...
    @property
    def reads(self) -> tuple[str, ...]: ...
    @property
    def ground(self) -> Ground: ...


def check_hold(policy: Policy, form: _Wanted, _now_us: int) -> None:
    """Demand a ground, an authority, a number, reads and a reason. Raises FormError naming each wrong
    field."""

    def check_reads() -> None:
        each_once = 0 < len(form.reads) <= MAX_READS and len(set(form.reads)) == len(form.reads)
        what = f"name 1 to {MAX_READS} reads, each once"
        demand(each_once, what, code="reads", clause=CLAUSE)
        for name in form.reads:
            parse_name(name)

    refuse_each(
        check_reads,
        lambda: demand(
            policy.hold_ground(form.hold_ground) is not None,
            "that is not one of the grounds to hold",
            code="ground",
            clause=CLAUSE,
            cure="; ".join(f"{one.id}: {one.text}" for one in policy.holds),
            fields=("hold_ground",),
        ),
        lambda: demand_words(
            form.authority,
            "name the authority: court, prosecutor, investigator",
            code="authority",
            clause=CLAUSE,
        ),
        lambda: demand(
            is_number(policy, form.number, ""),
            "name the case or request number of the hold, in the form that the policy gives it",
            code="number",
            clause=CLAUSE,
            cure=f"e.g. {example_of(policy, 'case')}" if example_of(policy, "case") else "",
            fields=("own.number",),
        ),
        lambda: check_ground(policy, form.ground),
    )


def searches_of(holds: Holds, number: int, user: str) -> tuple[int, ...]:
    """The searches that a hold is based on, for the person who placed it; none for others."""
    entry = holds.placed.get(number)
    if entry is None or entry.stamp.user != user:
        return ()
    rests = holds.rests.get(entry.note.access)
    return rests.note.searches if rests is not None else ()


def content_of(holds: Holds, access: int) -> tuple[bytes, ...]:
    """The SHA-256 of each file of a hold; an older log has none."""
    rests = holds.rests.get(access)
    return rests.note.content if rests is not None else ()


def placed(holds: Holds, number: int) -> HoldPlaced:
    """An open hold. Raises FormError, NotYetError."""
    entry = holds.placed.get(number)
    if entry is None:
        raise FormError(
            "there is no such hold",
            code="no-hold",
            clause=CLAUSE,
            cure="a hold is named by the number of its entry, such as 41: department hold list",
        )
    if number in holds.released:
        raise NotYetError("that hold was released", code="released", clause=CLAUSE)
    return entry.note


def asked_by(holds: Holds, number: int, second: SecondHands, now_us: int) -> str:
    """The first of the two people for a release, or empty.

    A request ends after a week, and with its person's account or role. If the hold was never exported, an
    export ends it too.
    """
    entry = holds.asked.get(number)
    if entry is None or not 0 <= now_us - entry.stamp.at_us < ASKED_DAYS * DAY_US:
        return ""
    if not entry.note.evidence_item and number in holds.begun:
        return ""
    return entry.stamp.user if second.counts(Call.HOLD_RELEASE, number, entry.stamp.user) else ""


def to_book(holds: Holds, number: int, item: str, asked: str) -> None:
    """Check a booking, which follows the export. Booking again corrects an error. Raises DeskRefusal.

    `asked`: as from `asked_by`.
    """
    placed(holds, number)
    if number not in holds.exported:
        cure = f"{_unended(holds, number)}: export it again" if number in holds.begun else ""
        raise NotYetError(
            "download it onto portable media first", code="not-exported", clause=CLAUSE, cure=cure
        )
    if asked:
        raise NotYetError("its release was asked for under its item number", code="asked", clause=CLAUSE)
    if not ITEM.fullmatch(item):
        raise FormError("an evidence item number has 3 to 40 of A-Z 0-9 . / -", code="item", clause=CLAUSE)


def _unended(holds: Holds, number: int) -> str:
    return f"entry {holds.begun[number]} began an export that did not end"


def _booked_as(holds: Holds, number: int, item: str) -> None:
    placed(holds, number)
    if not item and number not in holds.begun:
        return
    entry = holds.booked.get(number)
    if entry is None:
        cure = ""
        if number not in holds.begun:
            cure = "only a hold that was never exported ends without an item number"
        elif number not in holds.exported:
            cure = f"{_unended(holds, number)}, but may have shown its reads: export it again, and book that"
        raise NotYetError("book it into evidence first", code="not-booked", clause=CLAUSE, cure=cure)
    if entry.note.evidence_item != item:
        cure = "type the item number under which it was booked: the list of holds has it"
        raise DeskRefusal("it was booked under another item number", code="item", clause=CLAUSE, cure=cure)


def to_ask_release(holds: Holds, number: int, item: str, asked: str, reason: str = "") -> None:
    """Check the first person's request for a release. Raises DeskRefusal.

    It names the item number of the booking; if the hold was never exported, a reason instead.
    """
    _booked_as(holds, number, item)
    if not item:
        demand_words(reason, "say why it ends without an export", code="reason", clause=CLAUSE)
    if asked:
        raise NotYetError(
            "its release was asked for",
            code="asked",
            clause=CLAUSE,
            cure="a second person releases it, under Evidence",
        )


def to_release(holds: Holds, number: int, item: str, asked: str, second: str) -> None:
    """Check the second person's release. Raises DeskRefusal."""
    _booked_as(holds, number, item)
    if not asked:
        raise NotYetError(
            "its release has not been asked for"
            + (f" within {ASKED_DAYS} days by a person who still may" if number in holds.asked else ""),
            code="second-person",
            clause=CLAUSE,
            cure="another person asks for the release first",
        )
    if holds.asked[number].note.evidence_item != item:
        cure = "have it asked for again, under the item number of the last booking"
        raise DeskRefusal(
            "its release was asked for under another item number", code="item", clause=CLAUSE, cure=cure
        )
    if asked == second:
        raise DeskRefusal("the second person must be another person", code="second-person", clause=CLAUSE)
