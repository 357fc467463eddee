"""A table that an office's program exports: CSV in UTF-8 (RFC 4180), with the names of the columns in its
first line.

An error names the line of the file on which it begins. Nothing is dropped silently: a quote that is never
closed would swallow the lines after it, and an extra cell belongs to no column. No I/O.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storage.text_end import is_open
from sync.department.policy.refusals import FormError

OPEN_CURE = "if it is whole, press Enter after its last line and save it"
SAVE_CURE = "in the spreadsheet, save it as CSV UTF-8"


def _header_cure(wanted: Sequence[str]) -> str:
    cure = "the first line names the columns, separated by commas"
    return f"{cure}: {', '.join(wanted)}" if wanted else cure


@dataclass(frozen=True, slots=True)
class CsvTable:
    """Reads a file. `what`: its name in a refusal; `clause`: the clause of a refusal."""

    what: str
    clause: str

    def wrong(self, what: str, cure: str) -> FormError:
        """The refusal of the file."""
        return FormError(what, code="csv", clause=self.clause, cure=cure)

    def lines(self, data: bytes, *wanted: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
        """Read a file: the names of its columns in small letters, and its rows.

        Each row is the line on which it begins and its cells, as many as there are names. Blank lines are
        left out. `wanted`: the columns that the file needs, named in the cures. Raises FormError, as does the
        iterator.
        """
        if data.startswith(b"PK\x03\x04"):
            raise self.wrong(f"the {self.what} is a spreadsheet's own file", SAVE_CURE)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            at = data.count(b"\n", 0, error.start) + 1
            raise self.wrong(f"the {self.what} is not in UTF-8: line {at}", SAVE_CURE) from None
        rows = self._rows(text)
        at, first = next(rows, (0, []))
        if not at:
            raise self.wrong(f"the {self.what} is empty", _header_cure(wanted))
        names = [name.strip().casefold() for name in first]
        for name in wanted:
            if names.count(name) > 1:
                what = f"line {at} of the {self.what} names the column {name} twice"
                raise self.wrong(what, "keep the one that is meant")
        return names, self._full(rows, names)

    def demand(self, names: Sequence[str], *wanted: str) -> None:
        """Demand every wanted column in the first line. Raises FormError."""
        for name in wanted:
            if name not in names:
                what = f"the {self.what}'s first line lacks a column: {name}"
                raise self.wrong(what, _header_cure(wanted))

    def demand_whole(self, data: bytes, names: Sequence[str], *wanted: str) -> None:
        """Demand that no cell which is read can have been cut short. Raises FormError.

        A file may be cut if its last line has no end and does not reach a last column that is not read.
        """
        if not is_open(data[-1:].decode("latin-1")):
            return
        cells: list[str] = []
        with contextlib.suppress(csv.Error):  # whatever this is, it may not be whole
            cells = next(csv.reader([data.splitlines()[-1].decode(errors="replace")], strict=True), [])
        if len(cells) != len(names) or names[-1] in wanted:
            raise self.wrong(
                f"the {self.what}'s last line has no line ending: was the file cut off?", OPEN_CURE
            )

    def _rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Each row that is not blank."""
        reader, begins = csv.reader(io.StringIO(text, newline=""), strict=True), 1
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield begins, row
                begins = reader.line_num + 1
        except csv.Error:
            what = f"line {begins} of the {self.what} has a quote that is not closed, or inside a cell"
            if len(text) > csv.field_size_limit():
                what += f", or a cell of over {csv.field_size_limit():,} characters"
            raise self.wrong(what, SAVE_CURE) from None

    def _full(
        self, rows: Iterator[tuple[int, list[str]]], names: Sequence[str]
    ) -> Iterator[tuple[int, list[str]]]:
        for at, row in rows:
            if any(cell.strip() for cell in row[len(names) :]):
                what = f"line {at} of the {self.what} has {len(row)} cells for {len(names)} columns"
                raise self.wrong(what, "put a cell that contains a comma between quotes")
            yield at, [cell.strip() for cell in row[: len(names)]] + [""] * (len(names) - len(row))
