"""The reader net's classes: characters, the CTC blank, and the jurisdictions it can name."""

from __future__ import annotations

from ..plates import ALPHABET, CLASSES, NO_CHARACTER

__all__ = ["ALPHABET", "BLANK", "CLASSES", "JURISDICTIONS", "SLOTS", "indices"]

BLANK = NO_CHARACTER  # last class of every column and slot
SLOTS = 10

_STATES = (
    "AK AL AR AZ CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO MS MT NC ND NE NH NJ NM NV "
    "NY OH OK OR PA RI SC SD TN TX UT VA VT WA WI WV WY"
)
JURISDICTIONS: tuple[str, ...] = (
    *(f"US-{state}" for state in _STATES.split()),
    *["EU", "BR", "AR", "MX", "VN", "PK", "IN", "AU", "RU", "SG", "ZA", "AE"],
)


def indices(text: str) -> list[int]:
    """Class numbers of a text. Raises ValueError on a character outside A-Z and 0-9."""
    return [ALPHABET.index(character) for character in text]
