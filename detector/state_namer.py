"""Names the state of a plate from a larger patch than the reader's, which shows its name and design."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .card import NamerCard
from .errors import DegenerateCornersError, NetAnswerError
from .plates import U8, Corners, Evidence
from .rectify import cut_patch, normalized
from .runtime import Net

_LEAST = 1e-6


class StateNamer:
    """The namer's net and the array code around it."""

    def __init__(self, net: Net, card: NamerCard) -> None:
        self._net = net
        self.card = card

    def named(self, luma: U8, corners: Corners, evidence: Evidence) -> Evidence:
        """Adds what both nets say about the jurisdiction; unchanged if the corners span no area.

        luma: uint8 (H, W) full frame; corners: the plate's in it. Raises NetAnswerError.
        """
        naming = self.card.naming
        try:
            logs = self.log_chances(luma, corners)
        except DegenerateCornersError:
            return evidence
        own = np.log(np.maximum(evidence.jurisdiction.astype(np.float64), _LEAST))
        both = naming.reader_weight * own + naming.namer_weight * logs
        chances = np.exp(both - np.logaddexp.reduce(both))
        return replace(evidence, place=chances.astype(np.float32))

    def log_chances(self, luma: U8, corners: Corners) -> NDArray[np.float64]:
        """The net's own log-probabilities (J,), with a floor of one in a million.

        luma: uint8 (H, W) full frame. Raises DegenerateCornersError, NetAnswerError.
        """
        rules = self.card.patch
        patch = cut_patch(luma, corners, self._net.size, (rules.margin_x, rules.margin_y))
        logits = self._net.invoke(normalized(patch.luma, rules))["jurisdiction"].real().astype(np.float64)
        if not np.isfinite(logits).all():
            raise NetAnswerError(self.card.model.file, "a jurisdiction comes to no number")
        return np.asarray(np.maximum(logits - np.logaddexp.reduce(logits), np.log(_LEAST)))
