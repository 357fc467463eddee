"""One pass of `verify` over a home: checks leaves in order, with their elements, keys and tree heads."""

from __future__ import annotations

import bisect
import hashlib
import hmac
from collections.abc import Iterator
from typing import TYPE_CHECKING

from storage import book_snapshot, codec, envelope, merkle, receipts, schema, sealing, slot
from storage.blobs import Blobs
from storage.book_snapshot import BookSnapshot
from storage.checkpoint import TYPE_COSIGNATURE, NoteKey, open_checkpoint, open_cosignatures
from storage.counts import counted
from storage.database import blob_of
from storage.epochs import LogFacts
from storage.errors import CheckpointError
from storage.findings import UnitReport, caught
from storage.home import Home
from storage.keyring import AT_BOTH, AT_DAY, AT_KEK, AT_MEMORY, EpochKey
from storage.leaf import ENTRY, ESCROW, IMAGES, KEYRING, WRAP, Leaf, Mark, log_id_of, open_leaf
from storage.log import STEP, LogReader
from storage.log_records import Resealed, UploadReceipt
from storage.opening import read_ring, stale
from storage.receipts import ReceivedRanges
from storage.record_base import KeyClass, Record
from storage.records import RECORDS
from storage.state import IMAGES_AHEAD, MAX_STATE_BYTES, STATE_CONTEXT, LedgerState
from storage.store import read_book
from storage.verify_files import check_images, image_bytes

if TYPE_CHECKING:
    import sqlite_utils

HEAD, ANCHORS, SLOT, SNAPSHOT = "head", "anchors", "slot", "book.snapshot"


