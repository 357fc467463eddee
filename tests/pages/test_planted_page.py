"""The page of a planted mismatch is the same as for a real misreading, except for the alert's name."""

from __future__ import annotations

import re
from collections.abc import Callable

from desk_cars import PLATE, Car
from desk_twins import Department
from desk_verifiers import Verifier, confirmed_and_closed, name_of, planted_now
from page_reader import Reader

Browser = Callable[[], Reader]


def pages_of(one: Reader, number: str) -> list[str]:
    """The row in the list and the page of each step, without number, times, entry numbers and secrets."""
    path = f"/alerts/{number}"
    row = re.search(rf'<tr id="alert-{number}".*?</tr>', one.get("/alerts").html, re.DOTALL)
    assert row is not None
    sheets = [one.get(path), one.send(one.get(path), path, do="show")]
    sheets.append(one.send(sheets[-1], path, do="transcribe", plate=PLATE, state="CA"))
    sheets.append(one.send(sheets[-1], path, fit="yes"))
    assert sheets[-1].status == 200
    found = []
    for html in (row[0], *(sheet.html for sheet in sheets)):
        told = re.sub(r"<(main|body).*?(?=<h1)", "", html, count=1, flags=re.DOTALL)
        told = told.replace(number, "N")
        told = re.sub(r'value="[A-Za-z0-9_-]{20,}"|nonce="[^"]*"', "SECRET", told)
        told = re.sub(
            r"\b\d{4}-\d\d-\d\d|\b\d\d:\d\d(:\d\d)?|\b\d+ (s|min)\b|Entry \d+|signed \d+ of \d+", "T", told
        )
        found.append(told)
    return found


def test_the_pages_of_a_planted_mismatch_are_those_of_a_real_one(
    department: Department, reader: Browser
) -> None:
    car = Car(department)
    first = Verifier(department, department.logon("disp1"))
    confirmed_and_closed(first, car, PLATE)
    one = reader()
    one.logon("comm1")
    department.front.planting.owe(department.clock.us)
    one.get("/alerts")
    (planted,) = planted_now(department)
    row = department.desk.book.alerts.find(planted)
    assert row is not None
    told = pages_of(one, planted)
    one.send(one.get(f"/alerts/{planted}"), f"/alerts/{planted}", do="close", outcome="no-stop")
    name = car.raises(row.known.planted_plate)  # the same misreading, made by a unit
    one.get("/alerts")
    (real,) = [str(each.number) for each in department.desk.book.alerts.open()]
    assert name_of(department, real) == name
    assert "differ" in told[-1]
    for planted_page, real_page in zip(told, pages_of(one, real), strict=True):
        assert planted_page.splitlines() == real_page.splitlines()
    car.unit.close()
