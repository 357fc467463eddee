"""Decides from one look whether a box holds a plate: a small logistic model with weights from the card."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from .card import PlateRules
from .confidence import chance, log_odds, within
from .ctc import Labels
from .plates import NO_CHARACTER

MOST_CHARACTERS = 7  # more make it no likelier
LEGIBLE = 4  # clutter does not show this many clear characters by chance


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateSigns:
    """The evidence for a plate; every value is finite and bounded.

    ``sureness``: log p of the look's best path. ``characters``: how many it has. ``legible``: sum of the
    probabilities of its clearest four. ``width``: log2 of the box's width over 100 px. ``score``: log-odds
    of the detector.
    """

    sureness: float
    characters: float
    legible: float
    width: float
    score: float

    def values(self) -> tuple[float, ...]:
        """The values in the order of SIGNS."""
        return tuple(getattr(self, name) for name in SIGNS)


SIGNS = tuple(place.name for place in fields(PlateSigns))


def signs_of_look(columns: NDArray[np.floating], path: Labels, width_px: float, score: float) -> PlateSigns:
    """Derives the signs from a look.

    columns: (T, 37) probabilities, blank last; path: their text; score: the detector's.
    """
    best = columns.max(axis=1)
    clear = np.sort(best[columns.argmax(axis=1) != NO_CHARACTER])[-LEGIBLE:]
    return PlateSigns(
        sureness=within(float(np.log(best).sum()), -30.0, 0.0),
        characters=float(min(len(path), MOST_CHARACTERS)),
        legible=float(clear.sum()),
        width=within(math.log2(max(width_px, 1.0) / 100.0), -4.0, 4.0),
        score=log_odds(score),
    )


def plateness(signs: PlateSigns, rules: PlateRules) -> float:
    """Probability that the box holds a plate, whatever its text; plates and false boxes weigh the same."""
    total = rules.bias + sum(getattr(rules, name) * getattr(signs, name) for name in SIGNS)
    return chance(total)
