"""People who may not know of a covert entry see the same pages before its proposal and once it is out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_forms import forms
from desk_twins import DAY_US, Department
from page_reader import Reader

from sync.department.pages import app

PAGES = [
    one.path for one in app.PAGES if one.show is not None and "{" not in one.path and "events" not in one.path
]
SHOWING = {"/", "/hotlists", "/calendar", "/changes", "/units"}
OF_ITSELF = re.compile(r"\d\d:\d\d(:\d\d)?|signed \d+ of \d+ entries")


@pytest.mark.parametrize("user", ["deputy", "analyst1"])
def test_no_page_shows_that_a_covert_entry_came_to_who_may_not_know(
    department: Department, reader: Callable[[], Reader], user: str
) -> None:
    form = replace(forms(department)["hotlist/add"], until_us=department.clock.us + 2 * DAY_US)
    covert = replace(form, recipients=("comm1",), case="26-002222")
    one = reader()
    one.logon(user)

    def texts() -> dict[str, str]:
        return {path: OF_ITSELF.sub("", one.get(path).text) for path in PAGES}

    once, again = texts(), texts()
    alike = {path for path in PAGES if once[path] == again[path]}
    assert alike >= SHOWING - ({"/changes"} if user == "analyst1" else set())
    proposed = department.call("hotlist/add", department.logon("super"), replace(covert, propose=True))
    waiting = texts()
    theirs = one.post(f"/changes/{proposed.proposal}", {"mark": one.get("/help").form("/look")["mark"]})  # type: ignore[attr-defined]
    assert "made by another person" not in theirs.text
    department.two_hands(
        "hotlist/add", department.logon("super"), replace(covert, case="26-003333"), second="chief"
    )
    out = texts()
    assert {path for path in alike if not once[path] == waiting[path] == out[path]} == set()
