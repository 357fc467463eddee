"""How sure a text is: a small logistic model over named features, with weights from the card."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from .card import ConfidenceRules
from .errors import NetAnswerError

# Log-odds per halving of the width, for a text whose plate was narrower than FAR_PX in all frames. 1.5 makes
# the confidence accurate (9,000 votes over 1 to 12 such frames of rendered passes), but of the texts that are
# sure after one frame of 24 to 28 px, one in ten would be wrong; with 2.5 it is one in fifteen.
FAR_PX, FAR_LOG_ODDS = 40.0, 2.5
READER_NET = "plate reader"  # the only net from which texts and their confidence come


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The features that a calibration may use; every value is finite and bounded.

    ``posterior``: log-odds of the text among its candidates. ``likelihood``: mean log p of the text
    under the columns. ``weakest``: log-odds of its weakest slot. ``agreement``: share of the looks that
    gave the same text on their own. ``slots``: mean log p per slot of the second head. ``width``: log2 of
    the plate's width over 100 px. ``score``: log-odds of the detector. ``format``: how probable a
    series of the jurisdiction is. ``frames``: log2 of the frames voted.
    """

    posterior: float
    likelihood: float
    weakest: float
    agreement: float
    slots: float
    width: float
    score: float
    format: float
    frames: float

    def as_dict(self) -> dict[str, float]:
        """The values by name, in the order of the card."""
        return {place.name: float(getattr(self, place.name)) for place in fields(self)}


def confidence(features: Features, rules: ConfidenceRules) -> float:
    """Calibrated probability that the whole text is right. Raises NetAnswerError if it is not a number."""
    total = rules.bias + sum(getattr(rules, name) * value for name, value in features.as_dict().items())
    return chance(total)


def seen_from(width_px: float, sure: float) -> float:
    """Lowers the confidence of a pass whose plate was never wider than this.

    Readings from afar err alike, so frames that agree add less than they seem to.
    """
    if width_px >= FAR_PX:
        return sure
    less = FAR_LOG_ODDS * math.log2(FAR_PX / max(width_px, 1.0))
    return 1.0 / (1.0 + math.exp(less - log_odds(sure, 30.0)))


def chance(odds: float) -> float:
    """The probability of these log-odds. Raises NetAnswerError if they are not a number."""
    return 1.0 / (1.0 + math.exp(-within(odds, -30.0, 30.0)))


def log_odds(probability: float, bound: float = 9.0) -> float:
    """log(p / (1 - p)), within +- bound. Raises NetAnswerError if p is not a number."""
    low = 1.0 / (1.0 + math.exp(bound))
    p = within(probability, low, 1.0 - low)
    return math.log(p / (1.0 - p))


def within(value: float, low: float, high: float) -> float:
    """Bounds a value. Raises NetAnswerError for NaN, which bounds would let through."""
    if math.isnan(value):
        raise NetAnswerError(READER_NET, "what was computed from its answer is not a number")
    return min(max(value, low), high)
