"""Converts a folded state to plain values and back, by the types of its classes, for snapshots. No I/O.

The format follows the types, so a change of a class makes older snapshots unreadable.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import typing
from collections import UserDict
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from storage import envelope
from storage.codec import from_plain, hints_of, to_plain, without_none
from storage.errors import RecordError
from sync.department.journal.entries import NOTES, Entry, EntryOf
from sync.department.journal.entry_base import Stamp
from sync.department.policy.policy import Policy

MAX_BYTES = 1 << 30


class _Values(ValuesView[Any]):
    """The values, iterable in both directions as for a dictionary."""

    _mapping: LazyEntries

    def __reversed__(self) -> Iterator[Any]:
        return (self._mapping[key] for key in reversed(self._mapping))


class _Items(ItemsView[Any, Any]):
    """The items, iterable in both directions as for a dictionary."""

    _mapping: LazyEntries

    def __reversed__(self) -> Iterator[tuple[Any, Any]]:
        return ((key, self._mapping[key]) for key in reversed(self._mapping))


class LazyEntries(UserDict[Any, Any]):
    """A dictionary of entries, each parsed from its bytes on first use.

    `data` has each as it is: an entry or its bytes.
    """

    def __getitem__(self, key: Any) -> Any:
        value = self.data[key]
        if type(value) is bytes:
            value = self.data[key] = _entry(envelope.decode(value, limit=MAX_BYTES))
        return value

    def __reversed__(self) -> Iterator[Any]:
        return iter(reversed(self.data))

    def keys(self) -> KeysView[Any]:
        return self.data.keys()

    def popitem(self) -> tuple[Any, Any]:
        """Pop the newest item; `UserDict` would pop the oldest."""
        self[next(reversed(self), None)]  # parses it; popitem raises KeyError if there is none
        return self.data.popitem()

    def values(self) -> _Values:
        return _Values(self)

    def items(self) -> _Items:
        return _Items(self)


def _entry_bytes(entry: Any) -> bytes:
    if type(entry) is bytes:
        return entry
    plain = [entry.sequence, to_plain(entry.stamp), entry.note.KIND, to_plain(entry.note), entry.signed]
    return envelope.encode(plain)


def _entry(value: Any) -> Entry:
    if not isinstance(value, list) or len(value) != 5 or value[2] not in NOTES or type(value[4]) is not bytes:
        raise RecordError("is not an entry", where="snapshot")
    return EntryOf(value[0], from_plain(Stamp, value[1]), from_plain(NOTES[value[2]], value[3]), value[4])


def as_plain(hint: Any, value: Any) -> Any:  # noqa: PLR0911 - one case for each kind of type
    """Convert a value of this type to plain values."""
    if value is None:
        return None
    hint, _ = without_none(hint)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is EntryOf:
        return _entry_bytes(value)
    if origin is dict:
        pairs = (value.data if isinstance(value, LazyEntries) else value).items()
        return [[as_plain(inner[0], key), as_plain(inner[1], one)] for key, one in pairs]
    if origin in {set, list, tuple}:
        each = inner[0]
        return [as_plain(each, one) for one in (sorted(value) if origin is set else value)]
    if hint is Policy:
        return True  # read from its document
    if is_part(hint):
        return {name: as_plain(one, getattr(value, name)) for name, one in hints_of(hint).items()}
    return to_plain(value)


def as_value(hint: Any, plain: Any) -> Any:
    """Convert the result of `as_plain` back. Raises RecordError, ValueError, TypeError, KeyError."""
    return _reader(hint)(plain)


@functools.cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """The function that reads a value of this type; determined once per type, not per value."""
    hint, may_lack = without_none(hint)
    read = _reader_of(hint)
    return (lambda plain: None if plain is None else read(plain)) if may_lack else read


def _reader_of(hint: Any) -> Callable[[Any], Any]:  # noqa: PLR0911 - one case for each kind of type
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Policy:
        return lambda _plain: None  # read from its document
    if origin is EntryOf:
        return lambda plain: _entry(envelope.decode(plain, limit=MAX_BYTES))
    if origin is dict:
        key_of, value_of = _reader(inner[0]), _reader(inner[1])
        if typing.get_origin(inner[1]) is EntryOf:
            return lambda plain: LazyEntries((key_of(key), one) for key, one in plain)
        return lambda plain: {key_of(key): value_of(one) for key, one in plain}
    if origin in {set, list, tuple}:
        each = _reader(inner[0])
        return lambda plain: origin(map(each, plain))
    if is_part(hint):
        return functools.partial(_part, hint, [(name, _reader(one)) for name, one in hints_of(hint).items()])
    if dataclasses.is_dataclass(hint):
        return functools.partial(from_plain, typing.cast("type[Any]", hint))
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        return hint
    return functools.partial(_as_it_is, hint)


def _part(kind: Any, readers: list[tuple[str, Callable[[Any], Any]]], plain: Any) -> Any:
    made = kind.__new__(kind)
    for name, read in readers:
        setattr(made, name, read(plain[name]))
    return made


def _as_it_is(kind: Any, plain: Any) -> Any:
    if type(plain) is not kind:
        raise RecordError("has another type", where="snapshot")
    return plain


def is_part(hint: Any) -> bool:
    """Whether a class is a mutable part of the state rather than a frozen record."""
    return dataclasses.is_dataclass(hint) and not hint.__dataclass_params__.frozen  # type: ignore[union-attr]
