"""Starting from a snapshot of the book equals starting from all records; a wrong snapshot is rejected."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from custody_twins import SteppedTime, add_reads
from flipped import flip

from hw.secure_slot import LoopbackSlot
from storage import book_snapshot, codec, envelope, leaf, store
from storage.epochs import LogFacts
from storage.home import Home
from storage.ledger import Ledger
from storage.log import LogReader
from storage.log_records import UploadReceipt
from storage.times import DAY_US
from storage.verify import verify_home


class Unit:
    """A unit that runs for days and is restarted."""

    def __init__(self, folder: Path) -> None:
        self.root, self.slot, self.time = folder / "home", LoopbackSlot(folder / "slot"), SteppedTime()
        self.home = Home(self.root)
        self.ledger = Ledger.create(self.root, self.slot, self.time, boot=self.time.boot)
        self.sent = 0

    def live(self, days: int) -> None:
        for _ in range(days):
            add_reads(self.ledger, self.time, 2)
            self.time.run(DAY_US)
            size = self.ledger.store.log.size()
            receipt = UploadReceipt(
                receipt=bytes(300), ranges=((self.sent, size - 2),), received_us=self.time.now().us
            )
            with self.ledger.store.adding():
                self.ledger.store.add_open(receipt)
            self.sent = size
            self.ledger.tend()

    def restart(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.root, self.slot, self.time, boot=self.time.boot)

    def kept(self) -> book_snapshot.BookSnapshot:
        found = book_snapshot.opened(self.home, self.ledger.public_key.public)
        assert found is not None
        return found


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unit:
    monkeypatch.setattr(book_snapshot, "EVERY", 6)
    return Unit(tmp_path)


def plain(book: LogFacts) -> dict[str, object]:
    facts = {one.name: getattr(book, one.name) for one in dataclasses.fields(book)}
    received = facts["received"]
    return facts | {"received": {name: getattr(received, name) for name in vars(received)}}


def both(unit: Unit) -> tuple[dict[str, object], dict[str, object]]:
    """The book from the snapshot, and from every record."""
    database, public = unit.ledger.store.db, unit.ledger.public_key.public
    reader = LogReader(database)
    return (
        plain(store.kept_book(unit.home, database, reader, public)[0]),
        plain(store.read_book(database, reader, public)),
    )


def test_the_book_by_the_snapshot_is_the_book_by_every_record(unit: Unit) -> None:
    """Also after purges, gaps between receipts, and restarts."""
    seen = set()
    for days in (4, 1, 4, 366, 2):
        if days > 300:
            unit.time.run(days * DAY_US)
            unit.ledger.tend()
        else:
            unit.live(days)
        unit.restart()
        if unit.home.book_snapshot.exists():
            seen.add(unit.kept().size)
            by_snapshot, by_records = both(unit)
            assert by_snapshot == by_records
    assert len(seen) >= 2
    assert any(one.purged_by is not None for one in unit.ledger.store.book.epochs.values())
    unit.ledger.close()
    report = verify_home(unit.home)
    assert report.ok, report.findings


def test_a_start_reads_the_records_since_the_snapshot_alone(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit.live(5)
    unit.restart()
    read: list[int] = []
    open_leaf = leaf.open_leaf

    def counted(data: bytes, public: Ed25519PublicKey) -> leaf.Leaf:
        made = open_leaf(data, public)
        read.append(made.sequence)
        return made

    monkeypatch.setattr(leaf, "open_leaf", counted)
    size = unit.kept().size
    unit.live(1)
    unit.restart()
    assert read
    assert min(read) >= size
    assert len(read) < 20
    unit.ledger.close()


def written(unit: Unit, kept: book_snapshot.BookSnapshot, key: Ed25519PrivateKey | None = None) -> bytes:
    body = codec.to_bytes(kept)
    if key is not None:
        return envelope.sign(body, key, context=book_snapshot.CONTEXT)
    return unit.ledger.store.log.sign_bytes(body, book_snapshot.CONTEXT)


def a_changed_bit(unit: Unit) -> tuple[bytes, str]:
    return flip(unit.home.book_snapshot.read_bytes()), "book.snapshot"


def nothing_in_it(_unit: Unit) -> tuple[bytes, str]:
    return b"", "book.snapshot"


def by_another_key(unit: Unit) -> tuple[bytes, str]:
    return written(unit, unit.kept(), Ed25519PrivateKey.generate()), "signed by another key"


def of_another_root(unit: Unit) -> tuple[bytes, str]:
    return written(unit, replace(unit.kept(), root=bytes(32))), "book.snapshot"


def of_more_records(unit: Unit) -> tuple[bytes, str]:
    return written(unit, replace(unit.kept(), size=unit.kept().size + 9999)), "records"


def with_receipts_cut_off(unit: Unit) -> tuple[bytes, str]:
    return written(unit, replace(unit.kept(), received=unit.kept().received[:-8])), "does not follow from"


def with_receipts_out_of_order(unit: Unit) -> tuple[bytes, str]:
    received = unit.kept().received
    return written(
        unit, replace(unit.kept(), received=received[24:48] + received[:24])
    ), "does not follow from"


@pytest.mark.parametrize(
    "forge",
    [
        a_changed_bit,
        nothing_in_it,
        by_another_key,
        of_another_root,
        of_more_records,
        with_receipts_cut_off,
        with_receipts_out_of_order,
    ],
    ids=lambda one: one.__name__,
)
def test_a_snapshot_that_does_not_hold_is_not_believed_and_is_named(
    unit: Unit, forge: Callable[[Unit], tuple[bytes, str]]
) -> None:
    unit.live(5)
    unit.restart()
    data, said = forge(unit)
    _, before = both(unit)
    unit.home.book_snapshot.write_bytes(data)
    by_snapshot, by_records = both(unit)
    assert by_snapshot == by_records == before
    unit.ledger.close()
    report = verify_home(unit.home)
    assert any(said in f"{one.where} {one.what}" for one in report.findings), report.findings


def test_a_snapshot_that_the_stolen_log_key_signed_is_named(unit: Unit) -> None:
    """It claims that the department has a read, so that the unit would destroy it early."""
    unit.live(5)
    unit.restart()
    kept = unit.kept()
    book = book_snapshot.to_book(kept)
    book.received.add(0, kept.size - 1, 1)
    data = written(unit, book_snapshot.of_book(book, kept.size, kept.root))
    unit.home.book_snapshot.write_bytes(data)
    unit.ledger.close()
    (finding,) = verify_home(unit.home).findings
    assert (finding.where, finding.what) == ("book.snapshot", "does not follow from the records before it")


def test_a_snapshot_of_a_log_without_a_purge_under_way_says_so() -> None:
    kept = book_snapshot.of_book(LogFacts(), 1, bytes(32))
    assert (kept.pending, kept.pending_at, kept.received) == (None, -1, b"")
    assert plain(book_snapshot.to_book(kept)) == plain(LogFacts())
