"""Whether a read's state and plate class contradict a hot-list entry. Pure; no I/O.

A value that the source or the reader does not give contradicts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detector.plates import PlateBox, PlateText

NAMED = 0.5  # the reader names a state at this probability or more
UNLIKELY = 0.05  # if the reader names another state, an entry's state below this contradicts it
EUROPE = "EU"  # the reader's only code for plates of European form
_EUROPEAN_CODES = """
AT BE BG CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IT LT LU LV MT NL NO PL PT RO SE SI SK UA
"""
EUROPEAN = frozenset(_EUROPEAN_CODES.split())
MOTORCYCLE_ASPECT = 1.62  # a 7 x 4 inch plate seen straight has 1.75, a car's 12 x 6 has 2.0


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
    """Whether the reader names another state and the entry's state is unlikely."""
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
    """Whether the plate's proportions contradict the class: only a motorcycle's plate is nearly square."""
    if box.height_px < 1:
        return False
    if plate_class == "motorcycle":
        return box.aspect > 2.6
    if plate_class in {"car", "truck"}:
        return box.aspect < MOTORCYCLE_ASPECT - 0.3
    return False
