"""The department's own list under two simultaneous changes, and with a full disk after the log's entry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from desk_twins import Department
from waiting import until

from storage.errors import StorageError
from storage.hot_list_file import HotListFile
from storage.times import DAY_US
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.documents import local
from sync.department.desk.documents.local import LocalForm, WithdrawForm
from sync.department.ground.home import DepartmentHome
from sync.department.journal.change_entries import ListSent
from sync.department.policy.refusals import FormError
from sync.department.store.database import Store
from sync.department.units import hot_lists, list_seal
from sync.department.units.hot_lists import Offer, Published
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.held import lists_folder

Publish = Callable[[Offer, Iterable[ListEntry], int], Published]
FIRST = {"plate": "8AAA111", "case": "26-001111"}
SECOND = {"plate": "8BBB222", "case": "26-002222"}


def form_of(department: Department, *, plate: str = "7XKR219", case: str = "26-001042") -> LocalForm:
    return LocalForm(
        plate=plate,
        category="felony-vehicle",
        case=case,
        reason="robbery on Myrtle Avenue",
        until_us=department.clock.us + 14 * DAY_US,
    )


def approved(
    department: Department, form: LocalForm, asks: str = "super", second: str = "chief"
) -> LocalForm:
    """The form with its approval."""
    proposed: Any = department.call("hotlist/add", department.logon(asks), replace(form, propose=True))
    decision = DecideForm(proposal=proposed.proposal, granted=True, reason="known to me")
    department.call("change/approve", department.logon(second), decision)
    return replace(form, approval=proposed.proposal)


def plates(department: Department) -> list[str]:
    return sorted(one.plate for one in department.front.list_entries(local.LIST))


def entered(department: Department) -> int:
    """How many entries the list has according to the log."""
    notes = [one.note for one in department.desk.log.entries()]
    return next(note.entries for note in reversed(notes) if isinstance(note, ListSent))


def publishes(department: Department, publish: Publish) -> None:
    object.__setattr__(department.front, "publish_list", publish)


@pytest.mark.parametrize("other", ["adds", "withdraws"])
def test_two_changes_at_once_are_both_on_the_list(department: Department, other: str) -> None:
    department.call("hotlist/add", department.logon("super"), approved(department, form_of(department)))
    first = approved(department, form_of(department, **FIRST))
    second = approved(department, form_of(department, **SECOND), "chief", "super")
    supervisor, chief = department.logon("super"), department.logon("chief")
    real, begun, go_on = department.front.publish_list, threading.Event(), threading.Event()

    def slow(offer: Offer, entries: Iterable[ListEntry], at_us: int) -> Published:
        begun.set()
        assert go_on.wait(60)
        return real(offer, entries, at_us)

    publishes(department, slow)
    waits = threading.Event()
    turn = department.front.own_list.turn

    def watched() -> Any:
        waits.set()
        return turn()

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(department.call, "hotlist/add", supervisor, first)
        assert begun.wait(60)
        department.front.own_list.turn = watched  # type: ignore[method-assign]
        withdrawal = WithdrawForm(case="26-001042", reason="found")
        two = (
            pool.submit(department.call, "hotlist/add", chief, second)
            if other == "adds"
            else pool.submit(department.call, "hotlist/withdraw", chief, withdrawal)
        )
        until(waits.is_set)
        go_on.set()
        one.result()
        two.result()
    expected = ["7XKR219", "8AAA111", "8BBB222"] if other == "adds" else ["8AAA111"]
    assert plates(department) == expected
    assert entered(department) == len(expected)


@pytest.mark.parametrize("mended_by", ["the daily run", "the next entry", "a withdrawal"])
def test_a_list_that_was_entered_and_not_sent_goes_out_later(department: Department, mended_by: str) -> None:
    real = department.front.publish_list

    def full(offer: Offer, entries: Iterable[ListEntry], at_us: int) -> Published:
        raise StorageError("no room on the disk")

    form = approved(department, form_of(department, **FIRST))
    publishes(department, full)
    with pytest.raises(FormError) as refused:
        department.call("hotlist/add", department.logon("super"), form)
    assert "is sent with the next change or the daily run" in refused.value.cure
    assert (plates(department), entered(department)) == ([], 1)
    with pytest.raises(FormError):
        local.send_kept(department.front)
    publishes(department, real)
    if mended_by == "the daily run":
        local.send_kept(department.front)
        assert plates(department) == ["8AAA111"]
    elif mended_by == "the next entry":
        again = approved(department, form_of(department, **SECOND))
        department.call("hotlist/add", department.logon("super"), again)
        assert plates(department) == ["8AAA111", "8BBB222"]
    else:
        gone = WithdrawForm(case="26-001111", reason="found")
        department.call("hotlist/withdraw", department.logon("super"), gone)
        assert plates(department) == []
    assert entered(department) == len(plates(department))
    version = department.front.lists_out()[0].sequence
    local.send_kept(department.front)
    assert department.front.lists_out()[0].sequence == version, "it is sent once"


def test_what_was_kept_and_never_entered_is_not_sent(department: Department) -> None:
    department.call(
        "hotlist/add", department.logon("super"), approved(department, form_of(department, **FIRST))
    )
    held = department.front.list_entries(local.LIST)
    stranger = replace(held[0], plate="8CCC333")
    department.front.own_list.keep([*held, stranger], department.desk.log.size())
    local.send_kept(department.front)
    assert plates(department) == ["8AAA111"]
    assert department.front.own_list.kept() is None
    department.front.own_list.keep(held, department.desk.log.size())  # an earlier entry names it
    version = department.front.lists_out()[0].sequence
    local.send_kept(department.front)
    assert department.front.lists_out()[0].sequence == version


def test_without_room_for_the_new_list_nothing_is_entered(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, size = approved(department, form_of(department, **FIRST)), department.desk.log.size()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    token = department.logon("super")
    with monkeypatch.context() as patch:
        patch.setattr("sync.department.units.outgoing_list.write_list", full)
        with pytest.raises(FormError, match="cannot be written"):
            department.call("hotlist/add", token, form)
    assert not any(isinstance(one.note, ListSent) for one in department.desk.log.entries(size))
    department.call("hotlist/add", token, form)
    assert plates(department) == ["8AAA111"]


def test_a_damaged_copy_of_what_goes_out_stops_no_change(department: Department) -> None:
    form = approved(department, form_of(department, **FIRST))
    list_seal.list_key_of(department.home, first=True)
    path = department.home.path / "hotlists" / "local.next"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    local.send_kept(department.front)
    assert not path.exists()
    department.call("hotlist/add", department.logon("super"), form)
    assert plates(department) == ["8AAA111"]


def test_what_is_kept_shows_no_plate(department: Department) -> None:
    department.call(
        "hotlist/add", department.logon("super"), approved(department, form_of(department, **FIRST))
    )
    department.front.own_list.keep(department.front.list_entries(local.LIST), 5)
    (path,) = (department.home.path / "hotlists").glob("*.next")
    assert b"8AAA111" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    held = HotListFile(path, list_seal.list_key_of(department.home), local.LIST)
    assert held.facts == {"after": 5}
    held.close()


@pytest.mark.parametrize("went", ["out", "nowhere"])
def test_a_kill_while_a_list_goes_out_leaves_the_version_that_units_are_offered(
    department: Department, went: str
) -> None:
    """The kill leaves a file beside the list, before its head is offered or before it is renamed."""
    add(department, FIRST)
    folder = lists_folder(department.home.path)
    kept = (folder / "local.list").read_bytes()
    add(department, SECOND)
    newest = (folder / "local.list").read_bytes()
    (folder / "local.list").write_bytes(kept)
    (folder / "local.sending").write_bytes(newest if went == "out" else kept)
    (folder / "doj.list.partial").write_bytes(b"cut off")
    local.send_kept(department.front)
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") == ["local.list"]
    if went == "out":
        assert plates(department) == ["8AAA111", "8BBB222"]
        sequence = department.front.lists_out()[0].sequence
        (folder / "local.list").write_bytes(kept)
        (folder / "local.sending").write_bytes(newest)
        ended = WithdrawForm(case="26-001111", reason="found")
        department.call("hotlist/withdraw", department.logon("super"), ended)
        assert department.front.lists_out()[0].sequence == sequence + 1, (
            "no unit has another list of that number"
        )
        assert plates(department) == ["8BBB222"]
        assert not (folder / "local.sending").exists()


def test_another_list_that_cannot_be_finished_holds_no_own_entry_back(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(department, FIRST)
    folder = lists_folder(department.home.path)
    (folder / "doj.sending").write_bytes((folder / "local.list").read_bytes())
    real = hot_lists.finish_sending

    def broken(home: DepartmentHome, store: Store, list_id: str) -> None:
        if list_id == failing:
            raise OSError(5, "Input/output error")
        real(home, store, list_id)

    monkeypatch.setattr(hot_lists, "finish_sending", broken)
    failing = "doj"
    add(department, SECOND)
    local.send_kept(department.front)
    assert plates(department) == ["8AAA111", "8BBB222"]
    (folder / "local.sending").write_bytes((folder / "local.list").read_bytes())
    failing = "local"
    size = department.desk.log.size()
    ended = WithdrawForm(case="26-001111", reason="found")
    token = department.logon("super")
    with pytest.raises(FormError, match="cannot be read"):
        department.call("hotlist/withdraw", token, ended)
    assert not any(isinstance(one.note, ListSent) for one in department.desk.log.entries(size))


def add(department: Department, fields: dict[str, str]) -> None:
    department.call(
        "hotlist/add", department.logon("super"), approved(department, form_of(department, **fields))
    )
