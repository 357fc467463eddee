"""Creates and opens a home: lock, slot, keys, facts, anchors, and cleanup after a power cut."""

from __future__ import annotations

import contextlib
import hmac
import itertools
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import (
    book_snapshot,
    checkpoint,
    codec,
    envelope,
    files,
    keyring,
    leaf,
    merkle,
    schema,
    sealing,
    slot,
)
from storage.blobs import make_folder
from storage.clock_trust import LogStart, TrustedTime, WallClock, boottime_us
from storage.database import blob_of, naming_damage
from storage.department_word import word_of
from storage.epochs import LogFacts
from storage.errors import (
    DamagedError,
    LedgerError,
    NewerLedgerError,
    NotOwnerError,
    NotPlainError,
    RolledBackError,
    SlotError,
    StorageError,
    UnknownFormError,
)
from storage.home import Home, HomeLock, need_own
from storage.late_epochs import LATE_BY
from storage.log import LogReader
from storage.log_records import LogOpened
from storage.private_process import keep_private
from storage.reserve import Reserve
from storage.state import ANCHORING, LEAD, MAX_STATE_BYTES, STATE_CONTEXT, LedgerState
from storage.store import UnitStore, bound, kept_book, open_database, read_book, unbound

if TYPE_CHECKING:
    import sqlite_utils

ASIDE = "damaged-"


def create(
    home: Home,
    effaceable: slot.EffaceableSlot,
    clock: WallClock,
    *,
    boot: Callable[[], int] = boottime_us,
    previous: str | None = None,
    reason: str | None = None,
    start: LogStart | None = None,
) -> UnitStore:
    """Create a new log in an empty home. Raises LedgerError, NotOwnerError, SlotError, StoreFullError.

    start: for a log that replaces another one; a first log starts at its clock's time.
    """
    if home.exists():
        raise LedgerError("already holds a ledger", where=str(home.root))
    keep_private()
    files.make_dirs(home.root)
    need_own(home.root)
    files.make_dir(home.folder)
    lock = HomeLock(home)
    Reserve(home.root).spend_if_short()
    database: sqlite_utils.Database | None = None
    try:
        make_folder(home.blobs)
        private = Ed25519PrivateKey.generate()
        log_id = leaf.log_id_of(private.public_key())
        kek = sealing.new_key()
        ring = keyring.Keyring(log_key=private.private_bytes_raw(), epochs=())
        floor, lead_us = (0, 0) if start is None else (start.us, start.lead_us)
        time = TrustedTime(clock, floor, first=start is None, lead_us=lead_us, boot=boot)
        content = slot.SlotContent(1, kek, log_id, 0, merkle.EMPTY_ROOT, time.trusted_us)
        free_slot(effaceable, successor=previous is not None or reason is not None)
        slot.save(effaceable, content)
        files.replace(home.slot_uri, effaceable.uri.encode() + b"\n")
        key = checkpoint.NoteKey(leaf.origin_of(log_id), private.public_key())
        files.replace(home.public_key, key.text().encode() + b"\n")
        # The database gets its name once it has its first record: before that, a power cut leaves no home.
        beside = home.database.with_name("ledger.new")
        for end in ("", "-wal", "-shm", "-journal"):
            files.clear_place(beside.with_name(beside.name + end))
        database = schema.connect(beside)
        schema.migrate(database, 0)
        store = UnitStore(home, lock, database, effaceable, content, ring, LogFacts(), time)
        moment = time.now()
        first = LogOpened(
            public_key=envelope.raw_public(private.public_key()),
            format=schema.FORMAT,
            slot=effaceable.uri.partition(":")[0],
            demo=True,
            opened_us=moment.us,
            clock_state=moment.state,
            previous=previous,
            reason=reason,
        )
        with store.adding():
            store.add_open(first, (bound(leaf.KEYRING, ring.wrapped(kek, log_id, 1)),))
            store.state = LedgerState(size=1, trusted_us=time.trusted_us, anchored_us=content.anchor_us)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        beside.chmod(files.PRIVATE_FILE)
        lock.take(beside, home)
        beside.replace(home.database)
        files.sync_dir(home.folder)
        database = store.db = open_database(home)
        store.log.use(store.db)
        store.anchor()
    except BaseException as error:
        _let_go(lock, database)
        if schema.means_no_room(error, home.root):
            raise schema.no_room_to_open(home.database) from error
        raise
    return store


