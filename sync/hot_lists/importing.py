"""A source's file to entries, line by line, under the policy. A bad line is skipped and numbered.

Memory is bounded by MAX_ENTRIES, a line by MAX_LINE. Letters that only look Latin are a bad line: a plate
with a Cyrillic A would match nothing, or, folded, another person. What a spreadsheet would take for a formula
loses its first sign. A file may have been cut anywhere: a line with fewer cells than the others is bad, and
so is a last line without a line's end if it ends in the plate. Messages name lines and words of categories,
never a plate.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from storage.alert_terms import AlertTerms
from storage.barred_words import barred_in, is_latin
from storage.counts import counted
from storage.errors import RecordError, StorageError
from storage.plate_states import CANADA, OLDER_CODES, US
from storage.plate_text import normal_plate
from storage.times import DAY_US, us_of
from sync.hot_lists.entry import CLASSES, PLATE, ListEntry
from sync.hot_lists.layout import MAX_LINE, Layout, Span

MAX_ENTRIES = 2_000_000
OPEN_END = "may be cut off: the file does not end with a line ending"
ALWAYS_ALLOWED = 3  # bad lines, however short the list
MAX_CELL = 200
MAX_NAMED = 20  # bad lines in a message
MAX_WORDS = 100  # different words that are counted as refused
LIMITS = frozenset({"state", "from", "until"})  # without them an entry matches more, or longer
FORMULA = "=+-@\t\r"
NO_PLATE = re.compile(r"NONE|NULL|UNK|UNKN|UNKNOWN|NO(?:PLATES?|TAGS?|LIC|LICENSE)|NOTKNOWN|X{4,}|0{4,}")
_CLASS_WORDS = frozenset(CLASSES)


class ListRefusedError(StorageError):
    """A list that is taken as a whole or not at all, and was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """One line that is not an entry. `number` counts from 1."""

    number: int
    why: str


@dataclass(slots=True, kw_only=True)
class ImportedList:
    """What a file came to.

    `refused`: by the policy, counted by the source's word. `ended`: over already. `twins`: entries that
    differ from an earlier one by O and 0 or I and 1 alone; they are one entry when a plate is matched.
    `doubles`: lines that are the same entry as an earlier one. `absent`: columns of states and dates that the
    layout has and the file's first line does not. `plateless`: the numbers of lines whose plate is a word for
    none, which would stop who has such a plate, or empty, with a VIN by which alone the vehicle is known.
    `stateless`: entries whose state has a name that is not known, e.g. California for CA. `open_end`: the
    last line has no line's end, as in a file that was cut.
    """

    entries: list[ListEntry] = field(default_factory=list, repr=False)
    lines: int = 0
    bad: list[BadLine] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    twins: int = 0
    doubles: int = 0
    absent: tuple[str, ...] = ()
    plateless: list[int] = field(default_factory=list)
    stateless: int = 0
    open_end: bool = False

    def summary(self) -> str:
        """One line for a person."""
        parts = [f"{counted(len(self.entries), 'entry')} of {counted(self.lines, 'line')}"]
        if self.bad:
            parts.append(f"{counted(len(self.bad), 'bad line')} skipped ({_named(self.bad)})")
        if self.refused:
            words = ", ".join(f"{word}: {count}" for word, count in self.refused.most_common(MAX_NAMED))
            parts.append(f"{sum(self.refused.values())} refused by the policy ({words})")
        if self.ended:
            parts.append(f"{self.ended} ended already")
        if self.twins:
            parts.append(f"{self.twins} differ from another only by O/0 or I/1")
        if self.doubles:
            parts.append(f"{counted(self.doubles, 'line')} the same as another")
        if self.plateless:
            lines = _numbers(self.plateless)
            parts.append(
                f"{counted(len(self.plateless), 'line')} without a plate, or NONE, UNKNOWN, XXXX ({lines})"
            )
        if self.absent:
            parts.append(f"the file has no column {' and no '.join(self.absent)}: is this its layout?")
        if self.stateless:
            parts.append(f"{self.stateless} of an unknown state (write CA, not California) match any state")
        if self.open_end:
            parts.append("the file does not end with a line ending: is it whole?")
        return "; ".join(parts)


