"""The health report's figures about storage and sync; in its own module, since few commands make a report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """Figures about storage and sync. None: never synced, or not enrolled.

    last_sync_ran_s: the running time since the last sync; None if the machine has restarted since.
    enrolled_us: since when the unit could have synced; None if unknown. purge_failed: why content that is due
    is not, or not completely, purged; "" if it is.
    """

    log_records: int = 0
    newer_than_anchors: int = 0
    unacknowledged: int = 0
    last_sync_us: int | None = None
    last_sync_ran_s: float | None = None
    enrolled: bool = False
    enrolled_us: int | None = None
    configuration_refused: bool = False
    closed_log: bool = False
    clock_in_doubt: bool = False
    purge_failed: str = ""