def reopen(
    home: Home, effaceable: slot.EffaceableSlot, clock: WallClock, *, boot: Callable[[], int] = boottime_us
) -> UnitStore:
    """Open an existing home as its only writer. Nothing is repaired by guessing.

    Raises HomeLockedError, SlotError, RolledBackError, NewerLedgerError, LedgerError.
    """
    home.need()
    keep_private()
    lock = HomeLock(home)
    Reserve(home.root).spend_if_short()
    database: sqlite_utils.Database | None = None
    try:
        _take_files(home)
        database = open_database(home)
    except BaseException:
        _let_go(lock, database)
        raise
    try:
        content = slot.load_slot(effaceable)
        public = _public_key(home, database, content)
        same_log(public, content, effaceable)
        try:  # signed by the log's key: an unknown field is a newer format, not damage
            book, kept_notes = kept_book(home, database, LogReader(database), public)
            state = read_state(database, public)
        except UnknownFormError as error:
            raise NewerLedgerError(str(error), where=str(home.database)) from None
        ring = read_ring(database, book, content)
        floor = max(book.newest_us, state.trusted_us, content.anchor_us)
        # other signed times that are ahead of the state's may come from a lone source
        lead_us = state.cursor(LEAD) + floor - state.trusted_us
        word = word_of(dict(state.cursors), floor - state.trusted_us)
        time = TrustedTime(clock, floor, lead_us=lead_us, boot=boot, word=word)
        time.leapt_us += state.cursor(LATE_BY)
        store = UnitStore(home, lock, database, effaceable, content, ring, book, time)
        store.state = state
        _check(store)
        _write_names_again(home, public, effaceable)
        store.slot_is(content)  # saved with the next state, before the next anchor is announced
        if book.notes - kept_notes >= book_snapshot.EVERY:  # only from records: nothing is noted here yet
            kept = book_snapshot.of_book(book, store.log.frontier.size, store.log.frontier.root())
            with contextlib.suppress(OSError):  # then the next start reads them all
                book_snapshot.write(home, kept, store.log.sign_bytes)
    except (sqlite3.DatabaseError, TypeError, ValueError, OverflowError) as error:
        _let_go(lock, database)  # a damaged page may give other types than its table, even NULL
        if files.is_full(error):
            raise schema.no_room_to_open(home.database) from None
        raise DamagedError(
            f"is damaged: {error if isinstance(error, sqlite3.Error) else type(error).__name__}",
            where=str(home.database),
            cure=schema.DAMAGE_CURE,
        ) from None
    except StorageError as error:
        _let_go(lock, database)
        if isinstance(error, LedgerError) and type(error) is not LedgerError:
            raise  # a roll-back, the slot, a full disk: these errors have their own cures
        raise DamagedError(
            f"is damaged: {error}", where=str(home.database), cure=schema.DAMAGE_CURE
        ) from None
    except BaseException:
        _let_go(lock, database)
        raise
    return store


def _take_files(home: Home) -> None:
    home.demand_own()
    with contextlib.suppress(NotPlainError):  # keys and records are intact: still purged and delivered
        make_folder(home.blobs)


def _public_key(home: Home, database: sqlite_utils.Database, content: slot.SlotContent) -> Ed25519PublicKey:
    """The log's public key, from its file, or from the log's first record if that file is missing, closed to
    this user, damaged or another log's; the slot names the key by its hash. Raises LedgerError.
    """
    try:
        public = home.read_public_key().public
        if leaf.log_id_of(public) == content.log_id:
            return public
    except LedgerError:
        found = _first_key(database)
        if found is None or leaf.log_id_of(found) != content.log_id:
            raise
        return found
    found = _first_key(database)
    return public if found is None or leaf.log_id_of(found) != content.log_id else found


def _first_key(database: sqlite_utils.Database) -> Ed25519PublicKey | None:
    """The key that a log's first record names, unchecked; None if the record cannot be read."""
    with contextlib.suppress(StorageError, sqlite3.DatabaseError, TypeError, ValueError, OverflowError):
        first = read_book(database, LogReader(database), end=1).opened
        if first is not None:
            return Ed25519PublicKey.from_public_bytes(first.public_key)
    return None


def is_log_of(home: Home, content: slot.SlotContent) -> bool:
    """Whether a slot's content names this home's log, by log.pub or the first record."""
    return key_in(home, content) is not None


def key_in(home: Home, content: slot.SlotContent) -> Ed25519PublicKey | None:
    """This home's log key that a slot's content names, by log.pub or the first record; None if neither fits,
    since the slot may already have the next log's.
    """
    with contextlib.suppress(LedgerError):
        public = home.read_public_key().public
        if leaf.log_id_of(public) == content.log_id:
            return public
    try:
        with schema.evidence(home.database, written=home.is_written()) as database:
            found = _first_key(database)
    except (OSError, sqlite3.Error, StorageError, ValueError):  # ValueError: from a damaged schema
        return None
    return found if found is not None and leaf.log_id_of(found) == content.log_id else None


