"""The audit (463.5 b, c): ALPR Requests, CSV, the record of a periodic audit, independent reviewers."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from desk_twins import GROUND, Department

from storage.times import MINUTE_US
from sync.department.desk.audit import detectors, rules
from sync.department.desk.audit.calls import (
    AuditCloseForm,
    AuditForm,
    AuditReport,
    Finding,
    PeriodForm,
    look_daily,
)
from sync.department.desk.audit.detectors import sample, seed_of
from sync.department.desk.audit.look_up_detectors import Flag, LookUp
from sync.department.desk.audit.rules import ACCESS_KINDS, CSV_COLUMNS, csv_text
from sync.department.desk.due import OverdueForm
from sync.department.desk.inquiry.forms import (
    Answer,
    AskForm,
    DisputeForm,
    Entered,
    FileForm,
    NothingForm,
    RunForm,
)
from sync.department.journal.access_log import DATABASE
from sync.department.journal.entries import (
    AuditBegun,
    AuditDone,
    CredentialSet,
    Entry,
    FindingOpened,
    LogRead,
)
from sync.department.policy.refusals import DeskRefusal, FormError, NotYetError
from sync.department.policy.roles import Role

Tokens = Callable[[str], str]


def search(department: Department, token: str, plate: str = "8XYZ123", number: str = "26-001234") -> Answer:
    form = RunForm(query=department.plate(plate), ground=replace(GROUND, number=number))
    answer = department.call("inquiry/run", token, form)
    assert isinstance(answer, Answer)
    return answer


def test_each_access_is_an_alpr_request_until_it_is_filed(department: Department, tokens: Tokens) -> None:
    comm = tokens("comm1")
    first, second = search(department, comm), search(department, comm, "7ABC003")
    department.call("inquiry/file", comm, FileForm(access=first.access, rms_number="RMS-26-77"))
    found = department.call("audit/read", tokens("reviewer1"), AuditForm())
    rows = list(csv.DictReader(io.StringIO(csv_text(found))))  # type: ignore[arg-type]
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [row["entry"] for row in rows] == [str(first.access), str(second.access)]
    assert {row["classification"] for row in rows} == {"ALPR Request"}
    assert [row["rms_number"] for row in rows] == ["RMS-26-77", "not filed"]
    assert rows[0]["username"] == "comm1"
    assert rows[0]["results"] == "3"
    assert rows[0]["date_time"].endswith("Z")
    day = "2026-09-21T"
    assert rows[0]["data_elements"].startswith("plate=8XYZ123 from=2026-09-11T")
    assert f" to={day}" in rows[0]["data_elements"]


def test_what_is_not_filed_is_handed_over_to_who_files_it(department: Department, tokens: Tokens) -> None:
    comm = tokens("comm1")
    first, second = search(department, comm), search(department, comm, "7ABC003")
    handed = department.call("inquiry/unfiled", comm, NothingForm())
    assert [one.entry for one in handed] == [first.access, second.access]  # type: ignore[attr-defined]
    department.call("inquiry/file", comm, FileForm(access=first.access, rms_number="RMS-26-77"))
    handed = department.call("inquiry/unfiled", comm, NothingForm())
    assert [one.entry for one in handed] == [second.access]  # type: ignore[attr-defined]
    reads = [
        one.note.elements
        for one in department.desk.log.entries(kinds=(LogRead.KIND,))
        if isinstance(one.note, LogRead)
    ]
    assert reads == ["not filed", "not filed"]
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/unfiled", tokens("officer1"), NothingForm())
    assert refused.value.code == "role"


def test_the_log_is_read_by_period_user_purpose_and_plate_and_reading_is_an_entry(
    department: Department, tokens: Tokens
) -> None:
    comm, reviewer = tokens("comm1"), tokens("reviewer1")
    search(department, comm)
    department.clock.step(MINUTE_US)
    later = department.clock.us
    search(department, tokens("disp1"), "7ABC003")
    for form, count in (
        (AuditForm(), 2),
        (AuditForm(user="comm1"), 1),
        (AuditForm(plate="7abc 003"), 1),
        (AuditForm(purpose="crime-analysis"), 0),
        (AuditForm(since_us=later), 1),
        (AuditForm(until_us=later), 1),
    ):
        assert len(department.call("audit/read", reviewer, form)) == count  # type: ignore[arg-type]
    for plate in ("A" * 17, "7[^A]"):
        with pytest.raises(FormError, match="1 to 16 of A-Z, 0-9"):
            department.call("audit/read", reviewer, AuditForm(plate=plate))
    reads = [
        one for one in department.desk.log.entries(kinds=(LogRead.KIND,)) if one.stamp.user == "reviewer1"
    ]
    assert len(reads) == 6


def test_a_cell_that_a_spreadsheet_would_run_is_text(department: Department, tokens: Tokens) -> None:
    form = RunForm(
        query=department.plate("8XYZ123"),
        ground=replace(GROUND, justification='=HYPERLINK("http://x","see") the letter'),
    )
    department.call("inquiry/run", tokens("comm1"), form)
    found = department.call("audit/read", tokens("reviewer1"), AuditForm())
    row = next(csv.DictReader(io.StringIO(csv_text(found))))  # type: ignore[arg-type]
    assert row["justification"].startswith("'=")


def test_the_periodic_audit_is_a_record_and_assigns_other_reviewers(
    department: Department, tokens: Tokens
) -> None:
    comm = tokens("comm1")
    for number in range(5):
        search(department, comm, number=f"26-00{number}")
    report = department.call("audit/run", tokens("super"), PeriodForm())
    assert isinstance(report, AuditReport)
    assert report.accesses == 5
    done = department.desk.log.entry(report.audit).note
    assert isinstance(done, AuditDone)
    assert done.findings == report.findings
    opened = [department.desk.log.entry(number).note for number in report.findings]
    kinds = [one.detector for one in opened if isinstance(one, FindingOpened)]
    assert "same_plate" in kinds
    assert "sample" in kinds
    for one in opened:
        assert isinstance(one, FindingOpened)
        assert one.reviewer == "reviewer1"
        assert one.reviewer != one.about
        assert one.due_us > department.clock.us
    again = department.call("audit/run", tokens("super"), PeriodForm())
    assert isinstance(again, AuditReport)
    assert (again.from_us, again.findings) == (report.to_us, ())


def sampled(department: Department, report: object) -> set[int]:
    assert isinstance(report, AuditReport)
    notes = [department.desk.log.entry(one).note for one in report.findings]
    found = [one for one in notes if isinstance(one, FindingOpened) and one.detector == "sample"]
    return {entry for one in found for entry in one.accesses}


def test_the_sample_cannot_be_known_before_the_audit_has_begun(
    department: Department, tokens: Tokens
) -> None:
    comm, desk = tokens("comm1"), department.desk
    for number in range(12):
        search(department, comm, number=f"26-0{number:02}")
    desk.try_cover(desk.log.size() - 1)
    looks = rules.look_ups_of(department.front.requests.of(desk.log, desk.log.size()))

    report = department.call("audit/run", tokens("super"), PeriodForm())
    assert isinstance(report, AuditReport)
    done = desk.log.entry(report.audit).note
    assert isinstance(done, AuditDone)
    begun, salt = desk.log.entry(done.begun), desk.log.first_salt(CredentialSet.KIND)
    assert isinstance(begun.note, AuditBegun)
    drawn = sample(looks, desk.policy.audit.sample_per_thousand, seed_of(begun, salt))
    assert sampled(department, report) == {one.entries[0] for one in drawn}
    # neither the salt alone nor the signed call alone reveals the seed
    others = {seed_of(begun, bytes(32)), seed_of(replace(begun, signed=b""), salt)}
    assert len({seed_of(begun, salt), *others}) == 3


def test_no_period_leaves_look_ups_out_of_every_audit(department: Department, tokens: Tokens) -> None:
    search(department, tokens("comm1"))
    for first in (True, False):  # first since the log was opened, then since the last audit
        department.clock.step(MINUTE_US)
        late = PeriodForm(since_us=department.clock.us - 1)
        with pytest.raises(FormError) as refused:
            department.call("audit/run", tokens("super"), late)
        assert refused.value.code == "gap"
        report = department.call("audit/run", tokens("super"), PeriodForm())
        assert isinstance(report, AuditReport)
        again = PeriodForm(since_us=report.from_us)  # the same period may be audited again
        assert isinstance(department.call("audit/run", tokens("super"), again), AuditReport)
        assert first or report.from_us > department.desk.book.opened_us


def test_an_audit_that_was_cut_off_draws_no_second_time(department: Department, tokens: Tokens) -> None:
    comm, desk = tokens("comm1"), department.desk
    for number in range(12):
        search(department, comm, number=f"26-0{number:02}")
    department.witness.away = True
    with pytest.raises(NotYetError) as refused:
        department.call("audit/run", tokens("super"), PeriodForm())
    assert refused.value.code == "witness-away"
    begun = desk.book.findings.begun
    assert begun is not None
    department.witness.away = False
    department.restart()
    comm, supervisor, desk = department.logon("comm1"), department.logon("super"), department.desk
    assert desk.book.findings.begun == begun  # with the signed call that draws the sample
    department.clock.step(1_000_000)  # what follows is after the period
    for _ in range(3):  # entries that would have drawn another sample
        search(department, comm, number="26-099")
    with pytest.raises(FormError) as other:
        department.call("audit/run", supervisor, PeriodForm(since_us=0, until_us=department.clock.us))
    assert other.value.code == "begun"
    report = department.call("audit/run", supervisor, PeriodForm())
    assert isinstance(report, AuditReport)
    done = desk.log.entry(report.audit).note
    assert isinstance(done, AuditDone)
    assert (done.begun, done.to_us) == (begun.sequence, begun.note.to_us)
    assert max(sampled(department, report)) < begun.sequence
    assert desk.book.findings.begun is None


def test_an_audit_that_two_people_run_at_once_is_one(
    department: Department, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would end the same audit, and `verify` would report that forever."""
    search(department, tokens("comm1"))
    supervisor, chief = tokens("super"), tokens("chief")
    draw, others = detectors.sample, list[object]()

    def meanwhile(looks: list[LookUp], per_thousand: int, seed: bytes) -> list[Flag]:
        found = draw(looks, per_thousand, seed)
        if not others:
            others.append(None)
            with ThreadPoolExecutor(1) as pool:
                others[0] = pool.submit(department.call, "audit/run", chief, PeriodForm()).result()
        return found

    monkeypatch.setattr(detectors, "sample", meanwhile)
    with pytest.raises(NotYetError) as refused:
        department.call("audit/run", supervisor, PeriodForm())
    assert refused.value.code == "audited"
    assert isinstance(others[0], AuditReport)
    done = [one for one in department.desk.log.entries() if isinstance(one.note, AuditDone)]
    assert [one.sequence for one in done] == [others[0].audit]
    assert isinstance(department.call("audit/run", supervisor, PeriodForm()), AuditReport)


