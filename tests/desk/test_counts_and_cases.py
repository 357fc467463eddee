"""Public counts that the log alone gives, case numbers held against CAD and RMS, events, endings, filing."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from desk_twins import CAD, GROUND, Department
from hypothesis import given
from hypothesis import strategies as st

from storage.times import DAY_US, HOUR_US
from sync.department.desk.audit import event_calls
from sync.department.desk.audit.calls import AuditCloseForm, look_daily
from sync.department.desk.audit.case_calls import AuditCompared, CompareForm, compare_daily
from sync.department.desk.audit.cases import number_key, read_export
from sync.department.desk.audit.event_calls import Events, EventsForm
from sync.department.desk.audit.events import EVENT_KINDS, NAMES, EventRow, csv_text
from sync.department.desk.endings import of_people, soon
from sync.department.desk.glass.calls import GlassForm
from sync.department.desk.inquiry.filing import read_filings
from sync.department.desk.inquiry.forms import (
    Answer,
    AskForm,
    DeclineForm,
    Entered,
    FileCaseForm,
    FiledMany,
    FileManyForm,
    Filing,
    NothingForm,
    RunForm,
)
from sync.department.desk.json_forms import to_json
from sync.department.desk.people.sheets import read_people, read_sign_in
from sync.department.desk.transparency.counts import PublicCounts, counted, seen_now, week_of
from sync.department.desk.transparency.facts import Fact
from sync.department.desk.transparency.rules import Tally, Transparency, count, for_public
from sync.department.journal.entries import NOTES, Refused
from sync.department.journal.inquiry_entries import Access
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.policy.roles import Role
from sync.department.server import daily

Tokens = Callable[[str], str]


def searched(department: Department, token: str, number: str = "26-001234", plate: str = "8XYZ123") -> int:
    ground = replace(GROUND, number=number)
    answer = department.call("inquiry/run", token, RunForm(query=department.plate(plate), ground=ground))
    assert isinstance(answer, Answer)
    return answer.access


def tallied(tallies: tuple[Tally, ...]) -> dict[str, int]:
    return {one.name: one.count for one in tallies}


# --- public counts


def test_the_public_counts_are_what_another_count_of_the_log_gives(
    department: Department, tokens: Tokens
) -> None:
    for number in range(4):
        searched(department, tokens("comm1"), f"26-00{number}234")
    for bad in ("TEST", "0000"):
        with pytest.raises(DeskRefusal):
            searched(department, tokens("comm1"), bad)
    query = replace(department.plate("8XY*"), since_us=department.clock.us - DAY_US)
    glass = GlassForm(query=query, ground=CAD, danger="a child is in the trunk")
    department.call("inquiry/break-glass", tokens("disp1"), glass)
    daily.count_days(department.front)
    department.desk.try_cover(department.desk.log.size() - 1)
    counts = counted(department.desk)
    entries = list(department.desk.log.entries())
    accesses = [one.note for one in entries if isinstance(one.note, Access)]
    assert tallied(counts.accesses) == dict(Counter(one.action for one in accesses)) == {"search": 5}
    assert tallied(counts.inquiries_by_purpose) == {"investigation": 5}
    assert counts.refusals == sum(isinstance(one.note, Refused) for one in entries)
    assert (counts.emergencies.searches, counts.emergencies.waiting) == (1, 1)
    assert (counts.days_counted, counts.reads_received) == (3, 33)
    assert counts.entries == len(entries)
    assert counts.checkpoint == department.desk.log.cosigned()[1]
    assert daily.count_days(department.front) == 0


def test_the_public_counts_add_each_agencys_requests_decisions_and_transfers(department: Department) -> None:
    facts = [
        *(
            Fact(entry=at, kind="share_asked", words=(name,))
            for at, name in enumerate(("Chico PD", "Chico PD", "DOJ"))
        ),
        Fact(entry=3, kind="share_decided", numbers=(0, 1)),
        Fact(entry=4, kind="share_decided", numbers=(1, 0)),
        Fact(entry=5, kind="share_decided", numbers=(2, 1)),
        *(Fact(entry=at, kind="share_delivered", numbers=(0, 7)) for at in (6, 7)),
    ]
    made = count(facts, seen_now(department.desk, department.desk.log.size(), ""))
    shown = [
        (one.agency, one.requests, one.approved, one.refused, one.transfers, one.reads)
        for one in made.sharing
    ]
    assert shown == [("Chico PD", 2, 1, 1, 2, 14), ("DOJ", 1, 1, 0, 0, 0)]


def test_the_public_counts_hold_no_plate_no_person_and_no_case(
    department: Department, tokens: Tokens
) -> None:
    searched(department, tokens("comm1"))
    department.desk.try_cover(department.desk.log.size() - 1)
    text = json.dumps(to_json(counted(department.desk)))
    for part in ("8XYZ", "comm1", "26-001234", "Myrtle", "chief"):
        assert part not in text


def test_what_no_witness_saw_is_not_counted(department: Department, tokens: Tokens) -> None:
    before = counted(department.desk)
    department.witness.away = True
    searched(department, tokens("comm1"))
    assert counted(department.desk) == before


def test_the_public_sees_whole_weeks_that_are_over(department: Department, tokens: Tokens) -> None:
    desk, public = department.desk, PublicCounts()
    searched(department, tokens("comm1"))
    desk.try_cover(desk.log.size() - 1)
    size, clock = desk.log.size(), department.clock
    clock.step(week_of(clock.us) + 7 * DAY_US - 1 - clock.us)  # the last moment of Sunday
    before = public.newest(desk)
    assert tallied(before.accesses) == {}
    assert before.entries < size
    clock.step(1)
    first = public.newest(desk)
    assert (tallied(first.accesses), first.entries) == ({"search": 1}, size)
    assert first.checkpoint == desk.log.cosigned(size)[1]
    for _ in range(13):  # hour by hour through a day on which somebody looks something up
        searched(department, department.logon("comm1"))
        clock.step(HOUR_US)
        assert public.newest(desk) is first
        assert PublicCounts().newest(desk) == first  # a server that starts anew says no more
    read = department.call("transparency/read", department.logon("officer1"), NothingForm())
    assert read == first
    clock.step(7 * DAY_US)
    assert tallied(public.newest(desk).accesses) == {"search": 14}


def alert(number: int, *, covert: bool) -> list[Fact]:
    """A hit that sounded, and its answer."""
    name = f"log/{number}"
    return [
        Fact(
            entry=2 * number,
            kind="alert_known",
            words=(name, "own list", "wanted"),
            numbers=(0, 0, int(covert)),
        ),
        Fact(entry=2 * number + 1, kind="alert_step", words=(name, "answered", "misread"), numbers=(0,)),
    ]


def test_a_covert_hit_moves_no_public_number(department: Department) -> None:
    seen = replace(seen_now(department.desk, department.desk.log.size(), ""), entries=0, as_of_us=0)

    def shown(covert: int) -> Transparency:
        sent = Fact(
            entry=0, kind="list_sent", words=("own", "own list", "", "wanted"), numbers=(40, covert, 40)
        )
        hits = [one for number in range(1, 6) for one in alert(number, covert=False)]
        hits += [one for number in range(covert) for one in alert(50 + number, covert=True)]
        hits += [
            Fact(entry=900 + number, kind="access", words=(action, ""), numbers=())
            for number, action in enumerate(("alert", "alert-image") * covert)
        ]
        return for_public([sent, *hits], seen)

    for number in range(1, 10):
        assert shown(number) == shown(0)
    assert shown(0).hits.raised == 5
    assert (shown(10).hits.covert, shown(10).hot_lists[0].covert) == (10, 10)


# --- case numbers


def test_look_ups_whose_case_does_not_exist_are_findings_and_counted(
    department: Department, tokens: Tokens
) -> None:
    searched(department, tokens("comm1"))
    invented = [searched(department, tokens("comm1"), f"26-99{n}999") for n in range(2)]
    department.clock.step(25 * HOUR_US)
    fresh = searched(department, department.logon("disp1"), "26-777777")  # its case may come tomorrow
    export = b"Case_Number,opened\n26 001234,2026-09-01\n26-555555,\n"
    made = department.call("audit/compare", department.logon("super"), CompareForm(export=export))
    assert isinstance(made, AuditCompared)
    assert (made.accesses, made.known, made.unknown) == (3, 1, tuple(invented))
    look_daily(department.front)
    found = [
        entry.note
        for entry in department.desk.book.findings.opened.values()
        if getattr(entry.note, "detector", "") == "no_such_case"
    ]
    assert [(one.about, one.accesses) for one in found] == [("comm1", tuple(invented))]  # type: ignore[attr-defined]
    assert fresh not in made.unknown
    department.desk.try_cover(department.desk.log.size() - 1)
    assert counted(department.desk).case_numbers.share == pytest.approx(1 / 3)
    again = department.call("audit/compare", department.logon("super"), CompareForm(export=export))
    assert isinstance(again, AuditCompared)
    assert again.accesses == 0  # each look-up is held against CAD once


def test_an_export_in_the_drop_folder_is_taken_daily_and_set_aside(
    department: Department, tokens: Tokens
) -> None:
    searched(department, tokens("comm1"))
    department.clock.step(25 * HOUR_US)
    folder = department.front.exports
    assert daily.compare_cases(department.front, folder) == 0
    folder.mkdir()
    dropped(folder / "cad.csv", b"number\n26-001234\n")
    dropped(folder / "wrong.csv", b"\xff\xfe\x00")
    assert daily.compare_cases(department.front, folder) == 1
    assert {path.name for path in folder.iterdir()} == {"cad.csv.done", "wrong.csv.refused"}
    assert department.desk.book.cases.known == 1


def dropped(path: Path, data: bytes, *, at_s: int = 1) -> None:
    """An export that was written a while ago."""
    path.write_bytes(data)
    os.utime(path, (at_s, at_s))


def test_the_exports_of_cad_and_rms_are_one_and_nothing_else_in_the_folder_stops_the_run(
    department: Department, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in ("26-001234", "26-777777"):
        searched(department, tokens("comm1"), number)
    department.clock.step(25 * HOUR_US)
    folder = department.front.exports
    folder.mkdir()
    dropped(folder / "cad.csv", b"incident\n26-777777\n")
    dropped(folder / "rms.csv", b"case_number\n26-001234\n")
    (folder / "2025.csv").mkdir()
    os.mkfifo(folder / "pipe.csv")
    (folder / "link.csv").symlink_to("/dev/zero")
    (folder / "half.csv").write_text("number\n26-00")  # CAD still writes it
    left = {"2025.csv", "pipe.csv", "link.csv", "half.csv"}
    later: list[str] = []
    monkeypatch.setattr(
        "sync.department.desk.audit.calls.look_daily", lambda _front: later.append("detectors")
    )
    monkeypatch.setattr("sync.department.desk.holds.calls.finish", lambda _front: 1 // 0)
    daily.run(department.front, NoPurges())  # type: ignore[arg-type]
    assert later == ["detectors"]
    assert {path.name for path in folder.iterdir()} == {"cad.csv.done", "rms.csv.done", *left}
    assert (department.desk.book.cases.known, department.desk.book.cases.unknown) == (2, {})


class NoPurges:
    """A store that purged nothing."""

    def receipts(self) -> list[tuple[int, bytes]]:
        return []


def compared(department: Department, user: str, export: bytes) -> AuditCompared:
    made = department.call("audit/compare", department.logon(user), CompareForm(export=export))
    assert isinstance(made, AuditCompared)
    return made


def test_no_person_vouches_for_a_case_of_their_own(department: Department, tokens: Tokens) -> None:
    """The supervisor may search and compare: an invented export knows the invented case."""
    mine = searched(department, tokens("super"), "26-998877")
    other = searched(department, tokens("comm1"), "26-998878")
    department.clock.step(25 * HOUR_US)
    made = compared(department, "super", b"number\n26-998877\n26-998878\n")
    assert (made.accesses, made.known) == (1, 1)
    assert department.desk.book.cases.left == {mine}
    made = compared(department, "chief", b"number\n26-001234\n")
    assert (made.unknown, department.desk.book.cases.left) == ((mine,), set())
    compared(department, "super", b"number\n26-998877\n")  # nor takes it back
    assert set(department.desk.book.cases.unknown) == {mine}
    assert other not in department.desk.book.cases.unknown


def test_the_right_export_takes_back_what_a_wrong_one_said(department: Department, tokens: Tokens) -> None:
    asked = [searched(department, tokens("comm1"), f"26-00{1000 + number}") for number in range(5)]
    department.clock.step(25 * HOUR_US)
    with pytest.raises(FormError, match="is it the right file"):
        compared(department, "super", b"number\n26-555555\n")
    assert compared(department, "super", b"number\n26-001000\n").unknown == tuple(asked[1:])
    right = b"number\n" + b"".join(b"26-00%d\n" % (1000 + number) for number in range(1, 4))
    assert compared(department, "chief", right).accesses == 0
    assert department.desk.book.cases.unknown == {asked[4]: "comm1"}
    department.desk.try_cover(department.desk.log.size() - 1)
    assert counted(department.desk).case_numbers.share == pytest.approx(4 / 5)


def by_system(department: Department, export: bytes) -> int:
    return compare_daily(department.front, [export])


def test_what_the_systems_export_lacked_no_person_finds_again(department: Department, tokens: Tokens) -> None:
    """A supervisor alone would clear a friend with an own file."""
    invented = searched(department, tokens("comm1"), "26-998877")
    searched(department, tokens("disp1"))
    department.clock.step(25 * HOUR_US)
    assert by_system(department, b"number\n26-001234\n") == 2
    compared(department, "super", b"number\n26-998877\n")
    assert department.desk.book.cases.unknown == {invented: "comm1"}
    by_system(department, b"number\n26-998877\n26-001234\n")  # it was entered late
    assert department.desk.book.cases.unknown == {}


def test_the_system_names_look_ups_that_are_all_under_invented_numbers(
    department: Department, tokens: Tokens
) -> None:
    invented = [searched(department, tokens("comm1"), f"26-99000{number}") for number in range(6)]
    department.clock.step(25 * HOUR_US)
    with pytest.raises(FormError, match="has no number"):
        by_system(department, b"number\n")
    assert by_system(department, b"number\n26-001234\n") == 6
    assert sorted(department.desk.book.cases.unknown) == invented


def test_an_export_of_a_machine_whose_clock_is_ahead_is_taken(department: Department, tokens: Tokens) -> None:
    searched(department, tokens("comm1"))
    department.clock.step(25 * HOUR_US)
    folder = department.front.exports
    folder.mkdir()
    dropped(folder / "cad.csv", b"number\n26-001234\n", at_s=1 << 32)
    assert daily.compare_cases(department.front, folder) == 1


@pytest.mark.parametrize("export", [b"", b"a,b\n1,2\n", b"\xff\xff", b"number"])
def test_what_is_no_export_is_refused_or_holds_no_number(export: bytes) -> None:
    if export == b"number":
        assert read_export(export) == frozenset()
        return
    with pytest.raises(FormError):
        read_export(export)


@given(st.text("0123456789ABCabc- ", min_size=1, max_size=12))
def test_numbers_are_compared_however_they_are_written(number: str) -> None:
    assert number_key(number.lower()) == number_key(number.upper()) == number_key(f" {number}-")


# --- events


def test_every_kind_of_entry_that_says_who_did_what_is_an_event() -> None:
    hidden = set(NOTES) - set(EVENT_KINDS)
    assert hidden == {
        "log_opened", "access", "result", "answered", "asked", "disputed", "filed", "finding",
        "finding_closed", "audit", "share_asked", "share_routed", "share_delivered", "hold", "hold_exported",
        "hold_booked", "purged", "cases_compared", "request_taken", "authenticator_kept", "day_counted",
        "session_key", "alert_known", "alert_step", "alert_records_opened", "list_sent", "redress_asked",
        "search_step",
    }  # fmt: skip


def test_a_reviewer_sees_refusals_logons_accounts_resets_and_approvals(
    department: Department, tokens: Tokens
) -> None:
    from sync.department.desk.people.calls import CredentialForm
    from sync.department.policy.refusals import NotProvenError

    with pytest.raises(NotProvenError):
        department.desk.logons.logon("comm1", "wrong horse 463", "123456")
    with pytest.raises(DeskRefusal):
        searched(department, tokens("officer1"))
    department.two_hands(
        "user/credential", tokens("chief"), CredentialForm(user="disp1", reason="lost phone")
    )
    page = department.call("audit/events", tokens("reviewer1"), EventsForm(limit=40))
    assert isinstance(page, Events)
    assert [row.entry for row in page.rows] == sorted((row.entry for row in page.rows), reverse=True)
    said = {(row.kind, row.user, row.about, row.second, row.outcome) for row in page.rows}
    assert ("credential", "chief", "disp1", "super", "reset by another") in said
    assert ("refusal", "officer1", "inquiry.run", "", "role") in said
    assert any(kind == "logon" and about == "comm1" and out == "password" for kind, _, about, _, out in said)
    assert any(kind == "change decided" and user == "super" for kind, user, *_ in said)
    rows = list(csv.DictReader(io.StringIO(csv_text(page.rows))))
    assert len(rows) == len(page.rows)
    one = department.call("audit/events", tokens("reviewer1"), EventsForm(kind="refusal", user="officer1"))
    assert isinstance(one, Events)
    assert {(row.kind, row.user) for row in one.rows} == {("refusal", "officer1")}
    for user in ("comm1", "officer1", "deputy"):
        with pytest.raises(DeskRefusal):
            department.call("audit/events", tokens(user), EventsForm())
    with pytest.raises(FormError):
        department.call("audit/events", tokens("reviewer1"), EventsForm(kind="nothing"))
    assert "refusal" in NAMES


def test_events_come_in_pages_that_together_are_all_of_them(department: Department, tokens: Tokens) -> None:
    token = tokens("reviewer1")
    whole = department.call("audit/events", token, EventsForm())
    assert isinstance(whole, Events)
    rows: list[EventRow] = []
    before = whole.rows[0].entry + 1
    while before >= 0:
        page = department.call("audit/events", token, EventsForm(limit=7, before=before))
        assert isinstance(page, Events)
        rows += page.rows
        before = page.next
    assert [row.entry for row in rows] == [row.entry for row in whole.rows]


def test_events_of_a_log_read_in_many_parts_have_their_second_persons(
    department: Department, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens("reviewer1")
    whole = department.call("audit/events", token, EventsForm())
    assert isinstance(whole, Events)
    assert [row for row in whole.rows if row.kind == "account" and row.second]
    monkeypatch.setattr(event_calls, "AT_ONCE", 3)
    before = whole.rows[0].entry + 1
    since_us = whole.rows[len(whole.rows) // 2].at_us
    for form in (EventsForm(before=before), EventsForm(before=before, since_us=since_us)):
        parts = department.call("audit/events", token, form)
        assert isinstance(parts, Events)
        assert list(parts.rows) == [row for row in whole.rows if row.at_us >= form.since_us]


def test_a_closed_finding_covers_what_it_found_and_nothing_later(
    department: Department, tokens: Tokens
) -> None:
    comm = tokens("comm1")
    for number in range(5):
        searched(department, comm, f"26-00{number}234")
    (first,) = look_daily(department.front)
    searched(department, comm, "26-006234")
    assert look_daily(department.front) == []  # it grows under the open finding
    close = AuditCloseForm(finding=first, verdict="justified", note="read the case files")
    department.call("audit/close", tokens("reviewer1"), close)
    (second,) = look_daily(department.front)
    seen = [department.desk.log.entry(one).note.accesses for one in (first, second)]  # type: ignore[attr-defined]
    assert (len(seen[0]), len(seen[1])) == (5, 1)
    assert not set(seen[0]) & set(seen[1])
    department.call("audit/close", tokens("reviewer1"), replace(close, finding=second))
    assert look_daily(department.front) == []
    searched(department, comm, "26-007234")
    assert len(look_daily(department.front)) == 1


def test_looking_at_one_answer_again_and_again_is_a_pattern_too(
    department: Department, tokens: Tokens
) -> None:
    from sync.department.desk.inquiry.forms import RequestForm

    asked = department.call(
        "inquiry/request", tokens("officer1"), AskForm(query=department.plate("8XYZ123"), ground=GROUND)
    )
    assert isinstance(asked, Entered)
    query = department.desk.log.entry(asked.entry).note.query  # type: ignore[attr-defined]
    department.call("inquiry/run", tokens("comm1"), RunForm(query=query, ground=GROUND, request=asked.entry))
    for _ in range(4):
        department.clock.step(20 * HOUR_US)
        department.call("inquiry/answer", department.logon("officer1"), RequestForm(request=asked.entry))
    (finding,) = look_daily(department.front)
    note = department.desk.log.entry(finding).note
    assert (note.detector, note.about) == ("same_plate", "officer1")  # type: ignore[attr-defined]


# --- what ends soon


def test_what_ends_is_announced_thirty_days_ahead_and_not_before(department: Department) -> None:
    desk = department.desk

    def kinds(day: int) -> set[str]:
        found = of_people(desk.policy, desk.book)
        return {one.kind for one in soon(desk.policy, found, department.clock.us + day * DAY_US)}

    assert kinds(0) == set()
    assert kinds(320) == set()
    assert kinds(334) == {"password", "training", "designation", "policy"}
    assert "password" not in kinds(365)


def test_a_newer_policy_asks_for_its_review(department: Department, tokens: Tokens) -> None:
    from sync.department.policy.policy_file import policy_digest
    from sync.department.server.open_desk import adopt_root

    text = department.desk.policy_document.decode().replace("version = 2\n", "version = 3\n", 1)
    root = department.new_root(policy_version=3, policy_digest=policy_digest(text.encode()))
    adopt_root(department.home, department.desk, root, text.encode())
    found = department.call("compliance/endings", tokens("super"), NothingForm())
    assert {one.kind for one in found} == {"policy-training"}  # type: ignore[attr-defined]
    assert "comm1" in {one.about for one in found}  # type: ignore[attr-defined]


# --- filing, lists, requests


def test_requests_are_filed_by_case_and_by_import_all_or_none(department: Department, tokens: Tokens) -> None:
    comm = tokens("comm1")
    first = [searched(department, comm) for _ in range(3)]
    other = searched(department, comm, "26-005555")
    made = department.call(
        "inquiry/file-case", comm, FileCaseForm(number="26-001234", rms_number="RMS-26-77")
    )
    assert made == FiledMany(filed=3)
    assert [row.entry for row in department.call("inquiry/unfiled", comm, NothingForm())] == [other]  # type: ignore[attr-defined]
    with pytest.raises(FormError):
        department.call("inquiry/file-case", comm, FileCaseForm(number="26-001234", rms_number="RMS-26-77"))
    lines = read_filings(f"access,rms_number\n{other},RMS-26-78\n{first[0]},RMS-26-79\n")
    assert department.call("inquiry/file-many", comm, FileManyForm(filings=lines)) == FiledMany(filed=2)
    size = department.desk.log.size()
    bad = (Filing(access=first[1], rms_number="RMS-26-80"), Filing(access=0, rms_number="RMS-26-81"))
    with pytest.raises(FormError):
        department.call("inquiry/file-many", comm, FileManyForm(filings=bad))
    kinds = {entry.note.KIND for entry in department.desk.log.entries(size)}
    assert "filed" not in kinds


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "rms_number\nRMS-1\n", "access,rms_number\nx,RMS-1\n"])
def test_what_is_no_export_of_rms_numbers_is_refused(text: str) -> None:
    with pytest.raises(FormError):
        read_filings(text)


def test_a_requester_sees_what_waits_and_why_one_was_declined(department: Department, tokens: Tokens) -> None:
    form = AskForm(query=department.plate("8XYZ123"), ground=GROUND)
    first = department.call("inquiry/request", tokens("officer1"), form)
    second = department.call("inquiry/request", tokens("officer1"), form)
    assert isinstance(first, Entered)
    assert isinstance(second, Entered)
    department.call(
        "inquiry/decline", tokens("comm1"), DeclineForm(request=first.entry, reason="no such case")
    )
    rows = department.call("inquiry/requests", tokens("officer1"), NothingForm())
    assert [(one.request, one.state, one.reason) for one in rows] == [  # type: ignore[attr-defined]
        (second.entry, "waiting", ""),
        (first.entry, "declined", "no such case"),
    ]
    assert department.call("inquiry/requests", tokens("analyst1"), NothingForm()) == ()


def test_lists_of_people_name_the_line_that_is_wrong(tmp_path: Path) -> None:
    good = b"user,name,roles\no1,Officer One,sworn-officer\nd1,Disp One,dispatcher;ccat\n"
    assert read_people(good)[1] == ("d1", "Disp One", (Role.DISPATCHER, Role.CCAT))
    assert read_sign_in(b"user\no1\nd1\n") == ("o1", "d1")
    assert read_sign_in(b"user,signed\no1,x\nd1,\nd2, \nd3,yes\n") == ("o1", "d3")
    for bad in (b"", b"user\n", b"name\nx\n", b"user\nNOT A USER\n", b"\xff", b"user,signed\no1,\n"):
        with pytest.raises(FormError):
            read_sign_in(bad)
    for bad in (b"user,name,roles\no1,,sworn-officer\n", b"user,name,roles\no1,O,king\n"):
        with pytest.raises(FormError, match="line 2"):
            read_people(bad)
