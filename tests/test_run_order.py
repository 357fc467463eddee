"""What a second Python runs of a table of cases."""

from __future__ import annotations

import pytest

from tests.run_order import first_rows


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
