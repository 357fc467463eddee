"""Holds at the desk: place, export onto portable media, book into evidence, release by two people (463.8)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import structlog

from storage.counts import counted
from storage.times import DAY_US
from sync.department.content import package_words
from sync.department.content.package import PackageOrder
from sync.department.desk import sheet_people
from sync.department.desk.context import ELEMENTS, DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.holds import rules as holds
from sync.department.desk.inquiry import rules as inquiry
from sync.department.desk.inquiry.forms import Entered, NothingForm, first_entered
from sync.department.desk.inquiry.searching import found_by, note_refusal
from sync.department.desk.words import demand_words
from sync.department.journal.access_log import AccessLog
from sync.department.journal.change_entries import ChangeProposed, HoldRests
from sync.department.journal.entries import Entry, EntryOf, LogRead
from sync.department.journal.hold_entries import (
    HoldBooked,
    HoldExported,
    HoldPlaced,
    HoldReleased,
    ReleaseAsked,
    held_words,
)
from sync.department.journal.inquiry_entries import Access, AccessEnded, Ground, SheetPerson
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call
from sync.errors import KeyServiceAwayError

log_events = structlog.get_logger("department.holds")
MAX_SEARCHES = 100

OWN_SEARCHES = "name the entries of your own searches that found every one of these reads"
"""What makes a second person unnecessary for a hold and its export."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldForm:
    """Reads to hold: on which ground, by whose authority, under which number, and why they are opened.

    `accesses`: your searches that found them. For reads that these did not find, a second person agrees:
    `propose` asks for one, `approval` is the approved proposal.
    """

    reads: tuple[str, ...]
    hold_ground: str
    authority: str
    number: str
    ground: Ground
    accesses: tuple[int, ...] = ()
    propose: bool = False
    approval: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportForm:
    """A hold to download; `medium`: the portable medium, as it will be labeled.

    `accesses`, `propose`, `approval`: as for `HoldForm`. A person who placed the hold after own searches
    needs none of them.
    """

    hold: int
    medium: str
    ground: Ground
    accesses: tuple[int, ...] = ()
    propose: bool = False
    approval: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class BookForm:
    """The evidence item number of a hold's medium."""

    hold: int
    evidence_item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskReleaseForm:
    """A hold that may end.

    `evidence_item`: the item number under which it was booked. For a hold that was never exported, such as
    one placed by mistake, it is empty, and `reason` says why.
    """

    hold: int
    evidence_item: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseForm:
    """A hold to end. `evidence_item`: as the first person gave it; empty if it was never exported."""

    hold: int
    evidence_item: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """A booking: its entry; `replaces`: the previous item number, or empty."""

    entry: int
    replaces: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A hold: its entry, how many reads. `proposal`: set if the call only asked for a second person, else
    -1."""

    hold: int
    reads: int
    proposal: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The evidence package (ZIP) of a hold.

    `entry`: the export's access, an ALPR Request, as the package and its check name it.
    """

    hold: int
    entry: int
    digest: str
    unwitnessed: bool
    package: bytes = field(repr=False)
    proposal: int = -1


