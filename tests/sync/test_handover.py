"""A closed log is handed over whole: every valid record, its keys, and an alarm until it is done."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flipped import flip
from receiver_twins import Joined
from sync_twins import bare_home, converse

from storage import codec, envelope, files
from storage.errors import LedgerError, NoHomeError
from storage.leaf import unchecked
from storage.times import DAY_US, now_us
from sync.department.server.closed_logs import examine_closed_log, outline
from sync.department.server.server import Department
from sync.documents import Carried, context_of, inbox_file
from sync.errors import InvalidInputError
from sync.handover import BadRecord, HandedRecord, closed_logs, open_handover
from sync.rollover import MOST_A_DAY, demand_no_copy, looked_at


def test_what_the_department_lacks_of_a_closed_log_is_in_its_folder_and_opens_there(
    unit: Joined, department: Department
) -> None:
    unit.add(2)
    converse(unit, department)
    held = unit.outbox.received_to()
    unsent = unit.add(3)
    leaves = unit.outbox.leaves(0, unit.outbox.size())
    folder = unit.close_log()
    before = sorted(folder.rglob("*"))
    with open_handover(folder) as handover:
        found = list(handover.records())
        assert [one.leaf for one in found if isinstance(one, HandedRecord)] == leaves
        assert all(isinstance(one, HandedRecord) and not one.lost for one in found)
        late = [one for one in handover.records(held) if one.sequence in unsent]
        assert [name for one in late if isinstance(one, HandedRecord) for name, _ in one.elements] == [
            "overview", "patch", "place", "text"
        ] * 3  # fmt: skip
        keys = {key.epoch for key in handover.keys}
        assert {unchecked(one.leaf).epoch for one in late if isinstance(one, HandedRecord)} <= keys
        assert handover.size == len(leaves)
    assert sorted(folder.rglob("*")) == before


def test_what_was_altered_is_handed_over_as_such(unit: Joined) -> None:
    first, second, third = unit.add(3)
    folder = unit.close_log()
    database = sqlite3.connect(folder / "store" / "ledger.sqlite3")
    with database:
        database.execute("UPDATE leaves SET leaf = zeroblob(99) WHERE sequence = ?", (first,))
        database.execute("UPDATE leaves SET leaf = (SELECT leaf FROM leaves WHERE sequence = ?) "
                         "WHERE sequence = ?", (third, second))  # fmt: skip
        database.execute("DELETE FROM elements WHERE sequence = ? AND name = 'text'", (third,))
    database.close()
    image = next(path for path in (folder / "store" / "blobs").rglob("*") if path.is_file())
    image.write_bytes(b"another")
    with open_handover(folder) as handover:
        found = {one.sequence: one for one in handover.records(first)}
    assert isinstance(found[first], BadRecord)
    assert isinstance(found[second], BadRecord)
    last = found[third]
    assert isinstance(last, HandedRecord)
    assert "text" in last.lost
    assert all(name not in last.lost for name, _ in last.elements)


def test_a_folder_without_keys_still_hands_over_its_records_and_one_without_a_ledger_nothing(
    unit: Joined, tmp_path: Path
) -> None:
    unit.add(1)
    folder = unit.close_log()
    (folder / "keys.cbor").unlink()
    with open_handover(folder) as handover:
        assert handover.keys == ()
        assert list(handover.records())
    with pytest.raises(NoHomeError), open_handover(tmp_path):
        raise AssertionError("a folder without a ledger was opened")


def test_a_folder_without_its_key_and_without_a_record_names_no_log(unit: Joined) -> None:
    unit.add(1)
    folder = unit.close_log()
    for key in folder.rglob("*.pub"):
        key.unlink()
    ledger = next(folder.rglob("ledger.sqlite3"))
    with sqlite3.connect(ledger) as connection:
        connection.execute("DELETE FROM leaves")
    connection.close()
    with (
        pytest.raises(LedgerError, match="names no log: neither its key nor a record can be read"),
        open_handover(folder),
    ):
        raise AssertionError("a folder that names no log was opened")


@pytest.mark.parametrize(("number", "found"), [(20_000, 1), (1 << 40, 0), (1 << 62, 0)])
def test_a_row_numbered_beyond_all_records_keeps_no_log_forever(
    unit: Joined, number: int, found: int
) -> None:
    unit.add(2)
    folder = unit.close_log()
    with open_handover(folder) as handover:
        whole = list(handover.records())
    with contextlib.closing(sqlite3.connect(folder / "store" / "ledger.sqlite3")) as database, database:
        database.execute(
            "INSERT INTO leaves SELECT ?, epoch, leaf, hash FROM leaves WHERE sequence = 1", (number,)
        )
    with open_handover(folder) as handover:
        records = list(handover.records())
    assert records[: len(whole)] == whole
    assert [one.sequence for one in records[len(whole) :]] == [number] * found


def test_a_record_whose_page_is_torn_is_handed_over_as_bad_and_its_neighbors_whole(
    unit: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit.add(3)
    folder = unit.close_log()
    with open_handover(folder) as handover:
        whole = list(handover.records())
        torn = whole[1].sequence

        class Torn:
            """The ledger's connection; a query that reads the damaged page fails as in SQLite."""

            def __init__(self, real: sqlite3.Connection) -> None:
                self.real = real

            def execute(self, sql: str, values: tuple[int, ...] = ()) -> sqlite3.Cursor:
                first, last = (values[0], values[-1]) if values else (0, 0)
                if "leaf FROM leaves" in sql and (
                    first == torn if len(values) == 1 else first <= torn < last
                ):
                    raise sqlite3.DatabaseError("database disk image is malformed")
                return self.real.execute(sql, values)

        monkeypatch.setattr(handover, "_db", Torn(handover._db))
        found = {one.sequence: one for one in handover.records()}
    assert found[torn] == BadRecord(torn, "its part of the ledger cannot be read")
    assert {number for number, one in found.items() if isinstance(one, BadRecord)} == {torn}
    assert len(found) == len(whole)