def test_a_fifth_look_up_is_found_the_same_day_and_the_audit_opens_it_no_second_time(
    department: Department, tokens: Tokens
) -> None:
    comm = tokens("comm1")
    for number in range(4):
        search(department, comm, number=f"26-00{number}")
    assert look_daily(department.front) == []
    search(department, comm, number="26-004")
    (number,) = look_daily(department.front)
    entry = department.desk.log.entry(number)
    assert isinstance(entry.note, FindingOpened)
    assert (entry.stamp.user, entry.note.detector, entry.note.about) == ("system", "same_plate", "comm1")
    assert entry.note.reviewer == "reviewer1"
    assert look_daily(department.front) == []
    report = department.call("audit/run", tokens("super"), PeriodForm())
    assert isinstance(report, AuditReport)
    notes = [department.desk.log.entry(one).note for one in report.findings]
    assert {one.detector for one in notes if isinstance(one, FindingOpened)} == {"sample"}


def test_a_finding_is_closed_by_its_reviewer_alone(department: Department, tokens: Tokens) -> None:
    comm = tokens("comm1")
    for _ in range(5):
        search(department, comm)
    report = department.call("audit/run", tokens("super"), PeriodForm())
    assert isinstance(report, AuditReport)
    form = AuditCloseForm(finding=report.findings[0], verdict="misuse", note="no such case exists")
    for user, change, code in (
        ("chief", {}, "other-reviewer"),
        ("reviewer1", {"verdict": "fine"}, "verdict"),
        ("reviewer1", {"note": "ok"}, "note"),
        ("reviewer1", {"finding": 3}, "no-finding"),
    ):
        with pytest.raises(DeskRefusal) as refused:
            department.call("audit/close", tokens(user), replace(form, **change))
        assert refused.value.code == code
    department.call("audit/close", tokens("reviewer1"), form)
    with pytest.raises(DeskRefusal) as refused:
        department.call("audit/close", tokens("reviewer1"), form)
    assert refused.value.code == "closed"
    shown = department.call("audit/findings", tokens("reviewer1"), NothingForm())
    assert {one.finding: one.verdict for one in shown if isinstance(one, Finding)}[form.finding] == "misuse"  # type: ignore[attr-defined]


