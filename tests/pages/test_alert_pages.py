"""Two people at one alert, and an entry withdrawn under it: each page shows the current state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from desk_cars import Car
from desk_forms import forms
from desk_twins import DAY_US, Department
from page_reader import Reader

from sync.department.desk.documents.local import WithdrawForm

Browser = Callable[[], Reader]
MADE_OF = ("state", "category", "reason", "make", "case", "until_us", "requester", "approver")


@pytest.fixture
def car(department: Department) -> Iterator[Car]:
    made = Car(department)
    yield made
    made.unit.close()


def looked_at(one: Reader, user: str) -> str:
    """Open the picture of the one open alert. Returns the alert's path."""
    one.logon(user)
    links = (given.get("href", "") for _, given in one.get("/alerts").tags)
    path = next(link for link in links if link.startswith("/alerts/"))
    one.send(one.get(path), path, **{"do": "show"})
    return path


def test_an_alert_whose_entry_is_withdrawn_says_so_on_an_open_page_and_is_closed_there(
    department: Department, reader: Browser, car: Car
) -> None:
    form = replace(forms(department)["hotlist/add"], until_us=department.clock.us + 2 * DAY_US)
    department.two_hands("hotlist/add", department.logon("super"), form, second="chief")
    (entry,) = department.front.list_entries("local")
    car.raises(entry.plate, list_id="local", **{name: getattr(entry, name) for name in MADE_OF})
    one = reader()
    path = looked_at(one, "comm1")
    page = one.send(one.get(path), path, **{"do": "transcribe", "plate": entry.plate, "state": entry.state})
    confirmed = one.send(page, path, fit="yes")
    assert "Confirmed by a look" in confirmed.text
    ended = WithdrawForm(case=form.case, reason="found")
    department.call("hotlist/withdraw", department.logon("super"), ended)
    now = one.get(path)
    assert "Confirmed" not in now.text
    assert "The entry was withdrawn. Do not act on this alert" in now.text
    closed = one.send(now, path, **{"do": "close", "outcome": "unfounded", "outcome_text": "was found"})
    assert "No alert is open" in closed.text


def test_who_has_the_page_of_an_alert_that_another_person_closed_is_shown_that(
    department: Department, reader: Browser, car: Car
) -> None:
    car.raises("7XKR219")
    one, other = reader(), reader()
    path = looked_at(one, "comm1")
    old = one.get(path)
    assert looked_at(other, "disp1") == path
    page = other.send(other.get(path), path, **{"do": "transcribe", "plate": "7XKR210", "state": "CA"})
    page = other.send(page, path, fit="no")
    page = other.send(page, path, **{"do": "close", "outcome": "unfounded", "outcome_text": "misread"})
    assert (page.path, page.status) == ("/alerts", 200)
    again = one.get(path)
    late = one.send(old, path, **{"do": "transcribe", "plate": "7XKR219", "state": "CA"})
    assert (again.status, late.status) == (422, 422)
    assert "hat alert is closed: another person ended it" in again.text
    assert "here is no such open alert" in late.text


@pytest.mark.parametrize(
    ("first", "second", "banner"),
    [
        ("7XKR291", "7XKR219", "Confirmed by a look"),
        ("7XKR219", "7XKR291", "Do not act on this alert"),
    ],
)
def test_a_colleague_answers_too_after_another_persons_answer(
    reader: Browser, car: Car, first: str, second: str, banner: str
) -> None:
    """Who mistyped was shown the entry and types no second time: a colleague's look is the next word."""
    car.raises("7XKR219")
    pages = []
    for user, plate in (("disp1", first), ("comm1", second)):
        one = reader()
        path = looked_at(one, user)
        page = one.send(one.get(path), path, **{"do": "transcribe", "plate": plate, "state": "CA"})
        assert "Does the vehicle in the picture fit" in page.text
        pages.append(one.send(page, path, fit="yes"))
    assert banner in pages[1].text
    assert [("leave the alert open" in one.text) for one in pages] == [
        one != "7XKR219" for one in (first, second)
    ]
    assert all('<option value="stop"' not in one.text for one in pages)  # before CLETS, or never
