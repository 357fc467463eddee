"""Checks the texts that people type: plain, printable, not too long, not empty of words. No I/O.

Every text is refused that has control characters, bidirectional or zero-width characters, lone surrogates or
private-use code points. It is the rule that `verify` has for packages (`storage.evidence.is_line`): none of
them reaches a terminal, a log or a second reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unicodedata import east_asian_width

from storage.evidence import is_line
from sync.department.desk.json_forms import read_fields
from sync.department.policy.desk_terms import weight
from sync.department.policy.refusals import FormError, refuse_all

LONGEST = 2_000
"""Characters of a text that a person types."""
LONGEST_OF = {
    "contact": 200,
    "justification": 400,
    "danger": 400,
    "name": 200,
    "passkey": 64 * 1024,  # made by an authenticator
    "response": 64 * 1024,
}
"""The same, by the field's name, where it is not the usual length."""

_MARKS = dict.fromkeys(
    (0x00AD, 0x061C, *range(0x200C, 0x2010), *range(0x202A, 0x202D), *range(0x2066, 0x206A))
)
"""Soft hyphen, joiners, and marks of direction: keyboards for Persian, Arabic and others write them, and
telephones and address books put a number between two. Overrides of direction are not among them."""


def without_marks(text: str) -> str:
    """A text without the invisible marks that some keyboards write, which change none of its letters."""
    return text.translate(_MARKS)


def demand_plain(value: Any, where: str) -> None:
    """Refuse texts with invisible characters and long ones, at any depth. Raises FormError naming each
    field."""
    refuse_all(list(_wrong_in(value, where)))


def longest(name: str) -> int:
    """The maximum number of characters of a field."""
    return LONGEST_OF.get(name, LONGEST)


def _wrong_in(value: Any, where: str) -> Iterator[FormError]:
    if isinstance(value, str):
        if not is_line(value):
            yield FormError(
                f"{where}: holds control or invisible characters",
                code="characters",
                clause="463.5",
                cure="type it as plain text on one line",
            )
        name = where.rpartition(".")[2].partition("[")[0]
        if len(value) > longest(name):
            yield FormError(
                f"{where}: has {len(value):,} characters; {longest(name):,} at most",
                code=name,
                clause="463.5",
                cure="shorten it",
            )
    for field, one in read_fields(value).items():
        yield from _wrong_in(one, f"{where}.{field}")
    if isinstance(value, tuple | list):
        for at, one in enumerate(value):
            yield from _wrong_in(one, f"{where}[{at}]")


def demand_words(text: str, what: str, *, code: str, clause: str, least: int = 2) -> None:
    """Refuse a text with fewer than `least` letters and digits. Raises FormError."""
    if weight(text) < least:
        raise FormError(what, code=code, clause=clause)


def demand_sentence(text: str, what: str, *, code: str, clause: str, least: int = 3) -> None:
    """Refuse a text with fewer than `least` words. Raises FormError.

    A word has a letter or a digit. Where words have no blanks between them, each ideograph counts as one.
    """
    wide = sum(one.isalpha() and east_asian_width(one) in {"W", "F"} for one in text)
    if wide + sum(weight(one) > 0 for one in text.split()) < least:
        raise FormError(what, code=code, clause=clause)
