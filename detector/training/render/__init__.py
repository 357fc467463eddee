"""Pictures for training: plates, cameras, scenes and a drive-by, all drawn with numpy and Pillow.

Promises: the random generator determines every picture, and its truth (text, jurisdiction, corners)
is known to a fraction of a pixel.
"""

from detector.training.render.plates import JURISDICTIONS, render_plate
from detector.training.render.press import RenderedPlate

from .patches import RenderedPatch, render_patch

__all__ = ["JURISDICTIONS", "RenderedPatch", "RenderedPlate", "render_patch", "render_plate"]