class HomeCheck:
    """One pass over one home."""

    def __init__(  # noqa: PLR0917 - called once, by verify.py
        self,
        home: Home,
        database: sqlite_utils.Database,
        key: NoteKey,
        report: UnitReport,
        department: NoteKey | None,
        slot_uri: str,
    ) -> None:
        self.database, self.db, self.key, self.report = database, database.conn, key, report
        self.department = department
        self.unchecked = (
            0  # co-signed checkpoints and receipts that could not be checked without the department's key
        )
        self.log_id = log_id_of(key.public)
        self.home, self.slot_uri = home, slot_uri
        self.blobs = Blobs(home.blobs)
        self.images_ahead = 0
        self.book = LogFacts()
        self.openings: dict[KeyClass, list[int]] = {}
        self.named: dict[int, set[str]] = {}

    def run(self, content: slot.SlotContent | None) -> None:
        report = self.report
        report.log_id = self.log_id.hex()
        self._structure()
        kept = self._kept_book()
        with caught(report, "the open records"):
            self._read_book(kept)
        for facts in self.book.epochs.values():
            self.openings.setdefault(facts.key_class, []).append(facts.sequence)
        report.generation = self.book.generation
        heads = self._heads(content)
        if kept is not None:
            heads.append((SNAPSHOT, kept.size, kept.root))
        frontier = self._leaves(heads)
        report.records = frontier.size
        for where, size, _ in heads:
            if size > frontier.size:
                report.add(where, f"covers {size} records, but the log has {frontier.size}", frontier.size)
        self._state(frontier.size, content)
        self._nodes(frontier.size)
        check_images(self.home, self.book, self.named, report, images_ahead=self.images_ahead)
        if content is not None:
            with caught(report, SLOT):
                self._slot(content)
        if self.unchecked:
            report.notes.append(
                f"{self.unchecked} signatures of a department were not checked: give its key (--department)"
            )
        if self.book.pending is not None:
            report.notes.append("a purge was begun but not finished; the next start finishes it")

    def _kept_book(self) -> BookSnapshot | None:
        """The snapshot that a start uses, if its signature verifies."""
        with caught(self.report, SNAPSHOT):
            return book_snapshot.opened(self.home, self.key.public)
        return None

    def _read_book(self, kept: BookSnapshot | None) -> None:
        """Read every open record, and check the snapshot against those that it covers."""
        log, book, size = LogReader(self.database), LogFacts(), 0
        if kept is not None:
            size = kept.size
            read_book(self.database, log, self.key.public, book, end=size)
            if book_snapshot.of_book(book, size, kept.root) != kept:
                self.report.add(SNAPSHOT, "does not follow from the records before it")
        self.book = read_book(self.database, log, self.key.public, book, first=size)

    def _structure(self) -> None:
        for (line,) in self.db.execute("PRAGMA integrity_check(5)").fetchall():
            if line != "ok":
                self.report.add("ledger.sqlite3", f"database damaged: {str(line).splitlines()[0][:120]}")
        version = int(self.db.execute("PRAGMA user_version").fetchone()[0])
        if schema.schema_of(self.database) != schema.expected_schema(version):
            self.report.add("ledger.sqlite3", "tables differ from what this program makes")

    def _heads(self, content: slot.SlotContent | None) -> list[tuple[str, int, bytes]]:
        """(where, size, root) of every signed or stored tree head."""
        found = [(HEAD, None, str(note)) for (note,) in self.db.execute("SELECT note FROM head")]
        if len(found) != 1:
            self.report.add(HEAD, "the signed head is missing")
        rows = self.db.execute("SELECT size, note FROM anchors ORDER BY size")
        heads = []
        for where, size, note in (*found, *((ANCHORS, int(size), str(note)) for size, note in rows)):
            with caught(self.report, where):
                head = open_checkpoint(note, self.key)
                heads.append((where, head.size, head.root))
                if where == ANCHORS:
                    if self._cosigned(note):
                        self._anchor(head.size, "department")
                    if size != head.size:
                        self.report.add(where, "a co-signed checkpoint is stored under the wrong size")
        if content is not None:
            heads.append((SLOT, content.anchor_size, content.anchor_root))
            if slot.anchors(self.slot_uri):
                self._anchor(content.anchor_size, "slot")
            else:
                self.report.notes.append(
                    f"the slot is a file: anyone who can write this card can write its anchor "
                    f"({counted(content.anchor_size, 'record')}), so it counts as none"
                )
        return heads

    def _anchor(self, size: int, by: str) -> None:
        """Note an anchor that only its keeper can write."""
        if size > self.report.anchored:
            self.report.anchored, self.report.anchored_by = size, by

    def _cosigned(self, note: str) -> bool:
        """Check an anchor's co-signature, if the department's key is known. Raises CheckpointError."""
        if self.department is None:
            self.unchecked += 1
            return False
        key = NoteKey(self.department.name, self.department.public, TYPE_COSIGNATURE)
        if not open_cosignatures(note, [key]):
            raise CheckpointError(f"is not co-signed by {key.name}")
        return True

    def _leaves(self, heads: list[tuple[str, int, bytes]]) -> merkle.Frontier:
        """Walk all leaves with their elements; compare each head when its size is reached."""
        report, frontier = self.report, merkle.Frontier()
        wanted: dict[int, list[tuple[str, bytes]]] = {}
        for where, size, root in heads:
            wanted.setdefault(size, []).append((where, root))
        elements = Elements(self.database, report)
        rows = self.db.execute("SELECT sequence, epoch, leaf, hash FROM leaves ORDER BY sequence")
        for sequence, epoch, data, value in rows:
            if sequence != frontier.size:
                report.add(f"record {frontier.size}", f"missing: record {sequence} follows", frontier.size)
                break
            stored = elements.of(sequence)
            actual = merkle.leaf_hash(blob_of(data))
            frontier.append(actual)
            with caught(report, f"record {sequence}", sequence):
                leaf = open_leaf(blob_of(data), self.key.public)
                self._one(leaf, sequence, stored)
                if leaf.epoch != epoch or actual != blob_of(value):
                    report.add(f"record {sequence}", "the cached epoch or hash is not the leaf's", sequence)
            for where, root in wanted.get(frontier.size, ()):
                if not hmac.compare_digest(root, frontier.root()):
                    report.add(where, f"signs a different history of {frontier.size} records")
        elements.rest()
        newest = max((size for where, size, _ in heads if where == HEAD), default=frontier.size)
        if newest < frontier.size:
            report.add(HEAD, f"signs {newest} records, but the log has {frontier.size}", newest)
        return frontier

    def _one(self, leaf: Leaf, sequence: int, stored: dict[str, bytes]) -> None:
        """Check one record: its place, its epoch, its stored elements."""
        where, report = f"record {sequence}", self.report
        if leaf.sequence != sequence or leaf.log_id != self.log_id:
            report.add(where, "is a record of another place or another log", sequence)
            return
        if RECORDS[leaf.kind].KEY_CLASS is not leaf.key_class and leaf.kind != "read":
            report.add(where, f"a {leaf.kind} is not sealed as {leaf.key_class}", sequence)
        for name in set(stored) - set(leaf.elements):
            report.add(f"{where}, {name}", "an element that the record does not name", sequence)
        if leaf.key_class is KeyClass.OPEN:
            self._open_record(leaf, stored)
            return
        facts = self.book.epochs.get(leaf.epoch)
        if facts is None or facts.key_class is not leaf.key_class or facts.sequence >= sequence:
            report.add(where, f"names epoch {leaf.epoch}, which was not open for it", sequence)
            return
        openings = self.openings[leaf.key_class]
        after = bisect.bisect_right(openings, facts.sequence)
        if after < len(openings) and openings[after] < sequence:
            report.add(where, f"was put into epoch {leaf.epoch} after that epoch had ended", sequence)
        gone = facts.purged_by is not None
        report.purged_records += gone
        for name, mark in leaf.elements.items():
            self._element(leaf, name, mark, leaf.epoch, stored.get(name))

    def _element(self, leaf: Leaf, name: str, mark: Mark, epoch: int, inline: bytes | None) -> None:
        """Check one sealed element: present and unaltered, or purged by receipt."""
        where, data = f"record {leaf.sequence}, {name}", inline
        if name in IMAGES:
            self.named.setdefault(epoch, set()).add(mark.digest.hex())
            data = image_bytes(self.blobs.path(epoch, mark.digest)) if inline is None else inline
        if data is None:
            if not self.book.gone(epoch) and not self.book.going(epoch):
                self.report.add(where, "is missing, and no purge receipt covers it", leaf.sequence)
        elif self.book.gone(epoch):
            self.report.add(where, "is still there after its purge receipt", leaf.sequence)
        elif not hmac.compare_digest(hashlib.sha256(data).digest(), mark.digest):
            self.report.add(where, "was altered: its SHA-256 is not the record's", leaf.sequence)

    def _open_record(self, leaf: Leaf, stored: dict[str, bytes]) -> None:
        """Check an open record: its entry, and its key material while that is current."""
        sequence = leaf.sequence
        if leaf.epoch or ENTRY not in leaf.elements or ENTRY not in stored:
            self.report.add(f"record {sequence}", "its entry is missing", sequence)
            return
        opened = sealing.read_open(ENTRY, sequence, stored[ENTRY], leaf.elements[ENTRY].commitment)
        record = codec.from_bytes(RECORDS[leaf.kind], opened.content)
        for name, mark in leaf.elements.items():
            data, where = stored.get(name), f"record {sequence}, {name}"
            if isinstance(record, Resealed) and name != ENTRY:
                self._resealed(leaf, record, name, data)
            elif data is None:
                if self._due(leaf, name) is True:
                    self.report.add(where, "is missing", sequence)
            elif not hmac.compare_digest(hashlib.sha256(data).digest(), mark.digest):
                self.report.add(where, "was altered: its SHA-256 is not the record's", sequence)
            elif self._due(leaf, name) is False:
                self.report.add(where, "key material is still there after its purge", sequence)
        self._receipt(sequence, record)

    def _due(self, leaf: Leaf, name: str) -> bool | None:
        """Whether an open element must be present (True), must be gone (False), or may be either (None)."""
        book, sequence = self.book, leaf.sequence
        if name == ENTRY:
            return True
        if name == KEYRING:
            unsettled = book.pending is not None and sequence >= book.keyring_at
            return None if unsettled else sequence == book.keyring_at
        epoch = next((one.epoch for one in book.epochs.values() if one.sequence == sequence), 0)
        if name == WRAP and book.pending is None:
            return sequence > book.keyring_at and not book.gone(epoch)
        if name == ESCROW and not book.going(epoch):
            return not book.gone(epoch)
        return None

    def _resealed(self, leaf: Leaf, record: Resealed, name: str, inline: bytes | None) -> None:
        """Check held content under its own key: its commitment must be that of the original record."""
        mark, where = leaf.elements[name], f"record {leaf.sequence}, {name}"
        original = open_leaf(LogReader(self.database).leaf(record.record), self.key.public)
        if record.record >= leaf.sequence or original.elements.get(name, mark).commitment != mark.commitment:
            self.report.add(where, "is not what the held record holds", leaf.sequence)
        self._element(leaf, name, mark, record.epoch, inline)

    def _receipt(self, sequence: int, record: Record) -> None:
        """Check the department's signature on an upload receipt, if its key was given."""
        if not isinstance(record, UploadReceipt):
            return
        if self.department is None:
            self.unchecked += 1
            return
        said = receipts.open_receipt(record.receipt, self.department.public, self.log_id)
        if said.ranges != record.ranges:
            self.report.add(f"record {sequence}", "claims more than its receipt says", sequence)
        self._receipted_tree(sequence, said)

    def _receipted_tree(self, sequence: int, said: ReceivedRanges) -> None:
        """Check that the tree in a receipt is this log's, at a size before the receipt came."""
        where = f"record {sequence}"
        if said.size > sequence:
            self.report.add(where, f"is a receipt for {said.size} records that came after it", sequence)
        elif not hmac.compare_digest(LogReader(self.database).root_at(said.size), said.root):
            self.report.add(where, "is a receipt for another history", sequence)

    def _state(self, size: int, content: slot.SlotContent | None) -> None:
        with caught(self.report, "state"):
            rows = self.db.execute("SELECT body FROM state").fetchall()
            if len(rows) != 1:
                self.report.add("state", "the state record is missing")
                return
            body = envelope.open_signed(
                blob_of(rows[0][0]), self.key.public, context=STATE_CONTEXT, limit=MAX_STATE_BYTES
            )
            state = codec.from_bytes(LedgerState, body, limit=MAX_STATE_BYTES)
            self.images_ahead = state.cursor(IMAGES_AHEAD)
            for what in stale(state, content, size):
                self.report.add("state", what)

    def _nodes(self, size: int) -> None:
        """Recompute the stored subtree hashes level by level from the checked leaf hashes."""
        with caught(self.report, "nodes"):
            reader, expected = LogReader(self.database), 0
            rows = self.db.execute("SELECT level, idx, hash FROM nodes ORDER BY level, idx")
            for level, index, value in rows.fetchall():
                kept = STEP <= level < 63 and level % STEP == 0 and 0 <= index < size >> level
                left = reader.subtree(level - 1, 2 * index) if kept else b""
                right = reader.subtree(level - 1, 2 * index + 1) if kept else b""
                if not kept or merkle.node_hash(left, right) != blob_of(value):
                    self.report.add("nodes", f"a cached tree hash is wrong: level {level}, {index}")
                expected += 1
            wanted = sum(size >> level for level in range(STEP, 63, STEP))
            if expected != wanted:
                self.report.add("nodes", f"{expected} cached tree hashes, not {wanted}")

    def _slot(self, content: slot.SlotContent) -> None:
        """Check that the slot's KEK opens the keyring, and that the keyring has this log's key."""
        if content.log_id != self.log_id:
            self.report.add(SLOT, "holds the key of another log")
            return
        ring = read_ring(self.database, self.book, content)
        private = envelope.private_of(ring.log_key)
        if envelope.raw_public(private.public_key()) != envelope.raw_public(self.key.public):
            self.report.add(SLOT, "the keyring holds another log key")
        held: set[int] = set()
        for key in ring.epochs:
            for what in self._wrong_key(key, held):
                self.report.add("keyring", what)
            held.add(key.epoch)
        for facts in self.book.epochs.values():
            kept = facts.purged_by is None and facts.key_at != AT_MEMORY
            if kept and facts.epoch not in held and not self.book.going(facts.epoch):
                self.report.add("keyring", f"holds no key of epoch {facts.epoch}, which was not purged")
        self.report.slot_checked = True

    def _wrong_key(self, key: EpochKey, held: set[int]) -> Iterator[str]:
        """Yield the faults of a key that the current slot opens, above all that it exists."""
        epoch, facts = f"epoch {key.epoch}", self.book.epochs.get(key.epoch)
        if facts is None:
            yield f"holds the key of {epoch}, which was never opened"
            return
        if facts.purged_by is not None:
            yield f"holds the key of {epoch}, which was purged: its content can still be opened"
        if key.epoch in held:
            yield f"holds a second key of {epoch}"
        if key.key_class is not facts.key_class:
            yield f"holds a key of {epoch} for another class of content"
        if (key.own is not None) != (facts.key_at in {AT_KEK, AT_BOTH}):
            yield f"contradicts the log on the key of {epoch} in the clear (the log: {facts.key_at})"
        if (key.day is not None) != (facts.key_at in {AT_DAY, AT_BOTH}):
            yield f"contradicts the log on the sealed key of {epoch} (the log: {facts.key_at})"


class Elements:
    """Reads the elements table once, in step with the leaves."""

    def __init__(self, database: sqlite_utils.Database, report: UnitReport) -> None:
        self._rows = self._read(database)
        self._ahead = next(self._rows, None)
        self._report = report

    @staticmethod
    def _read(database: sqlite_utils.Database) -> Iterator[tuple[int, str, bytes]]:
        sql = "SELECT sequence, name, stored FROM elements ORDER BY sequence, name"
        for sequence, name, stored in database.conn.cursor().execute(sql):
            yield int(sequence), str(name), blob_of(stored)

    def rest(self) -> None:
        """Report elements after the last record, which belong to none."""
        while self._ahead is not None:
            self._report.add("elements", "an element without a record", self._ahead[0])
            self._ahead = next(self._rows, None)

    def of(self, sequence: int) -> dict[str, bytes]:
        """The elements of a record. Reports skipped rows, which belong to no record."""
        found: dict[str, bytes] = {}
        while self._ahead is not None and self._ahead[0] <= sequence:
            if self._ahead[0] == sequence:
                found[self._ahead[1]] = self._ahead[2]
            else:
                self._report.add("elements", "an element without a record", self._ahead[0])
            self._ahead = next(self._rows, None)
        return found
