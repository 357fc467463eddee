"""A session shows a kept answer only to people who could still open it: no longer once their role or
training has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_cars import Car
from desk_forms import forms
from desk_twins import MINUTE_US, Department
from page_reader import WHY, Reader

from sync.department.desk.people import training
from sync.department.policy.roles import Role

Browser = Callable[[], Reader]


def searched(one: Reader) -> str:
    """Search for a plate and open a picture. Returns the path of the answer."""
    found = one.send(one.get("/search"), "/search", **WHY, do="run", plate="8XYZ123", range="30")
    assert "8XYZ123" in found.text
    shown = one.send(found, f"{found.path}/picture", row="0")
    assert "patch" in shown.html
    return found.path


def demoted(department: Department, user: str, *roles: Role) -> None:
    """Give a person another role, with a second person's approval."""
    form = replace(forms(department)["user/set"], user=user, name=user.title(), roles=roles, reason="moved")
    department.two_hands("user/set", department.logon("chief"), form, second="super")


def refused_everywhere(one: Reader, paths: list[str], code: int = 403) -> None:
    """Assert that none of these paths shows the plate, a picture or a place."""
    for path in paths:
        answer = one.ask("GET", path)
        assert answer.status_code == code, path
        assert "8XYZ123" not in answer.text
        assert not answer.content.startswith((b"\x89PNG", b"\xff\xd8"))


def test_an_answer_is_gone_with_the_role_that_asked(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("comm1")
    path = searched(one)
    kept = [path, f"{path}/picture/0/patch", f"{path}/picture/0/overview"]
    assert [one.ask("GET", each).status_code for each in kept] == [200, 200, 200]
    demoted(department, "comm1", Role.REVIEWER)
    assert one.get("/").status == 200, "the session goes on in the new role"
    refused_everywhere(one, kept)
    mark = one.get("/help").form("/look")["mark"]
    assert one.post(f"{path}/more", {"mark": mark}).status == 403
    assert one.post(f"{path}/picture", {"mark": mark, "row": "0"}).status == 403


def test_an_answer_is_gone_with_the_training(department: Department, reader: Browser) -> None:
    desk = department.desk
    ends_us = training.ends_us(desk.policy, desk.book.trainings.newest["comm1"])
    department.clock.us = ends_us - 10 * MINUTE_US
    one = reader()
    one.logon("comm1")
    found = one.send(one.get("/search"), "/search", **WHY, do="run", plate="8XYZ123", range="365")
    assert found.path.startswith("/search/"), found.text[:200]
    department.clock.step(15 * MINUTE_US)
    refused_everywhere(one, [found.path])


def test_the_picture_of_an_alert_is_gone_with_the_role_that_opened_it(
    department: Department, reader: Browser
) -> None:
    car = Car(department)
    try:
        car.raises()
        one = reader()
        one.logon("comm1")
        one.get("/alerts")
        path = f"/alerts/{department.desk.book.alerts.open()[0].number}"
        assert "patch" in one.send(one.get(path), path, do="show").html
        assert one.ask("GET", f"{path}/patch").status_code == 200
        demoted(department, "comm1", Role.CCAT)
        for each in (path, f"{path}/patch", f"{path}/overview"):
            answer = one.ask("GET", each)
            assert answer.status_code == 403, each
            assert not answer.content.startswith((b"\x89PNG", b"\xff\xd8"))
    finally:
        car.unit.close()


@pytest.mark.parametrize("other", ["disp1", "super", "officer1"])
def test_an_answer_belongs_to_its_session_alone(department: Department, reader: Browser, other: str) -> None:
    one, second = reader(), reader()
    one.logon("comm1")
    path = searched(one)
    second.logon(other)
    for each in (path, f"{path}/picture/0/patch", f"{path}/steps"):
        answer = second.ask("GET", each)
        assert answer.status_code in {403, 422}, each
        assert "8XYZ123" not in answer.text
    again = reader()
    again.logon("comm1")
    assert again.ask("GET", path).status_code == 422, "another session of the same person"
