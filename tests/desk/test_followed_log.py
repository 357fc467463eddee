"""The key service keeps enough of the log that it follows to judge after a restart, and no plate."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from desk_forms import forms
from desk_twins import GROUND, Department

from storage import envelope
from storage.checkpoint import NoteKey
from storage.codec import from_bytes, to_bytes
from storage.times import DAY_US
from sync import root_file
from sync.department.content import followed_log, proven_door
from sync.department.content.followed_log import DATABASE, FollowedLog, FollowError
from sync.department.content.followed_state import (
    WORDED_KINDS,
    Followed,
    Result,
    judge,
    result_of,
    take_result,
)
from sync.department.content.key_guard import GuardedKeys
from sync.department.content.key_service import LocalKeyService
from sync.department.content.opened_list import OpenedList
from sync.department.desk.audit.calls import PeriodForm
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.holds.calls import BookForm, ExportForm
from sync.department.desk.inquiry.forms import Answer, FileForm, RunForm
from sync.department.ground.home import load_ed25519
from sync.department.journal.access_log import origin_of
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.refusals import NotYetError
from sync.department.policy.roles import Role
from sync.department.server import daily, desk_keys
from sync.department.server.founding import OFFICES

PLATE = "8XYZ123"


def searched(department: Department, times: int) -> list[int]:
    """Make this many searches. Returns their access entries."""
    token, entries = department.logon("comm1"), []
    for _ in range(times):
        form = RunForm(query=department.plate(PLATE), ground=GROUND)
        answer = department.call("inquiry/run", token, form)
        assert isinstance(answer, Answer)
        entries.append(answer.access)
    return entries


def folder_of(department: Department) -> Path:
    return next(department.home.path.rglob(DATABASE)).parent


def opened_again(department: Department) -> FollowedLog:
    """The followed log as a newly started key service reads it."""
    log = department.desk.log
    return FollowedLog(folder_of(department), NoteKey(origin_of(log.log_id), log.public), log.log_id)


@pytest.mark.parametrize("every", [1, 3, 10_000])
def test_a_restart_judges_as_before_whatever_was_a_snapshot(
    department: Department, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    monkeypatch.setattr(followed_log, "SNAPSHOT_EVERY", every)
    entries = searched(department, 5)
    again = opened_again(department)
    try:
        assert again.head()[0] > max(entries)
        for entry in entries:
            again.demand_signed(entry, 0)
        with pytest.raises(UnsignedError, match="not followed"):
            again.demand_signed(again.head()[0], 0)
    finally:
        again.close()


def test_the_whole_state_of_a_long_log_is_kept_more_rarely() -> None:
    """It contains every access that is not filed; the cost of an entry must not grow with it."""
    sizes = (0, 40_000, 400_000)
    assert [followed_log.snapshot_after(one, more=False) for one in sizes] == [200, 200, 2000]
    assert followed_log.snapshot_after(400_000, more=True) == followed_log.CATCHING_UP


STEPS_OVER = "the log skips the root file that is here"
ROOTS: dict[str, tuple[dict[str, Any], str]] = {
    "the one of the log": ({}, ""),
    "another one of its version": ({"department": "Elsewhere PD"}, "the log has a different root file"),
    "one that the log steps over": ({}, STEPS_OVER),
}


def root_of(department: Department, version: int) -> bytes:
    """A root file with that version, signed by two offices."""
    keys = [load_ed25519(department.home.path / "root-keys" / f"{name}.key") for name in OFFICES[:2]]
    root = replace(department.desk.root, version=version)
    return root_file.assemble(root, [root_file.sign(root, key) for key in keys])


@pytest.mark.parametrize("case", ROOTS)
def test_the_root_file_put_by_hand_is_met_where_the_log_passes_it(
    department: Department, tmp_path: Path, case: str
) -> None:
    """Even if later root files follow in the same part, so that it ends with another version."""
    changes, words = ROOTS[case]
    desk, first = department.desk, department.desk.root
    roots = []
    for step in (1, 3, 4):
        desk.set_root(root_of(department, first.version + step), desk.policy_document)
        roots.append(desk.root)
    here = replace(roots[0], version=first.version + 2) if words == STEPS_OVER else roots[0]
    log = desk.log
    note_key = NoteKey(origin_of(log.log_id), log.public)
    followed = FollowedLog(tmp_path / "keys", note_key, log.log_id, replace(here, **changes))
    part = log.part(0, log.size())
    try:
        if not words:
            assert followed.follow(part, lambda _first, _last: {}) == log.size()
        else:
            with pytest.raises(FollowError, match=words):
                followed.follow(part, lambda _first, _last: {})
            assert followed.head()[0] == 0
    finally:
        followed.close()


@pytest.mark.parametrize("every", [1, 10_000])
def test_a_signature_that_was_used_before_the_restart_is_refused_after_it(
    department: Department, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    monkeypatch.setattr(followed_log, "SNAPSHOT_EVERY", every)
    log = department.desk.log
    entry = log.entry(searched(department, 1)[0])
    with log.writing():
        replayed = log.append(entry.note, entry.stamp, entry.signed).sequence
    again = opened_again(department)
    try:
        size = again.head()[0]
        assert size <= replayed
        again.follow(log.part(size, log.size()), lambda _first, _last: {})
        with pytest.raises(UnsignedError, match="used before"):
            again.demand_signed(replayed, 0)
    finally:
        again.close()
    again = opened_again(department)
    try:
        with pytest.raises(UnsignedError, match="used before"):
            again.demand_signed(replayed, 0)
    finally:
        again.close()


def test_no_plate_of_a_look_up_is_on_the_disk_of_the_keys(department: Department) -> None:
    searched(department, 3)
    kept = b"".join(path.read_bytes() for path in folder_of(department).iterdir() if path.is_file())
    assert b"comm1" in kept
    assert PLATE.encode() not in kept
    assert GROUND.justification.encode() not in kept


@pytest.mark.parametrize("missing", ["signed", "judged", "peaks"])
def test_a_state_of_another_version_is_followed_again_from_the_first_entry(
    department: Department, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(followed_log, "SNAPSHOT_EVERY", 1)
    entry = searched(department, 1)[0]
    with contextlib.closing(sqlite3.connect(folder_of(department) / DATABASE)) as database, database:
        (state,) = database.execute("SELECT state FROM followed").fetchone()
        plain = envelope.decode(state, limit=1 << 24)
        assert isinstance(plain, dict)
        del plain[missing]
        database.execute("UPDATE followed SET state = ?", (envelope.encode(plain),))
    again, log = opened_again(department), department.desk.log
    try:
        assert again.head()[0] == 0
        again.follow(log.part(0, log.size()), lambda _first, _last: {})
        again.demand_signed(entry, 0)
    finally:
        again.close()


def test_a_search_does_not_wait_for_a_long_log_and_the_daily_run_shows_it(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an update, the key service starts over, in parts, and says how far it is."""
    monkeypatch.setattr(proven_door, "PATIENCE_S", -1.0)
    monkeypatch.setattr(proven_door, "AT_ONCE", 20)
    with contextlib.closing(sqlite3.connect(folder_of(department) / DATABASE)) as database, database:
        database.executescript("DELETE FROM followed; DELETE FROM followed_since; DELETE FROM followed_to")
    token = department.logon("comm1")
    form = RunForm(query=department.plate(PLATE), ground=GROUND)
    with pytest.raises(NotYetError, match="the key service follows the log: 0 of") as refused:
        department.call("inquiry/run", token, form)
    assert refused.value.code == "following"
    size = department.desk.log.size()
    assert daily.show_log(department.front) == size
    assert daily.show_log(department.front) == 0
    monkeypatch.undo()
    answer = department.call("inquiry/run", token, form)
    assert isinstance(answer, Answer)
    assert answer.count == 3


