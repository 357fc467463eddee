"""Detects what hides a part of a plate: a post, a hand, tape, a leaf, glare, the corner of another vehicle.

A small net looks at the plate with its surroundings and says for each column whether something hides a
character there. The columns reach beyond the ends of the box, since a box ends where the visible part ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .card import ObstacleCard
from .confidence import chance
from .errors import CardError, NetAnswerError
from .lettering import MARGIN, SIZE
from .plates import U8
from .rectify import normalized
from .runtime import Net

F64 = NDArray[np.float64]


class ObstacleFinder:
    """The net with the array code around it."""

    def __init__(self, net: Net, card: ObstacleCard) -> None:
        """Raises CardError if the card's patches are not those that ``lettering.cut_wide`` cuts."""
        for key, said, cut in (
            ("patch.margin_x", card.patch.margin_x, MARGIN[0]),
            ("patch.margin_y", card.patch.margin_y, MARGIN[1]),
            ("input.height", card.input.height, SIZE[0]),
            ("input.width", card.input.width, SIZE[1]),
        ):
            if said != cut:
                raise CardError(card.path, key, f"is {said}, the patch with its surroundings has {cut}")
        self._net = net
        self.card = card

    def log_odds(self, wide: U8) -> F64:
        """Log-odds (C,) that something hides a character, for columns of equal width.

        wide: uint8 (48, 144), what ``lettering.cut_wide`` gives. Raises NetAnswerError.
        """
        odds = self._net.invoke(normalized(wide, self.card.patch))["hidden"].real().astype(np.float64)
        if not np.isfinite(odds).all():
            raise NetAnswerError(self.card.model.file, "a column comes to no number")
        return odds

    def trust(self, wide: U8) -> float:
        """The factor for the confidence of a text, 0..1. Raises NetAnswerError."""
        clear = chance(-float(self.log_odds(wide).max()))
        return min(1.0, clear / chance(-self.card.hiding.clear_below))
