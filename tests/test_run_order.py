"""A short run leaves out the right tests, and a second Python runs the right rows of a table."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.run_order import first_rows, keeps, short_run


@pytest.mark.parametrize("_row", ["first", "second"])
def test_the_first_row_of_each_table_is_kept_and_no_test_is_lost(
    request: pytest.FixtureRequest, _row: str
) -> None:
    items = request.session.items
    kept = [item.nodeid for item in first_rows(items)]
    functions = [name.partition("[")[0] for name in kept]
    assert len(set(functions)) == len(functions)
    assert set(functions) == {item.nodeid.partition("[")[0] for item in items}
    assert kept == [item.nodeid for item in items if item.nodeid in set(kept)]


@pytest.mark.thorough_rows
@pytest.mark.parametrize("_row", ["first", "second"])
def test_of_a_table_marked_thorough_a_short_run_keeps_the_first_row(
    request: pytest.FixtureRequest, _row: str
) -> None:
    items = request.session.items
    assert (request.node in set(short_run(items))) == (request.node in set(first_rows(items)))


def test_a_mark_keeps_the_first_row_those_that_it_names_and_every_nth() -> None:
    rows = ["first", "second", "third", "fourth", "fifth"]

    def left(*names: str, every: int = 0) -> list[str]:
        return [row for number, row in enumerate(rows) if keeps(row, number, *names, every=every)]

    assert left() == ["first"]
    assert left("third") == ["first", "third"]
    assert left("second", every=4) == ["first", "second", "fifth"]


def test_the_rows_that_a_mark_names_are_there(request: pytest.FixtureRequest) -> None:
    rows: defaultdict[str, set[str]] = defaultdict(set)
    named: dict[str, set[str]] = {}
    for item in request.session.items:
        name, _, row = item.nodeid.removesuffix("]").partition("[")
        rows[name].add(row)
        if (mark := item.get_closest_marker("thorough_rows")) is not None:
            named[name] = set(mark.args)
    assert {name: wrong for name, names in named.items() if (wrong := names - rows[name])} == {}


@pytest.mark.thorough
def test_a_short_run_leaves_out_what_is_thorough_alone(request: pytest.FixtureRequest) -> None:
    items = request.session.items
    kept = set(short_run(items))
    left = [item for item in items if item not in kept]
    assert request.node in left
    assert all({"thorough", "thorough_rows"} & {mark.name for mark in item.iter_markers()} for item in left)