def _access(action: str, form_ground: Ground, reads: tuple[str, ...], number: str, approval: int) -> Access:
    return Access(
        action=action,
        elements=held_words(action, number, len(reads)),
        plate="",
        ground=form_ground,
        on_behalf_of="",
        request=-1,
        approval=approval,
        reads=reads,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """A hold and its state.

    `state`: placed, export begun (and not ended), exported, booked, release asked, released; `asked_by`: the
    first of the two people for its release, or empty; `reason`: that person's, if it was never exported.
    """

    hold: int
    at_us: int
    placed_by: str
    reads: int
    ground: str
    authority: str
    number: str
    evidence_item: str
    state: str
    asked_by: str
    reason: str = ""


def listed(front: DeskContext, token: str, form: NothingForm) -> tuple[HoldRow, ...]:  # noqa: ARG001
    """List all holds, newest first."""
    desk = front.desk

    def look(caller: Caller) -> tuple[LogRead, tuple[HoldRow, ...]]:
        known = desk.book.holds
        asked = {number: _asked(desk, number, caller) for number in known.asked}
        rows = [
            HoldRow(
                hold=number,
                at_us=entry.stamp.at_us,
                placed_by=entry.stamp.user,
                reads=len(note.reads),
                ground=note.ground,
                authority=note.authority,
                number=note.number,
                evidence_item=_item(known.booked.get(number)),
                state=_state(known, number, asked.get(number, "")),
                asked_by=asked.get(number, ""),
                reason=known.asked[number].note.reason if number in known.asked else "",
            )
            for number, entry in reversed(known.placed.items())
            for note in (entry.note,)
        ]
        return LogRead(elements="holds", count=len(rows)), tuple(rows)

    return desk.show(token, Call.HOLD_READ, look)


def _item(booked: EntryOf[HoldBooked] | None) -> str:
    return booked.note.evidence_item if booked else ""


def _asked(desk: Desk, number: int, caller: Caller) -> str:
    """The person who asked for a hold's release, while that request is valid."""
    return holds.asked_by(desk.book.holds, number, desk.book.signers.second, caller.at_us)


def _state(known: holds.Holds, number: int, asked: str) -> str:
    steps = (
        (known.released, "released"),
        ({number} if asked else (), "release asked"),
        (known.booked, "booked"),
        (known.exported, "exported"),
        (known.begun, "export begun"),
    )
    return next((name for where, name in steps if number in where), "placed")


def _found(front: DeskContext, accesses: tuple[int, ...], caller: Caller) -> set[str]:
    """The reads that the caller's searches found. Raises FormError for too many searches."""
    if len(accesses) > MAX_SEARCHES:
        raise FormError(f"name at most {MAX_SEARCHES} searches", code="accesses", clause="463.8")
    return set().union(*(found_by(front, access, caller.user) for access in accesses))


def _asks_two(form: HoldForm | ExportForm) -> bool:
    """Whether the form asks for a second person.

    That is always allowed, since a key service whose disk was lost knows no earlier search.
    """
    return form.propose or form.approval >= 0


def place(front: DeskContext, token: str, form: HoldForm) -> Placed:
    """Hold reads. Their content is sealed under the hold's own key, so that their day can still be purged."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entry, tuple[int, ...]]]:
        holds.check_hold(desk.policy, form, caller.at_us)
        received = front.reads.days_of(form.reads)
        found = _found(front, form.accesses, caller)
        reads = counted(len(form.reads), "read")
        summary = f"hold {reads} under {form.number}, which no search of {caller.user} found"
        needed = _asks_two(form) or not found >= set(form.reads)
        second = desk.second_person(
            caller,
            "hold/place",
            form,
            about=form.number,
            summary=summary,
            needed=needed,
            instead=OWN_SEARCHES,
        )
        if isinstance(second, ChangeProposed):
            return [second], lambda made: (made[0], ())
        approval = form.approval if second else -1
        notes = [_access("hold", form.ground, form.reads, form.number, approval), *second]
        return notes, lambda made: (made[0], received)

    entry, received = desk.act(token, Call.HOLD_PLACE, plan)
    if not received:
        return Placed(hold=-1, reads=0, proposal=entry.sequence)
    cover = desk.covered(entry.sequence)
    with note_refusal(front, entry, Call.HOLD_PLACE):
        sealed = front.reads.hold(front.door, cover, form.reads, ELEMENTS)
    content = front.vault.keep(entry.sequence, sealed)
    result = AccessEnded(
        access=entry.sequence, count=len(sealed), reads=form.reads, unwitnessed=cover.unwitnessed
    )
    note = HoldPlaced(
        access=entry.sequence,
        reads=form.reads,
        ground=form.hold_ground,
        authority=form.authority,
        number=form.number,
        received=received,
    )
    rests = HoldRests(
        access=entry.sequence,
        searches=form.accesses if form.approval < 0 else (),
        approval=form.approval,
        content=content,
    )
    made = desk.follow_up(entry.stamp, result, rests, note)[-1]
    desk.covered(made.sequence)
    return Placed(hold=made.sequence, reads=len(sealed))


def export(front: DeskContext, token: str, form: ExportForm) -> Exported:
    """Download a hold as a package that anyone can verify."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entry, HoldPlaced | None, tuple[SheetPerson, ...]]]:
        held = holds.placed(desk.book.holds, form.hold)
        front.vault.demand_whole(held.access, len(held.reads))
        inquiry.check_ground(desk.policy, form.ground)
        demand_words(form.medium, "name the portable medium", code="medium", clause="463.8", least=1)
        searches = (*form.accesses, *holds.searches_of(desk.book.holds, form.hold, caller.user))
        needed = _asks_two(form) or not _found(front, searches, caller) >= set(held.reads)
        reads = counted(len(held.reads), "read")
        summary = f"export hold {form.hold}: {reads}, which no search of {caller.user} found"
        second = desk.second_person(
            caller,
            "hold/export",
            form,
            about=str(form.hold),
            summary=summary,
            needed=needed,
            instead=OWN_SEARCHES,
        )
        if isinstance(second, ChangeProposed):
            return [second], lambda made: (made[0], None, ())
        approval = form.approval if second else -1
        access = _access("export", form.ground, held.reads, held.number, approval)
        people = sheet_people.of_export(desk.book, form.hold, caller.user, approval)
        notes = [replace(access, people=people), *second]
        return notes, lambda made: (made[0], held, people)

    entry, held, people = desk.act(token, Call.HOLD_EXPORT, plan)
    if held is None:
        return Exported(
            hold=form.hold, entry=-1, digest="", unwitnessed=False, package=b"", proposal=entry.sequence
        )
    cover = desk.covered(entry.sequence)
    with desk.looking() as book:
        content = holds.content_of(book.holds, held.access)
    sealed = front.vault.whole(held.access, held.reads, content)
    reads = [
        one.opened(front.door.open_held(cover, held.access, one.log_id, [one.row])[0], day)
        for one, day in zip(sealed, held.received or (None,) * len(sealed), strict=True)
    ]
    facts, hold = _sheet(desk, form, held, entry, people), desk.covered(form.hold)
    order = PackageOrder(number=held.number, entries=(cover,), facts=facts, hold=hold)
    package = front.package(reads, order)
    digest = hashlib.sha256(package).digest()
    result = AccessEnded(
        access=entry.sequence, count=len(reads), reads=held.reads, unwitnessed=cover.unwitnessed
    )
    exported = HoldExported(hold=form.hold, access=entry.sequence, package=digest, medium=form.medium)
    ended = desk.follow_up(entry.stamp, result, exported)[-1]
    again = desk.covered(ended.sequence)
    return Exported(
        hold=form.hold,
        entry=entry.sequence,
        digest=digest.hex(),
        unwitnessed=cover.unwitnessed or again.unwitnessed,
        package=package,
    )


def _sheet(
    desk: Desk, form: ExportForm, held: HoldPlaced, entry: Entry, people: tuple[SheetPerson, ...]
) -> package_words.Facts:
    """The facts on an export's cover sheet: on which ground, by whose authority, who made it."""
    ground = desk.policy.hold_ground(held.ground)
    hold = package_words.SheetHold(
        sequence=form.hold,
        stamp=desk.book.holds.placed[form.hold].stamp,
        ground=ground.text if ground else held.ground,
        authority=held.authority,
        approval=package_words.approval_in(desk.log.entry(form.hold).signed),
    )
    return package_words.of_export(
        *(hold, entry.sequence, entry.stamp, form.medium, desk.policy.zone),
        approval=package_words.approval_in(entry.signed),
        people=people,
    )


def book(front: DeskContext, token: str, form: BookForm) -> Booked:
    """Enter the evidence item number under which the medium was booked."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Booked]:
        asked = _asked(desk, form.hold, caller)
        holds.to_book(desk.book.holds, form.hold, form.evidence_item, asked)
        before = _item(desk.book.holds.booked.get(form.hold))
        note = HoldBooked(hold=form.hold, evidence_item=form.evidence_item)
        return [note], lambda made: Booked(entry=made[0].sequence, replaces=before)

    return desk.act(token, Call.HOLD_BOOK, plan)


def ask_release(front: DeskContext, token: str, form: AskReleaseForm) -> Entered:
    """Ask for a release as the first person, with the item number or, if it was never exported, the
    reason."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        asked = _asked(desk, form.hold, caller)
        holds.to_ask_release(desk.book.holds, form.hold, form.evidence_item, asked, form.reason)
        note = ReleaseAsked(hold=form.hold, evidence_item=form.evidence_item, reason=form.reason)
        return [note], first_entered

    return desk.act(token, Call.HOLD_RELEASE, plan)


def release(front: DeskContext, token: str, form: ReleaseForm) -> Entered:
    """Release a hold as the second person. Its key and content are destroyed once the entry is co-signed."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[Entered, int]]:
        first = _asked(desk, form.hold, caller)
        holds.to_release(desk.book.holds, form.hold, form.evidence_item, first, caller.user)
        access = holds.placed(desk.book.holds, form.hold).access
        note = HoldReleased(hold=form.hold, access=access, evidence_item=form.evidence_item, asked_by=first)
        return [note], lambda made: (first_entered(made), access)

    made, access = desk.act(token, Call.HOLD_RELEASE, plan)
    front.door.release(desk.covered(made.entry))
    front.vault.destroy(access)
    return made


def finish(front: DeskContext) -> None:
    """Complete what a crash, an absent witness or an older copy of the keys left of holds.

    Destroys keys of released holds, with their content, and keys and content without a hold. The latter only
    if a witness saw its access and a day of entries followed. A log restored from a backup has neither, so it
    destroys nothing unknown to it. A failure stops nothing else; the first one is raised after all the rest
    is done. Raises DeskRefusal while the witness is away, and KeyServiceAwayError; the next day's run
    retries.
    """
    desk, failed = front.desk, list[Exception]()
    here, keys = set(front.vault.kept()), set[int]()
    if desk.root.witnessing() is not None:  # before that, no hold has a key
        with _apart(failed):
            keys = set(front.door.held_keys())
    with desk.looking() as book:
        released, placed = list(book.holds.released.values()), list(book.holds.placed.values())
    for entry in released:
        access = entry.note.access
        if access not in here | keys:
            continue
        cover = desk.covered(entry.sequence)
        with _apart(failed):
            front.door.release(cover)
            front.vault.destroy(access)
            if access not in here:
                log_events.warning("released_key_destroyed_again", hold=entry.note.hold, clause="463.8")
    named = {one.note.access for one in placed}
    for access in sorted((here | keys) - named):
        if not _came_to_nothing(desk.log, access):
            what = "held_content_unnamed" if access in here else "hold_key_unnamed"
            log_events.warning(what, access=access)
            continue
        with _apart(failed):
            if access in keys:
                front.door.abandon(desk.covered(access))
            front.vault.destroy(access)
    if failed:
        raise failed[0]


@contextmanager
def _apart(failed: list[Exception]) -> Iterator[None]:
    """Run one step for one hold. A failure is kept for the report, and the next hold follows."""
    try:
        yield
    except KeyServiceAwayError:
        raise  # nor would it answer for the others
    except Exception as error:  # noqa: BLE001 - whatever stops one hold must not stop the others
        failed.append(error)
        log_events.error("hold_not_finished", kind=type(error).__name__)  # noqa: TRY400


def _came_to_nothing(log: AccessLog, access: int) -> bool:
    seen = log.cosigned()[0]
    if access >= seen:
        return False
    entry, newest = log.entry(access), log.entry(seen - 1)
    asked = isinstance(entry.note, Access) and entry.note.action == "hold"
    return asked and newest.stamp.at_us - entry.stamp.at_us > DAY_US
