"""Whether state and class of a read contradict a hot-list entry. Pure; no I/O.

What the source or the reader does not say contradicts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detector.plates import PlateBox, PlateText

NAMED = 0.5  # a state is named from here on
UNLIKELY = 0.05  # an entry's state below this, where another one is named, contradicts it
EUROPE = "EU"  # the reader's one code for every plate of European form
_EUROPEAN_CODES = """
AT BE BG CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IT LT LU LV MT NL NO PL PT RO SE SI SK UA
"""
EUROPEAN = frozenset(_EUROPEAN_CODES.split())
MOTORCYCLE_ASPECT = 1.62  # a plate of 7 x 4 inches seen straight has 1.75, a car's 12 x 6 has 2.0


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What contradicts the entry: `state`, `plate_class`. Both empty if nothing does."""

    names: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.names)


def disagreement(
    text: PlateText, box: PlateBox, state: str, plate_class: str, known: Sequence[str]
) -> Disagreement:
    """Compare a read with an entry's `state` and `plate_class`. known: the codes that the reader can name."""
    names = []
    if state and contradicts_state(text.jurisdiction, state, known):
        names.append("state")
    if plate_class and contradicts_class(box, plate_class):
        names.append("plate_class")
    return Disagreement(tuple(names))


def contradicts_state(jurisdiction: Sequence[tuple[str, float]], state: str, known: Sequence[str]) -> bool:
    """Whether the reader names another state, and the entry's is unlikely."""
    wanted = EUROPE if state in EUROPEAN else state
    if wanted not in known:
        wanted = wanted.partition("-")[0]
        if wanted not in known:
            # a reader that knows only US states still contradicts an entry of another country
            return bool(jurisdiction) and jurisdiction[0][1] >= 0.9 and not state.startswith("CA-")
    if not jurisdiction or jurisdiction[0][1] < NAMED or jurisdiction[0][0] == wanted:
        return False
    return dict(jurisdiction).get(wanted, 0.0) < UNLIKELY


def contradicts_class(box: PlateBox, plate_class: str) -> bool:
    """Whether the plate's proportions contradict the class: a motorcycle's plate is not long, a car's is not
    nearly square."""
    if box.height_px < 1:
        return False
    if plate_class == "motorcycle":
        return box.aspect > 2.6
    if plate_class in {"car", "truck"}:
        return box.aspect < MOTORCYCLE_ASPECT - 0.3
    return False
