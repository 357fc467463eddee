"""Makes the detector's batches of windows and whole pictures. numpy and Pillow only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .datasets import Picture, read_all
from .detector_samples import PLATE_SOURCE, Luma, SampleMaker
from .detector_targets import packed
from .feeder import Batch
from .render.plates import render_plate

WINDOW = (192, 320)
WINDOWS = 24
FRAME = (448, 768)  # a whole picture at the net's scale, rounded to multiples of 64
FRAMES = 4
FRAME_SHARE = 0.5
TWO_LINE_SHARE = 0.15  # of the pasted rendered plates
CROPS = ("us-crops", "us-state-designs", "eu-crops", "br-crops", "ar-crops")

Boxes = Mapping[Path, NDArray[np.float32]]


class DetectorBatches:
    """Batches of (luma uint8 (B, H, W, 1), plates float32 (B, 8, 14) as ``packed`` gives them, partly (B,)).

    A batch has many small windows or a few whole pictures. Only whole pictures show plates that fill the
    picture, or all the clutter that a picture may hold.
    """

    def __init__(self, windows: SampleMaker, frames: SampleMaker) -> None:
        self._windows, self._frames = windows, frames

    def __call__(self, rng: np.random.Generator) -> Batch:
        """One batch."""
        whole = rng.random() < FRAME_SHARE
        maker, count = (self._frames, FRAMES) if whole else (self._windows, WINDOWS)
        samples = [maker.draw(rng) for _ in range(count)]
        plates = [packed(one.boxes, one.corners, one.has_corners, one.unlabeled) for one in samples]
        partly = np.array([one.partly for one in samples], np.float32)
        return np.stack([one.luma for one in samples])[..., None], np.stack(plates), partly


def real_crops(root: Path, *, without: Collection[str] = ()) -> PLATE_SOURCE:
    """A source of real plate crops (train split) to paste."""
    crops = [picture.luma() for picture in read_all(root, "train", CROPS, without=without)]

    def draw(rng: np.random.Generator) -> Luma:
        return crops[int(rng.integers(len(crops)))]

    return draw


def rendered_plates() -> PLATE_SOURCE:
    """A source of rendered plates to paste."""

    def draw(rng: np.random.Generator) -> Luma:
        two_lines = rng.random() < TWO_LINE_SHARE
        return render_plate(rng, jurisdiction="square" if two_lines else None).luma

    return draw


def frame_maker(data: Path, pictures: list[Picture], *, without: Collection[str] = ()) -> SampleMaker:
    """Makes whole pictures from ``pictures``, with real crops and rendered plates to paste."""
    sources = [real_crops(data, without=without), rendered_plates()]
    return SampleMaker(pictures, sources, height=FRAME[0], width=FRAME[1])


def detector_batches(
    data: Path,
    pictures: list[Picture],
    *,
    without: Collection[str] = (),
    decoys: Boxes | None = None,
    unlabeled: Boxes | None = None,
) -> DetectorBatches:
    """Batches from these pictures; plates to paste are crops of ``data``. Raises DataSetError."""
    sources = [real_crops(data, without=without), rendered_plates()]
    windows, frames = (
        SampleMaker(pictures, sources, height=height, width=width, decoys=decoys, unlabeled=unlabeled)
        for height, width in (WINDOW, FRAME)
    )
    return DetectorBatches(windows, frames)
