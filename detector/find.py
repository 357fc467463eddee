"""Finds plates in one frame: letterboxes it, runs the net and turns maps into boxes. No state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .card import FindRules
from .errors import NetAnswerError, PictureError
from .plates import F32, U8, PlateBox, as_corners
from .runtime import Net, NetOutput
from .shrink import scale_into

DETECTOR_NET = "plate detector"
MOST_ENLARGEMENT = 2.0  # enlarging a thumbnail further shows the net nothing new
_PEAKS_KEPT = 128  # of the best peaks: the overlap test takes quadratic time
_AROUND_Y, _AROUND_X = np.mgrid[-1:2, -1:2].reshape(2, 9, 1)
_ITSELF = 4  # of the nine


class Letterbox(NamedTuple):
    """A frame's place in the net's input: top left, scaled by (scale_x, scale_y); the rest is padding."""

    scale_x: float
    scale_y: float
    width: int
    height: int

    def to_frame(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Converts points from net px (..., 2) to frame px."""
        return points / (self.scale_x, self.scale_y)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Plates in net px, best first. scores: (N,); corners: (N, 4, 2)."""

    scores: F32
    corners: F32


def plan_letterbox(frame: tuple[int, int], net: tuple[int, int]) -> Letterbox:
    """Fits the frame into the net's input as large as possible; both are (height, width)."""
    scale = min(net[0] / frame[0], net[1] / frame[1], MOST_ENLARGEMENT)
    width = min(max(round(frame[1] * scale), 1), net[1])
    height = min(max(round(frame[0] * scale), 1), net[0])
    return Letterbox(width / frame[1], height / frame[0], width, height)


def source_of(luma: U8, net: tuple[int, int], lores: U8 | None = None) -> tuple[U8, Letterbox]:
    """Picks the picture to make the net's input from, uint8 (h, w), and the frame's place in that input.

    luma: uint8 (H, W). lores: a smaller uint8 picture of the same field of view. It is used instead if it
    has the same proportions and is not smaller than what the net sees. Raises PictureError.
    """
    for name, picture in (("luma", luma), ("lores", lores)):
        if picture is not None and (picture.ndim != 2 or picture.dtype != np.uint8 or 0 in picture.shape):
            raise PictureError(f"{name} must be uint8 (height, width), is {picture.dtype} {picture.shape}")
    place = plan_letterbox((luma.shape[0], luma.shape[1]), net)
    if lores is not None and _same_view(lores, luma) and lores.shape >= (place.height, place.width):
        return lores, place
    return luma, place


def letterboxed(source: U8, place: Letterbox, net: tuple[int, int], padding: int) -> U8:
    """Converts what ``source_of`` gives to the net's input, uint8 (net height, net width)."""
    if source.shape == net:
        return source
    canvas = np.empty(net, np.uint8)
    picture = canvas[: place.height, : place.width]
    if source.shape == picture.shape:
        picture[:] = source
    else:
        scale_into(picture, source)
    canvas[: place.height, place.width :] = padding
    canvas[place.height :] = padding
    return canvas


def letterbox(luma: U8, net: tuple[int, int], padding: int, lores: U8 | None = None) -> tuple[U8, Letterbox]:
    """Converts a frame to the net's input, uint8 (net height, net width); also returns its place there.

    See ``source_of``. Raises PictureError.
    """
    source, place = source_of(luma, net, lores)
    return letterboxed(source, place, net, padding), place


def _same_view(lores: U8, luma: U8) -> bool:
    """Whether the proportions agree within a pixel of rounding on each side."""
    wide, high = luma.shape[1] / lores.shape[1], luma.shape[0] / lores.shape[0]
    return bool(abs(wide / high - 1) < 1.5 / min(lores.shape))


def decode(outputs: Mapping[str, NetOutput], rules: FindRules) -> Candidates:
    """Turns maps into boxes: 3x3 maxima of the heat, shapes averaged around each peak, overlap test.

    outputs: heat (h, w, 1) logits; box (h, w, 4) = dx, dy, log w, log h; corners (h, w, 8), all at
    the card's stride: the center is the cell's center + (dx w, dy h), the corners are offsets from
    it in units of (w, h). Raises NetAnswerError for a box that is not all numbers.
    """
    heat = outputs["heat"]
    hot = np.flatnonzero(heat.at_least(math.log(rules.threshold / (1 - rules.threshold))))
    if not len(hot):
        return Candidates(np.empty(0, np.float32), np.empty((0, 4, 2), np.float32))
    rows, columns = _around(hot, heat.values.shape)
    near = rows * heat.values.shape[1] + columns
    values = heat.values.reshape(-1).take(near)
    peaks = np.flatnonzero(values[_ITSELF] >= values.max(axis=0))
    best = peaks[np.argsort(-values[_ITSELF, peaks].astype(np.float32), kind="stable")[:_PEAKS_KEPT]]
    near, rows, columns = (cells.take(best, axis=1) for cells in (near, rows, columns))
    chances = _sigmoid(heat.real(near))
    scores = chances[_ITSELF, :, 0]
    boxes, corners = _shapes(outputs, near, (rows, columns), chances, rules.stride)
    if not all(np.isfinite(values).all() for values in (scores, boxes, corners)):
        raise NetAnswerError(
            DETECTOR_NET, "a box found in its answer has a side or a score that is not a number"
        )
    kept = suppress(boxes, scores, rules.nms_overlap, rules.most)
    return Candidates(scores[kept], corners[kept])


