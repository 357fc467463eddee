"""The calendar page for each role: what ends on which day, whose it is, and where to renew it."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from desk_twins import DAY_US, PEOPLE, Department
from page_reader import Reader

from sync.department.desk.due import endings_now
from sync.department.ground.local_time import local

Browser = Callable[[], Reader]


def end_of_training(department: Department, user: str) -> datetime:
    """The end of the person's training, by the department's clocks."""
    held_us = department.desk.book.trainings.newest[user].held_us
    days = department.desk.policy.training.valid_days
    return local(held_us, department.desk.policy.zone) + timedelta(days=days)


def test_the_calendar_shows_whose_training_expires_on_which_day(
    department: Department, reader: Browser
) -> None:
    one = reader()
    one.logon("super")
    ends = end_of_training(department, "officer1")
    page = one.get(f"/calendar?month={ends:%Y-%m}&kind=training")
    day = page.html.split(f'<time datetime="{ends:%Y-%m-%d}">')[1].split("</td>")[0]
    assert "officer1" in day
    assert "password" not in day
    assert page.html.count("<time ") == calendar.monthrange(ends.year, ends.month)[1]
    assert 'href="/training"' in page.html.split("<h2>Everything by its date")[1]
    for wrong in ("month=2026-13", "kind=plate", "month=<script>"):
        assert one.get(f"/calendar?{wrong}").status == 422


def test_an_officer_sees_their_own_days_and_no_other_persons(department: Department, reader: Browser) -> None:
    officer = reader()
    officer.logon("officer1")
    ends = end_of_training(department, "officer1")
    own = officer.get(f"/calendar?month={ends:%Y-%m}")
    table = own.html.split("<h2>Everything by its date")[1]
    assert "officer1" in table
    assert 'href="/account/password"' in table
    assert "The CCAT Supervisor holds a class and enters it" in own.text
    assert not [user for user in PEOPLE if user != "officer1" and user in own.html]
    assert "certificate" not in table


@pytest.mark.thorough_rows(every=4)
@pytest.mark.parametrize("user", sorted(PEOPLE))
def test_everybody_has_a_calendar_and_each_link_on_it_opens(
    department: Department, reader: Browser, user: str
) -> None:
    one = reader()
    one.logon(user)
    page = one.get("/calendar")
    assert page.status == 200
    table = page.html.split("<h2>Everything by its date")[1]
    links = {part.split('"')[0] for part in table.split('href="')[1:] if part.startswith("/")}
    assert "/account/password" in links
    for path in links:
        assert one.get(path).status == 200, (user, path)
    assert one.get("/").html.count('href="/calendar"') == 1


def test_what_has_ended_is_marked_and_home_warns_before(department: Department, reader: Browser) -> None:
    department.clock.step(340 * DAY_US)
    one = reader()
    one.logon("officer1")
    home = one.get("/")
    assert "Training, your own: ends" in home.text
    assert "Password, your own: ends" in home.text
    assert "reviewer1" not in home.html
    for user in ("officer1", "super"):
        department.renew_password(user)
    department.clock.step(30 * DAY_US)
    late = reader()
    late.logon("super")
    rows = late.get("/calendar?kind=training").html.split("<h2>Everything by its date")[1].split("<tr")
    (officer,) = (row for row in rows if ">officer1<" in row)
    assert 'class="late"' in officer
    assert ">ended<" in officer


def test_the_page_and_the_command_have_the_same_lines(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("chief")
    page = one.get("/calendar")
    found = endings_now(department.front, department.clock.us)
    assert page.html.count('<tr id="ends-') == len(found)
