"""Every way the sync room can refuse, as one family with fields.

    SyncError
    ├── MessageError             wire bytes that are too large, too deep, or not of the schema
    ├── NotEnrolledError         this unit has no department yet, or the code does not work
    │   └── UnitKeyError         the chip that holds this unit's keys does not answer
    ├── RefusedByDepartmentError the other end refused; `code` says why, in one word
    │   └── BatchRefusedError    a batch that contradicts what the department holds: an incident
    ├── LinkError                the department cannot be reached now: try again later
    │   └── DeskAwayError        the desk, or what it needs, does not answer a command: exit status 3
    └── DepartmentError          the department's own home
        ├── HomeError            absent, foreign, locked or damaged
        ├── InvalidInputError    a setting, option or file that is unknown, out of range or beyond the policy
        ├── StoreError           the store refuses: a record that contradicts another
        │   └── StoreAwayError   the database does not answer: exit status 3
        │       └── DatabaseFullError   the disk under it is full
        ├── KeyServiceError      a key that is not there, was destroyed, or does not open
        │   ├── OlderKeyServiceError  an earlier version, which does not know what it was asked
        │   └── KeyServiceAwayError   no answer, or it does not admit this department: exit status 3
        ├── NewerError           what a newer version wrote, by rules that this one does not know
        ├── ClockInDoubtError    the server's clock is not confirmed, and this cannot be undone
        └── LackingError         something that this machine does not offer: exit status 3

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
    """The chip with the unit's keys refuses or does not answer; without them nothing can act for it."""

    exit_status = 3


class RefusedByDepartmentError(SyncError):
    """The department answered no. `code`: one word of `messages.REFUSALS`; `held`: the log's size there."""

    def __init__(
        self, what: str, *, code: str, where: str = "", cure: str = "", held: int | None = None
    ) -> None:
        self.code = code
        self.held = held
        super().__init__(what, where=where, cure=cure)


class BatchRefusedError(RefusedByDepartmentError):
    """Fork, rollback, gap or wrong device: an incident at both ends."""


class LinkError(SyncError):
    """No answer, or half of one. Nothing was lost; the uplink tries again."""


class NotStoredError(LinkError):
    """The department answered that it cannot store now."""


class DeskAwayError(LinkError):
    """The desk elsewhere gives no answer, or cannot do what it was asked: its database or keys are away."""

    exit_status = 3


class DepartmentError(SyncError):
    """Base of the department's own faults."""


class HomeError(DepartmentError):
    """A department home that cannot be used as it is."""

    exit_status = 2


class InvalidInputError(DepartmentError):
    """A setting, option or file that is unknown, out of range, or beyond what the policy allows."""

    exit_status = 2


class StoreError(DepartmentError):
    """A write that would contradict what the store holds."""


class StoreAwayError(StoreError):
    """The database does not take a connection: nothing was checked, and nothing is wrong with the store."""

    exit_status = 3


class DatabaseFullError(StoreAwayError):
    """The disk under the database is full."""


class KeyServiceError(DepartmentError):
    """A key that is not there, was destroyed, or does not open what it was given."""


class OlderKeyServiceError(KeyServiceError):
    """A key service of an earlier version, which does not know what it was asked."""


class KeyServiceAwayError(KeyServiceError):
    """The key service gives no answer, or does not admit this department: nothing was asked of its keys."""

    exit_status = 3


class NewerError(DepartmentError):
    """What a newer version of these programs wrote: this one would read it by other rules."""

    exit_status = 2

    def __init__(self, what: str) -> None:
        super().__init__(what, cure="update the department's programs on this machine")


class ClockInDoubtError(DepartmentError):
    """The server's clock shows a time that nothing else confirms; irreversible steps wait."""


class LackingError(DepartmentError):
    """This machine lacks what the current profile requires."""

    exit_status = 3


def refuse(code: str, what: str, *, held_size: int | None = None) -> RefusedByDepartmentError:
    """A refusal, to be raised."""
    return RefusedByDepartmentError(what, code=code, held=held_size)
