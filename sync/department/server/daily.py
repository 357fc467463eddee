"""What the desk does once a day: enter purges, finish holds, look for misuse, tell the units.

Each part stands for itself: one that fails today is told, and tried again tomorrow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import structlog

from storage.errors import StorageError
from storage.times import day_text
from sync import messages as m
from sync.department.desk.audit import calls as calls_audit
from sync.department.desk.context import Front
from sync.department.desk.desk import Desk
from sync.department.desk.holds import calls as calls_holds
from sync.department.desk.incidents import calls as calls_incidents
from sync.department.journal.hold_entries import Purged
from sync.department.server.retention import PurgeReceipt, Retention
from sync.errors import SyncError

log_events = structlog.get_logger("department.desk")


def enter_purges(desk: Desk, retention: Retention) -> list[int]:
    """Enter every purge of the store that the log does not know yet: the entries' numbers.

    The store's receipts are the truth of what was destroyed; whatever kept one from being entered (a crash,
    a purge by command, a desk that came later) is made good here.
    """
    notes = []
    for day, data in retention.receipts():
        name = day_text(day)
        receipt = m.open_message(PurgeReceipt, data, desk.log.public)
        notes.append(
            Purged(
                day=name,
                reads=receipt.records,
                elements=receipt.elements,
                clause=receipt.clause,
                purged_us=receipt.at_us,
                receipt=hashlib.sha256(data).digest(),
            )
        )
    with desk.log.writing():
        desk.refresh()
        entries = desk.system(*(note for note in notes if note.day not in desk.book.purged_days))
    if entries:
        desk.try_cover(entries[-1].sequence)
    return [entry.sequence for entry in entries]


def run(front: Front, retention: Retention) -> None:
    """All of it."""
    parts: tuple[tuple[str, Callable[[], object]], ...] = (
        ("purges", lambda: enter_purges(front.desk, retention)),
        ("holds", lambda: calls_holds.finish(front)),
        ("incidents", lambda: calls_incidents.repeat(front)),
        ("detectors", lambda: calls_audit.look_daily(front)),
        ("documents", front.send_down),
    )
    for name, part in parts:
        try:
            part()
        except (SyncError, StorageError) as error:
            log_events.warning("daily_failed", part=name, kind=type(error).__name__)
