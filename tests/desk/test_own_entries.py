"""The department's own hot list entries: signers see case and end, covert ones are for their people only,
and no one sees a plate.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import cast

import pytest
from desk_asking import code_of
from desk_cars import Car
from desk_forms import forms
from desk_twins import DAY_US, Department

from storage.alert_life import AlertAnswer, AlertEvent, AlertStep, Fit, Outcome
from sync.department.content.alert_records import SealedRecord
from sync.department.desk.alerts.calls import AlertForm, AlertLine, CloseForm, Figures, TranscribeForm
from sync.department.desk.changes.calls import DecideForm, ShowForm
from sync.department.desk.documents.local import LocalChanged, WithdrawForm
from sync.department.desk.documents.own_entries import OwnEntry
from sync.department.desk.due import CalendarForm, OverdueForm
from sync.department.desk.inquiry.forms import (
    FileCaseForm,
    FiledMany,
    FileForm,
    FileManyForm,
    Filing,
    NothingForm,
)
from sync.department.desk.json_forms import to_json
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people.calls import AccountForm
from sync.department.journal.entries import LogRead
from sync.department.journal.inquiry_entries import Access
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.policy.roles import Role
from sync.department.server.daily import notify_people
from sync.department.server.due_work import standing
from sync.hot_lists.entry import ListEntry

Tokens = Callable[[str], str]
PRYING = ("deputy", "disp1", "officer1", "analyst1", "reviewer1")
MADE_OF = (
    "state", "category", "reason", "make", "model", "color", "plate_class", "case", "from_us", "until_us",
    "requester", "approver", "recipients",
)  # fmt: skip
NUMBERED = re.compile(r'"(entry|access|proposal|request|at_us|[a-z]+_ago)": -?[0-9]+')
SHOWING = (
    "alert/figures", "alert/list", "calendar/list", "change/list", "change/mine", "change/show",
    "compliance/endings", "compliance/overdue", "document/list", "hotlist/diff", "hotlist/list",
    "hotlist/own", "hotlist/push", "hotlist/sources", "hotlist/withdraw", "unit/list",
)  # fmt: skip


def listed(department: Department, user: str) -> list[OwnEntry]:
    found = department.call("hotlist/own", department.logon(user), NothingForm())
    assert isinstance(found, tuple)
    assert "8XYZ123" not in repr(found) + "".join(str(one.reason) for one in found)
    return list(found)


def test_own_entries_are_listed_until_they_end_and_covert_ones_to_their_people(
    department: Department,
) -> None:
    form = forms(department)["hotlist/add"]
    plain = replace(form, case="26-001111", until_us=department.clock.us + 2 * DAY_US)
    covert = replace(
        form,
        plate="9DEF456",
        case="26-002222",
        recipients=("comm1",),
        until_us=department.clock.us + 5 * DAY_US,
    )
    department.two_hands("hotlist/add", department.logon("super"), plain, second="chief")
    department.two_hands("hotlist/add", department.logon("super"), covert, second="chief")
    size = department.desk.log.size()
    assert [(one.case, one.covert, one.requester, one.approver) for one in listed(department, "chief")] == [
        ("26-001111", False, "super", "chief"),
        ("26-002222", True, "super", "chief"),
    ]
    notes = [one.note for one in department.desk.log.entries(size) if isinstance(one.note, LogRead)]
    assert [(one.elements, one.count) for one in notes] == [("own hot list entries", 2)]
    assert [one.case for one in listed(department, "super")] == ["26-001111", "26-002222"]
    assert [one.case for one in listed(department, "deputy")] == ["26-001111"]
    department.clock.step(3 * DAY_US)
    assert [one.case for one in listed(department, "chief")] == ["26-002222"]


@pytest.mark.parametrize("user", ["disp1", "comm1", "officer1", "reviewer1"])
def test_it_is_for_people_who_sign_lists(department: Department, tokens: Tokens, user: str) -> None:
    with pytest.raises(DeskRefusal) as refused:
        department.call("hotlist/own", tokens(user), NothingForm())
    assert refused.value.code == "role"


def said(department: Department, call: str, token: str, form: object) -> str:
    """An answer or a refusal as sent over HTTP, without entry numbers and times."""
    try:
        return NUMBERED.sub("", json.dumps(to_json(department.call(call, token, form))))
    except DeskRefusal as refused:
        return f"{refused.code}: {refused}"


def test_nothing_shows_that_a_covert_entry_came_to_who_may_not_know(department: Department) -> None:
    """Mails and operations say the same to each person before the proposal, while it waits and once it is
    out, apart from what differs between calls anyway and the audit of the log.
    """
    plain = replace(forms(department)["hotlist/add"], until_us=department.clock.us + 2 * DAY_US)
    department.two_hands("hotlist/add", department.logon("super"), plain, second="chief")
    covert = replace(plain, plate="9DEF456", case="26-002222", recipients=("comm1",), propose=True)
    given = forms(department) | {
        "change/show": ShowForm(proposal=10**6),
        "change/approve": DecideForm(proposal=10**6, granted=False, reason="no need"),
        "hotlist/withdraw": WithdrawForm(case="26-002222", reason="known to me"),
    }
    asked = [(user, call) for user in PRYING for call in OPERATIONS if not call.startswith("audit/")]

    def answers(wanted: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
        tokens = {user: department.logon(user) for user in PRYING}
        return [(user, call, said(department, call, tokens[user], given[call])) for user, call in wanted]

    once, again = answers(asked), answers(asked)
    before = [one for one, other in zip(once, again, strict=True) if one == other]
    alike = [(user, call) for user, call, _said in before]
    assert {(user, call) for user in PRYING for call in SHOWING} <= set(alike)
    mails = standing(department.front).lines()
    made = department.call("hotlist/add", department.logon("super"), covert)
    number = made.proposal  # type: ignore[attr-defined]
    given["change/show"] = ShowForm(proposal=number)
    given["change/approve"] = replace(given["change/approve"], proposal=number)
    assert answers(alike) == before
    yes = DecideForm(proposal=number, granted=True, reason="known to me")
    department.call("change/approve", department.logon("chief"), yes)
    go = replace(covert, propose=False, approval=number)
    department.call("hotlist/add", department.logon("super"), go)
    assert len(department.front.list_entries("local")) == 2
    assert (answers(alike), standing(department.front).lines()) == (before, mails)
    for user, seen in (("super", 2), ("chief", 2), ("deputy", 1)):
        ends = department.call("calendar/list", department.logon(user), CalendarForm(kinds=("list-entry",)))
        assert len(ends) == seen, user  # type: ignore[arg-type]


def test_a_hidden_proposals_number_is_answered_like_an_unknown_one(department: Department) -> None:
    """With the same words, code and steps: no proof is requested, and the log gets the same refusal."""
    plain = replace(forms(department)["hotlist/add"], until_us=department.clock.us + 2 * DAY_US)
    covert = replace(plain, plate="9DEF456", recipients=("comm1",), propose=True)
    made = department.call("hotlist/add", department.logon("super"), covert)
    token, log = department.logon("deputy", proves=False), department.desk.log
    given: Sequence[tuple[str, Callable[[int], object]]] = (
        ("change/show", lambda number: ShowForm(proposal=number)),
        ("change/approve", lambda number: DecideForm(proposal=number, granted=True, reason="known to me")),
        ("change/approve", lambda number: DecideForm(proposal=number, granted=True, reason="")),
        ("hotlist/add", lambda number: replace(plain, approval=number)),
        ("hotlist/add", lambda number: replace(covert, propose=False, approval=number)),
    )
    for call, form in given:
        answers = []
        for number in (made.proposal, 10**6):  # type: ignore[attr-defined]
            size = log.size()
            answer = said(department, call, token, form(number))
            answers.append((answer, [one.note for one in log.entries(size)]))
        assert answers[0] == answers[1], call


def test_a_person_who_signs_the_next_entry_sees_the_count_of_those_that_they_may_know(
    department: Department,
) -> None:
    form = replace(forms(department)["hotlist/add"], until_us=department.clock.us + 2 * DAY_US)
    covert = replace(form, plate="9DEF456", case="26-002222", recipients=("comm1",))
    department.two_hands("hotlist/add", department.logon("super"), covert, second="chief")
    made = department.two_hands("hotlist/add", department.logon("deputy"), form, second="super")
    sources = department.call("hotlist/sources", department.logon("super"), NothingForm())
    ended = department.call(
        "hotlist/withdraw", department.logon("deputy"), WithdrawForm(case=form.case, reason="found")
    )
    counts = [(one.entries, one.covert) for one in (made, ended) if isinstance(one, LocalChanged)]
    assert counts == [(1, 0), (0, 0)]
    assert [(one.source, one.entries) for one in sources] == [("local", 2)]  # type: ignore[attr-defined]


def test_an_alert_whose_entry_was_withdrawn_says_so_before_its_unit_syncs(
    department: Department, car: Car
) -> None:
    form = replace(forms(department)["hotlist/add"], until_us=department.clock.us + 2 * DAY_US)
    department.two_hands("hotlist/add", department.logon("super"), form, second="chief")
    (entry,) = department.front.list_entries("local")
    car.raises(entry.plate, list_id="local", **{name: getattr(entry, name) for name in MADE_OF})
    token = department.logon("comm1")
    (line,) = cast("tuple[AlertLine]", department.call("alert/list", token, NothingForm()))
    assert not line.recalled
    ended = WithdrawForm(case=form.case, reason="found")
    department.call("hotlist/withdraw", department.logon("super"), ended)
    (line,) = cast("tuple[AlertLine]", department.call("alert/list", token, NothingForm()))
    assert (line.recalled, line.next) == (True, "close: the entry was withdrawn")
    assert code_of(department, "alert/show", token, AlertForm(alert=line.alert)) == "alert-step"
    close = CloseForm(alert=line.alert, outcome=Outcome.UNFOUNDED, text="the vehicle was found")
    department.call("alert/close", token, close)


def test_open_alerts_ask_each_list_once_and_keep_no_other_call(
    department: Department, car: Car, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long list takes a while to open."""
    asked: list[tuple[str, int, bool]] = []

    def look() -> None:
        with department.desk.looking():
            pass

    def under(list_id: str, keys: Collection[int]) -> list[ListEntry]:
        other = threading.Thread(target=look, daemon=True)
        other.start()
        other.join(5)
        asked.append((list_id, len(keys), other.is_alive()))
        return []

    monkeypatch.setattr(department, "front", replace(department.front, entries_under=under))
    for plate in ("7XKR219", "8XYZ123"):
        car.raises(plate)
    lines = cast("tuple[AlertLine, ...]", department.call("alert/list", tokens("comm1"), NothingForm()))
    assert [one.recalled for one in lines] == [True, True]
    assert asked == [("doj", 2, False)]


