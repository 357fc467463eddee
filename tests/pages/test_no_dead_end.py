"""Every link that a page shows to a person opens for that person; forms offer people and units by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from desk_cars import Car
from desk_twins import DAY_US, PEOPLE, Department
from page_reader import Reader

from sync.department.desk.owed import Late
from sync.department.pages.app import PAGES
from sync.department.pages.waiting import DONE_AT

Browser = Callable[[], Reader]


@pytest.mark.thorough_rows
@pytest.mark.parametrize("user", sorted(PEOPLE))
def test_every_link_of_every_page_opens(department: Department, reader: Browser, user: str) -> None:
    car = Car(department)
    try:
        car.raises()
        one = reader()
        one.logon(user)
        todo, seen = ["/"], set[str]()
        while todo:
            path = todo.pop()
            if path in seen:
                continue
            seen.add(path)
            answer = one.ask("GET", path)
            assert answer.status_code in {200, 303}, (path, answer.status_code)
            if "html" not in answer.headers.get("content-type", ""):
                continue
            for found in re.findall(r'href="([^"]+)"', answer.text):
                link = unescape(found).partition("#")[0]
                link = path.partition("?")[0] + link if link.startswith("?") else link
                if link.startswith("/") and not link.startswith("/assets/") and "month=" not in link:
                    todo.append(link)
        assert len(seen) >= 10
    finally:
        car.unit.close()


def test_the_keys_of_the_help_are_those_of_the_person(reader: Browser) -> None:
    for user, there, away in (("officer1", "Ask", "Grants"), ("chief", "Grants", "Queue")):
        one = reader()
        one.logon(user)
        keys = one.get("/help").html.split("<tbody>")[1].split("</tbody>")[0]
        assert f"<td>{there}</td>" in keys
        assert f"<td>{away}</td>" not in keys
        assert "<kbd></kbd>" not in keys


def test_a_person_is_changed_from_what_is_entered(department: Department, reader: Browser) -> None:
    """A role is not lost just because it was not ticked again."""
    one = reader()
    one.logon("chief")
    accounts, entered = department.desk.book.roster.accounts, {}
    for user, role, ends in (("deputy", "designee", "2027-"), ("officer1", "sworn-officer", "")):
        row = next(part for part in one.get("/people").html.split("<tr ") if f">{user}<" in part)
        link = unescape(next(found for found in re.findall(r'href="([^"]+)"', row) if "user-set" in found))
        page = one.get(link.partition("#")[0])
        fields = next(fields for path, fields in page.forms if fields.get("act") == "user/set")
        assert (fields["user"], fields["name"], fields["roles"]) == (user, accounts[user].name, role)
        assert fields["ends_us"][:5] == ends
        entered[user] = fields | {"name": "Doe Married", "reason": "married", "do": "make"}
    refused = one.post("/people", entered["deputy"])
    assert "second person" in refused.text
    roles = accounts["officer1"].roles
    made = one.post("/people", entered["officer1"])
    assert "Entered" in made.text, made.text[:300]
    changed = department.desk.book.roster.accounts["officer1"]
    assert (changed.name, changed.roles) == ("Doe Married", roles)
    assert one.get("/people?user=<script>").status == 200


def test_forms_offer_people_and_units_by_name(reader: Browser) -> None:
    one = reader()
    one.logon("chief")
    for path, name, value in (
        ("/people", "user", "officer1"),
        ("/grants", "designee", "deputy"),
        ("/grants", "units", "car-7"),
        ("/grants", "commands", "reboot"),
        ("/units", "unit", "car-7"),
        ("/training", "user", "super"),
        ("/training", "users", "super"),
        ("/grants", "person", "vendor1"),
        ("/hotlists", "recipients", "comm1"),
        ("/audit/requests", "user", "officer1"),
        ("/audit/events", "user", "officer1"),
        ("/training/sheet", "trainer", "super"),
        ("/audit/requests", "purpose", "investigation"),
        ("/audit/events", "kind", "refusal"),
    ):
        html = one.get(path).html
        options = re.findall(rf'name="{name}"[^>]*>(.*?)</select>', html, re.DOTALL)
        ticks = re.findall(rf'name="{name}" type="checkbox" value="([^"]+)"', html)
        assert any(f'value="{value}"' in each for each in options) or value in ticks, (path, name)
    dispatcher = reader()
    dispatcher.logon("disp1")
    assert '<option value="car-7">' in dispatcher.get("/search").html


def test_home_shows_the_administrator_what_is_overdue(department: Department, reader: Browser) -> None:
    department.clock.step(100 * DAY_US)
    chief, officer = reader(), reader()
    home = chief.logon("chief")
    assert "periodic audit was due" in home.text.lower()
    assert 'href="/audit"' in home.html.split("What waits for you")[1]
    assert not re.search(r"\d\dT\d\d:\d\d", home.text), "times are the department's"
    assert "periodic audit" not in officer.logon("officer1").text.lower()


def test_each_kind_of_overdue_work_leads_from_home_to_a_page() -> None:
    paths = {page.path for page in PAGES}
    assert set(DONE_AT) == set(Late)
    assert set(DONE_AT.values()) <= paths
