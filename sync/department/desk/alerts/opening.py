"""Opens what units recorded of alerts, as an access by the person who asks, and enters what it says.

One caller opens at a time, so that two people who ask at once open a record only once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from storage.errors import StorageError
from storage.read_records import Alert, AlertStepped
from sync.department.content.alert_records import SealedRecord, open_records
from sync.department.content.key_door import Cover, read_name
from sync.department.desk.alerts.planting import Plant
from sync.department.desk.alerts.rules import AlertRow
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.journal.alert_entries import (
    ALERT_GROUND,
    BEFORE_ENROLLMENT,
    RAISED,
    AlertKnown,
    AlertRecordsOpened,
    AlertStepTaken,
)
from sync.department.journal.entries import Entry
from sync.department.journal.entry_base import Note
from sync.department.journal.inquiry_entries import Access, AccessEnded
from sync.department.policy.roles import Call
from sync.hot_lists.document import digest_of
from sync.hot_lists.entry import ListEntry


def open_waiting(front: DeskContext, token: str, *, touch: bool = True) -> Caller | None:
    """Open what waits, as the caller's access. If nothing waits, enter nothing and return None.

    A planted mismatch that is due is opened and entered like a unit's alert. `touch`: whether the session
    counts as used. Raises DeskRefusal, StorageError.
    """
    desk = front.desk
    with front.opening:
        waiting = front.alerts.waiting(desk.book.alerts.opened)
        planned = _planned(front)
        if not waiting and not planned:
            return None
        names = tuple(one.name for one in (*waiting, *(sealed for _, sealed in planned)))

        def plan(caller: Caller) -> Plan[tuple[Caller, Entry]]:
            return [access_of("alert", RAISED, names)], lambda made: (caller, made[0])

        caller, entry = desk.act(token, Call.ALERT_LIST, plan, touch=touch)
        _take_in(front, caller, entry, waiting, planned)
    front.bell.ring()
    return caller


def _planned(front: DeskContext) -> list[tuple[Plant, SealedRecord]]:
    """The planted mismatches that are due, each with the record whose entry it shows."""
    desk, now_us = front.desk, front.desk.now_us()
    if not front.planting.is_due(now_us):
        return []
    verifiers = _verifiers(front, now_us)
    found: list[tuple[Plant, SealedRecord]] = []
    for due_us in front.planting.take(now_us):
        with desk.looking() as book:
            plant = front.planting.plan(book.alerts, due_us, verifiers, now_us)
        if plant is not None and all(plant.record != one.record for one, _ in found):
            found += [(plant, sealed) for sealed in front.alerts.named([plant.record])]
    return found


def _verifiers(front: DeskContext, at_us: int) -> frozenset[str]:
    """The users who may verify alerts."""
    desk = front.desk
    with desk.looking() as book:
        roster = book.roster
        return frozenset(user for user in roster.accounts if roster.may_verify(desk.policy, user, at_us))


def _take_in(
    front: DeskContext,
    caller: Caller,
    entry: Entry,
    waiting: Sequence[SealedRecord],
    planned: Sequence[tuple[Plant, SealedRecord]],
) -> None:
    """Open what units recorded and enter what it says: all of it or nothing."""
    desk = front.desk
    cover = desk.covered(entry.sequence)
    notes: list[Note] = []
    for one, record in zip(waiting, open_records(front.door, cover, waiting), strict=True):
        if isinstance(record, Alert):
            notes.append(known_by(one, record))
            front.alert_facts[one.name] = record
        else:
            alert = read_name(one.log_id, record.alert)
            notes.append(AlertStepTaken(alert=alert, unit=one.unit, step=record.step))
    raised = sum(isinstance(one, AlertKnown) for one in notes)
    _add_planted(front, cover, notes, planned)
    steps = tuple(one.name for one in waiting if one.kind == AlertStepped.KIND)
    if steps:
        notes.append(AlertRecordsOpened(records=steps))
    count = len(waiting) + len(planned)
    notes.append(AccessEnded(access=entry.sequence, count=count, reads=(), unwitnessed=cover.unwitnessed))
    desk.follow_up(caller.stamp(), *notes)
    for _ in range(raised):
        front.planting.consider(desk.policy.alerts.planted_per_thousand, caller.at_us)


def _add_planted(
    front: DeskContext, cover: Cover, notes: list[Note], planned: Sequence[tuple[Plant, SealedRecord]]
) -> None:
    """Put each planted mismatch at a random place among the others, so that its number does not reveal it."""
    newest = [one for one in reversed(notes) if isinstance(one, AlertKnown)]
    with front.desk.looking() as book:
        newest += [row.known for row in reversed(book.alerts.rows.values()) if not row.planted]
    records = open_records(front.door, cover, [sealed for _, sealed in planned])
    for (plant, _), record in zip(planned, records, strict=True):
        if isinstance(record, Alert):
            front.alert_facts[plant.name] = record
            notes.insert(front.planting.place(len(notes)), plant.known(newest))


def gone(front: DeskContext, rows: Iterable[AlertRow]) -> frozenset[int]:
    """The numbers of the open alerts whose list no longer has their entry."""
    return frozenset(number for number, lacks in compared(front, rows).items() if lacks)


def comparable(front: DeskContext, rows: Iterable[AlertRow]) -> list[AlertRow]:
    """The open alerts to look up in their lists, without planted ones.

    The vehicle in a planted alert's picture was found, so its entry leaves the lists.
    """
    return [
        row
        for row in rows
        if row.known.alert in front.alert_facts
        and not (row.planted or row.state.recalled or row.state.closed)
    ]


def compared(front: DeskContext, rows: Iterable[AlertRow]) -> dict[int, bool | None]:
    """By an open alert's number, whether its list now lacks its entry; None if nothing says so.

    The rules are those of a unit: an entry that says the same in other words counts as the same entry, and a
    list that is not here withdraws nothing. Each list is opened once, since that takes a while.
    """
    wanted: dict[str, dict[int, ListEntry]] = {}
    for row in comparable(front, rows):
        record = front.alert_facts.get(row.known.alert)
        if record is not None:  # all of them are forgotten together
            wanted.setdefault(record.list_id, {})[row.number] = ListEntry.from_bytes(record.entry)
    found: dict[int, bool | None] = {}
    for list_id, entries in wanted.items():
        found |= dict.fromkeys(entries)
        try:
            now = front.entries_under(list_id, {one.key for one in entries.values()})
        except (StorageError, OSError):
            continue
        if now is not None:
            there = {one.subject for one in now}
            found |= {number: entry.subject not in there for number, entry in entries.items()}
    return found


def known_by(one: SealedRecord, record: Alert) -> AlertKnown:
    """The entry of an alert, as its unit recorded it.

    Its place in the unit's log decides whether it is from before the unit joined. While the department cannot
    know that place (in the first sync of a unit of an earlier version, which sends alerts first), the unit's
    own two times decide.
    """
    entry = ListEntry.from_bytes(record.entry)
    before = record.at_us < one.vouched_us if one.before_joining is None else one.before_joining
    early = (BEFORE_ENROLLMENT,) if before else ()
    return AlertKnown(
        alert=one.name,
        read=read_name(one.log_id, record.read),
        unit=one.unit,
        raised_us=record.at_us,
        list_id=record.list_id,
        source=record.source,
        category=record.category,
        entry=digest_of(record.entry),
        silent=(*record.silent, *early),
        stale=record.stale,
        requester=entry.requester,
        recipients=entry.recipients,
        planted_plate="",
        planted_state="",
    )


def access_of(action: str, elements: str, reads: tuple[str, ...]) -> Access:
    """The access entry of an alert. Its ground is the verification that 463.7 asks for."""
    return Access(
        action=action,
        elements=elements,
        plate="",
        ground=ALERT_GROUND,
        on_behalf_of="",
        request=-1,
        approval=-1,
        reads=reads,
    )
