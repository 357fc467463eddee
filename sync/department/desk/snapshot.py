"""The desk's folded state, kept beside the log: a long log is not folded anew at each start.

A snapshot holds the book as the first `seen` entries add up to it, and the signed tree head of those. It is
sealed under the key that seals credentials, and taken only where that head is the log's own; anything else
is ignored, and the entries are folded from the first. `department verify` folds them and compares.

The form follows the types of the book: a class that changes makes every older snapshot unreadable, and so
ignored.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import types
import typing
from collections.abc import ItemsView, Iterator, ValuesView
from pathlib import Path
from typing import Any

from storage import envelope, files, sealing
from storage.checkpoint import open_checkpoint
from storage.codec import from_plain, to_plain
from storage.errors import RecordError, StorageError
from sync.department.desk.state import Book
from sync.department.journal.access_log import AccessLog
from sync.department.journal.entries import NOTES, Entry, Stamp
from sync.department.policy.policy import Policy
from sync.department.policy.policy_file import parse
from sync.errors import HomeError

FILE = "book.snapshot"
ELEMENT = "snapshot"
KEY_YEAR = 0  # the key beside the audit keys that seals credential records
EVERY = 2000  # entries folded before another one is written
MAX_BYTES = 1 << 30


class LazyEntries(dict[Any, Any]):
    """Entries by name, each read from its bytes when it is first asked for."""

    def _read(self, key: Any) -> Any:
        value = dict.__getitem__(self, key)
        if type(value) is bytes:
            value = _entry(envelope.decode(value, limit=MAX_BYTES))
            dict.__setitem__(self, key, value)
        return value

    def __getitem__(self, key: Any) -> Any:
        return self._read(key)

    def get(self, key: Any, default: Any = None) -> Any:
        return self._read(key) if key in self else default

    def pop(self, key: Any, *default: Any) -> Any:
        if key in self:
            value = self._read(key)
            del self[key]
            return value
        return dict.pop(self, key, *default)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        return ValuesView(self)

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]
        return ItemsView(self)

    def raw(self) -> Iterator[tuple[Any, Any]]:
        """Each as it lies: an entry, or its bytes."""
        return iter(dict.items(self))


def _entry_bytes(entry: Any) -> bytes:
    if type(entry) is bytes:
        return entry
    plain = [entry.sequence, to_plain(entry.stamp), entry.note.KIND, to_plain(entry.note)]
    return envelope.encode(plain)


def _entry(value: Any) -> Entry:
    if not isinstance(value, list) or len(value) != 4 or value[2] not in NOTES:
        raise RecordError("is no entry", where="snapshot")
    return Entry(value[0], from_plain(Stamp, value[1]), from_plain(NOTES[value[2]], value[3]))


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _plain(hint: Any, value: Any) -> Any:  # noqa: PLR0911 - one case for each kind of type
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if value is None:
        return None
    if origin in {types.UnionType, typing.Union}:
        return _plain(next(one for one in inner if one is not type(None)), value)
    if hint is Entry:
        return _entry_bytes(value)
    if origin is dict:
        pairs = value.raw() if isinstance(value, LazyEntries) else value.items()
        return [[_plain(inner[0], key), _plain(inner[1], one)] for key, one in pairs]
    if origin in {set, list, tuple}:
        each = inner[0]
        return [_plain(each, one) for one in (sorted(value) if origin is set else value)]
    if hint is Policy:
        return True  # read from its document
    if _is_part(hint):
        hints = _hints(hint)
        names = [one.name for one in dataclasses.fields(hint)]
        return {name: _plain(hints[name], getattr(value, name)) for name in names}
    return to_plain(value)


def _value(hint: Any, plain: Any) -> Any:  # noqa: PLR0911 - one case for each kind of type
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union}:
        return None if plain is None else _value(next(one for one in inner if one is not type(None)), plain)
    if hint is Policy:
        return None  # read from its document
    if hint is Entry:
        return _entry(envelope.decode(plain, limit=MAX_BYTES))
    if origin is dict:
        if inner[1] is Entry:
            return LazyEntries({_value(inner[0], key): one for key, one in plain})
        return {_value(inner[0], key): _value(inner[1], one) for key, one in plain}
    if origin in {set, list}:
        return origin(_value(inner[0], one) for one in plain)
    if origin is tuple:
        return tuple(_value(inner[0], one) for one in plain)
    if _is_part(hint):
        hints = _hints(hint)
        made = hint.__new__(hint)
        for one in dataclasses.fields(hint):
            setattr(made, one.name, _value(hints[one.name], plain[one.name]))
        return made
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast("type[Any]", hint), plain)
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        return hint(plain)
    if type(plain) is not hint:
        raise RecordError("is of another type", where="snapshot")
    return plain


def _is_part(hint: Any) -> bool:
    """Whether a class is a part of the book that changes: not a frozen record."""
    return dataclasses.is_dataclass(hint) and not hint.__dataclass_params__.frozen  # type: ignore[union-attr]


@functools.cache
def form() -> bytes:
    """SHA-256 over every type that a book holds: another form is another number."""
    seen: dict[str, str] = {}

    def walk(hint: Any) -> None:
        for one in typing.get_args(hint):
            walk(one)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type) and hint.__qualname__ not in seen:
            seen[hint.__qualname__] = ""
            hints = _hints(hint)
            names = [one.name for one in dataclasses.fields(hint)]
            seen[hint.__qualname__] = repr([(name, str(hints[name])) for name in names])
            for one in hints.values():
                walk(one)

    walk(Book)
    for note in NOTES.values():
        walk(note)
    return hashlib.sha256(repr(sorted(seen.items())).encode()).digest()


def to_bytes(book: Book) -> bytes:
    """A book's parts, in their canonical form."""
    return envelope.encode(_plain(Book, book))


def write(log: AccessLog, book: Book) -> None:
    """Keep a book of this log. Raises OSError, HomeError."""
    content = envelope.encode([form(), book.seen, log.signed_head(book.seen), to_bytes(book)])
    key = log.keys.of(KEY_YEAR, make=True)
    files.replace(log.folder / FILE, sealing.wrap(key, log.log_id, 0, ELEMENT, content))


def read(log: AccessLog) -> Book | None:
    """The book that is kept of this log, or None where there is none that holds."""
    path: Path = log.folder / FILE
    try:
        content = sealing.unwrap(log.keys.of(KEY_YEAR), log.log_id, 0, ELEMENT, path.read_bytes())
        value = envelope.decode(content, limit=MAX_BYTES)
        if not isinstance(value, list) or len(value) != 4 or value[0] != form():
            return None
        head = open_checkpoint(value[2], log.note_key)
        if head.size != value[1] or not 0 < head.size <= log.size() or log.head(head.size).root != head.root:
            return None
        book: Book = _value(Book, envelope.decode(value[3], limit=MAX_BYTES))
        book.rules = parse(book.document)
    except (OSError, StorageError, HomeError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None
    return book if book.seen == head.size else None


def differs(log: AccessLog, folded: Book) -> bool:
    """Whether the snapshot of this log says something else than its entries, folded as far as it goes."""
    kept = read(log)
    return kept is not None and kept.seen == folded.seen and to_bytes(kept) != to_bytes(folded)
