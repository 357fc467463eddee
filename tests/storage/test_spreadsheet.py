"""Rows as CSV: what a person typed is always text in a spreadsheet, never a formula."""

from __future__ import annotations

import pytest

from storage.spreadsheet import cell, csv_of


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\ta", "\ra"])
def test_no_cell_runs_in_a_spreadsheet(text: str) -> None:
    assert cell(text) == "'" + text
    assert [cell(one) for one in ("a=1", None, 3, "", ("a", "b"))] == ["a=1", "", "3", "", "a b"]


def test_a_row_is_a_line_under_the_names_of_its_columns() -> None:
    assert csv_of(("user", "why"), [("ann", 'a "b", c')]) == 'user,why\r\nann,"a ""b"", c"\r\n'
