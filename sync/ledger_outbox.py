"""The ledger behind the uplink: every call takes the ledger's own lock and its own transaction."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import files
from storage.checkpoint import TYPE_COSIGNATURE, NoteKey, open_checkpoint, open_cosignatures
from storage.day_keys import key_for, seal_to_day
from storage.errors import CheckpointError, KeyLostError, LedgerError, OutdatedError, RecordError
from storage.leaf import LeafRef
from storage.ledger import Ledger
from storage.receipts import open_receipt
from storage.records import Configuration, FileInForce, Incident, KeyClass, UploadReceipt
from storage.standing import DOCUMENTS, Enrolment
from sync.documents import open_carried
from sync.outbox import EpochKeyForDay

RECORD_DOCUMENT_BYTES = 256 * 1024  # larger documents lie in the inbox, the log holds their digest


class LedgerOutbox:
    """One open ledger as the uplink and the enrolment see it."""

    def __init__(self, ledger: Ledger, inbox: Path) -> None:
        self._ledger, self._store, self._inbox = ledger, ledger.store, inbox

    @property
    def log_id(self) -> bytes:
        return self._store.log_id

    @property
    def log_public(self) -> bytes:
        return self._ledger.public_key.public.public_bytes_raw()

    def size(self) -> int:
        with self._store.lock:
            return self._store.log.frontier.size

    def head(self) -> str:
        with self._store.lock:
            note = self._store.log.head_note()
        if note is None:
            raise LedgerError("the signed head is missing", where="table head")
        return note

    def leaves(self, first: int, count: int) -> list[bytes]:
        with self._store.lock:
            rows = self._store.db.execute(
                "SELECT leaf FROM leaves WHERE sequence >= ? AND sequence < ? ORDER BY sequence",
                (first, first + count),
            ).fetchall()
        if len(rows) != count:
            raise LedgerError("a leaf is missing", where=f"records {first} to {first + count - 1}")
        return [bytes(row[0]) for row in rows]

    def consistency(self, first: int, second: int) -> list[bytes]:
        with self._store.lock:
            return self._store.log.consistency(first, second)

    def stored(self, sequence: int, name: str) -> bytes:
        with self._store.lock:
            return self._store.stored(self._store.leaf(sequence), name)

    def key_for_department(self, epoch: int) -> EpochKeyForDay | None:
        store = self._store
        with store.lock:
            entry = next((one for one in store.ring.epochs if one.epoch == epoch), None)
            if entry is not None and entry.day is not None and entry.day_key is not None:
                return EpochKeyForDay(epoch=epoch, day_key=entry.day_key, sealed=entry.day)
            own = store.live.get(epoch) or (entry.own if entry is not None else None)
            if own is None:
                return None
            day = key_for(store.day_keys, store.time.trusted_us)
            sealed = seal_to_day(own, day, store.log_id, epoch)
            return EpochKeyForDay(epoch=epoch, day_key=day.key_id, sealed=sealed)

    def sign(self, body: bytes, context: bytes) -> bytes:
        return self._store.log.sign_bytes(body, context)

    def hits_from(self, first: int) -> list[int]:
        with self._store.lock:
            hits = [facts.epoch for facts in self._store.book.epochs.values()
                    if facts.key_class is KeyClass.HIT and facts.purged_by is None]  # fmt: skip
            return sorted(
                number for epoch in hits for number in self._store.sequences(epoch) if number >= first
            )

    def content_between(self, first: int, end: int) -> bool:
        with self._store.lock:
            sealed = {facts.epoch for facts in self._store.book.epochs.values()
                      if facts.key_class in {KeyClass.READ, KeyClass.HIT}}  # fmt: skip
            rows = self._store.db.execute(
                "SELECT DISTINCT epoch FROM leaves WHERE sequence >= ? AND sequence < ?", (first, end)
            )
            return any(row[0] in sealed for row in rows)

    def received_to(self) -> int:
        with self._store.lock:
            return max((last + 1 for _, last, _ in self._store.book.received), default=0)

    def anchored_size(self) -> int:
        with self._store.lock:
            return int(self._store.db.execute("SELECT coalesce(max(size), 0) FROM anchors").fetchone()[0])

    def anchored_note(self) -> str | None:
        """The newest checkpoint that the department co-signed."""
        with self._store.lock:
            row = self._store.db.execute("SELECT note FROM anchors ORDER BY size DESC LIMIT 1").fetchone()
        return None if row is None else str(row[0])

    # --- what comes back ------------------------------------------------------------------------------------

    def _department(self) -> NoteKey:
        key = self._ledger.standing.department
        if key is None:
            raise LedgerError("this unit belongs to no department", cure="reader enrol CODE")
        return key

    def take_cosigned(self, note: str) -> None:
        store, who = self._store, self._department()
        head = open_checkpoint(note, store.log.key_of_notes)
        if not open_cosignatures(note, [NoteKey(who.name, who.public, TYPE_COSIGNATURE)]):
            raise CheckpointError("the department did not co-sign this checkpoint")
        with store.lock:
            if head.size > store.log.frontier.size or store.log.root_at(head.size) != head.root:
                raise CheckpointError(f"the department co-signed another log of {head.size} records")
            with store.adding():
                store.db.conn.execute(
                    "INSERT OR REPLACE INTO anchors (size, note) VALUES (?, ?)", (head.size, note)
                )

    def take_receipt(self, message: bytes) -> LeafRef:
        opened = open_receipt(message, self._department().public, self._store.log_id)
        record = UploadReceipt(receipt=message, ranges=opened.ranges, received_us=self._store.time.now().us)
        return self._ledger.append(record)

    def take_membership(self, enrolment: Enrolment) -> None:
        held = self._ledger.standing.enrolment
        same = held is not None and (held.unit, held.command_key, held.department) == (
            enrolment.unit,
            enrolment.command_key,
            enrolment.department,
        )
        if not same:
            self._ledger.standing.enrol(enrolment)

    def take_document(self, name: str, message: bytes) -> None:
        if name in DOCUMENTS:
            self._ledger.standing.install(name, message)
            return
        enrolment = self._ledger.standing.enrolment
        if enrolment is None:
            raise RecordError("is no file that this unit takes", where=name, cure="enrol first")
        carried = open_carried(
            message, name, Ed25519PublicKey.from_public_bytes(enrolment.command_key), enrolment.unit
        )
        if carried.version <= self.document_version(name):
            raise OutdatedError(f"version {carried.version} is not newer than the one in force", where=name)
        self._inbox.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)
        files.replace(self._inbox / (name.replace("/", "_") + ".cbor"), message)
        digest = hashlib.sha256(message).digest()
        store = self._store
        with store.adding():
            record = Configuration(
                name=name,
                version=carried.version,
                digest=digest,
                document=message if len(message) <= RECORD_DOCUMENT_BYTES else b"",
                at_us=store.time.now().us,
            )
            ref = store.add_sealed(record)
            store.add_open(
                FileInForce(name=name, version=carried.version, digest=digest, record=ref.sequence)
            )

    def document_version(self, name: str) -> int:
        return self._ledger.standing.version_of(name)

    def note_incident(self, what: str, detail: str) -> None:
        self._ledger.append(Incident(what=what, detail=detail, at_us=self._store.time.now().us))

    def sealed_keys(self) -> list[EpochKeyForDay]:
        """Every epoch key that can still be sealed to a day key: for a log that is being given up."""
        found = []
        for facts in self._store.book.epochs.values():
            if facts.key_class in {KeyClass.READ, KeyClass.HIT} and facts.purged_by is None:
                try:
                    key = self.key_for_department(facts.epoch)
                except KeyLostError:
                    continue
                if key is not None:
                    found.append(key)
        return found
