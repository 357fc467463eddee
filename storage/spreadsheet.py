"""Rows as CSV (RFC 4180) for a spreadsheet, which runs nothing of them. No I/O."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_RUN = frozenset("=+-@\t\r")


def cell(value: object) -> str:
    """A value as a cell: None is empty, a tuple separated by spaces. A spreadsheet runs what starts with
    these; a quote in front keeps it text."""
    text = "" if value is None else " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return "'" + text if text[:1] in _RUN else text


def csv_of(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """The columns' names in the first line, then a line a row."""
    out = io.StringIO()
    csv.writer(out).writerows([columns, *([cell(one) for one in row] for row in rows)])
    return out.getvalue()


def csv_of_fields(names: Sequence[str], records: Iterable[object]) -> str:
    """The same of records: a column for each of these fields."""
    return csv_of(names, ([getattr(one, name) for name in names] for one in records))