def test_a_reader_beside_one_that_follows_sees_one_moment(department: Department) -> None:
    """With two processes in one folder, an old size with new peaks would not be a tree."""
    searched(department, 2)
    log = department.desk.log
    reader, writer = opened_again(department), opened_again(department)
    between: list[int] = []

    def follow_on(statement: str) -> None:
        """Let the other process advance after each of the reader's queries."""
        if not statement.startswith("SELECT") or len(between) > 40:
            return
        between.append(0)
        size = writer.head()[0]
        if size < log.size():
            with contextlib.suppress(sqlite3.OperationalError):  # locked by the reader: try again later
                between[-1] = writer.follow(log.part(size, size + 1), lambda _first, _last: {})

    writer._db.execute("PRAGMA busy_timeout = 0")
    with writer._db:
        for table in ("followed", "followed_to", "followed_since"):
            writer._db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words
    reader._db.set_trace_callback(follow_on)
    try:
        for _ in range(20):
            size, root = reader.head()
            assert root == log.head(size).root
        assert any(between)
    finally:
        reader.close()
        writer.close()


def test_people_at_once_get_one_guard(department: Department, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two guards would each follow the log and count the grace period."""
    service, listed = (
        LocalKeyService(department.home.keys, department.clock),
        OpenedList(department.home.keys),
    )
    made = GuardedKeys

    def slow(*given: Any, **named: Any) -> GuardedKeys:
        time.sleep(0.05)
        return made(*given, **named)

    monkeypatch.setattr(f"{desk_keys.__name__}.GuardedKeys", slow)
    door = desk_keys.RootedGuard(department.desk, service, listed)
    try:
        with ThreadPoolExecutor(10) as pool:
            assert len(set(pool.map(lambda _person: id(door()), range(10)))) == 1
    finally:
        listed.close()
        service.close()


def decide_each(department: Department, token: str, chief: str) -> None:
    """Review a request, refuse another, reject a search and a change, and close a finding."""
    known = forms(department)
    asked = [department.call("share/record", token, known["share/record"]).entry]  # type: ignore[attr-defined]
    other = replace(known["share/record"], number="H-2", letter=b"please do")
    asked.append(department.call("share/record", token, other).entry)  # type: ignore[attr-defined]
    for request in asked:
        department.call("share/review", chief, replace(known["share/review"], request=request))
    no = replace(known["share/decide"], request=asked[1], approved=False, note="no case is named")
    department.call("share/decide", chief, no)
    asks = department.call("inquiry/request", department.logon("officer1"), known["inquiry/request"])
    declines = replace(known["inquiry/decline"], request=asks.entry)  # type: ignore[attr-defined]
    department.call("inquiry/decline", department.logon("comm1"), declines)
    search = department.call("inquiry/propose", department.logon("comm1"), known["inquiry/propose"])
    refused = replace(known["inquiry/approve"], proposal=search.entry, granted=False)  # type: ignore[attr-defined]
    department.call("inquiry/approve", token, replace(refused, reason="known to me"))
    change = department.call(
        "user/set", chief, replace(known["user/set"], roles=(Role.CCAT_SUPERVISOR,), propose=True)
    )
    back = DecideForm(proposal=change.entry, granted=False, reason="not this one")  # type: ignore[attr-defined]
    department.call("change/approve", token, back)
    for entry in list(department.desk.book.findings.open_findings()):
        close = replace(known["audit/close"], finding=entry.sequence)
        department.call("audit/close", department.logon(entry.note.reviewer), close)


def test_the_key_service_knows_after_a_restart_all_that_it_knew(department: Department) -> None:
    token = department.logon("super")
    began, booked, untouched = (department.held(token, department.reads[:1]) for _ in range(3))
    for hold in (began, booked):
        department.call("hold/export", token, ExportForm(hold=hold, medium="USB 1", ground=GROUND))
    department.call("hold/book", token, BookForm(hold=booked, evidence_item="E-26-0042"))
    department.call("audit/run", token, PeriodForm())
    decide_each(department, token, department.logon("chief"))
    glass = forms(department)["inquiry/break-glass"]
    glass = replace(glass, query=replace(glass.query, since_us=department.clock.us - DAY_US))
    disp = department.logon("disp1")
    waits, judged = (department.call("inquiry/break-glass", disp, glass).access for _ in range(2))  # type: ignore[attr-defined]
    word = replace(forms(department)["inquiry/judge"], access=judged)
    department.call("inquiry/judge", department.logon("super"), word)
    looked = searched(department, 2)
    filed = FileForm(access=looked[0], rms_number="R-1")
    department.call("inquiry/file", department.logon("comm1"), filed)
    known, again = Followed(), Followed()
    for entry in department.desk.log.entries():
        judge(known, entry)
        if entry.note.KIND in WORDED_KINDS:
            kept = from_bytes(Result, to_bytes(result_of(known, entry)))
            take_result(again, entry.sequence, entry.note.KIND, kept)
        else:
            judge(again, entry)
    once = known.signed.signers.once
    assert once.items() <= again.signed.signers.once.items()  # what is over is dropped at the next snapshot
    again.signed.signers.once = once
    assert again == known
    assert known.signed.signers.second.reviewed
    assert list(known.signed.signers.second.emergencies) == [waits]
    named = known.signed.named
    assert looked[0] not in named.unfiled
    assert looked[1] in named.unfiled
    assert named.plates.keys() >= {*looked}
    assert {len(one) for one in named.plates.values()} == {
        2
    }  # a full digest reveals its plate, since all plates can be tried
    assert [*named.people_of(looked)] == [["", "comm1"]] * 2
    holds = again.signed.signers.second.holds
    assert [(holds[one].exported, bool(holds[one].item)) for one in (began, booked, untouched)] == [
        (True, False),
        (True, True),
        (False, False),
    ]