def test_a_look_at_the_alert_of_a_covert_entry_is_shown_to_its_people_alone(
    department: Department, car: Car
) -> None:
    """Its makers included. The first person to list alerts opens everything that units sent."""

    def looks(user: str, call: str) -> list[tuple[str, int | None, tuple[str, ...]]]:
        rows = department.call(call, department.logon(user), NothingForm())
        assert isinstance(rows, tuple)
        return [(one.data_elements, one.results, one.reads) for one in rows if one.action.startswith("alert")]

    car.raises(recipients=("comm1",))
    size = department.desk.log.size()
    assert department.call("alert/list", department.logon("disp1"), NothingForm()) == ()
    assert department.call("alert/list", department.logon("disp1"), NothingForm()) == ()
    notes = [one.note for one in department.desk.log.entries(size)]
    assert [one.count for one in notes if isinstance(one, LogRead)] == [0]
    number = str(department.desk.book.alerts.open()[0].number)
    department.call("alert/show", department.logon("comm1"), AlertForm(alert=number))
    listed, seen = ("alerts that units raised", None, ()), (f"images of alert {number}", 1, ())
    assert [looks("disp1", call) for call in ("inquiry/mine", "inquiry/unfiled")] == [[], []]
    accesses = [one.sequence for one in department.desk.log.entries(size) if isinstance(one.note, Access)]
    forms_of_none: list[tuple[str, object]] = [
        ("inquiry/file-case", FileCaseForm(number="ALERT-4637", rms_number="RMS-1")),
        *(("inquiry/file", FileForm(access=one, rms_number="RMS-1")) for one in accesses),
        *(
            ("inquiry/file-many", FileManyForm(filings=(Filing(access=one, rms_number="RMS-1"),)))
            for one in accesses
        ),
    ]
    for call, form in forms_of_none:
        with pytest.raises(FormError) as refused:
            department.call(call, department.logon("disp1"), form)
        assert refused.value.code == "no-access"
    assert looks("comm1", "inquiry/unfiled") == looks("super", "inquiry/unfiled") == [listed, seen]
    car.raises("7ABC123")
    department.call("alert/list", department.logon("disp1"), NothingForm())
    assert looks("disp1", "inquiry/mine") == [listed]
    made = department.call("inquiry/file-case", department.logon("disp1"), forms_of_none[0][1])
    assert made == FiledMany(filed=1)


