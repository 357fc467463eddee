"""What the sections of the policy file share: values with their words, and checks of values. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass

from storage.errors import RecordError


def refuse(what: str, where: str) -> RecordError:
    """The error for a value of the policy file; `where` is its field below `policy`."""
    return RecordError(what, where=f"policy.{where}")


def compiled(text: str, where: str) -> re.Pattern[str]:
    """Compile the pattern of a field. Raises RecordError."""
    try:
        return re.compile(text)
    except re.error:
        raise refuse("is not a regular expression", where) from None


def between(value: int, low: int, high: int, where: str) -> None:
    """Raises RecordError unless a value is between a floor and a ceiling, inclusive."""
    if not low <= value <= high:
        raise refuse(f"{value} is outside {low} to {high}", where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One value with its words: a purpose, a topic, a ground."""

    id: str
    clause: str
    text: str