def test_the_administrator_reviews_where_the_only_reviewer_searched(
    department: Department, tokens: Tokens
) -> None:
    """The reviewer's name is in a request, so the finding passes to another person."""
    chief = tokens("chief")
    department.add_person(chief, "both1", (Role.OFFICER, Role.REVIEWER))
    department.train(tokens("super"), "both1", "super")
    query = department.plate("8XYZ123")
    asked = department.call("inquiry/request", department.logon("both1"), AskForm(query=query, ground=GROUND))
    assert isinstance(asked, Entered)
    run = RunForm(query=query, ground=GROUND, request=asked.entry)
    department.call("inquiry/run", tokens("comm1"), run)
    report = department.call("audit/run", tokens("super"), PeriodForm())
    assert isinstance(report, AuditReport)
    note = department.desk.log.entry(report.findings[0]).note
    assert isinstance(note, FindingOpened)
    assert (note.about, note.reviewer) == ("both1", "reviewer1")


def test_a_dispute_becomes_a_finding_about_the_person_who_ran_it(
    department: Department, tokens: Tokens
) -> None:
    query = department.plate("8XYZ123")
    asked = department.call("inquiry/request", tokens("officer1"), AskForm(query=query, ground=GROUND))
    assert isinstance(asked, Entered)
    answer = department.call(
        "inquiry/run", tokens("comm1"), RunForm(query=query, ground=GROUND, request=asked.entry)
    )
    assert isinstance(answer, Answer)
    department.call(
        "inquiry/dispute", tokens("officer1"), DisputeForm(entry=answer.access, reason="never asked")
    )
    report = department.call("audit/run", tokens("super"), PeriodForm())
    assert isinstance(report, AuditReport)
    notes = [department.desk.log.entry(number).note for number in report.findings]
    disputed = [one for one in notes if isinstance(one, FindingOpened) and one.detector == "disputed"]
    assert [(one.about, one.accesses) for one in disputed] == [("comm1", (answer.access,))]


