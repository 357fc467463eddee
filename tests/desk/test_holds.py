"""Holds (463.8): five grounds, content that outlives its purged day, export, booking, release by two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from desk_asking import look_up
from desk_root import Root, covered_by, problems
from desk_twins import GROUND, HOLD, START_US, Department

from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.content import package
from sync.department.content.key_service import LocalKeyService
from sync.department.desk.holds.calls import (
    AskReleaseForm,
    BookForm,
    Exported,
    ExportForm,
    HoldForm,
    Placed,
    ReleaseForm,
    finish,
)
from sync.department.desk.inquiry.forms import Answer, NothingForm, RunForm
from sync.department.desk.state import DeskState
from sync.department.ground.department_time import Clocks, DepartmentTime
from sync.department.journal import check_log
from sync.department.journal.entries import Refused, WitnessAway
from sync.department.journal.hold_entries import HoldPlaced, ReleaseAsked
from sync.department.journal.inquiry_entries import Access, SheetPerson
from sync.department.policy.refusals import DeskRefusal
from sync.department.server.retention import StoreRetention
from sync.department.server.unit_reports import Reported
from sync.department.store.blobs import FolderPacks
from sync.department.store.opening import open_store
from sync.errors import HomeError

Tokens = Callable[[str], str]


def hold_form(reads: tuple[str, ...]) -> HoldForm:
    return replace(HOLD, reads=reads)


def hold_access(department: Department, hold: int) -> int:
    note = department.desk.log.entry(hold).note
    assert isinstance(note, HoldPlaced)
    return note.access


@pytest.mark.parametrize(
    "ground", ["evidence-criminal", "evidence-civil", "expected-evidence", "discovery", "lawful-action"]
)
def test_each_of_the_five_grounds_holds(department: Department, tokens: Tokens, ground: str) -> None:
    searches = department.searched(tokens("super"), department.reads[:1])
    form = replace(hold_form(department.reads[:1]), hold_ground=ground, accesses=searches)
    assert isinstance(department.call("hold/place", tokens("super"), form), Placed)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"hold_ground": "might be useful"}, "ground"),
        ({"hold_ground": ""}, "ground"),
        ({"authority": " "}, "authority"),
        ({"number": ""}, "number"),
        ({"reads": ()}, "reads"),
        ({"reads": ("zz/1",)}, "read-name"),
        ({"reads": ("00" * 32 + "/1",)}, "no-read"),
        ({"accesses": ()}, "second-person"),
    ],
)
def test_no_other_ground_and_nothing_half_named_holds(
    department: Department, tokens: Tokens, change: dict[str, object], code: str
) -> None:
    form = replace(hold_form(department.reads[:1]), **change)  # type: ignore[arg-type]
    with pytest.raises(DeskRefusal) as refused:
        department.call("hold/place", tokens("super"), form)
    assert refused.value.code == code
    assert ("your own searches" in refused.value.cure) == (code == "second-person")


@pytest.mark.parametrize("propose", [False, True])
def test_a_hold_of_a_read_that_is_not_there_asks_no_second_person(
    department: Department, tokens: Tokens, propose: bool
) -> None:
    token, size = tokens("super"), department.desk.log.size()
    log = department.reads[0].partition("/")[0]
    for name in ("00" * 32 + "/1", f"{log}/99999999"):
        form = replace(hold_form((department.reads[0], name)), propose=propose)
        with pytest.raises(DeskRefusal, match="there is no such read here"):
            department.call("hold/place", token, form)
        last = department.desk.log.entry(department.desk.log.size() - 1)
        assert isinstance(last.note, Refused)
        assert (last.note.call, last.note.code, last.stamp.user) == ("hold.place", "no-read", "super")
    kinds = [entry.note.KIND for entry in department.desk.log.entries(size)]
    assert set(kinds) <= {"refused", "logon", "session_key", "fresh_proof"}, kinds


def test_release_needs_export_booking_and_a_second_person(department: Department, tokens: Tokens) -> None:
    hold = department.held(tokens("super"), department.reads[:2])
    book = AskReleaseForm(hold=hold, evidence_item="E-26-0042")

    def refused(name: str, user: str, form: AskReleaseForm) -> str:
        with pytest.raises(DeskRefusal) as error:
            department.call(name, tokens(user), form)
        return error.value.code

    def state() -> tuple[str, str]:
        (row,) = cast("list[Any]", department.call("hold/list", tokens("reviewer1"), NothingForm()))
        return row.state, row.evidence_item

    assert state() == ("placed", "")
    assert refused("hold/book", "super", book) == "not-exported"
    export = ExportForm(hold=hold, medium="USB 1", ground=GROUND)
    made = department.call("hold/export", tokens("super"), export)
    assert isinstance(made, Exported)
    assert len(package.check(made.package, department.desk.log.public).head.reads) == 2
    assert refused("hold/ask-release", "super", book) == "not-booked"
    assert state() == ("exported", "")
    wrong = department.call("hold/book", tokens("super"), replace(book, evidence_item="E-26-0024"))
    assert wrong.replaces == ""  # type: ignore[attr-defined]
    right = department.call("hold/book", tokens("super"), book)
    assert right.replaces == "E-26-0024"  # type: ignore[attr-defined]
    assert refused("hold/release", "chief", book) == "second-person"
    assert refused("hold/ask-release", "super", replace(book, evidence_item="E-26-0043")) == "item"
    department.call("hold/ask-release", tokens("super"), book)
    for user in ("super", "chief"):
        assert refused("hold/ask-release", user, book) == "asked"
    assert refused("hold/book", "super", replace(book, evidence_item="E-26-0099")) == "asked"
    assert refused("hold/release", "super", book) == "second-person"
    assert state() == ("release asked", "E-26-0042")
    assert refused("hold/release", "chief", replace(book, evidence_item="E-1")) == "item"
    department.call("hold/release", tokens("chief"), book)
    assert refused("hold/release", "chief", book) == "released"
    assert state() == ("released", "E-26-0042")
    with pytest.raises(HomeError):
        department.front.vault.stored(hold_access(department, hold))


def test_a_hold_by_mistake_ends_by_two_people_without_one_more_clear_copy(
    department: Department, tokens: Tokens
) -> None:
    hold = department.held(tokens("super"), department.reads[:1])
    asks = AskReleaseForm(hold=hold, reason="it was placed on another car")
    department.call("hold/ask-release", tokens("super"), asks)
    (row,) = cast("Any", department.call("hold/list", tokens("chief"), NothingForm()))
    assert (row.state, row.reason) == ("release asked", asks.reason)
    department.call("hold/release", tokens("chief"), ReleaseForm(hold=hold))
    assert problems(department) == ()
    with pytest.raises(HomeError):
        department.front.vault.stored(hold_access(department, hold))


def test_a_hold_whose_export_did_not_end_says_what_to_do_after_a_restart_too(
    department: Department, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log cannot prove that nothing left: the key service may have opened the reads for that entry."""
    hold = department.held(tokens("super"), department.reads[:1])
    export = ExportForm(hold=hold, medium="USB 1", ground=GROUND)

    def full(*_asked: object) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(department.front.vault, "whole", full)
        with pytest.raises(OSError, match="no room"):
            department.call("hold/export", tokens("super"), export)
    department.desk.book = DeskState()
    department.desk.refresh()
    (row,) = cast("Any", department.call("hold/list", tokens("chief"), NothingForm()))
    assert row.state == "export begun"
    said = rf"entry {department.desk.book.holds.begun[hold]} began an export that did not end"
    asks = AskReleaseForm(hold=hold, reason="it was placed on another car")
    with pytest.raises(DeskRefusal, match=f"book it into evidence first .*{said}, but may have shown"):
        department.call("hold/ask-release", tokens("super"), asks)
    book = BookForm(hold=hold, evidence_item="E-26-0042")
    with pytest.raises(DeskRefusal, match=f"{said}: export it again"):
        department.call("hold/book", tokens("super"), book)
    department.call("hold/export", tokens("super"), export)
    department.call("hold/book", tokens("super"), book)
    assert problems(department) == ()


