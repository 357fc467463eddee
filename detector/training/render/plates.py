"""Flat plates of every kind that the nets are trained on, each with its text, jurisdiction and corners."""

from __future__ import annotations

import numpy as np

from . import looks
from .press import RenderedPlate
from .square_plates import square_plate
from .us_plates import canadian_plate, us_plate
from .world_plates import KINDS

JURISDICTIONS = (*looks.JURISDICTIONS, *KINDS, "CA", "square")  # what render_plate can be asked for
_SHARES = {"US": 0.59, "CA": 0.04, "EU": 0.135, "GB": 0.03, "BR": 0.085, "AR": 0.04, "other": 0.08}


def render_plate(
    rng: np.random.Generator, *, infrared: bool = False, jurisdiction: str | None = None
) -> RenderedPlate:
    """Draws one plate, 230 to 440 px wide. infrared: as printed inks look in infrared light.

    jurisdiction: one of JURISDICTIONS, "US" for any state, "CA" for any of Canada's provinces, None for any
    of all. "GB" draws a British plate, which counts as "EU", as in the data sets. Two-line plates come
    only by request ("square"). Raises KeyError for another word.
    """
    if jurisdiction is None:
        kinds = tuple(_SHARES)
        jurisdiction = kinds[int(rng.choice(len(kinds), p=np.array([_SHARES[kind] for kind in kinds])))]
    if jurisdiction == "US":
        return us_plate(rng, infrared=infrared)
    if jurisdiction == "CA":
        return canadian_plate(rng, infrared=infrared)
    if jurisdiction == "square":
        return square_plate(rng, infrared=infrared)
    if jurisdiction.startswith("US-"):
        return us_plate(rng, jurisdiction=jurisdiction, infrared=infrared)
    return KINDS[jurisdiction](rng, infrared=infrared)
