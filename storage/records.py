"""All record kinds of the log, by name."""

from __future__ import annotations

from storage.audit_records import (
    ClockStep,
    Configuration,
    Decision,
    Export,
    Gap,
    Hold,
    MaintenanceLine,
    Release,
    UnitAccess,
    UnitAccessEnded,
    Update,
)
from storage.log_records import (
    EpochOpened,
    FileInForce,
    GrantTaken,
    HoldEnded,
    Incident,
    LogOpened,
    PurgeAbandoned,
    PurgeIntent,
    PurgeReceipt,
    Resealed,
    UncleanStart,
    UploadReceipt,
)
from storage.read_records import Alert, AlertStepped, Read
from storage.record_base import Record

RECORDS: dict[str, type[Record]] = {
    cls.KIND: cls
    for cls in (
        Read,
        LogOpened,
        EpochOpened,
        PurgeIntent,
        PurgeReceipt,
        PurgeAbandoned,
        HoldEnded,
        Resealed,
        UploadReceipt,
        FileInForce,
        GrantTaken,
        Incident,
        UncleanStart,
        UnitAccess,
        UnitAccessEnded,
        Hold,
        Release,
        Export,
        Configuration,
        ClockStep,
        MaintenanceLine,
        Update,
        Alert,
        AlertStepped,
        Decision,
        Gap,
    )
}
"""An unknown kind in a log is an error, never skipped."""
