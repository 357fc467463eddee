"""Entries that say which log belongs to which unit: made daily, and before the keys answer a search of one
unit."""

from __future__ import annotations

from sync.department.desk.context import DeskContext
from sync.department.journal.entries import Entry
from sync.department.journal.inquiry_entries import Query


def name_logs(front: DeskContext) -> list[Entry]:
    """Enter the units of logs that no entry names yet, and return the entries."""
    desk, logs = front.desk, front.state.unit_logs()
    with desk.log.writing():
        desk.refresh()
        return desk.system(*desk.book.logs.missing(logs))


def name_logs_of(front: DeskContext, query: Query) -> None:
    """Name logs after a search of one unit is entered, with a tree head for the keys. Raises NotYetError."""
    made = name_logs(front) if query.unit else []
    if made:
        front.desk.covered(made[-1].sequence)