class Purged:
    """A store after the year's purge."""

    def waiting(self, _known: Collection[str]) -> list[SealedRecord]:
        return []

    def named(self, _names: Sequence[str]) -> list[SealedRecord]:
        return []


def test_a_purged_alert_of_a_covert_entry_is_to_others_as_one_that_never_was(
    department: Department, car: Car
) -> None:
    car.raises(recipients=("comm1",))
    department.call("alert/list", department.logon("comm1"), NothingForm())
    number = str(department.desk.book.alerts.open()[0].number)
    department.front.alert_facts.clear()
    department.front = replace(department.front, alerts=Purged())
    form = {"disp1": AlertForm(alert=number), "comm1": AlertForm(alert="999999")}
    refused = {said(department, "alert/show", department.logon(user), one) for user, one in form.items()}
    assert len(refused) == 1
    assert "purged" in said(department, "alert/show", department.logon("comm1"), AlertForm(alert=number))


def test_no_figure_of_alerts_shows_that_a_covert_entry_was_hit(department: Department, car: Car) -> None:
    """Open, overdue or by source: in no mail, and only for recipients and administrators."""
    alert = car.raises(recipients=("comm1",))
    step = AlertStep(step=AlertEvent.VIEWED, user="comm1", role="communications", at_us=department.clock.us)
    typed = replace(step, step=AlertEvent.TRANSCRIBED, plate="7XKR279", state="US-CA")
    answer = replace(step, step=AlertEvent.ANSWERED, fit=Fit.YES, answer=AlertAnswer.NOT_THIS_VEHICLE)
    car.steps(alert, step, typed, answer)
    department.call("alert/list", department.logon("comm1"), NothingForm())
    department.clock.step(2 * DAY_US)
    for user, shown in (("super", 0), ("reviewer1", 0), ("chief", 1)):
        token = department.logon(user)
        figures = department.call("alert/figures", token, NothingForm())
        assert isinstance(figures, Figures)
        assert (figures.open, figures.overdue, len(figures.sources)) == (shown, shown, shown), user
        late = department.call("compliance/overdue", token, OverdueForm(filings=False))
        assert isinstance(late, tuple)
        assert sum(one.kind == "alert" for one in late) == shown, user
        with contextlib.suppress(DeskRefusal):
            sources = department.call("hotlist/sources", token, NothingForm())
            assert isinstance(sources, tuple)
            assert len(sources) == shown, user
    mails: list[str] = []
    administrators: list[str] = []
    assert notify_people(department.front, [mails.extend], [administrators.extend])
    late = [one for one in administrators if one not in mails]
    assert [one.split(maxsplit=3)[3] for one in late] == ["1 alert has no outcome after 24 hours"]
    assert set(mails) < set(administrators)
    assert not notify_people(department.front, [mails.extend], [administrators.extend])  # nothing is new


