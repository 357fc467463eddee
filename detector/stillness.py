"""Tests whether nothing moved since the detector last looked, so that its boxes can be used again.

A vehicle that appears changes the mean of some cell of 8x8 px in the net's picture by more than noise does.
The light of the whole picture must not have changed either, and every few frames the detector looks anyway.
The means are those of the camera's picture, so that a still one need not be shrunk to the net's size. Where
something always moves, as from a moving car, they are those of the shrunk picture, which has fewer px.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .plates import U8, PlateBox, Point

Cells = NDArray[np.int16]

_CELL = 8  # px of the net's picture, on each side
# px of the camera's picture: so many bytes add up within 16 bits, and a cell within a float's 24
_MOST_CELL = 256
_LEAST_STEP = 3  # luma: a smaller change is not a vehicle
_NOISE_STEPS = 8.0  # times the usual change of a cell; noise in thousands of cells reaches 6
_MOST_USUAL = 2.0  # a picture that changed this much everywhere is a different one
_JITTER = 0.15  # of a box's width: how far the detector's boxes err in a still scene
_MOST_REFUSED = 32  # boxes remembered
MOST_REUSED = 15  # frames in a row
RESTLESS = 8  # pictures in a row in which something moved


@dataclass(frozen=True, slots=True, eq=False)
class _Refused:
    """Center and width of a box without a plate, and the cells that it covered when it was refused."""

    center: Point
    width_px: float
    rows: slice
    columns: slice
    cells: Cells


class StillScene:
    """The detector's last boxes, and which of them hold no plate, for one camera's frames in order."""

    def __init__(self) -> None:
        self._cells: Cells | None = None
        self._newest: Cells | None = None
        self._usual = 0.0  # usual change of a cell between the last two pictures
        self._frame_shape: tuple[int, ...] = ()
        self._boxes: tuple[PlateBox, ...] = ()
        self._refused: list[_Refused] = []
        self._reused = 0
        self._moved = 0  # pictures in a row in which something moved
        self.repeated = False  # the last picture repeats the one before it: otherwise the noise would differ

    @property
    def restless(self) -> bool:
        """Whether something always moves; then the next picture is shrunk anyway, and its means cost less."""
        return self._moved >= RESTLESS

    def boxes_of(
        self, picture: U8, frame_shape: tuple[int, ...], shrinks: float = 1.0
    ) -> tuple[PlateBox, ...] | None:
        """The last boxes if the picture still shows the same, else None.

        picture: uint8 (h, w), from which the net's input is made; shrinks: how many of its px become one px
        of the input along a side; frame_shape: that of the frame to which the boxes belong.
        """
        cells = means(picture, min(max(round(_CELL * shrinks), 1), _MOST_CELL))
        before = self._newest
        same = before is not None and before.shape == cells.shape and self._frame_shape == frame_shape
        self._newest, self._frame_shape = cells, frame_shape
        self.repeated = before is not None and same and np.array_equal(cells, before)
        if not same:
            self._cells = None
            self._refused.clear()
        if self._cells is None:
            return None
        if self._changed(cells, self._cells):
            self._moved += 1
            return None
        self._moved = 0
        if self._reused >= MOST_REUSED:
            return None
        self._reused += 1
        return self._boxes

    def keep(self, boxes: tuple[PlateBox, ...]) -> None:
        """Keeps what the detector found in the last picture passed to ``boxes_of``."""
        self._cells, self._boxes, self._reused = self._newest, boxes, 0

    def refuse(self, box: PlateBox) -> None:
        """Notes that the reader's net saw no plate in this box; this holds while nothing moves there."""
        cells = self._newest
        if cells is None:
            return
        down, right = (count / side for count, side in zip(cells.shape, self._frame_shape, strict=True))
        x, y, w, h = box.box
        rows = slice(max(int(y * down), 0), math.ceil((y + h) * down) + 1)
        columns = slice(max(int(x * right), 0), math.ceil((x + w) * right) + 1)
        self._refused = self._refused[1 - _MOST_REFUSED :]
        self._refused.append(_Refused(box.center, box.width_px, rows, columns, cells[rows, columns]))

    def refused(self, box: PlateBox) -> bool:
        """Whether a box was refused and nothing has moved in it since."""
        if self._newest is None:
            return False
        center, width = box.center, box.width_px
        for number, one in enumerate(self._refused):
            if _alike(center, width, one):
                now = self._newest[one.rows, one.columns]
                if not self._stepped(np.abs(now - one.cells)):
                    return True
                del self._refused[number]
                return False
        return False

    def _changed(self, cells: Cells, before: Cells) -> bool:
        steps = np.abs(cells - before)
        self._usual = float(np.minimum(steps, _LEAST_STEP).sum()) / steps.size
        return self._usual > _MOST_USUAL or self._stepped(steps)

    def _stepped(self, steps: Cells) -> bool:
        """Whether some cell changed by more than noise does."""
        most = max(_LEAST_STEP, _NOISE_STEPS * min(self._usual, _MOST_USUAL))
        return int(steps.max(initial=0)) > most


def means(picture: U8, side: int) -> Cells:
    """Means of side x side px of a picture, uint8 (h, w), as int16; the last row may overlap another."""
    rows, wide = len(picture) // side * side, picture.shape[1]
    sums = np.add.reduce(picture[:rows].reshape(-1, side, wide), axis=1, dtype=np.uint16)
    if rows < len(picture):
        sums = np.concatenate([sums, np.add.reduce(picture[None, -side:], axis=1, dtype=np.uint16)])
    if wide % side == 0 and side <= len(picture):
        # an exact product with ones, in a fraction of the time of a sum over so short an axis
        total = sums.astype(np.float32).reshape(len(sums), -1, side) @ np.ones(side, np.float32)
        return np.asarray((total.astype(np.uint32) + side * side // 2) // (side * side), np.int16)
    starts = np.arange(0, max(wide - side // 2, 1), side)  # what is left over goes to the last column
    areas = np.diff(starts, append=wide) * min(side, len(picture))
    total = np.add.reduceat(sums, starts, axis=1, dtype=np.uint32)
    return np.asarray((total + areas // 2) // areas, np.int16)


def _alike(center: Point, width_px: float, other: _Refused) -> bool:
    """Whether two boxes are the same apart from jitter."""
    near = math.dist(center, other.center) < _JITTER * width_px
    return near and abs(math.log(max(width_px, 1.0) / max(other.width_px, 1.0))) < _JITTER
