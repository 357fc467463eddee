"""The ledger behind the uplink and enrollment: storage's `Outgoing`, plus membership and documents."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import files
from storage.audit_records import Configuration
from storage.day_keys import EpochKeyForDay
from storage.errors import OutdatedError, RecordError
from storage.leaf import Leaf
from storage.ledger import Ledger
from storage.log_records import FileInForce
from storage.outgoing import Outgoing
from storage.record_base import KeyClass
from storage.standing import DOCUMENTS, UnitEnrollment
from sync.documents import inbox_file, open_carried
from sync.hot_lists.held import (
    is_hot_list,
    is_lost,
    lists_folder,
    needs_snapshot,
    seal_document,
    snapshot_of,
)

RECORD_DOCUMENT_BYTES = 256 * 1024  # larger documents are in the inbox, and the log has their digest


class LedgerOutbox(Outgoing):
    """One open ledger as the uplink and enrollment see it. Thread-safe."""

    def __init__(self, ledger: Ledger, inbox: Path) -> None:
        super().__init__(ledger)
        self._inbox = inbox
        self._parsed: Leaf | None = None

    @property
    def log_public(self) -> bytes:
        """The log's public key, 32 bytes."""
        return self._ledger.public_key.public.public_bytes_raw()

    def stored(self, sequence: int, name: str) -> bytes:
        """The stored bytes of an element; a record's leaf is parsed once for all of its elements."""
        with self._store.lock:
            leaf = self._parsed
            if leaf is None or leaf.sequence != sequence:
                leaf = self._parsed = self._store.leaf(sequence)
            return self._store.stored(leaf, name)

    def received_to(self) -> int:
        """The first record after all receipts; what a receipt left out was given up and is an incident."""
        with self._store.lock:
            return self._store.book.received.end()

    def left(self) -> tuple[int, int]:
        """How many reads, alerts and steps no receipt covers, and how many records no anchor covers."""
        status = self._ledger.status()
        return status.unreceived, status.newer_than_anchors

    def anchored_note(self) -> str | None:
        """The newest checkpoint that the department co-signed."""
        with self._store.lock:
            row = self._store.db.execute("SELECT note FROM anchors ORDER BY size DESC LIMIT 1").fetchone()
        return None if row is None else str(row[0])

    def take_membership(self, enrollment: UnitEnrollment) -> None:
        """Log that the unit belongs to a department; repeating the same one changes nothing."""
        held = self._ledger.standing.enrollment
        same = held is not None and (held.unit, held.command_key, held.department) == (
            enrollment.unit,
            enrollment.command_key,
            enrollment.department,
        )
        if not same:
            self._ledger.standing.enroll(enrollment)

    def take_document(self, name: str, message: bytes) -> None:
        """Put a document signed by the command key into force and log it. Raises StorageError."""
        if name in DOCUMENTS:
            super().take_document(name, message)
            self._keep(name, message)
            return
        enrollment = self._ledger.standing.enrollment
        if enrollment is None:
            raise RecordError("is not a file that this unit accepts", where=name, cure="enroll first")
        command = Ed25519PublicKey.from_public_bytes(enrollment.command_key)
        carried = open_carried(message, name, command, enrollment.unit)
        digest = hashlib.sha256(message).digest()
        store = self._store
        with store.lock:
            taken = store.book.files.get(name)
        again = taken is not None and (taken.version, taken.digest) == (carried.version, digest)
        known = super().document_version(name)
        if carried.version <= (self.document_version(name) if again else known):
            raise OutdatedError(f"version {carried.version} is not newer than the one in force", where=name)
        self._keep(name, message)
        if again:  # its file was lost here, but the log has it
            return
        is_listed = is_hot_list(name)  # wanted plates are kept as long as their list, not as long as the log
        with store.adding():
            record = Configuration(
                name=name,
                version=carried.version,
                digest=digest,
                document=b"" if is_listed or len(message) > RECORD_DOCUMENT_BYTES else message,
                at_us=store.time.now().us,
            )
            ref = store.add_sealed(record)
            store.add_open(
                FileInForce(name=name, version=carried.version, digest=digest, record=ref.sequence)
            )

    def _keep(self, name: str, message: bytes) -> None:
        """Keep the document as received, for its users and for a log that replaces this one."""
        files.make_dirs(self._inbox)
        if is_hot_list(name):
            message = seal_document(self._ledger.hot_list_key(), name, message)
        files.replace(self._inbox / inbox_file(name), message)

    def document_version(self, name: str) -> int:
        """The logged version; one less if a hot list's document was lost, so that it is fetched again."""
        version = super().document_version(name)
        if not version or not is_hot_list(name):
            return version
        with self._store.lock:
            taken = self._store.book.files[name]
        lost = is_lost(self._lists, self._inbox, self._ledger.hot_list_key(), taken)
        return version - 1 if lost else version

    def wants_document(self, name: str) -> bool:
        """Whether a document is useful here: a hot list's snapshot only if no delta leads to its head."""
        list_id = snapshot_of(name)
        return list_id is None or needs_snapshot(self._lists, list_id)

    @property
    def _lists(self) -> Path:
        return lists_folder(self._inbox.parent.parent)

    def opened_because(self) -> tuple[str | None, str | None]:
        """The last co-signed checkpoint of the previous log and why it was left, from the first record."""
        opened = self._store.book.opened
        return (None, None) if opened is None else (opened.previous, opened.reason)

    def sealed_keys(self) -> list[EpochKeyForDay]:
        """Every epoch key that can still be sealed to a day key, for a log that is being given up."""
        with self._store.lock:
            epochs = [facts.epoch for facts in self._store.book.epochs.values()
                      if facts.key_class in {KeyClass.READ, KeyClass.HIT}]  # fmt: skip
            return [key for key in map(self.key_for_department, epochs) if key is not None]
