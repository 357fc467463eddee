"""Which other texts a reader may have made of a plate, and how well a read fits one. No I/O.

A reader confuses O with 0, I with 1, B with 8, S with 5, and leaves `?` where it read nothing. An exact
search asks for the plate and for these few forms of it; what it finds beside the plate is marked "near".
The index has one token a read, as before: the forms are asked for, never stored.
"""

from __future__ import annotations

import math
import struct
from itertools import combinations

from storage.read_records import ReadText

ALIKE = {"O": "0", "0": "O", "I": "1", "1": "I", "B": "8", "8": "B", "S": "5", "5": "S"}
_ONE = str.maketrans("OIBS", "0185")
MAX_FORMS = 48  # a search of a year asks for so many tokens a day
MAX_SWAPS = 2
LEAST_FIT = 1e-4  # under this the votes themselves say that it is another plate
SLOT_CLASSES = 37  # A-Z, 0-9, "no character"
_CLASSES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def forms_of(plate: str) -> tuple[str, ...]:
    """The plate, then the forms of it that a reader may have written, the likelier first; bounded."""
    at_risk = [at for at, one in enumerate(plate) if one in ALIKE]
    forms = [plate]
    forms += [_swapped(plate, (at,)) for at in at_risk]
    forms += [plate[:at] + "?" + plate[at + 1 :] for at in range(len(plate))]
    forms += [_swapped(plate, pair) for pair in combinations(at_risk, MAX_SWAPS)]
    return tuple(dict.fromkeys(forms))[:MAX_FORMS]


def one_spelling(plate: str) -> str:
    """The spelling that a plate has in common with all that a reader confuses with it."""
    return plate.translate(_ONE)


def _swapped(plate: str, places: tuple[int, ...]) -> str:
    letters = list(plate)
    for at in places:
        letters[at] = ALIKE[letters[at]]
    return "".join(letters)


def fit(plate: str, read: ReadText) -> float:
    """How well a read fits a plate: 1 for its text, 0 for no form of it, else by the vote's probabilities.

    The product, over the slots that differ, of the plate's character's probability to the read's own; an
    unreadable slot counts as its probability alone. A read that kept no slots fits by its form alone: 0.5.
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
    """Probabilities of the slots that became characters, one for each; None if they do not line up."""
    values = struct.unpack(f"<{len(read.slots) // 4}f", read.slots)
    rows = [values[at : at + SLOT_CLASSES] for at in range(0, len(values), SLOT_CLASSES)]
    written = [row for row in rows if row[-1] < max(row[:-1])]
    return written if len(written) == len(read.text) else None