def import_list(
    stream: BinaryIO, layout: Layout, terms: AlertTerms, *, name: str, category: str | None, now_us: int
) -> ImportedList:
    """Read a whole list. `category`: of every entry where the layout has none. Raises ListRefusedError,
    which calls the file by `name`.
    """
    if "category" not in layout.fields and category is None:
        raise ListRefusedError(
            "it has no category",
            where=f"layout {layout.id}",
            cure="name the category of all its entries",
        )
    if category is not None and terms.category(category) is None:
        allowed = ", ".join(one.id for one in terms.categories)
        raise ListRefusedError(f"the policy allows {allowed}", where=f"category {category[:32]}")
    made = ImportedList()
    reader = _Lines(stream, layout, name, demands_category=category is None)
    seen: dict[int, set[ListEntry]] = {}
    for number, cells in reader:
        made.lines += 1
        if isinstance(cells, str):
            made.bad.append(BadLine(number=number, why=cells))
            continue
        try:
            entry = _entry(number, cells, layout, terms, category, made, now_us)
        except RecordError as error:
            made.bad.append(BadLine(number=number, why=str(error)))
            continue
        if entry is None:
            continue
        if len(made.entries) >= MAX_ENTRIES:
            raise ListRefusedError(
                f"more than {MAX_ENTRIES} entries",
                where=f"{name}, line {number}",
                cure="split it into several lists",
            )
        forms = seen.setdefault(entry.key, set())
        if entry in forms:
            made.doubles += 1
            continue
        made.twins += bool(forms) and all(entry.plate != one.plate for one in forms)
        forms.add(entry)
        made.entries.append(entry)
    made.open_end, made.absent = reader.open_end, reader.absent
    _demand_good(made, terms, name)
    return made


def _named(bad: Sequence[BadLine]) -> str:
    """Which field of which line, and why; never what it holds."""
    lines = "; ".join(f"line {one.number}: {one.why}" for one in bad[:MAX_NAMED])
    return f"{lines}; and {len(bad) - MAX_NAMED} more" if len(bad) > MAX_NAMED else lines


def _numbers(lines: Sequence[int]) -> str:
    more = f" and {len(lines) - MAX_NAMED} more" if len(lines) > MAX_NAMED else ""
    return f"{'line' if len(lines) == 1 else 'lines'} {', '.join(map(str, lines[:MAX_NAMED]))}{more}"