def _write_names_again(home: Home, public: Ed25519PublicKey, effaceable: slot.EffaceableSlot) -> None:
    """Rewrite log.pub and slot.uri if they are missing or wrong, once the log is open.

    Files that are closed to this user or of another kind stay, and are reported.
    """
    key = checkpoint.NoteKey(leaf.origin_of(leaf.log_id_of(public)), public)
    with contextlib.suppress(OSError, NotOwnerError, NotPlainError):
        _write_again(home.public_key, lambda: home.read_public_key().text(), key.text(), home)
    with contextlib.suppress(OSError, NotOwnerError, NotPlainError):
        _write_again(home.slot_uri, home.read_slot_uri, effaceable.uri, home)


def _write_again(path: Path, read: Callable[[], str], line: str, home: Home) -> None:
    """Rewrite one of these files. Raises OSError, NotOwnerError, NotPlainError."""
    files.demand_own(path, home=home.root)
    with contextlib.suppress(LedgerError):
        if read() == line:
            return
    files.replace(path, line.encode() + b"\n")


@contextlib.contextmanager
def naming_damage_to(home: Home) -> Iterator[None]:
    """For the rest of a start, turn every error that shows a damaged ledger into a DamagedError.

    A roll-back, a key, the slot, a full disk, a newer format and an I/O error of the card keep their errors.
    """
    try:
        with naming_damage(home.database):
            yield
    except UnknownFormError as error:  # in a file that the department sent
        raise NewerLedgerError(str(error), where=str(home.database)) from None
    except (TypeError, ValueError, OverflowError, StorageError) as error:
        if isinstance(error, LedgerError) and type(error) is not LedgerError:
            raise
        why = str(error) if isinstance(error, StorageError) else type(error).__name__
        what = f"is damaged: {why}"
        raise DamagedError(what, where=str(home.database), cure=schema.DAMAGE_CURE) from None


def set_aside(home: Home) -> Path:
    """Move a home's ledger aside, unchanged, and return its new path; `erase_keys_aside` destroys its key.

    Raises HomeLockedError, NoHomeError, OSError.
    """
    if not home.is_rest():
        home.need()
    lock = HomeLock(home)
    try:
        numbered = (home.root / f"{ASIDE}{number}" for number in itertools.count(1))
        aside = next(one for one in numbered if not os.path.lexists(one / "store"))
        files.make_dir(aside)
        home.folder.rename(aside / "store")
        files.sync_dir(aside)
        files.sync_dir(home.root)
    finally:
        lock.release()
    return aside


def erase_keys_aside(home: Home) -> None:
    """Destroy the file slots of all ledgers that were set aside, also by earlier versions or before a power
    cut.

    No purge reaches damaged-N, so a key in a file slot is destroyed, as one in a chip is. Raises OSError
    after trying all.
    """
    with contextlib.ExitStack() as tried:
        for aside in home.root.glob(f"{ASIDE}[0-9]*"):
            tried.callback(Home(aside).erase_file_slots)


def _let_go(lock: HomeLock, database: sqlite_utils.Database | None) -> None:
    """Release what a refused opening held."""
    if database is not None:
        database.close()
    lock.release()


def same_log(public: Ed25519PublicKey, content: slot.SlotContent, effaceable: slot.EffaceableSlot) -> None:
    """Raise SlotError if slot and card belong to different logs."""
    if leaf.log_id_of(public) != content.log_id:
        raise SlotError(
            "holds the key of another log", where=effaceable.uri, cure="is this another unit's card?"
        )


def free_slot(effaceable: slot.EffaceableSlot, *, successor: bool) -> None:
    """Raise SlotError if a slot already serves another log: writing it would destroy that log's content."""
    data = slot.held(effaceable)
    if data is None or successor:
        return
    if slot.SlotContent.parse(data, where=effaceable.uri).anchor_size:
        raise SlotError(
            "already holds the keys of another log",
            where=effaceable.uri,
            cure="use that home, or another slot; where its ledger is gone: reader init --set-aside",
        )


