"""A form that is sent twice, or from two pages: a search and its parts are opened, and shown, once."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from desk_twins import Department
from page_reader import WHY, Reader, Sheet
from waiting import PATIENCE_S

from sync.department.desk.calling import Calling
from sync.department.desk.operations import OPERATIONS
from sync.department.policy.policy_file import policy_digest
from sync.department.policy.refusals import NotYetError
from sync.department.server.open_desk import adopt_root

Browser = Callable[[], Reader]


def a_read_a_part(department: Department) -> None:
    """Adopt a policy with one result per page."""
    text = department.desk.policy_document.decode().replace("version = 2\n", "version = 3\n", 1)
    document = text.replace("results_max = 500", "results_max = 1", 1).encode()
    root = department.new_root(policy_version=3, policy_digest=policy_digest(document))
    adopt_root(department.home, department.desk, root, document)


def rows_of(page: Sheet) -> list[str]:
    """The names of the reads that a page of results lists."""
    return re.findall(r"<code>([^<]+)</code>", page.html)


def searched(one: Reader) -> Sheet:
    """Search for a plate with three reads; the page shows the first."""
    one.logon("comm1")
    page = one.send(one.get("/search"), "/search", **WHY, do="run", plate="8XYZ123", range="30")
    assert len(rows_of(page)) == 1
    return page


def at_once(one: Reader, path: str, *forms: dict[str, str]) -> list[httpx.Response]:
    """Send each form from its own thread. Returns the answers in the order in which they came."""
    headers = {"cookie": "; ".join(f"{k}={v}" for k, v in one.cookies.items()), "origin": one.base}
    with ThreadPoolExecutor(len(forms)) as pool:
        return list(pool.map(lambda form: one.client.post(path, data=form, headers=headers), forms))


def test_the_next_part_of_an_answer_is_opened_once_however_often_its_form_is_sent(
    department: Department, reader: Browser
) -> None:
    a_read_a_part(department)
    one = reader()
    page = searched(one)
    more = f"{page.path}/more"
    form = page.form(more)
    shown = [rows_of(one.post(more, form)) for _ in range(2)]
    assert shown[0] == shown[1]
    assert len(set(shown[1])) == len(shown[1]) == 2
    other = form | {"once": "of-another-tab"}
    assert rows_of(one.post(more, other)) == shown[0], "another page that still showed the first part"
    last = one.send(one.get(page.path), more)
    assert len(set(rows_of(last))) == len(rows_of(last)) == 3
    assert more not in [action for action, _ in last.forms]


def test_two_pages_that_open_the_next_part_at_the_same_time_show_it_once(
    department: Department, reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_read_a_part(department)
    one = reader()
    page = searched(one)
    more = f"{page.path}/more"
    both, known = asyncio.Barrier(2), Calling.operation

    async def together(self: Calling, name: str, *rest: Any) -> Any:
        answer = await known(self, name, *rest)
        if name == "inquiry/more":
            await both.wait()
        return answer

    monkeypatch.setattr(Calling, "operation", together)
    answers = at_once(one, more, page.form(more), page.form(more) | {"once": "of-another-tab"})
    assert [each.status_code for each in answers] == [303, 303]
    shown = rows_of(one.get(page.path))
    assert len(set(shown)) == len(shown) == 2


def test_a_form_sent_again_while_its_call_is_made_gets_the_answer_of_that_call(
    department: Department, reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, known, run = threading.Event(), Calling.operation, OPERATIONS["inquiry/run"]

    def slowly(*given: Any) -> Any:
        assert refused.wait(PATIENCE_S), "the second form came"
        return run.make(*given)

    async def noted(self: Calling, name: str, *rest: Any) -> Any:
        try:
            return await known(self, name, *rest)
        except NotYetError:
            refused.set()
            raise

    monkeypatch.setitem(OPERATIONS, "inquiry/run", replace(run, make=slowly))
    monkeypatch.setattr(Calling, "operation", noted)
    one = reader()
    one.logon("comm1")
    form = one.get("/search").form("/search") | WHY | {"do": "run", "plate": "8XYZ123", "range": "30"}
    first, second = at_once(one, "/search", form, form)
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.headers["location"] == second.headers["location"]
