"""Errors of the hardware room; each says what is wrong and what to do.

HardwareError
├── MissingDriverError      a library or device file that a driver needs is not there
├── PartFailedError         the part is there, but answered wrongly or not at all
│   ├── NotEndedError       a program did not end in its time, and may still be at work
│   ├── SlotFailedError     the effaceable slot did not keep what was written to it
│   ├── ChipFailedError     the chip with the unit's key refused, or does not open what was sealed
│   ├── CameraStalledError  an open camera gives no frame
│   └── BrokenFrameError    one frame cannot be decoded; the next one may be good
├── NoSuchSourceError       the name of a camera source is nothing that can be opened
├── EndOfSourceError        a replay is over
└── LineGoneError           the other end of a serial line is gone (cable pulled, terminal closed)
"""

from __future__ import annotations


class HardwareError(Exception):
    """Base of every error of a hardware part; this room imports no other, so it has its own base class.

    `exit_status`: of a command that ends with it (1 found wrong, 2 misuse, 3 a part is missing).
    """

    exit_status = 1


class MissingDriverError(HardwareError):
    """A driver cannot work on this machine; the message names the cure."""

    exit_status = 3


class PartFailedError(HardwareError):
    """A part that is present failed; the message names the part."""


class NotEndedError(PartFailedError):
    """A program did not end in its time; what it asked of the system may still be at work."""


class SlotFailedError(PartFailedError):
    """An effaceable slot refused a write, or did not read back the bytes that were written."""


class NoSuchSlotError(SlotFailedError):
    """A slot's name has none of the known forms."""

    exit_status = 2  # the name is wrong, not the part


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
    """A camera source is neither a camera nor a video nor a folder of pictures."""

    exit_status = 2
