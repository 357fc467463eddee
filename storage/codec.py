"""Converts frozen dataclasses to canonical CBOR and back, strictly: parse once, at the door. No I/O.

A record is a map with its class's field names. Unknown, missing and mistyped fields are refused by name.
Fields may be bool, int, float, str, bytes, other such classes, StrEnum, `T | None` and `tuple[T, ...]`
or fixed tuples. A class may define `check(self)` that raises RecordError for values out of range.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import tomllib
import types
import typing
from typing import Any, TypeVar

from storage.envelope import MAX_BYTES, decode, encode
from storage.errors import RecordError, UnknownFormError
from storage.text_end import flaw_of, given_twice

T = TypeVar("T")
MAX_TEXT = 64 * 1024


PLAIN = (bool, int, float, str, bytes)
IN_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a decimal number",
    str: "text",
    bytes: "bytes",
    list: "a list",
    dict: "a group of fields",
    type(None): "empty",
}


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


@functools.cache
def _names(kind: Any) -> tuple[str, ...] | None:
    """The fields of a record class; None for any other."""
    return tuple(_hints(kind)) if dataclasses.is_dataclass(kind) else None  # type: ignore[arg-type]  # a class is hashable


@functools.cache
def _plain(cls: Any) -> dict[str, Any]:
    """The type of each field whose decoded value needs no conversion; None for other fields."""
    return {name: hint if hint in PLAIN else None for name, hint in _hints(cls).items()}


@functools.cache
def _later(cls: Any) -> frozenset[str]:
    return frozenset(one.name for one in dataclasses.fields(cls) if one.metadata.get("later"))


def later(default: Any) -> Any:
    """Define a field that records of earlier versions lack: if missing, it is `default`."""
    return dataclasses.field(default=default, metadata={"later": True})


def omitted(default: Any) -> Any:
    """Define such a field that is also not written while it is `default`, so that old records keep their
    bytes and digests.
    """
    return dataclasses.field(default=default, metadata={"later": True, "omitted": True})


@functools.cache
def _omitted(cls: Any) -> dict[str, Any]:
    """The default of each field that is not written while it has its default."""
    return {one.name: one.default for one in dataclasses.fields(cls) if one.metadata.get("omitted")}


def hints_of(cls: Any) -> dict[str, Any]:
    """The types of a dataclass's fields, in order; computed once for each class."""
    return _hints(cls)


@functools.cache
def without_none(hint: Any) -> tuple[Any, bool]:
    """A field's type without its `| None`, and whether it had one."""
    if typing.get_origin(hint) not in {types.UnionType, typing.Union}:
        return hint, False
    (inner,) = (one for one in typing.get_args(hint) if one is not type(None))
    return inner, True


def to_plain(value: Any) -> Any:
    """Plain CBOR values of a record (a map), or of any allowed field value."""
    kind = type(value)
    if kind in PLAIN:  # the usual case
        return value
    names = _names(kind)  # type: ignore[arg-type]
    if names is not None:
        plain = {name: to_plain(getattr(value, name)) for name in names}
        for name, default in _omitted(kind).items():  # type: ignore[arg-type]  # a class is hashable
            if getattr(value, name) == default:
                del plain[name]
        return plain
    if isinstance(value, enum.StrEnum):
        return value.value
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def to_bytes(value: Any) -> bytes:
    """Canonical CBOR of a record."""
    return encode(to_plain(value))


def from_bytes(cls: type[T], data: bytes, *, limit: int = MAX_BYTES) -> T:
    """Parse a record of class `cls`. Raises EnvelopeError, RecordError."""
    return from_plain(cls, decode(data, limit=limit))


def is_later(value: Any, newest: int) -> bool:
    """Whether a decoded map names a later `format` than this, and so may have fields unknown here."""
    number = value.get("format") if isinstance(value, dict) else None
    return isinstance(number, int) and number > newest


def from_plain(cls: type[T], value: Any, *, where: str = "") -> T:
    """Build a record of class `cls` from a decoded map.

    Raises RecordError, which names the field; UnknownFormError if all known fields are present and others
    too, as a newer program may write.
    """
    where = where or cls.__name__
    if not isinstance(value, dict):
        raise RecordError("is not a map", where=where)
    hints: dict[str, Any] = _hints(cls)  # type: ignore[arg-type]  # a class is hashable
    if value.keys() != hints.keys():
        lacking = set(hints) - set(value) - _later(cls)  # type: ignore[arg-type]
        if lacking or set(value) - set(hints):
            missing = ", ".join(sorted(lacking))
            unknown = ", ".join(sorted(str(key)[:40] for key in set(value) - set(hints)))
            kind = RecordError if lacking else UnknownFormError
            raise kind(f"missing fields [{missing}], unknown fields [{unknown}]", where=where)
    made = {}
    for name, plain in _plain(cls).items():  # type: ignore[arg-type]
        if name in value:
            item = value[name]
            # the usual case is fast: it does not build a field's name for an error message
            usual = type(item) is plain and (plain is not str or len(item) <= MAX_TEXT)
            made[name] = item if usual else read_field(hints[name], item, f"{where}.{name}")
    record = cls(**made)
    check = getattr(record, "check", None)
    if check is not None:
        check()
    return record


def parse_toml(document: bytes, *, where: str) -> dict[str, Any]:
    """Parse a TOML document. Raises RecordError."""
    try:
        text = document.decode()
        flaw = flaw_of(text)
        if flaw is not None:
            raise RecordError(flaw[0], where=where, cure=flaw[1])
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise RecordError(f"is not TOML: byte {error.start} is not UTF-8", where=where) from None
    except RecursionError:
        raise RecordError("is not TOML: nested too deep", where=where) from None
    except ValueError as error:  # TOMLDecodeError, and numbers of thousands of digits
        raise RecordError(f"is not TOML: {given_twice(error, text) or error}", where=where) from None


def _in_words(kind: type) -> str:
    return IN_WORDS.get(kind, "of another type")


def read_field(hint: Any, value: Any, where: str) -> Any:
    """The value of a field of type `hint`, from its plain form. Raises RecordError."""
    hint, may_lack = without_none(hint)
    if may_lack and value is None:
        return None
    if typing.get_origin(hint) is tuple:
        items = typing.get_args(hint)
        if not isinstance(value, list):
            raise RecordError("is not a list", where=where)
        if items[-1] is Ellipsis:
            items = (items[0],) * len(value)
        if len(items) != len(value):
            raise RecordError(f"has {len(value)} items, not {len(items)}", where=where)
        return tuple(
            read_field(one, item, f"{where}[{at}]")
            for at, (one, item) in enumerate(zip(items, value, strict=True))
        )
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast("type[Any]", hint), value, where=where)
    if issubclass(hint, enum.StrEnum):
        try:
            return hint(value)
        except ValueError:
            raise RecordError(f"is not one of {', '.join(hint)}", where=where) from None
    if hint is float and type(value) is int:
        raise RecordError("is a whole number, not a decimal one", where=where)
    if type(value) is not hint:
        raise RecordError(f"is {_in_words(type(value))}, not {_in_words(hint)}", where=where)
    if hint is str and len(value) > MAX_TEXT:
        raise RecordError(f"is longer than {MAX_TEXT} characters", where=where)
    return value
