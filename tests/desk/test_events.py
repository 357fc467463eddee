"""The reviewer's events, and patterns in them that become findings."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_asking import look_up
from desk_twins import GROUND, Department

from storage.times import HOUR_US
from sync.department.desk.audit import event_calls
from sync.department.desk.audit.calls import AuditCloseForm, look_daily
from sync.department.desk.audit.event_calls import Events, EventsForm
from sync.department.desk.audit.events import EVENT_KINDS, NAMES, EventRow, csv_text
from sync.department.desk.inquiry.forms import (
    AskForm,
    Entered,
    RunForm,
)
from sync.department.journal.entries import NOTES
from sync.department.policy.refusals import DeskRefusal, FormError

Tokens = Callable[[str], str]


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
        look_up(department, tokens("officer1"))
    department.two_hands(
        "user/credential", tokens("chief"), CredentialForm(user="disp1", reason="lost phone")
    )
    page = department.call("audit/events", tokens("reviewer1"), EventsForm(limit=40))
    assert isinstance(page, Events)
    assert [row.entry for row in page.rows] == sorted((row.entry for row in page.rows), reverse=True)
    said = {(row.kind, row.user, row.about, row.second, row.outcome) for row in page.rows}
    assert ("credential", "chief", "disp1", "super", "reset by another") in said
    assert ("refusal", "officer1", "inquiry.run", "", "role") in said
    assert any(kind == "login" and about == "comm1" and out == "password" for kind, _, about, _, out in said)
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


@pytest.mark.one_python
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


@pytest.mark.one_python
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
        look_up(department, comm, f"26-00{number}234")
    (first,) = look_daily(department.front)
    look_up(department, comm, "26-006234")
    assert look_daily(department.front) == []  # more of the same belongs to the open finding
    close = AuditCloseForm(finding=first, verdict="justified", note="read the case files")
    department.call("audit/close", tokens("reviewer1"), close)
    (second,) = look_daily(department.front)
    seen = [department.desk.log.entry(one).note.accesses for one in (first, second)]  # type: ignore[attr-defined]
    assert (len(seen[0]), len(seen[1])) == (5, 1)
    assert not set(seen[0]) & set(seen[1])
    department.call("audit/close", tokens("reviewer1"), replace(close, finding=second))
    assert look_daily(department.front) == []
    look_up(department, comm, "26-007234")
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
