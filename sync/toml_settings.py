"""Settings in TOML, as frozen dataclasses: each field has a type, a range and a reason. No I/O.

Both programs use it: a unit has sections (`load_sections`), a department has one table (`load_table`).
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from typing import Any, TypeVar

from storage.codec import hints_of, without_none
from storage.text_end import NO_KEY, RESTORE, flaw_of, given_twice, says_nothing

_WORDS = {int: "a whole number", float: "a number", str: "a text in quotes", bool: "true or false"}
_MAX_TEXT = 200
_TOML_HINT = 'text is in "quotes", a \\ in it twice; true and false in small letters; no key twice'
Section = TypeVar("Section")


class SettingError(ValueError):
    """A setting that is unknown, mistyped or out of range. Each program turns it into its own error."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        self.file, self.key, self.reason = file, key, reason
        super().__init__(f"{file}: {key}: {reason}")


def setting(
    default: Any,
    *,
    why: str,
    low: float | None = None,
    high: float | None = None,
    example: Any = None,
) -> Any:
    """A dataclass field with a range and a reason. Default None: it is optional; `example` shows a value."""
    return dataclasses.field(
        default=default,
        metadata={"why": why, "low": low, "high": high, "example": example},
    )


def load_sections(text: str, file: str, whole: type[Section], *, part: bool = False) -> Section:
    """Parse TOML into `whole`, a dataclass of sections.

    `part`: the text holds only what differs, which may be nothing. Raises SettingError with file, key and
    reason.
    """
    document = _parse(text, file)
    sections = hints_of(whole)
    for name in document:
        if name not in sections:
            raise SettingError(file, name, f"unknown section; there are {', '.join(sections)}")
    if not part:
        _check_says(document, file)
    return whole(
        **{name: _load_section(document.get(name, {}), file, name, kind) for name, kind in sections.items()}
    )


def load_table(text: str, file: str, kind: type[Section], retired: Mapping[str, Any]) -> Section:
    """Parse TOML without sections into the dataclass `kind`.

    `retired`: keys that an older version wrote, each with the one value that is ignored. Raises SettingError.
    """
    table = _parse(text, file)
    _check_says(table, file)
    for name, value in retired.items():
        if table.get(name) == value:
            del table[name]
    return _load_fields(table, file, "", kind)


def _parse(text: str, file: str) -> dict[str, Any]:
    if not text.strip():
        raise SettingError(file, "the file", f"is empty; {RESTORE}")
    flaw = flaw_of(text)
    if flaw is not None:
        raise SettingError(file, "the end", "; ".join(flaw))
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))  # added by editors on Windows
    except RecursionError:
        raise SettingError(file, "not TOML", "nested too deep") from None
    except ValueError as error:  # TOMLDecodeError, and numbers of thousands of digits
        reason = given_twice(error, text) or f"{error}: {_TOML_HINT}"
        raise SettingError(file, "not TOML", reason) from error


def _check_says(table: Mapping[str, Any], file: str) -> None:
    if says_nothing(table):
        raise SettingError(file, "the file", f"{NO_KEY}; {RESTORE}, or write one key that is meant")


def _load_section(table: Any, file: str, section: str, kind: type[Any]) -> Any:
    if not isinstance(table, dict):
        raise SettingError(file, section, f"must be a section, written [{section}]")
    return _load_fields(table, file, section, kind)


def _load_fields(table: dict[str, Any], file: str, section: str, kind: type[Section]) -> Section:
    hints = hints_of(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    prefix, whole = (f"{section}.", f"[{section}]") if section else ("", "the file")
    for name in table:
        if name not in fields:
            raise SettingError(file, f"{prefix}{name}", f"unknown key; {whole} has {', '.join(fields)}")
    values = {
        name: checked(value, fields[name], hints[name], file, f"{prefix}{name}")
        for name, value in table.items()
    }
    try:
        return kind(**values)
    except ValueError as error:  # two fields that contradict each other
        raise SettingError(file, section or "the file", str(error)) from error


def checked(value: Any, field: dataclasses.Field[Any], hint: Any, file: str, key: str) -> Any:
    """The value in the field's type. Raises SettingError if it has another type or is out of range."""
    kind, _ = without_none(hint)
    if type(value) is int and value.bit_length() > 63:
        raise SettingError(file, key, "is too large a number")
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise SettingError(file, key, f"must be {_WORDS[kind]}, not {value!r}")
    low, high = field.metadata["low"], field.metadata["high"]
    if kind in {int, float} and not (
        math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)
    ):
        raise SettingError(file, key, f"{value} is outside {_range(low, high)} ({field.metadata['why']})")
    if kind is str and (len(value) > _MAX_TEXT or not value.isprintable()):
        raise SettingError(file, key, f"must be printable and at most {_MAX_TEXT} characters")
    return value


def write_sections(whole: Any) -> str:
    """Write a dataclass of sections as TOML that load_sections reads; each key has its reason and range."""
    lines: list[str] = []
    for part in dataclasses.fields(whole):
        section = getattr(whole, part.name)
        lines += ["", f"[{part.name}]  # {(type(section).__doc__ or '').splitlines()[0]}"]
        lines += _lines(section)
    return "\n".join(lines).lstrip("\n") + "\n"


def write_table(whole: Any) -> str:
    """Write a dataclass without sections as TOML that load_table reads; each key has its reason and range."""
    return "\n".join(_lines(whole)) + "\n"


def _lines(section: Any) -> list[str]:
    lines = []
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        shown = field.metadata["example"] if value is None else value
        unset = "# " if value is None else ""
        lines += [f"# {_comment(field)}", f"{unset}{field.name} = {_toml(shown)}"]
    return lines


def _comment(field: dataclasses.Field[Any]) -> str:
    low, high = field.metadata["low"], field.metadata["high"]
    if low is None and high is None:
        return str(field.metadata["why"])
    return f"{field.metadata['why']} ({_range(low, high)})"


def _range(low: float | None, high: float | None) -> str:
    if low == high:
        return f"{low}"
    return f"{'' if low is None else low:} to {'' if high is None else high:}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if not value.isprintable():
            raise ValueError("a setting holds no control characters")
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
