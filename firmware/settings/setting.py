"""One configuration field: its type, range and reason; from TOML text to frozen sections and back."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from typing import Any, TypeVar

from firmware.errors import ConfigError

_WORDS = {int: "a whole number", float: "a number", str: "a text in quotes", bool: "true or false"}
_MAX_TEXT = 200
Section = TypeVar("Section")


def setting(
    default: Any,
    *,
    why: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    example: Any = None,
) -> Any:
    """A dataclass field with a range and a reason. Default None: may be left out; `example` shows a value."""
    return dataclasses.field(
        default=default,
        metadata={"why": why, "low": low, "high": high, "choices": choices, "example": example},
    )


def load_sections(text: str, file: str, whole: type[Section]) -> Section:
    """Parse TOML into `whole`, a dataclass of sections. Raises ConfigError with file, key and reason."""
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise ConfigError(file, "not TOML", "nested too deep") from None
    except ValueError as error:  # TOMLDecodeError, and numbers of thousands of digits
        raise ConfigError(file, "not TOML", str(error)) from error
    sections = typing.get_type_hints(whole)
    for name in document:
        if name not in sections:
            raise ConfigError(file, name, f"unknown section; there are {', '.join(sections)}")
    return whole(
        **{name: _load_section(document.get(name, {}), file, name, kind) for name, kind in sections.items()}
    )


def _load_section(table: Any, file: str, section: str, kind: type[Any]) -> Any:
    if not isinstance(table, dict):
        raise ConfigError(file, section, f"must be a section, written [{section}]")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in table:
        if name not in fields:
            raise ConfigError(file, f"{section}.{name}", f"unknown key; [{section}] has {', '.join(fields)}")
    try:
        return kind(
            **{
                name: checked(value, fields[name], hints[name], file, f"{section}.{name}")
                for name, value in table.items()
            }
        )
    except ValueError as error:  # two fields that do not fit together
        raise ConfigError(file, section, str(error)) from error


def checked(value: Any, field: dataclasses.Field[Any], hint: Any, file: str, key: str) -> Any:
    """The value in the field's type. Raises ConfigError when it has another, or lies outside the range."""
    kind = _plain_type(hint)
    if type(value) is int and value.bit_length() > 63:
        raise ConfigError(file, key, "is too large a number")
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ConfigError(file, key, f"must be {_WORDS[kind]}, not {value!r}")
    low, high, choices = field.metadata["low"], field.metadata["high"], field.metadata["choices"]
    if kind in {int, float} and not (
        math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)
    ):
        raise ConfigError(file, key, f"{value} is outside {_range(low, high)} ({field.metadata['why']})")
    if choices and value not in choices:
        raise ConfigError(file, key, f"{value!r} is none of {', '.join(choices)}")
    if kind is str and (len(value) > _MAX_TEXT or not value.isprintable()):
        raise ConfigError(file, key, f"must be printable and at most {_MAX_TEXT} characters")
    return value


def write_sections(whole: Any) -> str:
    """TOML of a dataclass of sections, every key with its reason and range; load_sections reads it back."""
    lines: list[str] = []
    for part in dataclasses.fields(whole):
        section = getattr(whole, part.name)
        lines += ["", f"[{part.name}]  # {(type(section).__doc__ or '').splitlines()[0]}"]
        for field in dataclasses.fields(section):
            value = getattr(section, field.name)
            shown = field.metadata["example"] if value is None else value
            unset = "# " if value is None else ""
            lines += [f"# {_comment(field)}", f"{unset}{field.name} = {_toml(shown)}"]
    return "\n".join(lines).lstrip("\n") + "\n"


def _comment(field: dataclasses.Field[Any]) -> str:
    low, high, choices = field.metadata["low"], field.metadata["high"], field.metadata["choices"]
    if choices:
        return f"{field.metadata['why']} ({', '.join(choices)})"
    if low is None and high is None:
        return str(field.metadata["why"])
    return f"{field.metadata['why']} ({_range(low, high)})"


def _range(low: float | None, high: float | None) -> str:
    return f"{'' if low is None else low:} to {'' if high is None else high:}"


def _plain_type(hint: Any) -> type[Any]:
    """`float | None` is a float that may be left out."""
    if isinstance(hint, types.UnionType):
        (kind,) = (one for one in typing.get_args(hint) if one is not type(None))
        return kind  # type: ignore[no-any-return]
    return hint  # type: ignore[no-any-return]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
