"""Opens what units recorded of alerts, as an access of the person who asks, and enters what is then known.

One at a time: two people who ask at once open a record once.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.read_records import Alert, AlertStepped
from sync.department.content.alert_records import SealedRecord, open_records
from sync.department.content.key_guard import read_name
from sync.department.desk.alerts.planting import falls_due, plant
from sync.department.desk.context import Front
from sync.department.desk.desk import Caller, Plan
from sync.department.journal.alert_entries import AlertKnown, AlertRecordsOpened, AlertStepTaken
from sync.department.journal.entries import Access, AccessResult, Entry, Ground
from sync.department.journal.entry_base import Note
from sync.department.policy.roles import Call
from sync.hot_lists.document import digest_of
from sync.hot_lists.entry import Entry as ListEntry


def open_waiting(front: Front, token: str, *, touch: bool = True) -> Caller | None:
    """Open what waits as the caller's access; None where nothing does, and then nothing is entered.

    `touch`: whether the session counts as used. Raises DeskRefusal, StorageError.
    """
    desk = front.desk
    with front.opening:
        waiting = front.alerts.waiting(desk.book.alerts.opened)
        if not waiting:
            return None

        def plan(caller: Caller) -> Plan[tuple[Caller, Entry]]:
            note = access_of("alert", "alerts that units raised", tuple(one.name for one in waiting))
            return [note], lambda made: (caller, made[0])

        caller, entry = desk.act(token, Call.ALERT_LIST, plan, touch=touch)
        _take_in(front, caller, entry, waiting)
    front.bell.ring()
    return caller


def _take_in(front: Front, caller: Caller, entry: Entry, waiting: Sequence[SealedRecord]) -> None:
    """Open what units recorded and enter what the desk then knows, all of it or nothing."""
    desk = front.desk
    cover = desk.covered(entry.sequence)
    notes: list[Note] = []
    for one, record in zip(waiting, open_records(front.door, cover, waiting), strict=True):
        if isinstance(record, Alert):
            notes.append(_known(one, record))
            front.alert_facts[one.name] = record
        else:
            alert = read_name(one.log_id, record.alert)
            notes.append(AlertStepTaken(alert=alert, unit=one.unit, step=record.step))
    steps = tuple(one.name for one in waiting if one.kind == AlertStepped.KIND)
    if steps:
        notes.append(AlertRecordsOpened(records=steps))
    unwitnessed = cover.unwitnessed
    notes.append(AccessResult(access=entry.sequence, count=len(waiting), reads=(), unwitnessed=unwitnessed))
    made = desk.follow_up(caller.stamp(), *notes)
    planted = [
        found
        for one in made
        if isinstance(one.note, AlertKnown)
        and falls_due(one.sequence, desk.policy.alerts.planted_per_thousand)
        and (found := plant(desk.book.alerts, one.sequence, caller.at_us)) is not None
    ]
    if planted:
        desk.system(*planted)


def _known(one: SealedRecord, record: Alert) -> AlertKnown:
    entry = ListEntry.from_bytes(record.entry)
    return AlertKnown(
        alert=one.name,
        read=read_name(one.log_id, record.read),
        unit=one.unit,
        raised_us=record.at_us,
        list_id=record.list_id,
        source=record.source,
        category=record.category,
        entry=digest_of(record.entry),
        silent=record.silent,
        stale=record.stale,
        requester=entry.requester,
        recipients=entry.recipients,
        planted_plate="",
        planted_state="",
    )


def access_of(action: str, elements: str, reads: tuple[str, ...]) -> Access:
    """The access entry of an alert: its ground is the verification that 463.7 asks for."""
    return Access(
        action=action,
        elements=elements,
        plate="",
        ground=Ground(
            purpose="enforcement",
            basis="criminal-investigation",
            number="ALERT-4637",
            number_kind="alert",
            justification="verification of an alert (463.7)",
        ),
        on_behalf_of="",
        request=-1,
        approval=-1,
        reads=reads,
    )
