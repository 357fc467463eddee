"""Reads JSON into the desk's forms, strictly, and writes answers as JSON. No I/O.

A form is a frozen dataclass. Fields with a default may be left out, and unknown fields are refused by name.
Bytes are sent as base64, times as UTC microseconds or ISO 8601 text ending in Z.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import enum
import json
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

from storage.codec import from_plain, hints_of, read_field, without_none
from storage.errors import RecordError, StorageError
from storage.times import parse_utc
from sync.department.policy.refusals import DeskRefusal, FormError, UnreadError, refuse_all

T = TypeVar("T")
MAX_LIST = 10_000
MAX_INT = 1 << 53  # the largest integer that JSON carries exactly (RFC 8259, 6)


def read_json(data: bytes) -> Any:
    """Read JSON in which no object names a field twice. Raises FormError.

    Of two plates under one name, one would be ignored.
    """
    try:
        return json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise FormError("the body is not JSON", code="form", clause="463.5") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise FormError("the body names a field twice", code="form", clause="463.5")
    return found


def read_form(cls: type[T], value: Any) -> T:
    """Read a form from a JSON object. Raises FormError naming each wrong field, never a value."""
    try:
        return from_plain(cls, _prepared(cls, value, cls.__name__))
    except DeskRefusal:
        raise
    except StorageError as error:
        refuse_all(read_part(cls, value)[1])
        raise _malformed(error) from None


def _malformed(error: StorageError) -> FormError:
    return FormError(f"{error.where}: {error.what}", code="form", clause="463.5")


class PartOfForm:
    """A form without the fields that could not be read. A check that reaches one of them ends there."""

    def __init__(self, read: dict[str, Any]) -> None:
        self._read = read

    def __getattr__(self, name: str) -> Any:
        try:
            return self._read[name]
        except KeyError:
            raise UnreadError(f"{name}: could not be read", code=name, clause="463.5") from None


def read_fields(value: Any) -> dict[str, Any]:
    """The fields of a form or of a `PartOfForm`; anything else has none."""
    if isinstance(value, PartOfForm):
        return value._read
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    return {}


def read_part(
    cls: Any, value: Any, unread: frozenset[str] = frozenset(), where: str = ""
) -> tuple[PartOfForm, list[FormError]]:
    """Read as much of a form as possible from a JSON object; return it with what is wrong in the rest.

    `unread`: fields that the sender knows to be wrong. Those of a record within the form follow its name and
    a dot.
    """
    where = where or cls.__name__
    if not isinstance(value, dict):
        return PartOfForm({}), [_malformed(RecordError("is not an object", where=where))]
    hints, read = hints_of(cls), dict[str, Any]()
    wrong = [
        _malformed(RecordError("is not a field of this form", where=f"{where}.{str(name)[:40]}"))
        for name in value
        if name not in hints
    ]
    for one in dataclasses.fields(cls):
        at, hint = f"{where}.{one.name}", hints[one.name]
        within = frozenset(name[len(one.name) + 1 :] for name in unread if name.startswith(f"{one.name}."))
        if one.name in unread:
            continue
        kinds = () if typing.get_origin(hint) is tuple else (hint, *typing.get_args(hint))
        inner = next((kind for kind in kinds if dataclasses.is_dataclass(kind)), None)
        if inner is not None and (within or isinstance(value.get(one.name), dict)):
            part, more = read_part(inner, value.get(one.name, {}), within, at)
            wrong += more
            if within or more:
                read[one.name] = part
                continue
        try:
            if one.name not in value and one.default is dataclasses.MISSING:
                raise RecordError("is missing", where=at)
            given = value.get(one.name, _plain_default(one.default))
            read[one.name] = read_field(hint, _value(hint, given, at, one.name), at)
        except StorageError as error:
            wrong.append(_malformed(error))
    return PartOfForm(read), wrong


def demand_counts(form: Any, where: str) -> None:
    """Refuse negative integers other than a default of -1. Raises FormError naming each."""
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
    """The same object, with defaults filled in and with bytes and times decoded."""
    if not isinstance(value, dict):
        raise RecordError("is not an object", where=where)
    hints = hints_of(cls)
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
    hint, may_lack = without_none(hint)
    if may_lack and value is None:
        return None
    if typing.get_origin(hint) is tuple and isinstance(value, list):
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
    """Turn an answer into JSON values: dataclasses into objects, bytes into base64."""
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
