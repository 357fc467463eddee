"""Lists from a department to its units: a snapshot once, then deltas; a foreign list changes nothing."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from flipped import flip
from receiver_twins import Joined
from sqlalchemy import select
from sync_twins import converse

from storage import codec
from storage.times import HOUR_US, now_us
from sync.department.server.server import Department
from sync.department.store.tables import documents
from sync.department.units import hot_lists
from sync.department.units.documents import out, send, sign_document, version_out
from sync.department.units.hot_lists import Offer, Published, held_list, listed, publish_list
from sync.documents import Carried, inbox_file
from sync.errors import InvalidInputError
from sync.hot_lists import document
from sync.hot_lists.document import ListHead, head_name
from sync.hot_lists.entry import ListEntry, key_of
from sync.hot_lists.held import MUTED, HeldLists, ListChange, MutedSources, lists_folder
from sync.rollover import registration, roll_over
from sync.uplink import SyncProgress


class Listening(Joined):
    """An enrolled unit with its lists."""

    def __init__(self, path: Path, department: Department) -> None:
        super().__init__(path, department, path.name)
        self.department = department
        self.held = self.open_lists()

    def open_lists(self) -> HeldLists:
        return HeldLists(
            self.folder.path.parent, self.folder.inbox, self.ledger.hot_list_key(), self.folder.member
        )

    def sync(self) -> tuple[SyncProgress, list[ListChange]]:
        progress = converse(self, self.department)
        return progress, self.held.refresh()

    def holds(self, plate: str) -> bool:
        return any(list(one.under(key_of(plate))) for one in self.held.lists)


@pytest.fixture
def unit(tmp_path: Path, department: Department) -> Iterator[Listening]:
    made = Listening(tmp_path / "unit", department)
    yield made
    made.held.close()
    made.close()


def plates(*numbers: int) -> list[ListEntry]:
    return [
        ListEntry(plate=f"7ABC{number:03}", category="stolen-vehicle", state="US-CA") for number in numbers
    ]


def push(department: Department, entries: list[ListEntry], **changes: object) -> Published:
    offer = Offer(
        list_id="doj", issuer="DOJ", source="SVS", agency="", extracted_us=now_us() - HOUR_US, hours=24
    )
    changed = replace(offer, **changes)  # type: ignore[arg-type]
    return publish_list(department.home, department.store, changed, entries, now_us())


def test_a_list_reaches_a_unit_as_a_snapshot_and_then_as_deltas(
    department: Department, unit: Listening
) -> None:
    first = push(department, plates(*range(300)))
    assert first.as_snapshot
    progress, changes = unit.sync()
    assert set(progress.documents) >= {"hot-list/doj", "hot-list-part/doj.0"}
    assert [(one.what, one.sequence, one.count) for one in changes] == [("updated", 1, 300)]
    assert unit.holds("7ABC007")
    second = push(department, plates(*range(1, 301)))
    assert (second.as_snapshot, second.removed, second.added) == (False, 1, 1)
    progress, changes = unit.sync()
    assert set(progress.documents) == {"hot-list/doj", "hot-list-delta/doj.2"}
    assert [(one.what, one.sequence) for one in changes] == [("updated", 2)]
    assert unit.holds("7ABC300")
    assert not unit.holds("7ABC000")


@pytest.mark.parametrize("stopped", ["write_list", "send"])
def test_a_version_is_out_and_kept_or_neither(
    department: Department, monkeypatch: pytest.MonkeyPatch, stopped: str
) -> None:
    push(department, plates(1))

    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(hot_lists, stopped, full)
        with pytest.raises(OSError, match="no room"):
            push(department, plates(1, 2))
    with department.store.read() as connection:
        offered = version_out(connection, head_name("doj"))
    assert [one.sequence for one in listed(department.home)] == [1]
    assert sorted(one.name for one in lists_folder(department.home.path).iterdir()) == ["doj.list"]
    push(department, plates(1, 2))
    with department.store.read() as connection:
        assert version_out(connection, head_name("doj")) == offered + 1


def test_a_unit_that_missed_three_versions_catches_up(department: Department, unit: Listening) -> None:
    push(department, plates(*range(300)))
    unit.sync()
    for number in range(300, 303):
        push(department, plates(*range(number + 1)))
    progress, changes = unit.sync()
    assert not any(name.startswith("hot-list-part") for name in progress.documents)
    assert [(one.what, one.sequence, one.count) for one in changes] == [("updated", 4, 303)]


@pytest.mark.one_python
def test_a_unit_that_missed_more_than_the_deltas_asks_for_the_snapshot(
    department: Department, unit: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "DELTAS", 4)
    monkeypatch.setattr("sync.department.units.hot_lists.DELTAS", 4)
    push(department, plates(*range(300)))
    unit.sync()
    for number in range(300, 308):
        push(department, plates(*range(number + 1)))
    progress, changes = unit.sync()
    assert not any(name.startswith("hot-list-part") for name in progress.documents)
    assert [one.what for one in changes] == ["waits"]
    assert unit.holds("7ABC007")  # the old version goes on matching until it expires
    _, changes = unit.sync()
    assert [(one.what, one.sequence, one.count) for one in changes] == [("updated", 9, 308)]
    assert unit.holds("7ABC307")


def test_a_unit_that_joins_later_gets_the_snapshot_and_what_followed(
    department: Department, tmp_path: Path
) -> None:
    push(department, plates(*range(300)))
    push(department, plates(*range(301)))
    late = Listening(tmp_path / "late", department)
    _, changes = late.sync()
    assert [(one.what, one.sequence, one.count) for one in changes] == [("updated", 2, 301)]
    late.held.close()
    late.close()


@pytest.mark.thorough
def test_lists_outlive_a_restart_and_nothing_of_them_is_in_clear(
    department: Department, unit: Listening
) -> None:
    push(department, plates(*range(300)))
    unit.sync()
    unit.held.close()
    for path in [*lists_folder(unit.folder.path.parent).iterdir(), *unit.folder.inbox.iterdir()]:
        if path.name.startswith("hot-list") or path.suffix == ".list":
            assert b"7ABC" not in path.read_bytes()
    assert b"7ABC" not in (department.home.path / "hotlists" / "doj.list").read_bytes()
    assert b"7ABC007" not in unit.ledger.store.home.database.read_bytes()
    unit.held = unit.open_lists()
    assert unit.holds("7ABC007")


def signed(department: Department, head: ListHead, *, version: int) -> bytes:
    name = head_name(head.list_id)
    carried = Carried(
        name=name, version=version, unit_id="", issued_us=1, expires_us=None, body=codec.to_bytes(head)
    )
    from sync.department.ground.home import load_ed25519

    return sign_document(name, codec.to_bytes(carried), load_ed25519(department.home.path / "command.key"))


BAD_HEADS = [
    pytest.param({"organization": "Another PD"}, "refused", "another department", id="another department"),
    pytest.param({"digest": bytes(32)}, "waits", "", id="a digest that nothing leads to"),
    pytest.param({"count": 7}, "waits", "", id="another count"),
    pytest.param({"sequence": 3, "snapshot": 3}, "waits", "", id="a snapshot that is not there"),
]


@pytest.mark.parametrize(("changes", "what", "why"), BAD_HEADS)
def test_a_head_that_does_not_hold_changes_nothing(
    department: Department, unit: Listening, changes: dict[str, object], what: str, why: str
) -> None:
    first = push(department, plates(*range(300)))
    unit.sync()
    head = replace(first.head, **({"sequence": 2} | changes))  # type: ignore[arg-type]
    unit.outbox.take_document("hot-list/doj", signed(department, head, version=1 << 33))
    (change,) = unit.held.refresh()
    assert (change.what, why in change.why) == (what, True)
    assert [one.head.sequence for one in unit.held.lists] == [1]
    assert unit.holds("7ABC007")


def test_an_older_head_is_refused_and_a_lower_sequence_ignored(
    department: Department, unit: Listening
) -> None:
    first = push(department, plates(*range(300)))
    push(department, plates(*range(200)))
    unit.sync()
    with department.store.read() as connection:
        _, newest = out(connection, "hot-list/doj")
    from storage.errors import OutdatedError

    with pytest.raises(OutdatedError):
        unit.outbox.take_document("hot-list/doj", newest)
    unit.outbox.take_document("hot-list/doj", signed(department, first.head, version=1 << 33))
    assert unit.held.refresh() == []
    assert [one.head.sequence for one in unit.held.lists] == [2]


def test_a_damaged_list_or_inbox_is_asked_for_again(department: Department, unit: Listening) -> None:
    push(department, plates(*range(300)))
    unit.sync()
    unit.held.close()
    path = lists_folder(unit.folder.path.parent) / "doj.list"
    path.write_bytes(b"damaged")
    (unit.folder.inbox / inbox_file("hot-list-part/doj.0")).write_bytes(b"damaged")
    unit.held = unit.open_lists()
    assert unit.held.lists == ()
    assert [one.what for one in unit.held.refresh()] == ["missing"]
    push(department, plates(*range(600)))
    _, changes = unit.sync()
    assert [(one.what, one.count) for one in changes] == [("updated", 600)]


def test_the_first_sync_of_a_new_log_brings_the_lists_that_the_old_one_sealed(
    department: Department, unit: Listening
) -> None:
    push(department, plates(*range(300)))
    push(department, plates(*range(1, 301)))
    unit.sync()
    unit.held.close()
    unit.ledger.close()
    unit.ledger = roll_over(
        unit.home, unit.slot, unit.clock, unit.folder, previous=None, reason="its time is wrong"
    )
    vouched = registration(unit.outbox, unit.folder, unit.folder.unit_key(), previous=None, reason="time")
    department.enrollment.answer("new-log", vouched)
    assert list(unit.folder.inbox.glob("hot-list*")) == []
    assert converse(unit, department).done
    unit.held = unit.open_lists()
    assert [(one.what, one.count) for one in unit.held.refresh()] == [("updated", 300)]
    assert unit.holds("7ABC300")


def test_the_department_keeps_the_newest_version_and_bounds_what_is_out(department: Department) -> None:
    push(department, plates(*range(300)))
    push(department, plates(*range(301)))
    (head,) = listed(department.home)
    assert (head.sequence, head.count) == (2, 301)
    held = held_list(department.home, "doj")
    assert held is not None
    assert held.count == 301
    with department.store.read() as connection:
        named = select(documents.c.name).where(documents.c.name.like("hot-list%")).order_by(documents.c.name)
        offered = list(connection.scalars(named))
    assert offered == ["hot-list-delta/doj.2", "hot-list-part/doj.0", "hot-list/doj"]
    assert (department.home.path / "hotlists.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("hours", [0, 24 * 31 + 1])
def test_a_list_ends_within_a_month(department: Department, hours: int) -> None:
    with pytest.raises(InvalidInputError):
        push(department, plates(1), hours=hours)


def test_an_extract_from_the_future_is_refused(department: Department) -> None:
    with pytest.raises(InvalidInputError, match="future"):
        push(department, plates(1), extracted_us=now_us() + 2 * HOUR_US)


def test_a_list_that_the_unit_imported_itself_goes_once_it_has_a_department(
    unit: Listening, department: Department
) -> None:
    """One person at a unit made it; at a department a list takes two."""
    head = push(department, plates(1)).head
    own = replace(head, list_id="own")
    data = [ListEntry(plate="8XYZ123", category="stolen-vehicle").to_bytes()]
    unit.held.keep_own(own, data)
    unit.held.keep_own(replace(head, sequence=head.sequence + 5), data)  # under the name of the department's
    assert unit.holds("8XYZ123")
    unit.sync()
    assert not unit.holds("8XYZ123")
    assert unit.holds("7ABC001")
    assert [one.head.list_id for one in unit.held.lists] == ["doj"]
    unit.held.keep_own(own, data)
    again = unit.open_lists()  # a start, without a sync
    assert [one.head.list_id for one in again.lists] == ["doj"]
    again.close()


def test_muted_sources_reach_a_unit_and_a_forged_word_mutes_nothing(
    department: Department, unit: Listening
) -> None:
    assert unit.held.muted() == frozenset()
    body = codec.to_bytes(MutedSources(sources=("SVS",)))
    send(department.home, department.store, MUTED, body, now_us())
    unit.sync()
    assert unit.held.muted() == {"SVS"}
    path = unit.folder.inbox / inbox_file(MUTED)
    path.write_bytes(flip(path.read_bytes()))
    assert unit.held.muted() == frozenset()
