"""Helpers that fill in forms of the office's pages."""

from __future__ import annotations

from datetime import timedelta

from desk_twins import Department
from page_reader import Reader, Sheet

from sync.department.ground.local_time import local


def form_of(sheet: Sheet, act: str, path: str = "", **fixed: str) -> dict[str, str]:
    """The fields of the form on a page for one call, or for one of its rows."""
    found = [
        fields
        for action, fields in sheet.forms
        if fields.get("act") == act
        and action == (path or sheet.path)
        and all(fields.get(name) == value for name, value in fixed.items())
    ]
    assert found, (act, sheet.text[:400])
    return dict(found[0])


def entered(department: Department, kind: type) -> int:
    return sum(isinstance(one.note, kind) for one in department.desk.log.entries())


def typed(department: Department, days: int) -> str:
    """A time this many days from now, in the form that a browser sends."""
    at = local(department.clock.us, department.desk.policy.zone) + timedelta(days=days)
    return at.strftime("%Y-%m-%dT%H:%M")


def upload(one: Reader, path: str, fields: dict[str, str], **files: tuple[str, bytes]) -> Sheet:
    """Send a form with files."""
    sent = {"cookie": "; ".join(f"{name}={value}" for name, value in one.cookies.items()), "origin": one.base}
    answer = one.client.post(path, data=fields, files=files, headers=sent)
    return one.get(answer.headers["location"]) if answer.is_redirect else Sheet(answer)