def test_a_reviewer_sees_the_accesses_and_why_they_were_disputed(
    department: Department, tokens: Tokens
) -> None:
    query = department.plate("8XYZ123")
    asked = department.call("inquiry/request", tokens("officer1"), AskForm(query=query, ground=GROUND))
    assert isinstance(asked, Entered)
    run = RunForm(query=query, ground=GROUND, request=asked.entry)
    answer = department.call("inquiry/run", tokens("comm1"), run)
    assert isinstance(answer, Answer)
    search(department, tokens("disp1"), "7ABC003")
    dispute = DisputeForm(entry=asked.entry, reason="I was on leave that week")
    department.call("inquiry/dispute", tokens("officer1"), dispute)
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/dispute", tokens("officer1"), dispute)
    assert refused.value.code == "disputed"
    department.call("audit/run", tokens("super"), PeriodForm())
    reviewer = tokens("reviewer1")
    found = department.call("audit/findings", reviewer, NothingForm())
    (one,) = [one for one in found if isinstance(one, Finding) and one.detector == "disputed"]  # type: ignore[attr-defined]
    assert (one.accesses, one.reason, one.note) == ((asked.entry,), "I was on leave that week", "")
    shown = department.call("audit/read", reviewer, AuditForm(finding=one.finding))
    assert [row.entry for row in shown] == [answer.access]  # type: ignore[attr-defined]
    with pytest.raises(DeskRefusal) as refused:
        department.call("audit/read", reviewer, AuditForm(finding=one.finding + 9))
    assert refused.value.code == "no-finding"
    words = "he was on duty, the log shows it"
    department.call(
        "audit/close", reviewer, AuditCloseForm(finding=one.finding, verdict="unclear", note=words)
    )
    found = department.call("audit/findings", reviewer, NothingForm())
    assert [one.note for one in found if one.detector == "disputed"] == [words]  # type: ignore[attr-defined]
    department.call("inquiry/dispute", tokens("officer1"), dispute)  # heard once, and said again


