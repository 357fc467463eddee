"""A hot list's local entries, and a designee for one night, through forms with scripts off."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import timedelta

from desk_twins import Department
from office_pages import form_of
from page_reader import Reader

from sync.department.ground.local_time import local

Browser = Callable[[], Reader]


def test_an_entry_of_our_own_case_is_added_by_two_and_withdrawn_by_one(
    department: Department, reader: Browser
) -> None:
    chief, second = reader(), reader()
    chief.logon("chief")
    ends = local(department.clock.us, department.desk.policy.zone) + timedelta(days=7)
    page = chief.get("/hotlists")
    fields = form_of(page, "hotlist/add") | {
        "plate": "9DEF456",
        "state": "US-CA",
        "category": department.desk.policy.alerts.categories[0].id,
        "case": "26-001234",
        "reason": "seen at the scene",
        "until_us": ends.strftime("%Y-%m-%dT%H:%M"),
    }
    alone = chief.post("/hotlists", fields)
    assert alone.status == 409
    assert "second person" in alone.text
    page = chief.post("/hotlists", fields | {"do": "propose"})
    assert page.path == "/changes"
    second.logon("super")
    theirs = second.get("/changes")
    assert "9DEF456" not in theirs.html
    agreed = second.post(
        "/changes", form_of(theirs, "change/approve") | {"granted": "yes", "reason": "the case exists"}
    )
    assert ("hot list " in agreed.text, "hot-list/" in agreed.text) == (True, False), agreed.text[:600]
    page = chief.get("/changes")
    done = chief.send(page, next(action for action, _ in page.forms if action.startswith("/changes/")))
    assert "has 1 entry that" in done.text, done.text[:600]
    page = chief.get("/hotlists")
    assert "9DEF456" not in page.html
    assert "seen at the scene" in page.text
    row = form_of(page, "hotlist/withdraw")
    assert row["case"] == "26-001234", "the row's own form"
    gone = chief.post("/hotlists", row | {"reason": "recovered"})
    assert "has 0 entries that" in gone.text, gone.text[:600]
    none = chief.post(
        "/hotlists", form_of(page, "hotlist/withdraw") | {"case": "26-009999", "reason": "x1 y2"}
    )
    assert "no entry of that case" in none.text.lower()


def test_a_designee_gets_the_delegation_and_its_key_once(department: Department, reader: Browser) -> None:
    chief = reader()
    chief.logon("chief")
    page = chief.get("/grants")
    answer = chief.file("/grants", form_of(page, "grant/lend") | {"designee": "deputy", "days": "7"})
    assert answer.headers["content-type"] == "application/zip", answer.text[:600]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as pack:
        given = {name: pack.read(name) for name in pack.namelist()}
    assert sorted(given) == ["designee.key", "designee.lent"]
    assert len(given["designee.key"]) == 32
    kept = [path.read_bytes() for path in department.home.path.rglob("*") if path.is_file()]
    assert kept
    assert not any(given["designee.key"] in data for data in kept)
