"""Alerts in the log of a unit without a department, which can open its own hits. Shows no plate.

On an enrolled unit the key of a hit is only in memory during a run: only the department can open the alerts
of earlier runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from storage.alert_life import AlertState
from storage.errors import KeyLostError
from storage.ledger import Ledger
from storage.read_records import Alert, AlertStepped
from storage.record_base import KeyClass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAlert:
    """One alert with its recorded steps."""

    number: int
    category: str
    list_id: str
    silent: tuple[str, ...]
    stale: bool
    state: AlertState


def recorded_alerts(ledger: Ledger, end: int | None) -> list[RecordedAlert]:
    """The alerts before record `end` that this unit can open, including closed ones, oldest first.

    Empty on an enrolled unit. Raises StorageError.
    """
    store = ledger.store
    found: dict[int, RecordedAlert] = {}
    with store.lock:
        if store.enrolled:
            return []
        last = store.log.size() if end is None else end
        for sequence in _of_hits(ledger):
            kind = store.leaf(sequence).kind
            if kind not in {Alert.KIND, AlertStepped.KIND}:
                continue
            try:
                record = store.record(sequence)
            except KeyLostError:
                continue
            if isinstance(record, Alert) and sequence < last:
                found[sequence] = _recorded(ledger, sequence, record)
            elif isinstance(record, AlertStepped) and record.alert in found:
                one = found[record.alert]
                found[record.alert] = replace(one, state=one.state.after(record.step))
    return list(found.values())


def _of_hits(ledger: Ledger) -> list[int]:
    store = ledger.store
    return sorted(
        sequence
        for facts in store.book.epochs.values()
        if facts.key_class is KeyClass.HIT and facts.purged_by is None
        for sequence in store.sequences(facts.epoch)
    )


def _recorded(ledger: Ledger, sequence: int, record: Alert) -> RecordedAlert:
    category = ledger.store.policy.alerts.category(record.category)
    return RecordedAlert(
        number=sequence,
        category=record.category if category is None else category.says,
        list_id=record.list_id,
        silent=record.silent,
        stale=record.stale,
        state=AlertState(raised_us=record.at_us),
    )
