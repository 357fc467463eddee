"""Every place in a frame that may be a plate, however near: found, never read.

Only the detector's net is loaded here, so that aiming cannot read a plate. A plate that fills the view is
larger than any in the net's training, so the detector also looks at the frame from afar, reduced in size
inside a gray picture.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector.card import DetectorCard
from detector.find import find_plates
from detector.plates import PlateBox
from detector.reader import DETECTOR_CARD, MODELS
from detector.runtime import TfliteNet
from hw.camera import Frame

DISTANCES = (2.5, 6.0)
SURE_ENOUGH = 0.5  # of the card's threshold: one blot too many does no harm here
_GREY = 114


@dataclass(frozen=True, slots=True, kw_only=True)
class Spots:
    """plates: found with the certainty required for reading. blots: those and all possible ones. In px."""

    plates: Sequence[PlateBox]
    blots: Sequence[PlateBox]


class PlateSpots:
    """A callable for frames, from any thread; it loads the net for the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: tuple[TfliteNet, DetectorCard] | None = None

    def __call__(self, frame: Frame) -> Spots:
        """Search one frame; the blots may contain a plate more than once. Raises DetectorError."""
        with self._lock:
            net, card = self._load()
            rules = replace(card.find, threshold=card.find.threshold * SURE_ENOUGH)
            near = find_plates(net, rules, frame.luma, frame.lores)
            found = list(near)
            small = frame.luma if frame.lores is None else frame.lores
            for distance in DISTANCES:
                canvas, place = _from_afar(small, net.size, distance)
                across, down = frame.luma.shape[1] / place[2], frame.luma.shape[0] / place[3]
                found += [_moved(box, place, across, down) for box in find_plates(net, rules, canvas)]
            sure = [box for box in near if box.confidence >= card.find.threshold]
            return Spots(plates=sure, blots=found)

    def _load(self) -> tuple[TfliteNet, DetectorCard]:
        if self._loaded is None:
            card = DetectorCard.load(MODELS / DETECTOR_CARD)
            self._loaded = TfliteNet(card), card
        return self._loaded


def _from_afar(
    picture: NDArray[np.uint8], size: tuple[int, int], distance: float
) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
    """The picture, reduced, in a gray one of size (height, width), and its left, top, width, height there."""
    scale = min(size[0] / picture.shape[0], size[1] / picture.shape[1]) / distance
    width, height = max(8, round(picture.shape[1] * scale)), max(8, round(picture.shape[0] * scale))
    left, top = (size[1] - width) // 2, (size[0] - height) // 2
    canvas = np.full(size, _GREY, np.uint8)
    shrunk = Image.fromarray(np.ascontiguousarray(picture)).resize((width, height), Image.Resampling.BOX)
    canvas[top : top + height, left : left + width] = np.asarray(shrunk)
    return canvas, (left, top, width, height)


def _moved(box: PlateBox, place: tuple[int, int, int, int], across: float, down: float) -> PlateBox:
    a, b, c, d = (((x - place[0]) * across, (y - place[1]) * down) for x, y in box.corners)
    return PlateBox(corners=(a, b, c, d), confidence=box.confidence)
