"""Errors of the console; each message may be shown to the person at the cable.

firmware.errors.FirmwareError > ConsoleError
├── LineRefusedError       what was typed is not a command, not in this form, or not granted
├── LoginRefusedError      the answer to the challenge does not admit its holder
│   └── ClockLoginError    only the unit's clock blocks it; the holder may set the clock now
├── LockedOutError         too many failed logins; says for how long
├── UnitRefusedError       the unit will not do it now; says why and what to do
└── SessionEndedError      time over, cable pulled, revoked or idle; `reason` goes into the log
"""

from __future__ import annotations

from firmware.errors import FirmwareError
from storage.grant_format import Grant


class ConsoleError(FirmwareError):
    """Base of every error that the console raises."""


class LineRefusedError(ConsoleError):
    """The line is not a command in its proper form, or the grant does not name it."""


class LoginRefusedError(ConsoleError):
    """The answer was wrong, late, or for another person."""


class ClockLoginError(LoginRefusedError):
    """Holder and grant are good, but by this unit's clock the grant may not be valid now.

    grant: its holder may set the clock now, to a time within it.
    """

    def __init__(self, message: str, grant: Grant) -> None:
        self.grant = grant
        super().__init__(message)


class LockedOutError(ConsoleError):
    """Logins are locked for a while."""


class UnitRefusedError(ConsoleError):
    """The unit does not do this now."""


class SessionEndedError(ConsoleError):
    """The session is over. `reason`: a word for the log."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)
