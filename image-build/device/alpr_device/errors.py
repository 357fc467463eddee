"""What can go wrong with a slot or an update.

DeviceError
├── KeySourceError     nothing here keeps the data partition's key
├── StillWritingError  RAUC is at work longer than its command waits
├── BootSlotError      the boot choice cannot be read or set
└── UpdateRefusedError the update must not be installed; `reason` is what the technician sees
"""

from __future__ import annotations


class DeviceError(Exception):
    """Base of this package's errors; its text is one line."""


class KeySourceError(DeviceError):
    """Nothing here keeps the data partition's key, or what keeps it refuses."""


class BootSlotError(DeviceError):
    """The boot choice cannot be read or set."""


class StillWritingError(DeviceError):
    """RAUC writes longer than its command waits; the text says so, and what to do."""


class UpdateRefusedError(DeviceError):
    """The update must not be installed."""
