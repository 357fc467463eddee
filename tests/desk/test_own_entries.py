"""The department's own hot list entries: case and end for people who sign them; covert ones for their people;
never a plate."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_cars import Car
from desk_forms import forms
from desk_twins import DAY_US, Department

from storage.alert_life import AlertAnswer, AlertEvent, AlertStep, Fit
from sync.department.desk.alerts.calls import Figures
from sync.department.desk.documents.local import WithdrawForm
from sync.department.desk.documents.own_entries import OwnEntry
from sync.department.desk.due import CalendarForm, OverdueForm
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.operations import OPERATIONS
from sync.department.journal.entries import LogRead
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.server.findings import standing

Tokens = Callable[[str], str]
OF_ITSELF = frozenset(  # each answer of these differs from the last: the log, one's own calls, fresh secrets
    {
        "audit/bundle",
        "inquiry/mine",
        "retention/purge",
        "transparency/read",
        "user/authenticator",
        "user/me",
        "user/passkey-options",
    }
)


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


def test_nothing_else_shows_that_a_covert_entry_came_to_who_may_not_know(department: Department) -> None:
    """What mails and every operation that asks for nothing show each person is the same before and after;
    a person who signs lists sees the own one's number of entries and its end, and never whose it is."""
    form = forms(department)["hotlist/add"]
    covert = replace(form, case="26-002222", recipients=("comm1",), until_us=department.clock.us + 2 * DAY_US)
    unsigned = ("disp1", "officer1", "analyst1", "reviewer1")
    walked = [name for name, one in OPERATIONS.items() if one.form is NothingForm and name not in OF_ITSELF]
    walked.append("calendar/list")

    def shown() -> list[object]:
        found: list[object] = [standing(department.front).lines()]
        for user in unsigned:
            token = department.logon(user)
            for call in walked:
                with contextlib.suppress(DeskRefusal):
                    asked = CalendarForm() if call == "calendar/list" else NothingForm()
                    found.append((user, call, department.call(call, token, asked)))
        return found

    before = shown()
    department.two_hands("hotlist/add", department.logon("super"), covert, second="chief")
    assert shown() == before
    for user, seen in (("super", True), ("chief", True), ("deputy", False)):
        ends = department.call("calendar/list", department.logon(user), CalendarForm(kinds=("list-entry",)))
        assert bool(ends) == seen, user


def test_no_figure_of_alerts_shows_that_a_covert_entry_was_hit(department: Department, car: Car) -> None:
    """Open, overdue, by source: for who is neither a recipient nor an administrator, and in mails."""
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
    assert not any("no outcome" in one for one in standing(department.front).lines())


def test_a_covert_entry_is_neither_found_nor_ended_by_its_case(department: Department) -> None:
    """A person who signs lists, and is none of its people, gets the answer for a case without entries."""
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
    assert [one.covert for one in listed(department, "super")] == [True]  # of two, the open one ended
    department.call(
        "hotlist/withdraw", department.logon("chief"), WithdrawForm(case=form.case, reason="found")
    )
    assert listed(department, "super") == []
