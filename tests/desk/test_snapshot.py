"""A snapshot equals the sum of the entries; an altered or foreign one, or one of another log, is ignored."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from desk_twins import GROUND, Department, open_department
from flipped import flip

from storage import envelope, sealing
from sync.department.desk import snapshot
from sync.department.desk.holds.calls import ExportForm
from sync.department.desk.inquiry.forms import AskForm, NothingForm, RunForm
from sync.department.desk.state import DeskState
from sync.department.journal.access_log import AccessLog
from sync.department.journal.credential_key import credential_key
from sync.department.journal.entries import STATE_KINDS, Entry, LogRead
from sync.department.journal.plain_state import MAX_BYTES, LazyEntries, as_plain, as_value
from sync.department.policy.roles import Role
from sync.department.server.folded_log import FoldedLog


def folded(log: AccessLog) -> DeskState:
    """The book made from all entries, from the first."""
    book = DeskState()
    for entry in log.entries(kinds=STATE_KINDS):
        book.apply(entry)
    book.seen = log.size()
    return book


def compared(log: AccessLog) -> list[str]:
    """What `department verify` says about the snapshot."""
    kept = snapshot.read(log)
    assert kept is not None
    content = snapshot.to_bytes(kept)
    check = FoldedLog((), (kept.seen, lambda book: snapshot.to_bytes(book) != content))
    for entry in log.entries():
        check.judge(entry)
    check.end()
    return check.problems


def busy(department: Department) -> None:
    """A department with requests, searches, a hold with an unfinished export and a new person, so that many
    parts of the book have content.
    """
    officer, dispatcher = department.logon("officer1"), department.logon("comm1")
    for _ in range(3):
        department.call("inquiry/request", officer, AskForm(query=department.plate("8XYZ123"), ground=GROUND))
    department.call("inquiry/run", dispatcher, RunForm(query=department.plate("8XYZ123"), ground=GROUND))
    department.add_person(department.logon("chief"), "officer2", (Role.OFFICER,))
    supervisor = department.logon("super")
    hold = department.held(supervisor)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(department.front.vault, "whole", _full)
        with pytest.raises(OSError, match="full"):
            department.call("hold/export", supervisor, ExportForm(hold=hold, medium="USB 1", ground=GROUND))


def _full(*_asked: object) -> None:
    raise OSError("the disk is full")


@pytest.mark.one_python
def test_a_snapshot_is_what_the_entries_add_up_to(department: Department) -> None:
    busy(department)
    log, book = department.desk.log, folded(department.desk.log)
    with department.desk.looking() as live:  # a restart does not change what the desk knows
        assert snapshot.to_bytes(book) == snapshot.to_bytes(live)
    assert len(snapshot.to_bytes(book)) > 10_000
    snapshot.write(log, book)
    kept = snapshot.read(log)
    assert kept is not None
    assert snapshot.to_bytes(kept) == snapshot.to_bytes(book)
    assert kept.root == book.root
    assert kept.policy == book.policy
    asked = book.queue.open_requests()
    assert all(one.signed for one in asked)  # the desk needs it for a proposal's form and to draw a sample
    assert kept.queue.open_requests() == asked
    assert kept.roster.accounts == book.roster.accounts
    assert dict(kept.grants.issued.items()) == book.grants.issued
    assert compared(log) == []
    assert snapshot.to_bytes(kept) == snapshot.to_bytes(book)  # after lazy reads


AS_A_DICTIONARY: dict[str, Callable[[dict[Any, Any]], object]] = {
    "list": list,
    "reversed": lambda one: list(reversed(one)),
    "keys reversed": lambda one: list(reversed(one.keys())),
    "values": lambda one: list(one.values()),
    "values reversed": lambda one: list(reversed(one.values())),
    "items": lambda one: list(one.items()),
    "items reversed": lambda one: list(reversed(one.items())),
    "dict": dict,
    "unpacked": lambda one: {**one},
    "copy": lambda one: one.copy(),
    "equal": lambda one: (one == dict(one), one != {}),
    "or": lambda one: one | {"new": 1},
    "or from the right": lambda one: {"new": 1} | one,
    "get": lambda one: (one.get(min(one)), one.get("absent"), one.get("absent", 7)),
    "setdefault": lambda one: (one.setdefault(min(one), 7), one.setdefault(-1, 7)),
    "pop": lambda one: (one.pop(min(one)), one.pop("absent", 7), list(one.values())),
    "popitem": lambda one: (one.popitem(), list(one.values())),
    "update": lambda one: (one.update({min(one): 7}), list(one.values())),
    "held": lambda one: (min(one) in one, "absent" in one, len(one)),
}


@pytest.mark.parametrize("use", AS_A_DICTIONARY.values(), ids=AS_A_DICTIONARY)
def test_entries_that_are_read_late_are_a_dictionary_in_every_use(
    department: Department, use: Callable[[dict[Any, Any]], object]
) -> None:
    """A desk opened from its snapshot once failed wherever it read entries from the newest backwards."""
    entries = {one.sequence: one for one in department.desk.log.entries(0, 5)}
    kept = as_value(dict[int, Entry], as_plain(dict[int, Entry], entries))
    assert type(kept) is LazyEntries
    assert use(kept) == use(dict(entries))  # type: ignore[arg-type]  # it is one in all but its class


def test_a_desk_continues_from_its_snapshot(department: Department, monkeypatch: pytest.MonkeyPatch) -> None:
    busy(department)
    monkeypatch.setattr(snapshot, "EVERY", 5)
    department.desk.refresh()
    assert (department.desk.log.folder / snapshot.FILE).stat().st_mode & 0o777 == 0o600
    busy_size = department.desk.log.size()
    department.front.close()
    read = list[int]()
    entries = AccessLog.entries

    def counted(self: AccessLog, start: int = 0, *more: object) -> object:
        read.append(start)
        return entries(self, start, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(AccessLog, "entries", counted)
    again = open_department(department.home.path.parent, department.clock, department.secrets)
    assert all(start >= busy_size - 1 for start in read)
    monkeypatch.setattr(AccessLog, "entries", entries)
    assert snapshot.to_bytes(again.desk.book) == snapshot.to_bytes(folded(again.desk.log))
    rows = again.call("inquiry/queue", again.logon("comm1"), NothingForm())
    assert isinstance(rows, tuple)
    assert len(rows) == 3
    department.front = again.front


def test_no_command_reads_more_than_a_few_entries_again(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "EVERY", 5)
    log, token = department.desk.log, department.logon("officer1")
    with log.writing():  # a log of which a tenth is a lot
        for _ in range(200):
            log.append(LogRead(elements="queue", count=0), log.entry(log.size() - 1).stamp)
    for _ in range(8):
        department.call("inquiry/requests", token, NothingForm())
        department.call("inquiry/request", token, AskForm(query=department.plate("8XYZ123"), ground=GROUND))
        kept = snapshot.read(log)
        assert kept is not None
        assert log.size() - kept.seen <= 5 + 1


def written(department: Department) -> tuple[AccessLog, Path, bytes, list[object]]:
    """The (log, file, key, content) of a snapshot that was just written."""
    log = department.desk.log
    snapshot.write(log, folded(log))
    path, key = log.folder / snapshot.FILE, credential_key(log)
    content = sealing.unwrap(key, log.log_id, 0, snapshot.ELEMENT, path.read_bytes())
    return log, path, key, envelope.decode(content, limit=MAX_BYTES)


@pytest.mark.parametrize(
    "bend",
    [
        pytest.param(lambda value: [b"\0" * 32, *value[1:]], id="another form"),
        pytest.param(lambda value: [value[0], value[1] - 1, *value[2:]], id="another size"),
        pytest.param(lambda value: [*value[:3], b"\xa0"], id="an empty book"),
        pytest.param(lambda value: value[:3], id="cut off"),
        pytest.param(lambda value: [*value[:2], value[2].replace("\n", "\n\n"), value[3]], id="a torn head"),
        pytest.param(lambda value: {"no": "list"}, id="no list"),
    ],
)
def test_a_snapshot_that_is_bent_is_ignored(department: Department, bend: object) -> None:
    log, path, key, value = written(department)
    assert snapshot.read(log) is not None
    content = envelope.encode(bend(value))  # type: ignore[operator]
    path.write_bytes(sealing.wrap(key, log.log_id, 0, snapshot.ELEMENT, content))
    assert snapshot.read(log) is None


def test_a_snapshot_of_other_entries_or_another_key_is_ignored(department: Department) -> None:
    log, path, _, _ = written(department)
    data = path.read_bytes()
    for other in (b"", data[:-1], flip(data, 0)):
        path.write_bytes(other)
        assert snapshot.read(log) is None
    path.write_bytes(data)
    department.logon("comm1")
    assert snapshot.read(log) is not None  # the log has grown, and this is still its past
    before = log.folder.parent / "before"
    log.checkpoint()
    shutil.copytree(log.folder, before)
    busy(department)
    snapshot.write(log, folded(log))
    shutil.copy(path, before / snapshot.FILE)
    shorter = AccessLog(before, log._key)
    assert snapshot.read(shorter) is None  # the log is shorter than the snapshot
    shorter.close()


def test_a_planted_account_in_a_snapshot_is_found(department: Department) -> None:
    """Root seals its own book: the desk would believe it, but `verify` does not."""
    log, book = department.desk.log, folded(department.desk.log)
    account = replace(book.roster.accounts["comm1"], user="planted")
    book.roster.accounts["planted"] = account
    snapshot.write(log, book)
    assert compared(log) == ["the desk's snapshot differs from the log: remove desk/book.snapshot"]
