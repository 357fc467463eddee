"""How one source writes its list: delimiter or columns, encoding, date form, words. A TOML file of 15 lines.

`fields` names, for each field of an entry, the header of its column, its number from 1, or {start, length} in
a file of fixed columns. `words` translates a source's codes, field by field; a code that it does not name is
taken as it is.
"""

from __future__ import annotations

import codecs
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from storage.codec import parse_toml
from storage.errors import RecordError
from storage.ids import TERM_ID

TARGETS = frozenset(
    {
        "plate",
        "category",
        "state",
        "reason",
        "make",
        "model",
        "color",
        "year",
        "plate_class",
        "vin_tail",
        "case",
        "agency",
        "reference",
        "from",
        "until",
    }
)
KEY_WITH_MORE = re.compile(r"([A-Z]{2})(?:[ -]?[A-Z]){1,2}")
MAX_COLUMNS = 64
MAX_LINE = 4096


@dataclass(frozen=True, slots=True)
class Span:
    """Fixed columns: `start` from 1, `length` characters."""

    start: int
    length: int


Place = str | int | Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One source's form. `delimiter` is empty for fixed columns; `date`: a form for strptime, UTC."""

    id: str
    title: str
    encoding: str
    delimiter: str
    header: bool
    date: str
    country: str
    fields: Mapping[str, Place]
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    message_keys: bool = False  # the categories are message keys of NCIC, with letters for more

    def check(self) -> None:
        """Raises RecordError naming the field of the layout."""
        if not TERM_ID.fullmatch(self.id):
            raise RecordError("an id is small letters, digits and -", where="layout.id")
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise RecordError(f"{self.encoding!r} is not an encoding", where="layout.encoding") from None
        if len(self.delimiter) > 1:
            raise RecordError("is one character, or empty for fixed columns", where="layout.delimiter")
        if "plate" not in self.fields:
            raise RecordError("must say where the plate is", where="layout.fields")
        unknown = sorted(set(self.fields) - TARGETS) + sorted(set(self.words) - TARGETS)
        if unknown:
            raise RecordError(f"{unknown[0]} is not a field of an entry", where="layout.fields")
        for name, place in self.fields.items():
            self._check_place(name, place)

    def _check_place(self, name: str, place: Place) -> None:
        where = f"layout.fields.{name}"
        if isinstance(place, Span):
            if self.delimiter or not (1 <= place.start <= MAX_LINE and 1 <= place.length <= MAX_LINE):
                raise RecordError("start and length are for fixed columns, from 1", where=where)
        elif not self.delimiter:
            raise RecordError("fixed columns need {start, length}", where=where)
        elif isinstance(place, int):
            if not 1 <= place <= MAX_COLUMNS:
                raise RecordError(f"columns count from 1 to {MAX_COLUMNS}", where=where)
        elif not self.header:
            raise RecordError("a column's name needs header = true", where=where)

    def word(self, target: str, value: str) -> str:
        """A source's code in the words of an entry."""
        return self.words.get(target, {}).get(value.upper(), value)

    def category(self, value: str) -> tuple[str, str]:
        """The same of a category, and the whole code where it says more than that: a message key of NCIC has
        two letters, and more for a caution or a juvenile (EV-P, EVP, EWJ). NCIC 2000 Operating Manual,
        Vehicle File 1.3, Wanted Person File 1.2."""
        word, key = self.word("category", value), KEY_WITH_MORE.fullmatch(value.upper())
        if self.message_keys and word == value and key and key[1] in self.words.get("category", {}):
            return self.word("category", key[1]), key[0]
        return word, ""


def parse_layout(document: bytes) -> Layout:
    """The layout of a TOML document. Raises RecordError."""
    table = parse_toml(document, where="layout")
    known = {"id", "title", "encoding", "delimiter", "header", "date", "country", "fields", "words"}
    known |= {"message_keys"}
    if unknown := sorted(set(table) - known):
        raise RecordError(f"{unknown[0]} is not a part of a layout", where="layout")
    layout = Layout(
        id=_text(table, "id"),
        title=_text(table, "title"),
        encoding=_text(table, "encoding", "utf-8"),
        delimiter=_text(table, "delimiter", ""),
        header=table.get("header", False) is True,
        date=_text(table, "date", "%Y-%m-%d"),
        country=_text(table, "country", "US"),
        fields={str(name): _place(name, value) for name, value in _table(table, "fields").items()},
        words={
            str(name): {str(code).upper(): str(word) for code, word in _table(table["words"], name).items()}
            for name in _table(table, "words")
        },
        message_keys=table.get("message_keys", False) is True,
    )
    layout.check()
    return layout


def _text(table: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = table.get(name, default)
    if not isinstance(value, str) or len(value) > 200:
        raise RecordError("must be a text", where=f"layout.{name}")
    return value


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = table.get(name, {})
    if not isinstance(value, dict):
        raise RecordError("must be a table", where=f"layout.{name}")
    return value


def _place(name: str, value: object) -> Place:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, dict) and set(value) == {"start", "length"}:
        start, length = value["start"], value["length"]
        if type(start) is int and type(length) is int:
            return Span(start, length)
    raise RecordError("is a header, a column's number, or {start, length}", where=f"layout.fields.{name}")


@functools.cache
def shipped() -> Mapping[str, Layout]:
    """The layouts that come with the project, by id."""
    folder = resources.files("sync.hot_lists").joinpath("layouts")
    made = [parse_layout(one.read_bytes()) for one in folder.iterdir() if one.name.endswith(".toml")]
    return {one.id: one for one in sorted(made, key=lambda one: one.id)}


def find_layout(name: str) -> Layout:
    """A shipped layout by its id, or one in a file. Raises RecordError."""
    if name in shipped():
        return shipped()[name]
    try:
        document = Path(name).read_bytes()
    except OSError:
        known = ", ".join(shipped())
        raise RecordError(f"is neither a layout's file nor one of {known}", where=name[:80]) from None
    return parse_layout(document)
