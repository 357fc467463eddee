"""The errors of the sync room, one family with fields.

    SyncError
    ├── MessageError             wire bytes that are too large, too deep, or not of the schema
    ├── NotEnrolledError         this unit has no department, or its code does not work
    │   └── UnitKeyError         the chip that holds this unit's keys does not answer
    ├── RefusedByDepartmentError the other end refused; `code` says why, in one word
    │   └── BatchRefusedError    a batch that contradicts what the department holds: an incident
    ├── LinkError                the department cannot be reached now: try again later
    │   └── DeskAwayError        the desk, or what it needs, does not answer a command: exit status 3
    └── DepartmentError          the department's own home
        ├── HomeError            absent, foreign, locked or damaged
        ├── InvalidInputError    a setting, option or file that is unknown, out of range or beyond the policy
        ├── StoreError           the store refuses: a record that contradicts another
        │   └── StoreAwayError   the database does not answer; exit status 3
        │       └── DatabaseFullError   the disk under it is full
        ├── KeyServiceError      a key that is missing, was destroyed, or does not open
        │   ├── OlderKeyServiceError  an older version, which does not know the request
        │   └── KeyServiceAwayError   no answer, or it does not admit this department: exit status 3
        ├── NewerError           data of a newer version, by rules that this one does not know
        ├── ClockInDoubtError    the server's clock is not confirmed, and this cannot be undone
        └── LackingError         something that this machine lacks; exit status 3

No message ever carries plate text, image bytes or key bytes.
"""

from __future__ import annotations

from storage.errors import ExplainedError

DONE, FOUND_WRONG, MISUSE, PART_LACKING = 0, 1, 2, 3  # exit statuses of both programs
ROOM = "make room there, then try again"  # the cure of a full disk


class SyncError(ExplainedError):
    """Base of the room."""


class MessageError(SyncError):
    """A wire message that is over its limit, not canonical, or not of its schema."""


class NotEnrolledError(SyncError):
    """A unit without a department, or a one-time code that is used, expired or mistyped."""

    exit_status = 2


class UnitKeyError(NotEnrolledError):
    """The chip with the unit's keys refuses or does not answer; nothing works without these keys."""

    exit_status = 3


class RefusedByDepartmentError(SyncError):
    """The department refused. `code`: one of `messages.REFUSALS`; `held`: the log's size there."""

    def __init__(
        self, what: str, *, code: str, where: str = "", cure: str = "", held: int | None = None
    ) -> None:
        self.code = code
        self.held = held
        super().__init__(what, where=where, cure=cure)


class BatchRefusedError(RefusedByDepartmentError):
    """A fork, a rollback, a gap or the wrong device: an incident at both ends."""


class LinkError(SyncError):
    """No answer, or half of one. Nothing is lost; the uplink retries."""


class NotStoredError(LinkError):
    """The department cannot store anything now."""


class DeskAwayError(LinkError):
    """A remote desk does not answer, or cannot act because its database or its keys are unavailable."""

    exit_status = 3


class DepartmentError(SyncError):
    """Base of the department's own errors."""


class HomeError(DepartmentError):
    """A department home that cannot be used as it is."""

    exit_status = 2


class InvalidInputError(DepartmentError):
    """A setting, option or file that is unknown, out of range, or beyond what the policy allows."""

    exit_status = 2


class StoreError(DepartmentError):
    """A write that would contradict the store."""


class StoreAwayError(StoreError):
    """The database accepts no connection: nothing was checked, and the store may be in order."""

    exit_status = 3


class DatabaseFullError(StoreAwayError):
    """The disk under the database is full."""


class KeyServiceError(DepartmentError):
    """A key is missing, was destroyed, or does not open what it was given."""


class OlderKeyServiceError(KeyServiceError):
    """A key service of an older version does not know the request."""


class KeyServiceAwayError(KeyServiceError):
    """The key service does not answer, or does not admit this department; no key was used."""

    exit_status = 3


class NewerError(DepartmentError):
    """Data of a newer version of these programs, which this version would misread."""

    exit_status = 2

    def __init__(self, what: str) -> None:
        super().__init__(what, cure="update the department's programs on this machine")


class ClockInDoubtError(DepartmentError):
    """The server's clock shows a time that nothing else confirms, so irreversible steps wait."""


class LackingError(DepartmentError):
    """This machine lacks what the current profile requires."""

    exit_status = 3


def refuse(code: str, what: str, *, held_size: int | None = None) -> RefusedByDepartmentError:
    """Make a refusal, for the caller to raise."""
    return RefusedByDepartmentError(what, code=code, held=held_size)
