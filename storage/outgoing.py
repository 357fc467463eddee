"""Everything that the unit sends to its department: leaves and sealed elements as stored, keys sealed to day
keys.

It also takes what comes back (co-signed checkpoints, receipts, signed documents), and checks each before
keeping it. Nothing here returns content in clear.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from storage import day_keys, late_epochs, receipts
from storage.checkpoint import TYPE_COSIGNATURE, NoteKey, open_checkpoint, open_cosignatures
from storage.clock_trust import DEPARTMENT, TOO_FAR_US, span_text
from storage.database import blob_of
from storage.day_keys import EpochKeyForDay
from storage.errors import CheckpointError, ForkedLogError, KeyLostError, LedgerError
from storage.leaf import LeafRef
from storage.ledger import Ledger
from storage.log_records import FileInForce, Incident, UploadReceipt
from storage.record_base import ClockState, KeyClass
from storage.standing import ENROLLMENT
from storage.times import MINUTE_US

KEEP_ANCHORS = 64  # an older co-signed checkpoint proves nothing beyond a newer one
MAX_TEXT = 2000
ANSWER_US = 10 * MINUTE_US  # running time within which a question about the time must be answered


@dataclass(frozen=True, slots=True)
class TimeQuestion:
    """A record that asks the department for the time: any co-signature that covers it is later than the
    record.

    boot_us: when it was made, by CLOCK_BOOTTIME.
    """

    sequence: int
    boot_us: int


class Outgoing:
    """The unit's log for its uplink. Thread-safe."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._store = ledger, ledger.store

    @property
    def log_id(self) -> bytes:
        return self._store.log_id

    def size(self) -> int:
        with self._store.lock:
            return self._store.log.frontier.size

    def head(self) -> str:
        """The newest signed checkpoint."""
        with self._store.lock:
            return self._store.log.head_note() or ""

    def leaves(self, first: int, count: int) -> list[bytes]:
        """Leaves [first, first + count), as stored."""
        with self._store.lock:
            rows = self._store.db.execute(
                "SELECT leaf FROM leaves WHERE sequence >= ? AND sequence < ? ORDER BY sequence",
                (first, first + count),
            ).fetchall()
        return [blob_of(row[0]) for row in rows]

    def consistency(self, first: int, second: int) -> list[bytes]:
        """A consistency proof. RFC 9162, 2.1.4."""
        with self._store.lock:
            return self._store.log.consistency(first, second)

    def stored(self, sequence: int, name: str) -> bytes:
        """The stored bytes of an element. Raises KeyLostError if they were purged."""
        with self._store.lock:
            return self._store.stored(self._store.leaf(sequence), name)

    def key_for_department(self, epoch: int) -> EpochKeyForDay | None:
        """The epoch's key, sealed to a day key; None if it is gone or was never for the department."""
        store = self._store
        with store.lock:
            facts = store.book.epochs.get(epoch)
            if facts is None or facts.purged_by is not None:
                return None
            entry = next((one for one in store.ring.epochs if one.epoch == epoch), None)
            if entry is not None and entry.day is not None and entry.day_key is not None:
                return EpochKeyForDay(epoch=epoch, day_key=entry.day_key, sealed=entry.day)
            own = store.live.get(epoch)
            if own is None:
                return None
            try:
                key = day_keys.key_for(store.day_keys, late_epochs.sealing_us(store))
            except KeyLostError:
                return None
            sealed = day_keys.seal_to_day(own, key, store.log_id, epoch)
            return EpochKeyForDay(epoch=epoch, day_key=key.key_id, sealed=sealed)

    def sign(self, body: bytes, context: bytes) -> bytes:
        """COSE_Sign1 by the log key, bound to `context`."""
        with self._store.lock:
            return self._store.log.sign_bytes(body, context)

    def _department(self) -> NoteKey:
        department = self._ledger.standing.department
        if department is None:
            raise LedgerError("belongs to no department", where="this home", cure="reader enroll CODE")
        return department

    def take_cosigned(self, note: str) -> None:
        """Keep a checkpoint that the department co-signed as an anchor, and take its time.

        A checkpoint that is not longer than a known anchor may be a replay, so it does not affect the time.
        Raises CheckpointError, and the ledger's errors.
        """
        store, department = self._store, self._department()
        head = open_checkpoint(note, store.log.key_of_notes)
        found = open_cosignatures(note, [NoteKey(department.name, department.public, TYPE_COSIGNATURE)])
        if not found:
            raise CheckpointError("is not co-signed by the department", where="checkpoint")
        with store.lock:
            if head.size > store.log.frontier.size:
                raise ForkedLogError(f"covers {head.size} records, more than are here", where="checkpoint")
            if not hmac.compare_digest(store.log.root_at(head.size), head.root):
                raise ForkedLogError(f"signs a different history of {head.size} records", where="checkpoint")
            said_us, stated = found[0].time_s * 1_000_000, store.time.department_time
            with store.adding():  # the state keeps the department's time
                if stated is None or said_us > stated.us or head.size > self.anchored_size():
                    store.time.hear(said_us, ClockState.DISCIPLINED, DEPARTMENT)
                store.db.conn.execute(
                    "INSERT OR REPLACE INTO anchors (size, note) VALUES (?, ?)", (head.size, note)
                )
                store.db.conn.execute(
                    "DELETE FROM anchors WHERE size NOT IN "
                    "(SELECT size FROM anchors ORDER BY size DESC LIMIT ?)",
                    (KEEP_ANCHORS,),
                )

    def department_us(self) -> int | None:
        """The department's current time; None if it stated none since this machine started."""
        with self._store.lock:
            stated = self._store.time.department_time
        return stated.us if stated is not None and stated.exact else None

    def passed_us(self) -> int:
        """See TrustedTime.passed_us."""
        with self._store.lock:
            return self._store.time.passed_us

    def clock_us(self) -> int:
        """See TrustedTime.clock_us."""
        with self._store.lock:
            return self._store.time.clock_us

    def question_time(self) -> TimeQuestion | None:
        """Log a question if this log's time is far ahead of the department's and of its clock; None
        otherwise."""
        store = self._store
        with store.lock:
            moment, boot_us, ahead_us = store.time.now(), store.time.boot_us, store.time.ahead_us
            if ahead_us <= TOO_FAR_US:
                return None
            detail = f"this log's time is {span_text(ahead_us)} ahead of the department and the clock"
            ref = self._ledger.append(Incident(what="clock-ahead", detail=detail, at_us=moment.us))
            return TimeQuestion(ref.sequence, boot_us)

    def end_by_answer(self, question: TimeQuestion) -> str:
        """The reason to end this log, if the department's answer gives one; else "". Its successor starts at
        the answer's time.

        Only a co-signature over the question counts: an older one may be a replay by a person whose grant has
        ended.
        """
        store = self._store
        with store.lock:
            store.time.now()
            heard, ahead_us = store.time.heard, store.time.ahead_us
            if heard is None or self.anchored_size() <= question.sequence or ahead_us <= TOO_FAR_US:
                return ""
            us, boot_us = heard
            if boot_us - question.boot_us > ANSWER_US:
                return ""
            store.time.end_by(us, boot_us)
            return f"its time was {span_text(ahead_us)} ahead of the department and the clock"

    def take_receipt(self, message: bytes) -> LeafRef | None:
        """Log the department's receipt; content may be purged the policy's hours later. Raises StorageError.

        It must name this log's own tree. A receipt that adds nothing is not logged, and gives None.
        """
        store = self._store
        said = receipts.open_receipt(message, self._department().public, store.log_id)
        with store.lock:
            if said.size > store.log.frontier.size:
                raise LedgerError("is for records that are not here", where="receipt")
            if not hmac.compare_digest(store.log.root_at(said.size), said.root):
                raise ForkedLogError(f"is for a different history of {said.size} records", where="receipt")
            if all(store.book.received.covers(first, last) for first, last in said.ranges):
                return None
            now_us = store.time.trusted_us
            return self._ledger.append(UploadReceipt(receipt=message, ranges=said.ranges, received_us=now_us))

    def take_document(self, name: str, message: bytes) -> None:
        """Put a document signed by the command key in force. Raises StorageError."""
        with self._store.lock:
            self._ledger.standing.install(name, message)

    def document_version(self, name: str) -> int:
        """The highest logged version of a signed document; 0 if there is none."""
        with self._store.lock:
            return max(0, self._ledger.standing.version_of(name))

    def note_incident(self, what: str, detail: str) -> None:
        """Log an incident, in clear: callers must not name a plate."""
        now_us = self._store.time.now().us
        self._ledger.append(Incident(what=what[:MAX_TEXT], detail=detail[:MAX_TEXT], at_us=now_us))

    def joined_at(self) -> int | None:
        """The record about joining the department; None if there is none."""
        with self._store.lock:
            entry = self._store.book.files.get(ENROLLMENT)
            if entry is None:
                return None
            place = entry.record + 1  # it follows its document's record
            return place if self._store.leaf(place).kind == FileInForce.KIND else None

    def hits_from(self, first: int) -> list[int]:
        """Hits and alerts from this record on; they are sent before everything else."""
        return self._of_classes((KeyClass.HIT,), first, 1 << 62)

    def content_between(self, first: int, end: int) -> bool:
        """Whether any record in [first, end) has sealed content of a read or hit."""
        return bool(self._of_classes((KeyClass.READ, KeyClass.HIT), first, end))

    def _of_classes(self, classes: tuple[KeyClass, ...], first: int, end: int) -> list[int]:
        store = self._store
        found: list[int] = []
        with store.lock:
            for facts in store.book.epochs.values():
                if facts.key_class in classes and facts.purged_by is None:
                    rows = store.db.execute(
                        "SELECT sequence FROM leaves WHERE epoch = ? AND sequence >= ? AND sequence < ?",
                        (facts.epoch, first, end),
                    ).fetchall()
                    found += [int(row[0]) for row in rows]
        return sorted(found)

    def received_to(self) -> int:
        """The first record that no receipt covers."""
        with self._store.lock:
            return self._store.book.received.first_missing()

    def anchored_size(self) -> int:
        """The size of the newest checkpoint that the department co-signed."""
        with self._store.lock:
            row = self._store.db.execute("SELECT coalesce(max(size), 0) FROM anchors").fetchone()
            return int(row[0])
