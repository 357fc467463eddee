"""The errors of slots and updates.

DeviceError
├── KeySourceError     nothing here keeps the data partition's key
├── StillWritingError  RAUC is still writing when its command stops waiting
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
    """RAUC is still writing when its command stops waiting; the text says what to do."""


class UpdateRefusedError(DeviceError):
    """The update must not be installed."""
