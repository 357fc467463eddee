"""Which texts a reader may have read for a plate, and how well a read fits a plate. No I/O.

A reader confuses O with 0, I with 1, B with 8 and S with 5, and writes `?` where it could not read. An exact
search looks for the plate and for these few forms of it; reads with another form are marked "near". The index
has one token per read: the forms are searched for, never stored.
"""

from __future__ import annotations

import math
import struct
from itertools import combinations

from storage.read_records import ReadText

ALIKE = {"O": "0", "0": "O", "I": "1", "1": "I", "B": "8", "8": "B", "S": "5", "5": "S"}
_ONE = str.maketrans("OIBS", "0185")
MAX_FORMS = 48  # a search of a year needs this many tokens per day
MAX_SWAPS = 2
LEAST_FIT = 1e-4  # below this, the vote itself says that it is another plate
SLOT_CLASSES = 37  # A-Z, 0-9, "no character"
_CLASSES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def forms_of(plate: str) -> tuple[str, ...]:
    """The plate, then the forms that a reader may have written, the likeliest first; bounded."""
    at_risk = [at for at, one in enumerate(plate) if one in ALIKE]
    forms = [plate]
    forms += [_swapped(plate, (at,)) for at in at_risk]
    forms += [plate[:at] + "?" + plate[at + 1 :] for at in range(len(plate))]
    forms += [_swapped(plate, pair) for pair in combinations(at_risk, MAX_SWAPS)]
    return tuple(dict.fromkeys(forms))[:MAX_FORMS]


def one_spelling(plate: str) -> str:
    """The spelling that a plate shares with all texts that a reader confuses with it."""
    return plate.translate(_ONE)


def _swapped(plate: str, places: tuple[int, ...]) -> str:
    letters = list(plate)
    for at in places:
        letters[at] = ALIKE[letters[at]]
    return "".join(letters)


def fit(plate: str, read: ReadText) -> float:
    """How well a read fits a plate: 1 for its text, 0 for no form of it, else by the vote's probabilities.

    It is the product, over the slots that differ, of the ratio of the probability of the plate's character to
    that of the read's; for an unreadable slot, of the former only. A form without stored slots gives 0.5.
    """
    if plate == read.text:
        return 1.0
    if read.text not in forms_of(plate):
        return 0.0
    slots = _slots(read)
    if slots is None:
        return 0.5
    result = 1.0
    for wanted, written, chances in zip(plate, read.text, slots, strict=True):
        if wanted == written:
            continue
        chance = chances[_CLASSES.index(wanted)]
        best = 1.0 if written == "?" else chances[_CLASSES.index(written)]
        result *= min(1.0, chance / best) if best > 0 and math.isfinite(chance) else 0.0
    return result


def is_near(plate: str, read: ReadText) -> bool:
    """Whether a read is a form of the plate that the vote does not rule out."""
    return plate != read.text and fit(plate, read) >= LEAST_FIT


def _slots(read: ReadText) -> list[tuple[float, ...]] | None:
    """The probabilities of the slots that became characters, one each; None if they do not match the text."""
    values = struct.unpack(f"<{len(read.slots) // 4}f", read.slots)
    rows = [values[at : at + SLOT_CLASSES] for at in range(0, len(values), SLOT_CLASSES)]
    written = [row for row in rows if row[-1] < max(row[:-1])]
    return written if len(written) == len(read.text) else None
