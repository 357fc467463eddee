"""The errors of the storage room, as one family with fields, and the base of every other family.

    ExplainedError               base of all rooms that may import this one: what, where, cure, exit status
    └── StorageError
        ├── EnvelopeError            bytes that are not canonical CBOR, or not our COSE_Sign1
        │   └── SignatureError       well formed, but not signed by the expected key
        ├── RecordError              a record with a wrong, missing or out-of-range field
        │   └── UnknownFormError     a record with more than this program knows
        ├── CheckpointError          a signed note that does not parse
        │   └── ForkedLogError       two signed tree heads that cannot belong to one log
        ├── ProofError               a Merkle proof that does not lead to the root
        ├── UpdateFileError          bytes that are not an update file, or one not in the release log
        ├── SealError                a sealed element that does not open, or opens to something else
        ├── KeyLostError             content whose key is gone: purged, or never on this card
        ├── LedgerError              a home that is absent, foreign, locked or damaged
        │   ├── NoHomeError          no ledger in that place
        │   ├── HomeLockedError      another process writes this home
        │   ├── NotOwnerError        root would leave files here that the home's own user cannot open
        │   ├── RolledBackError      the log is shorter than, or differs from, an anchor
        │   ├── DamagedError         a ledger that cannot be read as it is
        │   ├── NewerLedgerError     a ledger that a newer program has written to
        │   ├── SlotError            the effaceable slot is empty, foreign, or did not keep a write
        │   ├── StoreFullError       no room left to store a read safely
        │   └── OutdatedError        a signed file older than the one already in force
        ├── RefusedError             the door refused a request, by a clause of the policy
        └── PackageError             an evidence package with a part missing or wrong

No message ever carries plate text, image bytes or key bytes.
"""

from __future__ import annotations

CONTINUE = "a unit of a department continues in a new log: reader run; another: reader init --set-aside"


def causes_of(error: BaseException) -> list[BaseException]:
    """An error and its causes, the outermost first."""
    causes: list[BaseException] = []
    behind: BaseException | None = error
    while behind is not None and behind not in causes:
        causes.append(behind)
        behind = behind.__cause__ or behind.__context__
    return causes


class ExplainedError(Exception):
    """An error that a person can act on: `what` went wrong, `where` (file, table, field), and the `cure`.

    `exit_status`: of a command that ends with it (1 found wrong, 2 misuse, 3 a part is missing).
    """

    exit_status = 1

    def __init__(self, what: str, *, where: str = "", cure: str = "") -> None:
        self.what = what
        self.where = where
        self.cure = cure
        super().__init__(": ".join(part for part in (where, what) if part) + (f" ({cure})" if cure else ""))


class StorageError(ExplainedError):
    """Base of the room."""


class EnvelopeError(StorageError):
    """Bytes from outside that are not strict canonical CBOR or not the expected COSE form."""


class SignatureError(EnvelopeError):
    """A signature that does not verify under the expected key."""


class RecordError(StorageError):
    """A record field that is missing, unknown, of the wrong type or out of range."""

    exit_status = 2  # usually in a form or file that the person gave


class UnknownFormError(RecordError):
    """A record of an unknown kind or version, or with unknown fields. If its signature is valid, a newer
    program wrote it.
    """


class CheckpointError(StorageError):
    """A signed note (C2SP) that cannot be parsed."""


class ForkedLogError(CheckpointError):
    """Two tree heads of one log that contradict each other."""


class ProofError(StorageError):
    """A Merkle inclusion or consistency proof that does not hold."""


class UpdateFileError(StorageError):
    """Not an update of a unit's system, a damaged one, or one that is not in the release log."""


class SealError(StorageError):
    """A sealed element that does not open under its key or does not match its commitment."""


class KeyLostError(StorageError):
    """Content that this unit cannot open: its key was purged or is the department's."""


class LedgerError(StorageError):
    """A home that cannot be used as it is. `leaf_index`: the first bad record, if there is one."""

    def __init__(self, what: str, *, where: str = "", cure: str = "", leaf_index: int | None = None) -> None:
        self.leaf_index = leaf_index
        super().__init__(what, where=where, cure=cure)


class NoHomeError(LedgerError):
    """There is no ledger where one was asked for."""

    exit_status = 2


class HomeLockedError(LedgerError):
    """Another process holds the home's lock."""

    exit_status = 2


class NotOwnerError(LedgerError):
    """Another user owns the home or a file in it: files that root wrote there would lock the reader out."""

    exit_status = 2


class RolledBackError(LedgerError):
    """The log contradicts an anchor: it is shorter, or has another root at that size."""


class DamagedError(LedgerError):
    """A ledger that cannot be read as it is: torn, overwritten or truncated, not just foreign or newer."""


class NewerLedgerError(LedgerError):
    """An intact ledger that a newer program has written to; run that program."""

    def __init__(self, what: str, *, where: str) -> None:
        cure = "update the program to that version or a newer one: nothing is lost, nor read until then"
        super().__init__(f"was written by a newer program ({what})", where=where, cure=cure)


class SlotError(LedgerError):
    """The effaceable slot has no usable content for this home."""


class NotPlainError(LedgerError):
    """A link, folder, pipe or device where a ledger's file belongs; not damage."""


class StoreFullError(LedgerError):
    """The disk has no room for another read. Nothing was stored or damaged."""


class CardFailedError(LedgerError):
    """The card failed a read or a write of the database. Nothing of that transaction was stored."""


class ShutError(CardFailedError):
    """A file that is closed to this user, such as root's; usable again once its owner is corrected."""


class OutdatedError(LedgerError):
    """A signed file whose version is not higher than the highest one in the log."""


class RefusedError(StorageError):
    """A request that the door refused. `clause`: the rule by which."""

    def __init__(self, what: str, *, clause: str, cure: str = "") -> None:
        self.clause = clause
        super().__init__(what, where=clause, cure=cure)


class PackageError(StorageError):
    """An evidence package that does not verify."""
