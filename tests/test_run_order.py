"""A short run leaves out the right tests, and a second Python runs the right rows of a table."""

from __future__ import annotations

import pytest

from tests.run_order import first_rows, short_run


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


@pytest.mark.thorough
def test_a_short_run_leaves_out_what_is_thorough_alone(request: pytest.FixtureRequest) -> None:
    items = request.session.items
    kept = set(short_run(items))
    left = [item for item in items if item not in kept]
    assert request.node in left
    assert all({"thorough", "thorough_rows"} & {mark.name for mark in item.iter_markers()} for item in left)
