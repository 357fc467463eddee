"""The key of the department's lists is gone: it is named, no other is made, and units sync."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from list_twins import VERSIONS, Unit, push
from sqlalchemy import select
from sync_twins import converse

from storage.errors import StorageError
from sync.department.server.server import Department, _renew_documents
from sync.department.server.verify import Checker
from sync.department.store.tables import documents
from sync.department.units import list_seal
from sync.department.units.hot_lists import held_list, listed
from sync.department.units.list_seal import KEY_FILE, list_key_of, unsealing
from sync.department.units.outgoing_list import OutgoingList
from sync.errors import LinkError
from sync.hot_lists.document import LOCAL
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.held import lists_folder


def test_only_the_first_list_makes_the_key(department: Department) -> None:
    with pytest.raises(StorageError, match=r"hotlists\.key: is gone"):
        list_key_of(department.home)
    assert not (department.home.path / KEY_FILE).exists()
    push(department, VERSIONS[0])
    assert list_key_of(department.home) == list_key_of(department.home, first=True)


@pytest.mark.parametrize("cut", [False, True])
def test_a_lost_key_is_named_with_its_cure_and_no_other_one_is_made(
    department: Department, cut: bool
) -> None:
    push(department, VERSIONS[0])
    path = department.home.path / KEY_FILE
    path.write_bytes(b"half") if cut else path.unlink()
    stored = unsealing(department.home)
    with department.store.read() as connection:
        rows = connection.execute(select(documents.c.name, documents.c.message)).all()
    sealed = next((name, bytes(message)) for name, message in rows if name.startswith("hot-list-part/"))
    with contextlib.suppress(StorageError):
        _renew_documents(department)
    for work in (
        lambda: listed(department.home),
        lambda: held_list(department.home, "doj"),
        lambda: push(department, VERSIONS[1]),
        lambda: stored(*sealed),
    ):
        with pytest.raises(StorageError, match=r"hotlists\.key.*restore it from the backup.*move .*hotlists"):
            work()
    assert path.exists() is cut


def test_entries_that_wait_are_not_called_damaged_where_the_key_is_gone(department: Department) -> None:
    waiting = OutgoingList(department.home, LOCAL)
    with waiting.turn():
        waiting.keep([ListEntry(plate="7ABC001", category="stolen-vehicle", state="US-CA")], 3)
    (department.home.path / KEY_FILE).unlink()
    with pytest.raises(StorageError, match=r"hotlists\.key: is gone"):
        waiting.kept()
    assert [one.suffix for one in lists_folder(department.home.path).iterdir()].count(".damaged") == 0


def test_a_unit_syncs_without_the_list_and_takes_it_once_it_was_sent_again(
    department: Department, tmp_path: Path
) -> None:
    push(department, VERSIONS[0])
    key = department.home.path / KEY_FILE
    key.rename(tmp_path / "key")
    unit = Unit(tmp_path / "unit", department)
    with pytest.raises(LinkError, match="try later"):
        converse(unit.joined, department)
    progress = converse(unit.joined, department)
    assert progress.done
    assert unit.version == 0

    lists = lists_folder(department.home.path)
    lists.rename(tmp_path / "lost")  # the cure that the error names
    push(department, VERSIONS[1])
    converse(unit.joined, department)
    unit.held.refresh()
    assert unit.holds == VERSIONS[1]
    unit.close()


def test_verify_names_a_list_that_does_not_open_by_its_key(department: Department) -> None:
    push(department, VERSIONS[0])
    (department.home.path / KEY_FILE).unlink()
    public = department.home.log_key().public_key()
    signed = unsealing(department.home)
    report = Checker(department.store, department.keys, department.packs, public, signed).run(content=False)
    assert report.problems == []
    assert not (department.home.path / KEY_FILE).exists()


def test_the_daily_run_continues_where_a_list_cannot_be_sealed(department: Department) -> None:
    push(department, VERSIONS[0])
    signed = unsealing(department.home)
    with department.store.write() as connection:
        for name, stored in connection.execute(select(documents.c.name, documents.c.message)).all():
            connection.execute(
                documents.update().where(documents.c.name == name).values(message=signed(name, bytes(stored)))
            )
    (department.home.path / KEY_FILE).unlink()
    with pytest.raises(StorageError, match="is gone"):
        list_seal.seal_stored(department.home, department.store)
    _renew_documents(department)  # purge and renewal come after it
