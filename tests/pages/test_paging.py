"""Lists with more rows than a page: the pages, what a search finds, and what stays after a form."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_twins import GROUND, Department
from desk_units import Pass, UnitTwin
from page_reader import Reader, Sheet
from sqlalchemy import insert

from storage.times import HOUR_US, SECOND_US
from sync.department.desk.inquiry.forms import AskForm
from sync.department.desk.json_forms import to_json
from sync.department.pages.memory import FINDS_A_SHELF, Shelf
from sync.department.pages.paging import ROWS, ListPage, cut
from sync.department.pages.visit import Visit
from sync.department.store.opening import open_store
from sync.department.store.tables import incidents

Browser = Callable[[], Reader]
COUNT = 2 * ROWS + 30


def visiting(**query: str) -> Visit:
    """A visit of which only the address matters."""
    params = SimpleNamespace(get=query.get, multi_items=lambda: list(query.items()))
    turned = {name: text for name, text in query.items() if name.startswith(("page-", "find-"))}
    request = SimpleNamespace(query_params=params)
    sought = lambda name: turned.get(f"find-{name}", "")  # noqa: E731 - a visit keeps it in memory instead
    return cast("Visit", SimpleNamespace(turned=turned, request=request, sought=sought))


def shown(**query: str) -> ListPage[int]:
    return cut(visiting(**query), range(COUNT), "n", key=lambda row: row, texts=lambda row: [f"row {row}."])


def test_a_page_of_a_list_and_the_way_to_the_others() -> None:
    first, second, last = shown(), shown(**{"page-n": "2"}), shown(**{"page-n": "3"})
    assert list(first.rows) == list(range(ROWS))
    assert (first.first, first.count, first.of, first.long) == (1, COUNT, COUNT, True)
    assert (first.before, first.after, first.start, first.end) == ("", "?page-n=2#n", "", "?page-n=3#n")
    assert list(second.rows) == list(range(ROWS, 2 * ROWS))
    assert (second.before, second.after, second.start, second.end) == ("?page-n=1#n", "?page-n=3#n", "", "")
    assert (len(last.rows), last.first, last.start, last.after) == (30, 2 * ROWS + 1, "?page-n=1#n", "")


@pytest.mark.parametrize("typed", ["0", "-1", "999999", "9" * 30, "x", "²", "1e3", ""])
def test_a_number_that_is_not_a_page_shows_a_page(typed: str) -> None:
    page = shown(**{"page-n": typed})
    assert 0 < len(page.rows) <= ROWS


def test_a_row_that_a_link_names_is_on_the_page() -> None:
    assert 2 * ROWS + 3 in shown(at=str(2 * ROWS + 3)).rows
    assert shown(at="7000").first == 1
    assert shown(at="205", **{"page-n": "1"}).first == 1  # the person turned back
    assert "at=" not in shown(at="205").before


def test_what_is_found_is_paged_too_and_keeps_the_other_parts_of_the_address() -> None:
    found = shown(**{"find-n": "ROW 12", "user": "disp1", "page-other": "2"})
    assert [*found.rows] == [12, *range(120, 130)]
    assert (found.count, found.of) == (11, COUNT)
    assert found.others == "user=disp1&page-other=2"
    more = shown(**{"find-n": "row", "user": "disp1"})
    assert more.after == "?user=disp1&find-n=row&page-n=2#n"
    assert shown(**{"find-n": "nothing"}).rows == []


def add_incidents(department: Department) -> None:
    # bare rows in the store: a list does not check their origin
    rows: list[dict[str, Any]] = [
        {
            "at_us": department.clock.us,
            "unit_id": None,
            "log_id": None,
            "kind": "rewound",
            "detail": f"no. {n}",
        }
        for n in range(COUNT)
    ]
    store = open_store(department.home.database_url)
    try:
        with store.write() as connection:
            connection.execute(insert(incidents), rows)
    finally:
        store.close()


def rows_of(page: Sheet) -> int:
    return len(re.findall(r'<tr id="incident-list-row-', page.html))


def test_a_form_on_a_later_page_leads_back_to_it_refused_or_taken(
    department: Department, reader: Browser
) -> None:
    add_incidents(department)
    one = reader()
    one.logon("chief")
    page = one.get("/incidents")
    assert rows_of(page) == ROWS
    assert f"1 to {ROWS} of {COUNT}" in page.text
    page = one.get("/incidents?page-incident-list=2")
    form = next(fields for action, fields in page.forms if fields.get("act") == "incident/close")
    number = form["incident"]
    refused = one.post("/incidents", form | {"finding": ""})
    assert refused.status == 422
    assert f'value="{number}"' in refused.html
    assert f"{ROWS + 1} to {2 * ROWS} of {COUNT}" in refused.text
    taken = one.post("/incidents", form | {"finding": "the card was copied"})
    assert taken.status == 200
    assert f"{ROWS + 1} to {2 * ROWS} of {COUNT}" in taken.text
    found = one.send(taken, "/find", sought="no. 21")
    assert rows_of(found) == 11
    assert "in which “no. 21” is found" in found.text
    again = one.send(found, "/incidents", finding="")  # refused, so the list is unchanged
    assert again.status == 422
    assert rows_of(again) == 11
    other = reader()
    other.logon("chief")
    assert (
        rows_of(other.get(str(found.answer.url).removeprefix(one.base))) == ROWS
    )  # its name belongs to one session


def test_what_is_sought_in_a_list_is_in_no_address(department: Department, reader: Browser) -> None:
    add_incidents(department)
    one = reader()
    one.logon("chief")
    page = one.get("/incidents?kind=rewound&page-incident-list=2")
    assert not [tags for tag, tags in page.tags if tags.get("method") == "get" and "find" in str(tags)]
    found = one.send(page, "/find", sought="7XKR219")
    address = str(found.answer.url)
    assert "None in which “7XKR219” is found" in found.text
    assert "7XKR219" not in address
    assert "kind=rewound" in address
    assert "page-incident-list" not in address
    assert not [tags for _, tags in found.tags if "7XKR219" in tags.get("href", "")]
    shown = one.send(found, "/find", sought="")
    assert rows_of(shown) == ROWS
    form = page.form("/find")
    assert one.post("/find", form | {"list": "a b"}).status == 422
    assert one.post("/find", form | {"others": "a=1&" * 200}).status == 422
    assert "kind=rewound" in str(one.post("/find", form | {"from": "//elsewhere.example"}).answer.url)


def test_few_things_sought_are_kept_and_the_one_used_least_lately_makes_room() -> None:
    shelf = Shelf("chief")
    first, second = shelf.keep_find("first"), shelf.keep_find("second")
    for number in range(FINDS_A_SHELF - 1):
        assert shelf.find_of(first) == "first"
        shelf.keep_find(f"no. {number}")
    assert (shelf.find_of(first), shelf.find_of(second)) == ("first", "")


def test_home_leads_to_a_request_beyond_the_first_page_and_finds_none_by_its_plate(
    department: Department, reader: Browser
) -> None:
    asker = department.logon("officer1")
    query = department.plate("7ABC000")
    numbers = []
    for at in range(ROWS + 2):
        ground = replace(GROUND, number=f"26-{at + 3456:06d}")
        made = department.call("inquiry/request", asker, AskForm(query=query, ground=ground))
        numbers.append(int(cast("Any", made).entry))
    one = reader()
    one.logon("disp1")
    links = re.findall(r'href="(/queue\?at=\d+#entry-\d+)"', one.get("/").html)
    links += re.findall(r'href="(/queue\?at=\d+#entry-\d+)"', one.get("/?page-waits=2").html)
    assert len(set(links)) == len(numbers)
    page = one.get(f"/queue?at={numbers[-1]}")
    assert f'id="entry-{numbers[-1]}"' in page.html
    assert f'id="entry-{numbers[0]}"' not in page.html
    assert "None in which" in one.send(page, "/find", sought="7ABC000").text


def test_an_answer_of_many_reads_is_paged_and_a_moved_row_opens_its_own_picture(
    department: Department, reader: Browser
) -> None:
    unit = UnitTwin(department.home, Ed25519PrivateKey.generate(), "car-9")
    at_us = department.clock.us - HOUR_US
    passes = [Pass(plate="7XKR219", at_us=at_us + n * SECOND_US) for n in range(ROWS + 5)]
    unit.deliver([*passes, Pass(plate="7XKR2I9", at_us=at_us)], received_us=department.clock.us)
    unit.close()
    one = reader()
    one.logon("disp1")
    asked = to_json(GROUND) | {"do": "run", "plate": "7XKR219", "range": "1"}
    page = one.send(one.get("/search"), "/search", **asked)
    assert f"{ROWS + 5} reads, 1 near" in page.text
    assert len(re.findall(r'<tr id="row-', page.html)) == ROWS + 1  # one page, and the near read
    second = one.get(f"{page.path}?page-reads=2")
    assert f"{ROWS + 1} to {ROWS + 5} of {ROWS + 5}" in second.text
    form = next(fields for action, fields in second.forms if action.endswith("/picture"))
    assert form["row"] == str(ROWS)
    opened = one.post(f"{page.path}/picture", form | {"row": "0"})  # as if the rows had moved
    assert str(opened.answer.url).endswith(f"{page.path}?page-reads=2")
    assert f"Plate patch of row {ROWS + 1}" in opened.html
