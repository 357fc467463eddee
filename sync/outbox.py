"""What the uplink needs from a unit's ledger, and nothing more. Every call is thread-safe.

Nothing here gives content in the clear: leaves and elements travel as stored, and an epoch's key only sealed
to the department's day key.
"""

from __future__ import annotations

from typing import Protocol

from storage.day_keys import EpochKeyForDay
from storage.leaf import LeafRef


class Outbox(Protocol):
    """The unit's log as the uplink sees it."""

    @property
    def log_id(self) -> bytes:
        """32 bytes that name the log."""

    def size(self) -> int:
        """How many records the log has."""

    def head(self) -> str:
        """The newest signed checkpoint (a C2SP note)."""

    def leaves(self, first: int, count: int) -> list[bytes]:
        """The encoded leaves [first, first + count)."""

    def consistency(self, first: int, second: int) -> list[bytes]:
        """Proof that the tree of `first` leaves is a prefix of that of `second`."""

    def stored(self, sequence: int, name: str) -> bytes:
        """The stored bytes of an element. Raises KeyLostError if they were purged."""

    def key_for_department(self, epoch: int) -> EpochKeyForDay | None:
        """The epoch's key sealed to its day key; None if it is gone or was never for the department."""

    def sign(self, body: bytes, context: bytes) -> bytes:
        """Sign with the log key, bound to `context`; returns a COSE_Sign1."""

    def take_cosigned(self, note: str) -> None:
        """Keep a checkpoint that the department co-signed as an anchor. Raises CheckpointError."""

    def take_receipt(self, message: bytes) -> LeafRef | None:
        """Log a receipt; its content may be purged after the policy's hours. Raises StorageError."""

    def take_document(self, name: str, message: bytes) -> None:
        """Put a document signed by the command key into force and log it.

        Raises StorageError if it is not the department's, is malformed, or is older than the one in force.
        """

    def document_version(self, name: str) -> int:
        """The highest version of a signed document that was logged; 0 if there is none."""

    def wants_document(self, name: str) -> bool:
        """Whether a document is of use to this unit now."""

    def note_incident(self, what: str, detail: str) -> None:
        """Write an incident into the log."""

    def joined_at(self) -> int | None:
        """The record that says that the unit joined its department; None if there is none."""

    def hits_from(self, first: int) -> list[int]:
        """Hits and alerts from this record on; they travel ahead of everything else."""

    def content_between(self, first: int, end: int) -> bool:
        """Whether any record in [first, end) holds sealed content of a read or hit."""

    def received_to(self) -> int:
        """The first record that no receipt covers yet."""

    def left(self) -> tuple[int, int]:
        """How many reads, alerts and steps no receipt covers, and how many records no anchor covers."""

    def anchored_size(self) -> int:
        """The size of the newest checkpoint that the department co-signed."""
