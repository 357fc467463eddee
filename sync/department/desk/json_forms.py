"""JSON to the desk's forms and answers to JSON, strictly. No I/O.

A form is a frozen dataclass; fields with a default may be left out, unknown ones are refused by name. Bytes
travel as base64, times as UTC microseconds or ISO 8601 text ending in Z.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

from storage.codec import from_plain
from storage.errors import RecordError, StorageError
from storage.times import parse_utc
from sync.department.policy.refusals import DeskRefusal, FormError, refuse_all

T = TypeVar("T")
MAX_LIST = 10_000
MAX_INT = 1 << 53  # what JSON carries exactly (RFC 8259, 6)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    """The types of a form's fields; working them out for each of many rows took most of the time."""
    return typing.get_type_hints(cls)


def read_form(cls: type[T], value: Any) -> T:
    """The form of a JSON object. Raises FormError naming the field; never shows the value."""
    try:
        return from_plain(cls, _prepared(cls, value, cls.__name__))
    except DeskRefusal:
        raise
    except StorageError as error:
        raise FormError(f"{error.where}: {error.what}", code="form", clause="463.5") from None


def demand_counts(form: Any, where: str) -> None:
    """Raises FormError naming each negative whole number: none means anything, but for a default of -1."""
    refuse_all(list(_negative_in(form, where)))


def _negative_in(value: Any, where: str, default: Any = None) -> Iterator[FormError]:
    if type(value) is int and value < 0 and value != default:
        name = where.rpartition(".")[2].partition("[")[0]
        what, cure = "is negative", "leave it out, or give a positive number"
        if name.endswith("_us"):
            what, cure = "is before 1970", "leave it out, or give a later time"
        yield FormError(f"{where}: {what}", code=name, clause="463.5", cure=cure)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for one in dataclasses.fields(value):
            yield from _negative_in(getattr(value, one.name), f"{where}.{one.name}", one.default)
    elif isinstance(value, tuple):
        for at, one in enumerate(value):
            yield from _negative_in(one, f"{where}[{at}]")


def _prepared(cls: Any, value: Any, where: str) -> Any:
    """The same object with defaults filled in and bytes and times decoded."""
    if not isinstance(value, dict):
        raise RecordError("is not an object", where=where)
    hints = _hints(cls)
    result = dict(value)
    for one in dataclasses.fields(cls):
        if one.name in value:
            result[one.name] = _value(hints[one.name], value[one.name], f"{where}.{one.name}", one.name)
        elif one.default is not dataclasses.MISSING:
            result[one.name] = _plain_default(one.default)
    return result


def _plain_default(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _value(hint: Any, value: Any, where: str, name: str) -> Any:  # noqa: PLR0911 - one case per type
    origin = typing.get_origin(hint)
    if origin in {types.UnionType, typing.Union}:
        options = [one for one in typing.get_args(hint) if one is not type(None)]
        return None if value is None else _value(options[0], value, where, name)
    if origin is tuple and isinstance(value, list):
        if len(value) > MAX_LIST:
            raise RecordError(f"has more than {MAX_LIST} items", where=where)
        return [_value(typing.get_args(hint)[0], one, where, name) for one in value]
    if dataclasses.is_dataclass(hint):
        return _prepared(hint, value, where)
    if hint is bytes and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise RecordError("is not base64", where=where) from None
    if type(value) is int and not -MAX_INT <= value < MAX_INT:
        raise RecordError("is out of range", where=where)
    if hint is float and type(value) is int:
        return float(value)
    if hint is int and isinstance(value, str) and name.endswith("_us"):
        return parse_utc(value, where=where)
    return value


def to_json(value: Any) -> Any:
    """JSON values of an answer: dataclasses as objects, bytes as base64."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: to_json(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, enum.StrEnum):
        return value.value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple | list):
        return [to_json(one) for one in value]
    if isinstance(value, dict):
        return {str(key): to_json(one) for key, one in value.items()}
    return value
