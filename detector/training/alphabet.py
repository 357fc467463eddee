"""The reader net's classes: characters, the CTC blank, and the jurisdictions it can name."""

from __future__ import annotations

from ..ctc import labels_of
from ..jurisdictions import NO_PLACE
from ..plates import NO_CHARACTER

BLANK = NO_CHARACTER  # last class of every column and slot
SLOTS = 10
UNKNOWN = NO_PLACE  # the class of a plate that none of the other jurisdictions issued

_STATES = (
    "AK AL AR AZ CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO MS MT NC ND NE NH NJ NM NV "
    "NY OH OK OR PA RI SC SD TN TX UT VA VT WA WI WV WY"
)
JURISDICTIONS: tuple[str, ...] = (
    *(f"US-{state}" for state in _STATES.split()),
    *["EU", "BR", "AR", "MX", "VN", "PK", "IN", "AU", "RU", "SG", "ZA", "AE"],
    UNKNOWN,
)


def place_of(jurisdiction: str) -> int:
    """Class number of a jurisdiction as a data set or the renderer names it, -1 for an empty string."""
    if not jurisdiction:
        return -1
    return JURISDICTIONS.index(jurisdiction if jurisdiction in JURISDICTIONS else UNKNOWN)


def indices(text: str) -> list[int]:
    """Class numbers of a text. Raises ValueError on a character outside A-Z and 0-9."""
    return list(labels_of(text))
