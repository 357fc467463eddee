"""Errors of the firmware room, and the exit status of each.

storage.errors.ExplainedError
└── FirmwareError
    ├── UsageError        asked for something that does not exist or does not fit together   (exit 2)
    │   └── ConfigError   a configuration file with an unknown key or a value out of range   (exit 2)
    ├── OutOfMemoryError  there was not enough memory to continue; the supervisor restarts the reader (exit 1)
    └── MissingPartError  this machine lacks a library, a model or a device                   (exit 3)
"""

from __future__ import annotations

import errno

from storage import files
from storage.errors import ExplainedError
from sync.errors import FOUND_WRONG, MISUSE, PART_LACKING

CURES = {
    errno.EROFS: " (a failing card is often made read-only: dmesg names it; replace the card)",
    errno.ENOSPC: " (make room: remove what is not the reader's, or use a larger card)",
}


def system_text(error: OSError) -> str:
    """What the system says of a file or the card, with the file if it is named."""
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)


def failure_text(error: OSError) -> str:
    """The same, and what to do."""
    cure = f" ({files.CARD_FAILS})" if files.is_of_card(error) else CURES.get(error.errno or 0, "")
    return system_text(error) + cure


class FirmwareError(ExplainedError):
    """Base of the firmware's own errors; the message is one line: where, what, what to do."""

    exit_status = FOUND_WRONG


class UsageError(FirmwareError):
    """The command cannot be carried out as it was given."""

    exit_status = MISUSE


class ConfigError(UsageError):
    """A configuration value is unknown, ill-typed or out of range."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        self.file = file
        self.key = key
        self.reason = reason
        super().__init__(f"{file}: {key}: {reason}")


class OutOfMemoryError(FirmwareError):
    """Memory ran out. Stored reads are safe; a new process starts with free memory."""


class MissingPartError(FirmwareError):
    """This machine lacks a part; the message names the cure."""

    exit_status = PART_LACKING
