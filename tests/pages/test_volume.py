"""The number of queries of a page does not grow with the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from desk_cars import Car
from desk_twins import DAY_US, Department
from page_reader import Reader
from sqlalchemy import event
from sqlalchemy.engine import Engine

from sync.department.pages import paging
from sync.department.store.opening import open_store
from sync.department.store.tables import incidents, units

MANY = 25
ROWS = 4
PAGES = ("/", "/alerts", "/queue", "/units", "/incidents", "/calendar", "/compliance")


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect every SQL statement of this process in the meantime."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def add_units(department: Department, count: int) -> None:
    """Add bare rows to the store: no page checks their origin."""
    now_us, store = department.clock.us, open_store(department.home.database_url)
    with store.write() as connection:
        for number in range(count):
            facts = {"unit_id": f"{number:032x}", "name": f"trailer {number:03d}", "identity": b""}
            seen_us = now_us - (1 if number < count - 1 else 9) * DAY_US
            connection.execute(sa.insert(units).values(**facts, enrolled_us=now_us, seen_us=seen_us))
            said = {"unit_id": facts["unit_id"], "log_id": None, "kind": "rewound", "detail": "at a sync"}
            connection.execute(sa.insert(incidents).values(**said, at_us=now_us))
    store.close()


def test_no_page_asks_more_of_the_database_where_more_is_in_it(
    department: Department, reader: Callable[[], Reader]
) -> None:
    """For known alerts, units and incidents, a page makes one query for all."""
    car = Car(department)
    one = reader()
    one.logon("super")
    car.raises()
    one.get("/alerts")

    def asked() -> dict[str, int]:
        found = {}
        for path in PAGES:
            with statements() as made:
                assert one.get(path).status == 200, path
            found[path] = len(made)
        return found

    few = asked()
    for _ in range(MANY):
        car.raises()
    add_units(department, MANY)
    one.get("/alerts")  # takes in what is new
    assert asked() == few
    car.unit.close()


def test_what_needs_a_person_is_first_and_an_alert_is_found_among_many(
    department: Department, reader: Callable[[], Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not on the last page of a long list."""
    monkeypatch.setattr(paging, "ROWS", ROWS)
    add_units(department, ROWS + 2)  # the last one is silent
    car, one = Car(department), reader()
    one.logon("super")
    units_page = one.get("/units").text
    assert units_page.index(f"trailer {ROWS + 1:03d}") < units_page.index("trailer 000")
    for _ in range(ROWS):
        car.raises()
    other = Car(department, "motor-2")
    other.raises()
    page = one.get("/alerts")
    assert "motor-2" not in page.text
    found = one.send(page, "/find", sought="motor-2")
    assert "1 to 1 of 1" in found.text
    assert "motor-2" in found.text
    assert f"of {ROWS + 1}" in one.send(found, "/find", sought="not verified").text
    for unit in (car, other):
        unit.unit.close()
