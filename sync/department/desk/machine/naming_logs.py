"""The entries that say which log is which unit's: daily, and before a search of one unit."""

from __future__ import annotations

from sync.department.desk.context import DeskContext


def name_logs(front: DeskContext) -> int:
    """Enter whose the logs are that no entry names yet; how many entries."""
    desk, logs = front.desk, front.state.unit_logs()
    with desk.log.writing():
        desk.refresh()
        return len(desk.system(*desk.book.logs.missing(logs)))
