"""Errors of the hardware room; each says what is wrong and what to do.

HardwareError
├── MissingDriverError      a library or device file that a driver needs is not there
├── PartFailedError         the part is there, and answered wrongly or not at all
│   ├── SlotFailedError     the effaceable slot did not keep what was written to it
│   ├── ChipFailedError     the chip with the unit's key refused, or does not open what was sealed
│   ├── CameraStalledError  a camera that is open and gives no frame
│   └── BrokenFrameError    one frame that cannot be decoded; the next one may be good
├── NoSuchSourceError       a camera source that names nothing that can be opened
├── EndOfSourceError        a replay is through
└── LineGoneError           the other end of a serial line went away (cable pulled, terminal closed)
"""

from __future__ import annotations


class HardwareError(Exception):
    """Base of every error that a hardware part raises; this room imports no other, so its base is its own.

    `exit_status`: what a command that ends by it returns (1 found wrong, 2 misuse, 3 a part is lacking).
    """

    exit_status = 1


class MissingDriverError(HardwareError):
    """A driver cannot work on this machine; the message names the cure."""

    exit_status = 3


class PartFailedError(HardwareError):
    """A part that is present failed; the message names the part."""


class SlotFailedError(PartFailedError):
    """An effaceable slot refused a write, or read back other bytes than it was given."""


class NoSuchSlotError(SlotFailedError):
    """The name of a slot has no known form."""

    exit_status = 2  # what was typed is wrong, not the part


class ChipFailedError(PartFailedError):
    """The chip with the unit's key refused a call, or cannot open the given data."""


class LineGoneError(HardwareError):
    """The other end of the line is gone."""


class CameraStalledError(PartFailedError):
    """An open camera delivered no frame within the allowed time."""


class BrokenFrameError(PartFailedError):
    """One frame could not be decoded. `source` names the file or camera; the next frame may be good."""

    def __init__(self, source: str, reason: str) -> None:
        self.source = source
        self.reason = reason
        super().__init__(f"{source}: {reason}")


class EndOfSourceError(HardwareError):
    """A replay has delivered its last frame."""


class NoSuchSourceError(HardwareError):
    """What was named as a camera source is neither a folder of pictures nor a video nor a camera."""

    exit_status = 2
