"""Keys of holds that ended or came to nothing are destroyed, and again if an older copy brings them back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from desk_root import Root
from desk_twins import HOLD, Department
from structlog.testing import capture_logs

from storage.times import DAY_US, HOUR_US
from sync.department.content import key_server
from sync.department.content.key_messages import read_arguments
from sync.department.content.key_remote import RemoteDoor, RemoteKeyService
from sync.department.desk.context import DeskContext
from sync.department.desk.holds.calls import AskReleaseForm, ReleaseForm, finish
from sync.department.journal.hold_entries import HoldPlaced, HoldReleased
from sync.department.journal.inquiry_entries import Access
from sync.department.policy.refusals import DeskRefusal
from sync.errors import KeyServiceError, OlderKeyServiceError

AGAIN = "released_key_destroyed_again"


@pytest.fixture(params=["here", "elsewhere"])
def home(
    request: pytest.FixtureRequest,
    department: Department,
    elsewhere: tuple[RemoteKeyService, DeskContext, str],
) -> Department:
    """A department with its keys in the server's process, or behind a key service on another machine."""
    if request.param == "elsewhere":
        department.front = elsewhere[1]
    return department


def key_of(department: Department, access: int) -> Path:
    return department.home.keys / "hold" / f"{department.desk.log.log_id.hex()[:16]}-{access}.key"


def held(department: Department, number: int) -> tuple[int, int]:
    """Place a hold on one read. Returns its number, and the access that its key is named for."""
    hold = department.held(department.logon("super"), department.reads[number : number + 1])
    note = department.desk.log.entry(hold).note
    assert isinstance(note, HoldPlaced)
    return hold, note.access


def release(department: Department, hold: int) -> None:
    asks = AskReleaseForm(hold=hold, reason="it was placed on another car")
    department.call("hold/ask-release", department.logon("super"), asks)
    department.call("hold/release", department.logon("chief"), ReleaseForm(hold=hold))


def cut_off(department: Department, monkeypatch: pytest.MonkeyPatch, *, keeps: bool) -> int:
    """Begin a hold that ends before its entry; `keeps`: with its content on the disk. Returns its access."""
    found = department.searched(department.logon("super"), department.reads[:1])

    def stop(*_asked: object) -> None:
        raise OSError("no room")

    form, token = replace(HOLD, reads=department.reads[:1], accesses=found), department.logon("super")
    with monkeypatch.context() as patch:
        if keeps:
            patch.setattr(department.desk, "follow_up", stop)
        else:
            patch.setattr(department.front.vault, "keep", stop)
        with pytest.raises(OSError, match="no room"):
            department.call("hold/place", token, form)
    access = [one.sequence for one in department.desk.log.entries(kinds=(Access.KIND,))][-1]
    assert key_of(department, access).exists()
    assert (access in department.front.vault.kept()) is keeps
    return access


def wait(department: Department, days: int) -> None:
    """Let days pass, with an entry at their end that the witness sees."""
    department.clock.step(days * DAY_US)
    department.logon("chief")
    department.desk.try_cover(department.desk.log.size() - 1)


@pytest.mark.parametrize("with_marks", [True, False])
@pytest.mark.parametrize("days", [0, 200])
def test_the_key_of_a_released_hold_that_an_older_copy_brought_back_is_destroyed_again(
    home: Department, days: int, with_marks: bool
) -> None:
    """Also long after; the key of a hold that stands, and what else lies there, stays."""
    (first, access), (_, other) = held(home, 0), held(home, 1)
    paths = key_of(home, access), key_of(home, other)
    copies = [path.read_bytes() for path in paths]
    release(home, first)
    assert not paths[0].exists()
    wait(home, days)
    strange = paths[0].with_name("ffffffffffffffff-3.key")
    for path, data in zip((*paths, strange), (*copies, bytes(32)), strict=True):
        path.write_bytes(data)
    if not with_marks:
        paths[0].with_suffix(".gone").unlink()
    for named in ([first], []):
        with capture_logs() as events:
            finish(home.front)
        assert [one["hold"] for one in events if one["event"] == AGAIN] == named
        assert [path.exists() for path in (*paths, strange)] == [False, True, True]
    assert paths[1].read_bytes() == copies[1]


def test_a_key_that_cannot_be_destroyed_does_not_keep_the_others(home: Department) -> None:
    holds = [held(home, number) for number in range(3)]
    for hold, access in holds:
        release(home, hold)
        path = key_of(home, access)
        path.mkdir() if access == holds[0][1] else path.write_bytes(bytes(32))
    with pytest.raises(KeyServiceError, match="cannot be destroyed: Is a directory") as refused:
        finish(home.front)
    assert key_of(home, holds[0][1]).name in refused.value.what
    assert [key_of(home, access).exists() for _, access in holds] == [True, False, False]
    key_of(home, holds[0][1]).rmdir()
    finish(home.front)