@pytest.mark.parametrize("booked", [False, True])
def test_root_and_two_people_do_not_call_an_exported_hold_one_that_never_was(
    department: Department, tokens: Tokens, *, booked: bool
) -> None:
    root, hold = Root(department), department.held(tokens("super"), department.reads[:1])
    department.call("hold/export", tokens("super"), ExportForm(hold=hold, medium="USB 1", ground=GROUND))
    if booked:
        book = AskReleaseForm(hold=hold, evidence_item="E-26-0042")
        department.call("hold/book", tokens("super"), book)
    form = AskReleaseForm(hold=hold, reason="it was placed on another car")
    note = ReleaseAsked(hold=hold, evidence_item="", reason=form.reason)
    root.write(note, *root.signed("super", "hold/ask-release", form))
    (problem,) = problems(department)
    assert "that hold was exported" in problem


def test_a_held_read_outlives_its_purged_day_and_no_other_does(
    department: Department, tokens: Tokens
) -> None:
    hold = department.held(tokens("super"), department.reads[:1])
    department.clock.us = START_US + 364 * DAY_US
    store, keys = (
        open_store(department.home.database_url),
        LocalKeyService(department.home.keys, department.clock),
    )
    packs = FolderPacks(department.home.blobs)
    time = DepartmentTime(department.home.path, Clocks.simulated(department.clock))
    time.found()
    retention = StoreRetention(
        store, keys, packs, department.home.log_key(), department.home.settings, time, lambda: 365
    )
    assert len(retention.run(through=START_US // DAY_US)) == 2
    store.close()
    keys.close()
    assert [one.read for one in department.front.vault.stored(hold_access(department, hold))] == [
        department.reads[0]
    ]
    department.clock.us = START_US + 31 * DAY_US
    supervisor = department.logon("super")
    made = department.call("hold/export", supervisor, ExportForm(hold=hold, medium="USB 1", ground=GROUND))
    assert isinstance(made, Exported)
    checked = package.check(made.package, department.desk.log.public)
    assert (len(checked.head.reads), [one.sequence for one in checked.entries]) == (1, [made.entry])
    search = RunForm(
        query=replace(department.plate("7ABC000"), since_us=START_US - 9 * DAY_US), ground=GROUND
    )
    gone = department.call("inquiry/run", supervisor, search)
    assert isinstance(gone, Answer)
    assert gone.count == 0
    with pytest.raises(DeskRefusal) as refused:
        department.two_hands("hold/place", supervisor, hold_form(department.reads[1:2]), second="chief")
    assert refused.value.code == "no-read"


def test_a_release_and_a_seal_that_a_crash_cut_off_are_finished(
    department: Department, tokens: Tokens
) -> None:
    """One release was entered when the witness went away; another hold was sealed and never entered."""
    hold = department.held(tokens("super"), department.reads[:1])
    department.call("hold/export", tokens("super"), ExportForm(hold=hold, medium="USB 1", ground=GROUND))
    book = AskReleaseForm(hold=hold, evidence_item="E-26-0042")
    department.call("hold/book", tokens("super"), book)
    department.call("hold/ask-release", tokens("super"), book)
    found = department.searched(tokens("super"), department.reads[:1])
    department.witness.away = True
    department.clock.step(HOUR_US)
    chief = department.logon("chief")
    department.desk.system(WitnessAway(reason="LinkError"))
    department.clock.step(16 * MINUTE_US)
    department.prove("chief", chief, "hold/release", book)
    with pytest.raises(DeskRefusal) as refused:
        department.call("hold/release", chief, book)
    assert refused.value.code == "witness-away"
    vault, access = department.front.vault, hold_access(department, hold)
    with pytest.raises(DeskRefusal):
        department.call(
            "hold/place", department.logon("super"), replace(HOLD, reads=department.reads[:1], accesses=found)
        )
    stray = list(department.desk.log.entries(kinds=(Access.KIND,)))[-1].sequence
    vault.keep(stray, vault.stored(access))
    with pytest.raises(DeskRefusal):
        finish(department.front)
    assert vault.kept() == [access, stray]
    department.witness.away = False
    finish(department.front)
    assert vault.kept() == [stray]
    department.clock.step(2 * DAY_US)
    finish(department.front)
    assert vault.kept() == [stray]  # no entry about these two days was co-signed
    department.logon("chief")
    department.desk.try_cover(department.desk.log.size() - 1)
    finish(department.front)
    assert vault.kept() == []
    keys = list((department.home.keys / "hold").glob("*.key"))
    assert keys == []


@pytest.mark.parametrize("signed", [b"garbage", b""])
def test_a_forged_export_ends_no_start_and_begins_none(department: Department, signed: bytes) -> None:
    """Root writes it once and the log is append-only. Nor can another person's signature begin an export."""
    root, hold = Root(department), department.held(department.logon("super"))
    stamp, by_another = root.signed(
        "officer1", "hold/export", ExportForm(hold=hold, medium="disk", ground=GROUND)
    )
    note = replace(root.look_up(), action="export", plate="", elements="x")
    entry = root.write(note, replace(stamp, user="super"), signed or by_another)
    department.desk.refresh()
    assert hold not in department.desk.book.holds.begun
    assert any(one.startswith(f"entry {entry}: access") for one in problems(department))
    look_up(department, department.logon("comm1"))  # the key service follows the log past it


def test_no_other_signed_call_about_a_hold_begins_its_export(department: Department) -> None:
    root, hold = Root(department), department.held(department.logon("super"))
    note = replace(root.look_up(), action="export", plate="", elements="x")
    root.write(note, *root.signed("super", "hold/ask-release", AskReleaseForm(hold=hold, reason="over")))
    department.desk.refresh()
    assert hold not in department.desk.book.holds.begun


def test_a_forged_export_of_a_hold_that_is_not_a_number_is_named_and_ends_no_verify(
    department: Department,
) -> None:
    root, log = Root(department), department.desk.log
    export = ExportForm(hold=cast(Any, [1]), medium="disk", ground=GROUND)
    people = (SheetPerson(part="exported", user="super", name="S. Lee"),)
    note = replace(root.look_up(), action="export", plate="", elements="x", people=people)
    entry = root.write(note, *root.signed("super", "hold/export", export))
    covered = covered_by(department)
    check_log.check(log.folder, log.public, keys=log.keys, taken=covered)
    named, _ = covered.compare(Reported(logs=department.front.state.unit_logs()))
    assert any(one.startswith(f"entry {entry}: access: the people that it names") for one in named)
