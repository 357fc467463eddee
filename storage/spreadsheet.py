"""Rows as CSV (RFC 4180) with cells that no spreadsheet executes. No I/O."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_RUN = frozenset("=+-@\t\r")


def cell(value: object) -> str:
    """A value as a cell: empty for None, a tuple joined by spaces.

    A spreadsheet executes cells that begin with certain characters; a leading quote makes them text.
    """
    text = "" if value is None else " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return "'" + text if text[:1] in _RUN else text


def csv_of(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A line with the column names, then a line per row."""
    out = io.StringIO()
    csv.writer(out).writerows([columns, *([cell(one) for one in row] for row in rows)])
    return out.getvalue()


def csv_of_fields(names: Sequence[str], records: Iterable[object]) -> str:
    """Records as CSV: one column for each of these fields."""
    return csv_of(names, ([getattr(one, name) for name in names] for one in records))
