"""What storage and sync give to the health report. Its own module: every command opens a home, few report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """What storage and sync say of themselves. None: never synced, or not enrolled.

    enrolled_us: since when the unit could have synced; None if that is not known. purge_failed: why what is
    due is not gone, or not all of it; "" if it is.
    """

    log_records: int = 0
    newer_than_anchors: int = 0
    unacknowledged: int = 0
    last_sync_us: int | None = None
    enrolled: bool = False
    enrolled_us: int | None = None
    configuration_refused: bool = False
    closed_log: bool = False
    clock_in_doubt: bool = False
    purge_failed: str = ""