def test_a_forged_second_release_does_not_keep_the_key(home: Department) -> None:
    hold, access = held(home, 0)
    copy = key_of(home, access).read_bytes()
    release(home, hold)
    root = Root(home)
    root.write(HoldReleased(hold=hold, access=access, evidence_item="", asked_by="x"), root.stamp("chief"))
    key_of(home, access).write_bytes(copy)
    finish(home.front)
    assert not key_of(home, access).exists()


@pytest.mark.parametrize("keeps", [True, False])
def test_the_key_of_a_hold_that_was_cut_off_before_its_entry_is_destroyed_a_day_later(
    home: Department, monkeypatch: pytest.MonkeyPatch, keeps: bool
) -> None:
    access = cut_off(home, monkeypatch, keeps=keeps)
    _, other = held(home, 1)
    copy = key_of(home, access).read_bytes()
    finish(home.front)
    with pytest.raises(DeskRefusal, match="not a day old"):
        home.front.door.abandon(home.desk.covered(access))
    home.clock.step(DAY_US + HOUR_US)
    with pytest.raises(DeskRefusal, match="did not come to nothing: its hold may still be placed"):
        home.front.door.abandon(home.desk.covered(access))  # by the log, no day has passed
    assert (key_of(home, access).exists(), access in home.front.vault.kept()) == (True, keeps)
    wait(home, 0)
    for _ in range(2):  # again: from an older copy
        finish(home.front)
        assert not key_of(home, access).exists()
        assert home.front.vault.kept() == [other]
        key_of(home, access).write_bytes(copy)
    finish(home.front)
    assert key_of(home, other).exists()


def test_no_other_entry_destroys_a_key_as_one_that_came_to_nothing(home: Department) -> None:
    hold, access = held(home, 0)
    search = home.searched(home.logon("super"), home.reads[1:2])[0]
    wait(home, 3)
    for entry, words in (
        (access, "a hold was placed under it"),
        (search, "does not allow: hold"),
        (hold, "another one"),
    ):
        with pytest.raises(DeskRefusal, match=words):
            home.front.door.abandon(home.desk.covered(entry))
    assert key_of(home, access).exists()


def test_a_hold_whose_entry_is_not_proven_keeps_its_key_after_a_restart_too(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root can spoil the proof of a person's hold, as by an entry of tomorrow before it."""
    access, root = cut_off(department, monkeypatch, keeps=True), Root(department)
    note = HoldPlaced(
        access=access, reads=department.reads[:1], ground=HOLD.hold_ground, authority="Court", number="26-1"
    )
    root.write(note, root.stamp("super"))
    wait(department, 3)
    for _ in range(2):
        with pytest.raises(DeskRefusal, match="a hold was placed under it"):
            department.front.door.abandon(department.desk.covered(access))
        with pytest.raises(DeskRefusal, match="a hold was placed under it"):
            finish(department.front)
        department.restart()
    assert (key_of(department, access).exists(), department.front.vault.kept()) == (True, [access])


def test_the_keys_of_many_holds_are_named_in_parts(
    department: Department,
    elsewhere: tuple[RemoteKeyService, DeskContext, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_server, "MOST_HOLDS", 2)
    for access in (7, 10, 9, 100, 8):
        key_of(department, access).write_bytes(bytes(32))
    key_of(department, 11).write_bytes(b"")  # from a power cut: holds no key
    assert elsewhere[1].door.held_keys() == [7, 8, 9, 10, 100]


@pytest.mark.parametrize("again", [(7, 8), (8, 9), (10, 9), (9, 9)])
def test_a_key_service_that_names_a_hold_again_is_refused(
    elsewhere: tuple[RemoteKeyService, DeskContext, str],
    monkeypatch: pytest.MonkeyPatch,
    again: tuple[int, int],
) -> None:
    """The question never ended, and its list grew without bound."""
    answers = [(7, 8), again, ()]
    monkeypatch.setattr(elsewhere[0]._wire, "ask", lambda *_asked: answers.pop(0))
    with pytest.raises(KeyServiceError, match="out of order"):
        RemoteDoor(elsewhere[0]._wire).held_keys()


def test_an_older_key_service_still_ends_holds_and_says_that_it_must_be_updated(
    department: Department,
    elsewhere: tuple[RemoteKeyService, DeskContext, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    department.front = elsewhere[1]
    hold, access = held(department, 0)
    with monkeypatch.context() as patch:
        patch.setattr(department.front.vault, "destroy", lambda _access: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            release(department, hold)
    assert department.front.vault.kept() == [access]
    monkeypatch.setattr(
        key_server, "read_arguments", lambda name, data: read_arguments(name.replace("held_keys", "-"), data)
    )
    with pytest.raises(OlderKeyServiceError, match="update the machine where keys serve runs"):
        finish(department.front)
    assert department.front.vault.kept() == []