def test_a_covert_entry_is_neither_found_nor_ended_by_its_case(department: Department) -> None:
    """A signer of lists who is not one of its people gets the answer for a case without entries."""
    form = forms(department)["hotlist/add"]
    covert = replace(form, recipients=("comm1",), until_us=department.clock.us + 2 * DAY_US)
    department.two_hands("hotlist/add", department.logon("super"), covert, second="chief")
    deputy, said = department.logon("deputy"), []
    for case in (form.case, "26-009999"):
        with pytest.raises(FormError) as refused:
            department.call("hotlist/withdraw", deputy, WithdrawForm(case=case, reason="known to me"))
        said.append((refused.value.code, str(refused.value)))
    assert said[0] == said[1]
    plain = replace(form, plate="9DEF456", until_us=department.clock.us + 2 * DAY_US)
    department.two_hands("hotlist/add", department.logon("super"), plain, second="chief")
    department.call("hotlist/withdraw", deputy, WithdrawForm(case=form.case, reason="known to me"))
    assert [one.covert for one in listed(department, "super")] == [True]  # the open one ended
    department.call(
        "hotlist/withdraw", department.logon("chief"), WithdrawForm(case=form.case, reason="found")
    )
    assert listed(department, "super") == []


def test_where_the_recipients_of_a_covert_entry_left_its_alerts_fall_to_who_made_it(
    department: Department, car: Car
) -> None:
    """And to no one else: others see no difference. Its makers close what is open."""
    chief = department.logon("chief")
    covert = replace(
        forms(department)["hotlist/add"],
        recipients=("comm1",),
        until_us=department.clock.us + 9 * DAY_US,
    )
    department.two_hands("hotlist/add", department.logon("super"), covert, second="chief")
    (entry,) = department.front.list_entries("local")
    car.raises(entry.plate, **{name: getattr(entry, name) for name in MADE_OF})

    def told(user: str) -> tuple[object, list[str]]:
        token = department.logon(user)
        ends = department.call("calendar/list", token, CalendarForm(kinds=("recipients",)))
        try:
            rows = department.call("alert/list", token, NothingForm())
        except DeskRefusal as refused:
            rows = refused.code
        assert isinstance(ends, tuple)
        return rows, [one.what for one in ends]

    assert [len(told(user)[0]) for user in ("comm1", "super", "disp1")] == [1, 0, 0]  # type: ignore[arg-type]
    before = {user: told(user) for user in (*PRYING, "chief")}
    lines = standing(department.front).lines()
    gone = AccountForm(
        user="comm1",
        name="Comm1",
        organisation="PD",
        roles=(Role.COMMUNICATIONS,),
        active=False,
        reason="left",
    )
    department.call("user/set", chief, gone)
    rows, whats = told("super")
    assert isinstance(rows, tuple)
    assert (len(rows), len(whats)) == (1, 1)
    assert "no recipient may verify its alerts" in whats[0]
    assert (told("chief")[1], before["chief"][1]) == (whats, [])
    assert {user: told(user) for user in PRYING} == {user: before[user] for user in PRYING}
    assert [one for one in standing(department.front).lines() if "on the department's own list" in one] == [
        one for one in lines if "on the department's own list" in one
    ]
    supervisor = department.logon("super")
    department.call("alert/show", supervisor, AlertForm(alert=rows[0].alert))
    typed = TranscribeForm(alert=rows[0].alert, plate=entry.plate, state=entry.state)
    assert said(department, "alert/transcribe", supervisor, typed).startswith("alert-step")
    form = CloseForm(alert=rows[0].alert, outcome=Outcome.HANDED_OVER, text="to the detectives")
    department.call("alert/close", supervisor, form)
    assert told("super")[0] == ()
    department.two_hands("user/set", department.logon("chief"), replace(gone, active=True))
    assert told("super") == ((), [])
