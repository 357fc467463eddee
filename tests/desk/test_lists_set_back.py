"""The department's clock is set back across an end: nothing that was over becomes valid again."""

from __future__ import annotations

import pytest
from desk_cars import Car
from desk_forms import forms
from desk_twins import DAY_US, HOUR_US, Department

from sync.department.desk.alerts.calls import AlertLine
from sync.department.desk.documents.lists import ListLine
from sync.department.desk.documents.local import LocalForm, WithdrawForm
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.policy.refusals import FormError
from sync.department.units.hot_lists import entries_of


def local(department: Department, plate: str, *, days: int) -> LocalForm:
    return LocalForm(
        plate=plate, state="CA", category="felony-vehicle", case=f"26-{plate}",
        reason="robbery on Myrtle Avenue", until_us=department.clock.us + days * DAY_US,
    )  # fmt: skip


def test_a_local_entry_that_ended_is_not_sent_again(department: Department) -> None:
    for plate, days in (("7XKR219", 1), ("8ABC123", 9), ("9ABC123", 9)):
        form = local(department, plate, days=days)
        department.two_hands("hotlist/add", department.logon("super"), form, second="chief")
    department.clock.step(2 * DAY_US)
    token = department.logon("super")  # makes an entry two days later
    department.clock.step(-2 * DAY_US)
    withdrawal = WithdrawForm(case="26-9ABC123", reason="found")
    department.call("hotlist/withdraw", token, withdrawal)  # at the log's time, whatever the clock says
    assert [one.plate for one in entries_of(department.home, "local")] == ["8ABC123"]


def test_an_end_that_is_over_by_the_log_is_refused_whatever_the_clock_says(department: Department) -> None:
    department.clock.step(2 * DAY_US)
    token = department.logon("super")
    department.clock.step(-2 * DAY_US)
    with pytest.raises(FormError) as refused:
        department.call("hotlist/add", token, local(department, "7XKR219", days=1))
    assert refused.value.code == "until"


def test_a_list_that_expired_is_called_expired(department: Department) -> None:
    department.two_hands("hotlist/push", department.logon("super"), forms(department)["hotlist/push"],
                         second="chief")  # fmt: skip
    department.clock.step(40 * DAY_US)
    token = department.logon("super")

    def expired() -> list[bool]:
        found = department.call("hotlist/list", token, NothingForm())
        assert isinstance(found, tuple)
        assert all(isinstance(one, ListLine) for one in found)
        return [one.expired for one in found]

    assert expired() == [True]
    department.clock.step(-40 * DAY_US)
    assert expired() == [True]


def test_an_alert_that_was_overdue_stays_overdue(department: Department, car: Car) -> None:
    car.raises()
    tokens = [department.logon("disp1")]

    def overdue() -> list[bool]:
        found = department.call("alert/list", tokens[-1], NothingForm())
        assert isinstance(found, tuple)
        assert all(isinstance(one, AlertLine) for one in found)
        return [one.overdue for one in found]

    assert overdue() == [False]  # the desk learns of it now and counts from here
    department.clock.step(24 * HOUR_US)
    tokens.append(department.logon("disp1"))
    assert overdue() == [True]
    department.clock.step(-23 * HOUR_US)
    assert overdue() == [True]