def read_ring(database: sqlite_utils.Database, book: LogFacts, content: slot.SlotContent) -> keyring.Keyring:
    """The keys under the slot's KEK: the keyring of its generation, and epochs opened since.

    Raises SealError.
    """
    at, generation = book.keyring_at, book.generation
    if book.pending is not None and book.generation != content.generation == book.pending[1].generation:
        at, generation = book.pending[0], book.pending[1].generation
    if content.generation != generation:
        raise RolledBackError(
            f"the slot is at generation {content.generation}, the log at {generation}",
            where="ledger.sqlite3",
            cure="this card is older than its unit, or belongs to another one",
        )
    reader = LogReader(database)
    ring: keyring.Keyring | None = None
    sql = "SELECT sequence, name, stored FROM elements WHERE sequence = ? AND name IN (?, ?)"
    places = [at, *(facts.sequence for facts in book.epochs.values() if facts.sequence > at)]
    for sequence in places:
        for _, name, stored in database.conn.execute(sql, (sequence, leaf.KEYRING, leaf.WRAP)).fetchall():
            mark = leaf.unchecked(reader.leaf(sequence)).elements.get(name)
            if mark is None:
                continue  # a row that was moved or planted here, which verify reports
            wrapped = unbound(name, sequence, blob_of(stored), mark.commitment)
            if name == leaf.KEYRING:
                ring = keyring.Keyring.opened(wrapped, content.kek, content.log_id, generation)
            elif ring is not None:
                epoch = next(f.epoch for f in book.epochs.values() if f.sequence == sequence)
                ring = ring.plus(
                    keyring.unwrap_epoch(wrapped, epoch, content.kek, content.log_id, generation)
                )
    if ring is None:
        raise LedgerError("the keyring is missing", where=f"record {at}", leaf_index=at)
    return ring


def read_state(database: sqlite_utils.Database, public: Ed25519PublicKey) -> LedgerState:
    """The signed mutable record. Raises EnvelopeError, LedgerError."""
    row = database.execute("SELECT body FROM state").fetchone()
    if row is None:
        raise LedgerError("the state record is missing", where="table state")
    body = envelope.open_signed(blob_of(row[0]), public, context=STATE_CONTEXT, limit=MAX_STATE_BYTES)
    return codec.from_bytes(LedgerState, body, limit=MAX_STATE_BYTES)


def _check(store: UnitStore) -> None:
    """Check the head, the anchors and the state. Raises LedgerError."""
    check_head(store)
    check_anchor(store)
    check_state(store)


def check_head(store: UnitStore) -> None:
    """Check that the signed head covers exactly the existing leaves. Raises LedgerError."""
    note = store.log.head_note()
    if note is None:
        raise LedgerError("the signed head is missing", where="table head")
    head = checkpoint.open_checkpoint(note, store.log.key_of_notes)
    if head != store.log.checkpoint():
        raise LedgerError(
            f"the signed head covers {head.size} records, but the log has {store.log.frontier.size}, "
            "or others",
            where="ledger.sqlite3",
            cure="reader verify names the first bad record",
        )


def check_state(store: UnitStore) -> None:
    """Check that the state is as new as the head, and the slot as new as the state. Raises
    RolledBackError."""
    for what in stale(store.state, store.slot_content, store.log.frontier.size):
        raise RolledBackError(what, where="ledger.sqlite3", cure="reader verify shows more")


def stale(state: LedgerState, content: slot.SlotContent | None, size: int) -> list[str]:
    """A line for each sign that the state is older than a log of `size` records, or than its slot."""
    if not state.with_every_head:
        return ["the state was written when the log was longer"] if state.size > size else []
    found = []
    if state.size != size:
        found.append(f"the state record was written at {state.size} records, but the log has {size}")
    if content is not None and content.anchor_us not in {state.anchored_us, state.cursor(ANCHORING)}:
        older = "slot" if content.anchor_us < state.anchored_us else "state record"
        found.append(f"the {older} is older than the other: one of them is an old copy")
    return found


def check_anchor(store: UnitStore) -> None:
    """Check that the slot's anchor and the newest co-signed checkpoint are in this log. Raises
    RolledBackError."""
    anchors = [("the slot", store.slot_content.anchor_size, store.slot_content.anchor_root)]
    newest = "SELECT note FROM anchors ORDER BY size DESC LIMIT 1"  # it contains the older ones
    for (note,) in store.db.execute(newest).fetchall():
        head = checkpoint.open_checkpoint(str(note), store.log.key_of_notes)
        anchors.append(("a co-signed checkpoint", head.size, head.root))
    for name, size, root in anchors:
        if size > store.log.frontier.size:
            raise RolledBackError(
                f"{name} anchors {size} records, but the log has {store.log.frontier.size}",
                where="ledger.sqlite3",
                cure="an older copy of the card, or one cut short; an enrolled unit resumes with reader run",
                leaf_index=store.log.frontier.size,
            )
        if not hmac.compare_digest(store.log.root_at(size), root):
            raise RolledBackError(f"{name} anchors another history of {size} records", where="ledger.sqlite3")