def _around(cells: NDArray[np.intp], shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns (9, N) of each cell's neighborhood; the border cell repeats beyond the border."""
    rows, columns = np.divmod(cells, shape[1])
    near_y, near_x = rows + _AROUND_Y, columns + _AROUND_X  # np.clip would cost several times as much
    return (
        np.minimum(np.maximum(near_y, 0, out=near_y), shape[0] - 1, out=near_y),
        np.minimum(np.maximum(near_x, 0, out=near_x), shape[1] - 1, out=near_x),
    )


def _shapes(
    outputs: Mapping[str, NetOutput],
    near: NDArray[np.intp],
    place: tuple[NDArray[np.intp], NDArray[np.intp]],
    chances: F32,
    stride: int,
) -> tuple[F32, F32]:
    """Box and corners of each peak: the mean over its 3x3 cells, weighted by their heat.

    The mean matters: an int8 step of log w is up to 3 % of a plate's width, and each cell errs by itself.
    near: the cells (9, N); place: their rows and columns; chances: (9, N, 1), of their heat.
    """
    weight = chances**2
    weight = weight / weight.sum(axis=0)
    box = outputs["box"].real(near)  # (9, N, 4)
    size = np.exp(np.minimum(np.maximum(box[..., 2:], np.float32(-2.0)), np.float32(8.0)))
    cell = (np.stack(place[::-1], axis=-1) + np.float32(0.5)) * np.float32(stride)
    center = cell + box[..., :2] * size
    offsets = outputs["corners"].real(near).reshape(*size.shape[:2], 4, 2)
    corners = center[:, :, None, :] + offsets * size[:, :, None, :]
    low = ((center - size / 2) * weight).sum(axis=0)
    high = ((center + size / 2) * weight).sum(axis=0)
    mean_corners = (corners * weight[..., None]).sum(axis=0)
    return np.concatenate([low, high], axis=1).astype(np.float32), mean_corners.astype(np.float32)


def suppress(boxes: F32, scores: F32, most_overlap: float, most: int = _PEAKS_KEPT) -> NDArray[np.intp]:
    """Indices of the boxes that overlap no better box by more than ``most_overlap`` (IoU), best first.

    boxes: (N, 4) x0, y0, x1, y1. A box mostly inside a better one is dropped too: half a plate is no plate.
    most: how many boxes to return at most.
    """
    sides = boxes.tolist()  # a few boxes per frame: plain numbers cost less than arrays
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if len(kept) == most:
            break
        if not any(_clash(sides[index], sides[better], most_overlap) for better in kept):
            kept.append(index)
    return np.array(kept, np.intp)


def _clash(box: list[float], other: list[float], most_overlap: float) -> bool:
    """Whether two boxes x0, y0, x1, y1 show one plate."""
    shared = _area(max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3]))
    areas = _area(*box), _area(*other)
    union = max(sum(areas) - shared, 1e-9)
    return shared / union > most_overlap or shared / max(min(areas), 1e-9) > 0.8


def _area(x0: float, y0: float, x1: float, y1: float) -> float:
    return max(x1 - x0, 0.0) * max(y1 - y0, 0.0)


def to_boxes(found: Candidates, place: Letterbox) -> tuple[PlateBox, ...]:
    """Converts candidates in net px to boxes in frame px."""
    frame = place.to_frame(found.corners.astype(np.float64))
    return tuple(
        PlateBox(corners=as_corners(quad), confidence=float(score))
        for quad, score in zip(frame.tolist(), found.scores, strict=True)
    )


def find_plates(net: Net, rules: FindRules, luma: U8, lores: U8 | None = None) -> tuple[PlateBox, ...]:
    """Finds all plates of a frame, best first. Raises PictureError."""
    picture, place = letterbox(luma, net.size, rules.padding, lores)
    return to_boxes(decode(net.invoke(picture), rules), place)


def _sigmoid(logits: F32) -> F32:
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), np.float32)
