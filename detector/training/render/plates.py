"""Flat plates of every kind that the nets are trained on, each with its text, jurisdiction and corners."""

from __future__ import annotations

import numpy as np

from .press import RenderedPlate
from .us_plates import us_plate

__all__ = ["RenderedPlate", "render_plate"]


def render_plate(
    rng: np.random.Generator, *, infrared: bool = False, jurisdiction: str | None = None
) -> RenderedPlate:
    """Draws one plate, 250 to 420 px wide. infrared: as printed inks look in infrared light."""
    return us_plate(rng, jurisdiction=jurisdiction, infrared=infrared)