def test_a_person_sees_what_became_of_their_own_dispute_and_of_no_others(
    department: Department, tokens: Tokens
) -> None:
    """Whom a dispute is about does not learn of it before a reviewer looked."""
    access = search(department, tokens("disp1"), "8XYZ123").access
    said = []

    def states(user: str) -> list[tuple[str, str]]:
        rows = department.call("inquiry/mine", tokens(user), NothingForm())
        return [(one.dispute, one.dispute_reason) for one in rows]  # type: ignore[attr-defined]

    assert states("disp1") == [("", "")]
    for words in ("another case", "the case is 26-001243"):
        department.call("inquiry/dispute", tokens("disp1"), DisputeForm(entry=access, reason=words))
        said.append(words)
    assert states("disp1") == [("waits for an audit", "; ".join(said))]
    department.call("audit/run", tokens("super"), PeriodForm())
    found = department.call("audit/findings", tokens("reviewer1"), NothingForm())
    (made,) = [one.finding for one in found if one.detector == "disputed"]  # type: ignore[attr-defined]
    assert states("disp1") == [("in review", "; ".join(said))]
    verdict = AuditCloseForm(finding=made, verdict="justified", note="the case is right now")
    department.call("audit/close", tokens("reviewer1"), verdict)
    assert states("disp1") == [("reviewed", "; ".join(said))]
    department.call("inquiry/dispute", tokens("disp1"), DisputeForm(entry=access, reason="mistyped again"))
    assert states("disp1") == [("waits for an audit", "; ".join([*said, "mistyped again"]))]


def test_a_request_that_its_requester_disputes_says_nothing_to_who_ran_it(
    department: Department, tokens: Tokens
) -> None:
    query = department.plate("8XYZ123")
    asked = department.call("inquiry/request", tokens("officer1"), AskForm(query=query, ground=GROUND))
    assert isinstance(asked, Entered)
    run = RunForm(query=query, ground=GROUND, request=asked.entry)
    answer = department.call("inquiry/run", tokens("comm1"), run)
    assert isinstance(answer, Answer)
    form = DisputeForm(entry=answer.access, reason="I was on leave that week")
    department.call("inquiry/dispute", tokens("officer1"), form)
    for user, state in (("officer1", "waits for an audit"), ("comm1", "")):
        rows = department.call("inquiry/mine", tokens(user), NothingForm())
        assert [one.dispute for one in rows] == [state]  # type: ignore[attr-defined]


def test_an_access_that_two_people_dispute_is_one_finding(department: Department, tokens: Tokens) -> None:
    query = department.plate("8XYZ123")
    asked = department.call("inquiry/request", tokens("officer1"), AskForm(query=query, ground=GROUND))
    assert isinstance(asked, Entered)
    run = RunForm(query=query, ground=GROUND, request=asked.entry)
    answer = department.call("inquiry/run", tokens("comm1"), run)
    assert isinstance(answer, Answer)
    for user in ("officer1", "comm1"):
        form = DisputeForm(entry=answer.access, reason=f"not {user}")
        department.call("inquiry/dispute", tokens(user), form)
    department.call("audit/run", tokens("super"), PeriodForm())
    found = department.call("audit/findings", tokens("reviewer1"), NothingForm())
    disputed = [one for one in found if isinstance(one, Finding) and one.detector == "disputed"]  # type: ignore[attr-defined]
    assert [one.reason for one in disputed] == ["not officer1; not comm1"]


def test_reading_a_long_log_delays_no_other_call(
    department: Department, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another call can write to the log while accesses are read: reading takes no transaction."""
    search(department, tokens("comm1"))
    log, path = department.desk.log, department.home.path / "desk" / DATABASE
    usual, times = log.entries, []

    def watched(
        start: int = 0, end: int | None = None, kinds: tuple[str, ...] | None = None
    ) -> Iterator[Entry]:
        if kinds == ACCESS_KINDS:
            with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                other.execute("ROLLBACK")
            times.append(start)
        return usual(start, end, kinds)

    monkeypatch.setattr(log, "entries", watched)
    for name, user, form in (
        ("audit/read", "reviewer1", AuditForm()),
        ("audit/run", "super", PeriodForm()),
        ("inquiry/mine", "comm1", NothingForm()),
        ("inquiry/unfiled", "comm1", NothingForm()),
        ("compliance/overdue", "chief", OverdueForm()),
    ):
        department.call(name, tokens(user), form)
    look_daily(department.front)
    assert len(times) == 6