def test_the_department_sees_what_it_lacks_of_a_closed_log_and_what_contradicts(
    unit: Joined, department: Department, tmp_path: Path
) -> None:
    unit.add(2)
    converse(unit, department)
    held = unit.outbox.received_to()
    unsent = unit.add(3)
    size = unit.outbox.size()
    folder = unit.close_log()
    found = examine_closed_log(department.store, folder)
    assert (found.verified, found.bad, found.contradicting) == (size, 0, 0)
    assert found.lacking >= len(unsent)
    assert found.received >= held
    assert found.received + found.lacking == size
    database = sqlite3.connect(department.home.path / "store.db")
    with database:  # as if the department had received another record of that number, from a cloned card
        database.execute("UPDATE leaves SET leaf = zeroblob(99) WHERE sequence = ?", (held - 1,))
    database.close()
    assert examine_closed_log(department.store, folder).contradicting == 1
    with pytest.raises(InvalidInputError, match="holds no closed log"):
        examine_closed_log(department.store, tmp_path)


def test_the_department_checks_a_folder_that_lost_its_key_by_the_key_that_it_knows(
    unit: Joined, department: Department
) -> None:
    """Otherwise a record signed by another key would count as verified and stop the import of the others."""
    unit.add(2)
    converse(unit, department)
    unit.add(2)
    folder = unit.close_log()
    database = sqlite3.connect(folder / "store" / "ledger.sqlite3")
    with database:
        (last, data) = database.execute("SELECT sequence, leaf FROM leaves ORDER BY sequence DESC").fetchone()
        database.execute("UPDATE leaves SET leaf = ? WHERE sequence = ?", (flip(bytes(data), -2), last))
    database.close()
    size = examine_closed_log(department.store, folder).verified
    assert outline(department.store, folder)[1] == size
    (folder / "store" / "log.pub").unlink()
    found = examine_closed_log(department.store, folder)
    assert (found.verified, found.bad) == (size, 1)
    assert outline(department.store, folder)[1] == size


def test_a_log_of_no_unit_is_not_compared(department: Department, unit: Joined, tmp_path: Path) -> None:
    unit.add(1)
    folder = unit.close_log()
    store = Department(bare_home(tmp_path / "other"))
    try:
        with pytest.raises(InvalidInputError, match="log of no unit"):
            examine_closed_log(store.store, folder)
    finally:
        store.close()


def test_a_closed_log_is_undone_work_until_the_department_says_otherwise(
    unit: Joined, department: Department
) -> None:
    unit.add(2)
    converse(unit, department)
    assert closed_logs(unit.folder) == []
    unit.add(3, hit=True)
    folder = unit.close_log()
    [one] = closed_logs(unit.folder)
    assert (one.reads, one.folder) == (3, folder)
    name = f"handed-over/{folder.name}"
    body = Carried(name=name, version=1, unit_id="", issued_us=1, expires_us=None, body=b"")
    unit.folder.inbox.mkdir(exist_ok=True)
    for key, done in ((Ed25519PrivateKey.generate(), False), (command_key(unit), True)):
        message = envelope.sign(codec.to_bytes(body), key, context=context_of(name))
        files.replace(unit.folder.inbox / inbox_file(name), message)
        assert (closed_logs(unit.folder) == []) is done


def test_a_closed_log_that_can_be_read_again_is_counted_again(unit: Joined) -> None:
    unit.add(2)
    database = unit.close_log() / "store" / "ledger.sqlite3"
    away = database.rename(database.parent.parent / "away")
    assert [one.reads for one in closed_logs(unit.folder)] == [-1]
    away.rename(database)
    assert [one.reads for one in closed_logs(unit.folder)] == [2]


def command_key(unit: Joined) -> Ed25519PrivateKey:
    """Make this the department's key from now on."""
    key = Ed25519PrivateKey.generate()
    unit.folder.save_member(replace(unit.folder.member(), command_key=key.public_key().public_bytes_raw()))
    return key


def test_a_log_with_nothing_to_deliver_is_not_undone_work(unit: Joined, department: Department) -> None:
    unit.add(2)
    converse(unit, department)
    unit.close_log()
    assert closed_logs(unit.folder) == []


def test_an_unreadable_closed_log_counts_as_not_delivered(unit: Joined) -> None:
    folder = unit.close_log()
    (folder / "store" / "ledger.sqlite3").write_bytes(b"no database")
    assert [one.reads for one in closed_logs(unit.folder)] == [-1]


def test_two_living_clones_stop_closing_each_others_logs_until_a_person_looks(unit: Joined) -> None:
    for _ in range(MOST_A_DAY):
        demand_no_copy(unit.folder)
        unit.close_log()
    with pytest.raises(LedgerError, match="another device acts as this unit") as refused:
        demand_no_copy(unit.folder)
    assert "--new-log" in refused.value.cure
    demand_no_copy(unit.folder, at_us=now_us() + DAY_US)  # a day later
    looked_at(unit.folder)
    demand_no_copy(unit.folder)