def _demand_good(made: ImportedList, terms: AlertTerms, name: str) -> None:
    allowed = max(ALWAYS_ALLOWED, made.lines * terms.bad_lines_per_thousand // 1000)
    if len(made.bad) > allowed:
        first = _named(made.bad)
        raise ListRefusedError(
            f"{len(made.bad)} of {made.lines} lines are bad where the policy allows {allowed}: {first}",
            where=name,
            cure="is this its layout?",
        )
    if not made.lines:
        raise ListRefusedError("holds no line", where=name)
    if len(made.bad) == made.lines:
        raise ListRefusedError(
            f"every line is bad: line {made.bad[0].number}: {made.bad[0].why}",
            where=name,
            cure="is this its layout?",
        )
    if len(made.plateless) == made.lines:
        raise ListRefusedError("no line has a plate", where=name, cure="is this its layout?")


class _Lines:
    """(number, cells by field) of each line, or (number, what is wrong with it)."""

    def __init__(self, stream: BinaryIO, layout: Layout, name: str, *, demands_category: bool) -> None:
        self._stream, self._layout, self._name = stream, layout, name
        self._demands_category = demands_category
        self._columns: Mapping[str, int] = {}
        self._cells_a_line = 0  # of the header, or of the first line
        self.open_end = False
        self.absent: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[tuple[int, dict[str, str] | str]]:
        number, header = 0, self._layout.header
        while raw := self._readline(number + 1, MAX_LINE + 1):
            number += 1
            if len(raw) > MAX_LINE:
                self._skip(number, raw)
                yield number, f"is over {MAX_LINE} bytes"
                continue
            self.open_end = not raw.endswith(b"\n")
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            raw = raw.rstrip(b"\r\n")
            if not raw.strip():
                continue
            try:
                text = raw.decode(self._layout.encoding)
            except UnicodeDecodeError:
                yield number, f"is not {self._layout.encoding}"
                continue
            if header:
                header = False
                self._take_header(text)
                continue
            yield number, self._cells(text)

    def _skip(self, number: int, raw: bytes) -> None:
        while raw and not raw.endswith(b"\n"):
            raw = self._readline(number, 1 << 16)

    def _readline(self, number: int, most: int) -> bytes:
        """Raises ListRefusedError where the stick is pulled: the system's error names no file."""
        try:
            return self._stream.readline(most)
        except OSError as error:
            raise ListRefusedError(
                f"cannot be read: {error.strerror or error}; no list was changed",
                where=f"{self._name}, line {number}",
                cure="is its medium still plugged in? import it again",
            ) from None

    def _take_header(self, text: str) -> None:
        try:
            cells = _split(text, self._layout.delimiter)
        except csv.Error as error:
            raise ListRefusedError(
                f"the first line is no {self._layout.delimiter!r}-separated line: {error}",
                where=f"{self._name}, line 1",
                cure="is this its layout?",
            ) from None
        self._cells_a_line = len(cells)
        names = [cell.strip().casefold() for cell in cells]
        columns: dict[str, int] = {}
        for target, place in self._layout.fields.items():
            if not isinstance(place, str):
                continue
            times = names.count(place.casefold())
            if times > 1:
                raise ListRefusedError(
                    f"the first line names {times} columns {place}",
                    where=f"{self._name}, line 1",
                    cure="keep the one that is meant",
                )
            if times:
                columns[target] = names.index(place.casefold())
            elif target in LIMITS:
                self.absent = (*self.absent, place)
        if "plate" not in columns and isinstance(self._layout.fields["plate"], str):
            raise ListRefusedError(
                f"the first line names no column {self._layout.fields['plate']}",
                where=f"{self._name}, line 1",
                cure="is this its layout?",
            )
        if self._demands_category and "category" not in columns:
            raise ListRefusedError(
                f"the first line names no column {self._layout.fields['category']}: no line has a category",
                where=f"{self._name}, line 1",
                cure="name the category of all its entries",
            )
        self._columns = columns

    def _cells(self, text: str) -> dict[str, str] | str:
        if "\x00" in text:
            return "holds a NUL"
        layout = self._layout
        if not layout.delimiter:
            return self._columns_of(text)
        try:
            cells = _split(text, layout.delimiter)
        except csv.Error as error:
            return f"is no {layout.delimiter!r}-separated line: {error}"
        self._cells_a_line = self._cells_a_line or len(cells)
        if len(cells) < self._cells_a_line:
            return f"has {len(cells)} of {self._cells_a_line} cells: was it cut?"
        found: dict[str, str] = {}
        for name, place in layout.fields.items():
            at = place - 1 if isinstance(place, int) else self._columns.get(name, -1)
            if 0 <= at < len(cells):
                found[name] = cells[at]
            if name == "plate" and at == len(cells) - 1 and self.open_end:
                return OPEN_END
        return found

    def _columns_of(self, text: str) -> dict[str, str] | str:
        """The same of a file of fixed columns."""
        spans = {name: place for name, place in self._layout.fields.items() if isinstance(place, Span)}
        if self.open_end and len(text) < spans["plate"].start + spans["plate"].length:
            return OPEN_END
        return {name: text[span.start - 1 : span.start - 1 + span.length] for name, span in spans.items()}


def _split(text: str, delimiter: str) -> list[str]:
    (cells,) = csv.reader([text], delimiter=delimiter, strict=True)
    return cells


def _entry(  # noqa: PLR0917 - one line of one file
    number: int,
    cells: Mapping[str, str],
    layout: Layout,
    terms: AlertTerms,
    category: str | None,
    made: ImportedList,
    now_us: int,
) -> ListEntry | None:
    """The entry of a line; None if the policy refuses it, it has ended or names no plate. Raises
    RecordError."""
    said = {name: _text(cells.get(name, "")) for name in cells if name != "plate"}
    cell = cells.get("plate", "").strip()
    plate = _plate(cell) if cell else ""
    if not plate or NO_PLATE.fullmatch(plate):
        if not cell and not said.get("vin_tail"):
            raise RecordError("is empty, and no VIN names the vehicle", where="plate")
        made.plateless.append(number)
        return None
    word, more = layout.word("category", said.get("category", "")), ""
    if (found := terms.category_of(word)) is None:  # a code that the policy itself names goes first
        word, more = layout.category(said.get("category", ""))
        found = terms.category_of(word)
    if category is not None:
        if found is not None and found.id != category:  # no one is stopped for what the file does not say
            _count(made, f"{word}, not {category}")
            return None
        if found is None and not (word and layout.words.get("category")):  # of a source whose codes are known
            found = terms.category(category)
    if found is None:
        _count(made, word or "(no category)")
        return None
    reason = ", ".join(filter(None, (more, layout.word("reason", said.get("reason", "")))))[:MAX_CELL]
    shown = f"{word}, {reason}"
    if not is_latin(shown):
        raise RecordError("a letter is not Latin, although it looks like one", where="category or reason")
    if barred := barred_in(found.never, shown):
        _count(made, f"{found.id} that is {barred}")
        return None
    until_us = _day(said.get("until", ""), layout, "until")
    if until_us is not None:
        until_us += DAY_US  # to the end of that day
        if until_us <= now_us:
            made.ended += 1
            return None
    state = _state(said.get("state", ""), layout.country)
    made.stateless += bool(said.get("state")) and not state
    plate_class = layout.word("plate_class", said.get("plate_class", "")).casefold()
    return ListEntry(
        plate=plate,
        category=found.id,
        state=state,
        reason=reason,
        make=layout.word("make", said.get("make", "")),
        model=layout.word("model", said.get("model", "")),
        color=layout.word("color", said.get("color", "")).casefold(),
        year=_year(said.get("year", "")),
        plate_class=plate_class if plate_class in _CLASS_WORDS else "",
        vin_tail=said.get("vin_tail", "")[-8:],
        case=said.get("case", ""),
        agency=said.get("agency", ""),
        reference=said.get("reference", ""),
        from_us=_day(said.get("from", ""), layout, "from"),
        until_us=until_us,
    )


def _count(made: ImportedList, word: str) -> None:
    name = word[:40]
    made.refused[name if name in made.refused or len(made.refused) < MAX_WORDS else "(others)"] += 1


def _plate(cell: str) -> str:
    text = cell.strip()
    if not text.isascii():
        raise RecordError("a letter is not Latin, although it looks like one", where="plate")
    plate = normal_plate(text)
    if not PLATE.fullmatch(plate):
        raise RecordError("is not a plate: 1 to 16 of A-Z and 0-9", where="plate")
    return plate


def _text(cell: str) -> str:
    text = " ".join(cell.split()).lstrip(FORMULA)
    if not text.isprintable():
        raise RecordError("holds a control character", where="line")
    return text[:MAX_CELL]


def _state(code: str, country: str) -> str:
    """ISO 3166 of a source's code; empty if it names none that is known."""
    name = code.strip().upper()
    if country != "US":
        return f"{country}-{name}" if name.isalnum() and len(name) <= 3 and name else country
    if name in US:
        return f"US-{name}"
    if OLDER_CODES.get(name, name) in CANADA:
        return f"CA-{OLDER_CODES.get(name, name)}"
    if name in {"MX", "MEX", "MM"}:
        return "MX"
    return name if len(name) == 5 and name.startswith("US-") and name[3:] in US else ""


def _year(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()) or len(text) not in {2, 4}:
        return None
    year = int(text)
    if len(text) == 2:
        year += 2000 if year < 70 else 1900
    return year if 1900 <= year <= 2100 else None


def _day(text: str, layout: Layout, name: str) -> int | None:
    if not text:
        return None
    try:
        day = datetime.strptime(text, layout.date).replace(tzinfo=UTC)
    except ValueError:
        raise RecordError(f"is not a date of the form {layout.date}", where=name) from None
    return max(0, us_of(day))
