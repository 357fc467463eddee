"""Pictures for training: plates, cameras, scenes and a drive-by, all drawn by numpy and Pillow.

Promises: every picture follows from the generator it is given, and its truth
(text, jurisdiction, corners) is known to a fraction of a pixel.
"""

from .patches import Patch, render_patch
from .plates import JURISDICTIONS, RenderedPlate, render_plate

__all__ = ["JURISDICTIONS", "Patch", "RenderedPlate", "render_patch", "render_plate"]
