"""The core of every custody operation: one lock, one transaction, keys in memory, facts of open records.

`UnitStore.adding()` is the only way to write: leaves, elements, head and state go into one transaction, and a
failure restores the tree, the facts and the keys. If the card cannot be read then, the facts may lack an
epoch, so they are read again before anything uses them.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import book_snapshot, codec, day_keys, files, keyring, late_epochs, schema, sealing, slot
from storage import leaf as leaves
from storage.blobs import Blobs
from storage.clock_trust import TrustedTime
from storage.database import blob_of, failure_cure, naming_damage
from storage.epochs import EpochFacts, LogFacts
from storage.errors import CardFailedError, DamagedError, KeyLostError, LedgerError, SlotError, StorageError
from storage.home import Home, HomeLock
from storage.leaf import ENTRY, Leaf, LeafRef, Mark
from storage.log import LogReader, LogWriter
from storage.log_records import EpochOpened
from storage.policy import CustodyPolicy
from storage.record_base import KeyClass, Record
from storage.records import RECORDS
from storage.reserve import Reserve
from storage.retention import AUDIT_EPOCH_US
from storage.sealing import Opened, Sealed
from storage.state import ANCHORING, LEAD, RUNNING, STATE_CONTEXT, LedgerState
from storage.times import HOUR_US

if TYPE_CHECKING:
    import sqlite_utils

READS_TOGETHER = 4  # in one transaction
MOST_STRAYS = 2 * READS_TOGETHER  # images that a power cut may leave without their records


class UnitStore:
    """The open home of its only writer. Only this room uses it; other rooms use `Ledger`."""

    def __init__(  # noqa: PLR0917 - called once, by opening.py
        self,
        home: Home,
        lock: HomeLock,
        database: sqlite_utils.Database,
        effaceable: slot.EffaceableSlot,
        content: slot.SlotContent,
        ring: keyring.Keyring,
        book: LogFacts,
        time: TrustedTime,
    ) -> None:
        self.home, self.home_lock, self.db = home, lock, database
        self.reserve = Reserve(home.root)
        self.slot, self.slot_content = effaceable, content
        self.ring, self._book, self.time = ring, book, time
        self._book_unsure = False  # a transaction failed, and then the card could not be read
        self.log = LogWriter(database, Ed25519PrivateKey.from_private_bytes(ring.log_key))
        self.log_id = self.log.log_id
        self.blobs = Blobs(home.blobs)
        self.live: dict[int, bytes] = {one.epoch: one.own for one in ring.epochs if one.own is not None}
        self.policy = CustodyPolicy()
        self.day_keys: tuple[day_keys.DayKey, ...] = ()
        self.enrolled = False
        self.state = LedgerState(size=0, trusted_us=0, anchored_us=0)
        self.lock = threading.RLock()
        self._depth = 0
        self.slot_unsure = False
        self.images_left: tuple[str, ...] = ()  # folders of purged epochs that could not be removed, and why
        self.log_ahead_kept = False  # purged rows are in the write-ahead log: another process reads it
        self._closing = False
        self._slot_asked = False  # an anchor was announced, and the slot has not confirmed it yet
        self.started_at, self.first_epoch = self.log.frontier.size, book.next_epoch()
        self.opened_us = time.trusted_us

    @property
    def book(self) -> LogFacts:
        """The facts of the open records. Raises sqlite3.Error, StorageError if they cannot be read again."""
        if self._book_unsure:
            with self.lock:
                self._reread()
        return self._book

    # -- writing ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def adding(self) -> Iterator[None]:
        """One transaction; nested use joins the outer one. The head is signed at its end.

        Raises StoreFullError if the disk has no room, CardFailedError, DamagedError; then nothing is kept.
        """
        with self.lock:
            if self._depth:
                yield
                return
            self.reserve.spend_if_short()
            with self._naming_failures():
                book, epochs, notes = self.book, len(self.book.epochs), self.book.notes
                frontier, ring, state = self.log.frontier.copy(), self.ring, self.state
                self._depth += 1
                try:
                    with self.db.atomic():
                        yield
                        leapt_us = late_epochs.note_leap(self)
                        self.log.sign_head()
                        self._write_state(leapt_us)
                except BaseException:
                    self.ring, self.state = ring, state
                    self.log.rewind(frontier)
                    if len(book.epochs) != epochs or notes != book.notes:
                        self._book_unsure = True
                        with contextlib.suppress(sqlite3.Error, StorageError, OSError):
                            self._reread()
                    raise
                finally:
                    self._depth -= 1
                self.time.end_leap(leapt_us)
                if len(book.epochs) != epochs:
                    self._forget_closed()

    @contextlib.contextmanager
    def _naming_failures(self) -> Iterator[None]:
        """Turn failures of the card into errors of this room."""
        try:
            with files.name_full_disk(self.home.root), naming_damage(self.home.database):
                yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # our own fault
        except sqlite3.DatabaseError as error:
            path = self.home.database
            what, cure = f"cannot be used: {error}", failure_cure(error, path)
            raise CardFailedError(what, where=str(path), cure=cure) from error

    def _reread(self) -> None:
        """Read the facts again after a failed transaction. Raises sqlite3.Error, StorageError."""
        self._book, _ = kept_book(self.home, self.db, self.log, self.log.key_of_notes.public)
        self._book_unsure = False
        self.end_epochs()
        self.live = {epoch: key for epoch, key in self.live.items() if epoch in self.book.epochs}

    def end_epochs(self) -> None:
        """Close all epochs: after a restart, reads go into new ones."""
        for facts in self.book.epochs.values():
            if facts.sequence < self.started_at and facts.key_class in (KeyClass.READ, KeyClass.HIT):
                facts.closed = True
                if facts.closed_us is None:
                    facts.closed_us = self.time.trusted_us

    def end_running(self, epochs: Iterable[int]) -> None:
        """Close epochs that are about to be purged."""
        for epoch in epochs:
            facts = self.book.epochs[epoch]
            if not facts.closed:
                facts.closed, facts.closed_us = True, self.time.trusted_us

    @property
    def in_transaction(self) -> bool:
        """Whether an `adding` is open on this thread's lock."""
        return self._depth > 0

    def key_on_card(self, epoch: int) -> bool:
        """Whether a purge of this epoch must turn the slot's key."""
        return any(key.epoch == epoch for key in self.ring.epochs)

    def _write_state(self, noted_us: int) -> None:
        moment = self.time.read_at_once()
        now_us = max(self.state.trusted_us, moment[0])
        state = replace(self.state, size=self.log.frontier.size, trusted_us=now_us)
        word = self.time.word
        cursors = {LEAD: self.time.lead_us, RUNNING: int(not self._closing)}
        cursors |= late_epochs.next_cursors(self, noted_us, moment)
        self.state = state.with_cursors(cursors | ({} if word is None else word.cursors()))
        body = self.log.sign_bytes(codec.to_bytes(self.state), STATE_CONTEXT)
        self.db.conn.execute("INSERT OR REPLACE INTO state (id, body) VALUES (1, ?)", (body,))

    def next_sequence(self) -> int:
        return self.log.frontier.size

    def add_leaf(
        self,
        kind: str,
        epoch: int,
        key_class: KeyClass,
        inline: list[Sealed],
        outside: tuple[Sealed, ...] = (),
    ) -> LeafRef:
        """Append a leaf over `inline` elements (stored here) and `outside` ones (blobs, already synced)."""
        sequence = self.next_sequence()
        marks = {one.name: Mark(one.commitment, one.digest) for one in (*inline, *outside)}
        leaf = Leaf(
            log_id=self.log_id, kind=kind, sequence=sequence, epoch=epoch, key_class=key_class, elements=marks
        )
        ref = self.log.append(leaf)
        self.db.conn.executemany(
            "INSERT INTO elements (sequence, name, stored) VALUES (?, ?, ?)",
            [(sequence, one.name, one.stored) for one in inline],
        )
        return ref

    def add_open(
        self, record: Record, extra: tuple[Sealed, ...] = (), outside: tuple[Sealed, ...] = ()
    ) -> LeafRef:
        """Append an open record and note it in the book."""
        entry = sealing.leave_open(sealing.fresh(ENTRY, codec.to_bytes(record)))
        sequence = self.next_sequence()
        ref = self.add_leaf(record.KIND, 0, KeyClass.OPEN, [entry, *extra], outside)
        self.book.note(sequence, record)
        return ref

    def add_sealed(self, record: Record) -> LeafRef:
        """Append a record with one sealed element under the current epoch of its class."""
        facts = self.epoch_for(record.KEY_CLASS)
        opened = sealing.fresh(ENTRY, codec.to_bytes(record))
        sealed = sealing.seal(self.live[facts.epoch], self.log_id, self.next_sequence(), opened)
        return self.add_leaf(record.KIND, facts.epoch, record.KEY_CLASS, [sealed])

    # -- epochs ----------------------------------------------------------------------------------

    def epoch_for(self, key_class: KeyClass) -> EpochFacts:
        """The current epoch of a class; opens one if there is none or its time is over."""
        current = self.book.current(key_class)
        now_us = self.time.trusted_us
        if current is not None and current.epoch in self.live:
            length = AUDIT_EPOCH_US if key_class is KeyClass.AUDIT else self.policy.epoch_hours * HOUR_US
            if now_us - self.time.leapt_us - current.opened_us < length:  # its age by running time
                return current
            return self.open_epoch(key_class, "time")
        return self.open_epoch(key_class, "start")

    def key_place(self, key_class: KeyClass) -> str:
        """Where the policy allows the key of a new epoch of this class."""
        if key_class in self.policy.memory_only:
            return keyring.AT_MEMORY
        if key_class is KeyClass.AUDIT or not self.enrolled or not self.day_keys:
            return keyring.AT_KEK
        return keyring.AT_BOTH if self.policy.local_query else keyring.AT_DAY

    def open_epoch(self, key_class: KeyClass, reason: str) -> EpochFacts:
        """Open an epoch: a new key in memory, and on the card in the form that the policy allows."""
        if self.slot_unsure:
            raise SlotError(
                "did not answer while its key was turned: no new key is put under it",
                where=self.slot.uri,
                cure="reader retention apply asks it again; else restart",
            )
        moment = self.time.now()
        now_us = self.time.trusted_us
        key, epoch, place = sealing.new_key(), self.book.next_epoch(), self.key_place(key_class)
        day: day_keys.DayKey | None = None
        extra: list[Sealed] = []
        if place in {keyring.AT_DAY, keyring.AT_BOTH}:
            day = day_keys.key_for(self.day_keys, late_epochs.sealing_us(self))
        if place != keyring.AT_MEMORY:
            sealed = None if day is None else day_keys.seal_to_day(key, day, self.log_id, epoch)
            entry = keyring.EpochKey(
                epoch=epoch,
                key_class=key_class,
                own=None if place == keyring.AT_DAY else key,
                day=sealed,
                day_key=None if day is None else day.key_id,
            )
            wrapped = keyring.wrap_epoch(
                entry, self.slot_content.kek, self.log_id, self.slot_content.generation
            )
            extra.append(bound(leaves.WRAP, wrapped))
            if self.policy.escrow and sealed is not None:
                extra.append(bound(leaves.ESCROW, sealed))
            self.ring = self.ring.plus(entry)
        record = EpochOpened(
            epoch=epoch,
            key_class=key_class,
            opened_us=now_us,
            clock_state=moment.state,
            key_at=place,
            day_key=None if day is None else day.key_id,
            reason=reason,
        )
        self.add_open(record, tuple(extra))
        self.live[epoch] = key
        return self.book.epochs[epoch]

    def _forget_closed(self) -> None:
        """Drop a closed epoch's key from memory if only the department can open it from the card."""
        for epoch in list(self.live):
            facts = self.book.epochs[epoch]
            if facts.closed and facts.key_at == keyring.AT_DAY:
                del self.live[epoch]

    # -- reading ---------------------------------------------------------------------------------

    def leaf(self, sequence: int) -> Leaf:
        return leaves.unchecked(self.log.leaf(sequence))

    def stored(self, leaf: Leaf, name: str) -> bytes:
        """The stored bytes of an element. Raises LedgerError, KeyLostError (purged)."""
        row = self.db.conn.execute(
            "SELECT stored FROM elements WHERE sequence = ? AND name = ?", (leaf.sequence, name)
        ).fetchone()
        if row is not None:
            return blob_of(row[0])
        if self.book.gone(leaf.epoch) or name not in leaf.elements:
            raise KeyLostError("was purged, or never stored", where=f"record {leaf.sequence}, {name}")
        return self.blobs.get(leaf.epoch, leaf.elements[name].digest)

    def open_element(self, leaf: Leaf, name: str) -> Opened:
        """An element in clear, from a hold's copy if the epoch is gone.

        Raises KeyLostError, SealError, LedgerError.
        """
        if leaf.epoch not in self.live:  # purged, or only for the department; holds contain no open records
            for sequence, copy in self.book.resealed.get(leaf.sequence, ()):
                if copy.epoch in self.live:
                    return self._open_held(leaf, sequence, copy.epoch, name)
        stored = self.stored(leaf, name)
        expected = leaf.elements[name].commitment
        if leaf.key_class is KeyClass.OPEN:
            return sealing.read_open(name, leaf.sequence, stored, expected)
        key = self.live.get(leaf.epoch)
        if key is None:
            raise KeyLostError(
                f"the key of epoch {leaf.epoch} is not on this unit", where=f"record {leaf.sequence}"
            )
        return sealing.open_sealed(key, self.log_id, leaf.sequence, name, stored, expected)

    def _open_held(self, leaf: Leaf, resealed: int, epoch: int, name: str) -> Opened:
        held = self.leaf(resealed)
        if name not in held.elements:
            raise KeyLostError("was not held", where=f"record {leaf.sequence}, {name}")
        row = self.db.conn.execute(
            "SELECT stored FROM elements WHERE sequence = ? AND name = ?", (resealed, name)
        ).fetchone()
        stored = self.blobs.get(epoch, held.elements[name].digest) if row is None else blob_of(row[0])
        expected = leaf.elements[name].commitment
        return sealing.open_sealed(self.live[epoch], self.log_id, leaf.sequence, name, stored, expected)

    def record(self, sequence: int) -> Record:
        """A record with one element, parsed. Raises like `open_element`."""
        leaf = self.leaf(sequence)
        if ENTRY not in leaf.elements:
            raise LedgerError(f"is of kind {leaf.kind}", where=f"record {sequence}", leaf_index=sequence)
        return codec.from_bytes(RECORDS[leaf.kind], self.open_element(leaf, ENTRY).content)

    def sequences(self, epoch: int, *, over_bytes: int = 0) -> list[int]:
        """The records of an epoch; with `over_bytes` those that have a longer element in the database."""
        rows = self.db.conn.execute(
            "SELECT sequence FROM leaves WHERE epoch = ? AND (? = 0 OR EXISTS (SELECT 1 FROM elements"
            " WHERE elements.sequence = leaves.sequence AND length(stored) > ?)) ORDER BY sequence",
            (epoch, over_bytes, over_bytes),
        )
        return [int(row[0]) for row in rows]

    def has_leaves(self, epoch: int) -> bool:
        """Whether `sequences` would return any, quickly: there may be a hundred thousand."""
        found = self.db.conn.execute("SELECT 1 FROM leaves WHERE epoch = ? LIMIT 1", (epoch,))
        return found.fetchone() is not None

    # -- slot ------------------------------------------------------------------------------------

    def anchor(self, *, force: bool = False) -> bool:
        """Write the newest size and root to the slot if the log has grown; returns whether it was written."""
        with self.lock:
            size = self.log.frontier.size
            if size == self.slot_content.anchor_size and not force:
                return False
            if self._slot_asked:
                self.slot_is(slot.load_slot(self.slot))  # the earlier write failed, or took effect
            content = replace(
                self.slot_content,
                anchor_size=size,
                anchor_root=self.log.frontier.root(),
                anchor_us=self.time.trusted_us,
            )
            with self.adding():
                self.announce_anchor(content.anchor_us)
            slot.save(self.slot, content)
            self.slot_is(content)
            return True

    def anchored(self) -> tuple[int, str]:
        """(records, keeper) of the newest anchor that only its keeper can write: "department" or "slot"."""
        row = self.db.execute("SELECT coalesce(max(size), 0) FROM anchors").fetchone()
        cosigned, by_slot = int(row[0]), self.slot_content.anchor_size
        if slot.anchors(self.slot.uri) and by_slot > cosigned:
            return by_slot, "slot"
        return cosigned, "department" if cosigned else ""

    def end(self) -> None:
        """Anchor the head and note an orderly end. Raises SlotError, StoreFullError."""
        self._closing = True
        if not self.anchor() and self.state.cursor(RUNNING):
            with self.adding():
                pass

    def announce_anchor(self, at_us: int) -> None:
        """Record, within a transaction, the time that the slot will hold; start-up compares the two."""
        self.state = self.state.with_cursor(ANCHORING, at_us)
        self._slot_asked = True

    def slot_is(self, content: slot.SlotContent) -> None:
        """Take over the slot's current content; ends an announced anchor."""
        self.slot_content = content
        self.state = replace(self.state, anchored_us=content.anchor_us)
        self._slot_asked = False

    def end_log_ahead(self) -> None:
        """Empty the write-ahead log, which still has purged rows in its older frames.

        A process that reads at the same time (`reader verify`) may prevent that; it is retried later.
        """
        connection = self.db.conn
        (waits_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
        connection.execute("PRAGMA busy_timeout=0")
        try:
            (kept, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout={int(waits_ms)}")
        self.log_ahead_kept = bool(kept)

    def close(self) -> None:
        self.blobs.close()
        self.db.close()
        self.home_lock.release()


def bound(name: str, stored: bytes) -> Sealed:
    """Key material as an element, bound to the leaf by the digest of its stored bytes."""
    opened = sealing.fresh(name, stored)
    return sealing.leave_open(opened)


def unbound(name: str, sequence: int, stored: bytes, expected: bytes) -> bytes:
    """The key material in an element that `bound` made. Raises SealError."""
    return sealing.read_open(name, sequence, stored, expected).content


def kept_book(
    home: Home, database: sqlite_utils.Database, log: LogReader, public: Ed25519PublicKey
) -> tuple[LogFacts, int]:
    """The facts, and how many records the snapshot noted of them. Raises StorageError."""
    kept = book_snapshot.read(home, public, log.root_at, log.size())
    if kept is None:
        return read_book(database, log, public), 0
    snapshot, book = kept
    return read_book(database, log, public, book, first=snapshot.size), snapshot.notes


def read_book(
    database: sqlite_utils.Database,
    log: LogReader,
    public: Ed25519PublicKey | None = None,
    book: LogFacts | None = None,
    *,
    first: int = 0,
    end: int = 1 << 62,
) -> LogFacts:
    """Read the open records of a log, and check their signatures if `public` is given. Raises StorageError.

    `book`: the facts of the records before `first`, to continue. `end`: the first record to leave out.
    """
    book = LogFacts() if book is None else book
    rows = database.conn.execute(
        "SELECT sequence FROM leaves WHERE epoch = 0 AND sequence >= ? AND sequence < ? ORDER BY sequence",
        (first, end),
    ).fetchall()
    for (sequence,) in rows:
        data = log.leaf(sequence)
        leaf = leaves.unchecked(data) if public is None else leaves.open_leaf(data, public)
        row = database.conn.execute(
            "SELECT stored FROM elements WHERE sequence = ? AND name = ?", (sequence, ENTRY)
        ).fetchone()
        if row is None or ENTRY not in leaf.elements:
            raise LedgerError("its entry is missing", where=f"record {sequence}", leaf_index=sequence)
        opened = sealing.read_open(ENTRY, sequence, blob_of(row[0]), leaf.elements[ENTRY].commitment)
        book.note(sequence, codec.from_bytes(RECORDS[leaf.kind], opened.content))
    return book


def open_database(home: Home) -> sqlite_utils.Database:
    """Open and migrate the home's database. Raises DamagedError, LedgerError."""
    if not home.database.stat().st_size:
        raise DamagedError(
            "is empty: it is no longer a reader's ledger", where=str(home.database), cure=schema.DAMAGE_CURE
        )
    database = schema.connect(home.database)
    try:
        version = schema.found(database, home.database)
        schema.demand_own(database, version, home.database)
        schema.migrate(database, version)
    except BaseException:
        database.close()
        raise
    return database
