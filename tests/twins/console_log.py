"""The twin of a console's log: in memory."""

from __future__ import annotations

from storage.audit_records import MaintenanceLine
from storage.log_records import GrantTaken


class RememberedLog:
    """Keeps the records in memory, and can fail like a full disk."""

    def __init__(self) -> None:
        self.records: list[MaintenanceLine] = []
        self.taken: list[GrantTaken] = []
        self.failing: Exception | None = None

    def append(self, record: MaintenanceLine | GrantTaken) -> object:
        """See MaintenanceLog.append."""
        if self.failing is not None:
            raise self.failing
        if isinstance(record, GrantTaken):
            self.taken.append(record)
            return len(self.taken)
        self.records.append(record)
        return len(self.records)
