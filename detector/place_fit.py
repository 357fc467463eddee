"""How well a box fits the place where a pass is expected. No text, no state."""

from __future__ import annotations

import math
from typing import Literal

from .motion import Motion
from .plates import PlateBox

# How far (in plate widths) a plate may be from where it was expected: jitter plus a share that grows with
# time, faster for a plate of unknown velocity. 25 widths per second are 13 m/s across the view.
_JITTER_WIDTHS = 0.8
_UNKNOWN_WIDTHS_PER_S, _KNOWN_WIDTHS_PER_S = 25.0, 8.0
_MOST_WIDTHS = 6.0
_STRAYS, _MOST_STRAY_WIDTHS = 2.0, 3.0
_MOST_GROWTH = 0.7  # log of the change of size between two sightings
_WIDTHS_PER_S, _GROWTH_PER_S = 2.0, 0.35  # more for a plate that was missed for longer than half a second
_SAME_PLACE_WIDTHS = 0.6  # two vehicles' plates are further apart than this
_SAME_WIDTH = 0.15  # log of the change of width from the detector's jitter
_SAME_PX_WIDTHS = 0.04  # no vehicle stops within a few hundredths of a width of another's plate
_TURNED = 0.25  # log of a change of size against a vehicle's direction that is more than jitter
_SHARED_PLACE = 0.2  # of a plate's height: how closely two boxes of a still plate agree
_HIDDEN_SHARE = 0.9  # of a plate's width, and of its width for its height: something hides the rest
_EDGE_SHARE = 0.03  # of the box's size: how precisely a box shows where a plate ends
_UNSEEN_US = 400_000  # after this, the last size counts as much as the expected one: an obstacle hides
# a plate's sides first, so that its last boxes seem to shrink
_CROP_SHARE = 0.8  # of the picture's width: a plate this wide is a crop


def growth(motion: Motion, time_us: int, box: PlateBox) -> float:
    """Log of the change of size, at least 0, in width or height, whichever changed less.

    An obstacle that hides a part of a plate changes only one of them.
    """
    expected = _change(max(motion.predicted(time_us)[2], 1.0), motion, box)
    if time_us - motion.last_us <= _UNSEEN_US:
        return expected
    return min(expected, _change(max(motion.box.width_px, 1.0), motion, box))


def _change(width: float, motion: Motion, box: PlateBox) -> float:
    high = width / max(motion.box.aspect, 0.1)
    by_width = abs(math.log(max(box.width_px, 1.0) / width))
    by_height = abs(math.log(max(box.height_px, 1.0) / max(high, 1.0)))
    return min(by_width, by_height) if by_width < 2 * _MOST_GROWTH else by_width


def similar_size(motion: Motion, time_us: int, box: PlateBox) -> bool:
    """Whether one plate can have changed its size by this much between two sightings."""
    return growth(motion, time_us, box) <= _MOST_GROWTH


def misfit(motion: Motion, time_us: int, box: PlateBox) -> float:
    """Distance from the expected place over the allowed distance, plus the change of size; or infinite."""
    x, y, width = motion.predicted(time_us)
    scale = max((width + box.width_px) / 2, 1.0)
    away = math.dist((x, y), box.center) / scale
    rate = _KNOWN_WIDTHS_PER_S if motion.sightings > 1 else _UNKNOWN_WIDTHS_PER_S
    seconds = max(time_us - motion.last_us, 0) / 1e6
    # an unsteady camera moves a small plate by more than its width
    stray = min(_STRAYS * motion.stray_px / scale, _MOST_STRAY_WIDTHS)
    allowed = _JITTER_WIDTHS + stray + min(rate * seconds, _MOST_WIDTHS)
    grown = growth(motion, time_us, box)
    if away > allowed or grown > _MOST_GROWTH:
        return math.inf
    return away / allowed + grown / _MOST_GROWTH


def may_have_strayed(motion: Motion, time_us: int, box: PlateBox) -> bool:
    """Whether a box is near where a plate was missed, and of a similar size, so that it may show it."""
    x, y, width = motion.predicted(time_us)
    wide = max(width, motion.box.width_px)  # an obstacle hid its sides first, so that it seemed to shrink
    unseen_s = max((time_us - motion.last_us) / 1e6 - 0.5, 0.0)
    reach = (_MOST_WIDTHS + _WIDTHS_PER_S * unseen_s) * max(wide, (wide + box.width_px) / 2)
    near = math.dist((x, y), box.center) <= reach
    return near and growth(motion, time_us, box) <= _MOST_GROWTH + _GROWTH_PER_S * unseen_s


def widths_away(motion: Motion, time_us: int, box: PlateBox) -> float:
    """Distance from the expected place in plate widths."""
    x, y, width = motion.predicted(time_us)
    return math.dist((x, y), box.center) / max(width, 1.0)


def at_its_place(motion: Motion, time_us: int, box: PlateBox) -> bool:
    """Whether a box is so close to the expected place that it cannot be another vehicle."""
    near = widths_away(motion, time_us, box) < _SAME_PLACE_WIDTHS
    return near and growth(motion, time_us, box) < _MOST_GROWTH / 2


def off_its_place(motion: Motion, time_us: int, box: PlateBox) -> bool:
    """Whether a box is so far from the expected place that it may be another vehicle."""
    return widths_away(motion, time_us, box) > _SAME_PLACE_WIDTHS


def turns_back(motion: Motion, time_us: int, box: PlateBox) -> bool:
    """Whether an approaching plate is off its place and farther away again, or a receding one nearer."""
    direction = motion.direction
    if direction not in ("towards", "away") or not off_its_place(motion, time_us, box):
        return False
    wide = math.log(max(box.width_px, 1.0) / max(motion.box.width_px, 1.0))
    high = math.log(max(box.height_px, 1.0) / max(motion.box.height_px, 1.0))
    return max(wide, high) < -_TURNED if direction == "towards" else min(wide, high) > _TURNED


def between(motion: Motion, glimpse: Motion, time_us: int, box: PlateBox) -> bool:
    """Whether a glimpse's single sighting is where a plate was between its last sighting and this box."""
    if glimpse.sightings > 1:
        return False
    passed = (glimpse.last_us - motion.last_us) / max(time_us - motion.last_us, 1)
    (x0, y0), (x1, y1) = motion.box.center, box.center
    before, after = max(motion.box.width_px, 1.0), max(box.width_px, 1.0)
    width = 1.0 / ((1 - passed) / before + passed / after)  # its reciprocal, the distance, changes linearly
    share = passed * width / after  # of the path in the picture: near objects move faster
    away = math.dist((x0 + share * (x1 - x0), y0 + share * (y1 - y0)), glimpse.box.center)
    as_wide = abs(math.log(max(glimpse.box.width_px, 1.0) / width)) <= _SAME_WIDTH
    return as_wide and away <= _SAME_PLACE_WIDTHS * width


def shared_end(part: PlateBox, whole: PlateBox) -> Literal["left", "right"] | None:
    """The end that a box shares with a wider one of the same height; something hid the other end.

    A plate that is only farther away has the same proportions.
    """
    jitter = _SHARED_PLACE * whole.height_px
    low, high = part.box[1] - whole.box[1], (part.box[1] + part.height_px) - (whole.box[1] + whole.height_px)
    if max(abs(low), abs(high)) > jitter or part.width_px > _HIDDEN_SHARE * whole.width_px:
        return None
    if part.aspect > _HIDDEN_SHARE * whole.aspect:
        return None
    left = abs(part.box[0] - whole.box[0])
    right = abs(part.box[0] + part.width_px - whole.box[0] - whole.width_px)
    if min(left, right) > jitter:
        return None
    return "left" if left < right else "right"


def on_same_px(one: PlateBox, other: PlateBox) -> bool:
    """Whether two boxes are the same apart from jitter, as those of a plate that did not move."""
    most = _SAME_PX_WIDTHS * max(one.width_px, 1.0)
    return all(math.dist(a, b) <= most for a, b in zip(one.corners, other.corners, strict=True))


def overlap(one: PlateBox, other: PlateBox) -> bool:
    """Whether two boxes of one frame contain each other's center."""
    return _holds(one, other.center) or _holds(other, one.center)


def _holds(box: PlateBox, point: tuple[float, float]) -> bool:
    x, y, w, h = box.box
    return x <= point[0] <= x + w and y <= point[1] <= y + h


def runs_out(box: PlateBox, frame_shape: tuple[int, int]) -> bool:
    """Whether a box reaches the picture's edge, so that a part of the plate may be outside.

    A picture that is hardly larger than the plate (a crop) cuts nothing off.
    """
    height, width = frame_shape
    x, y, w, h = box.box
    near_x, near_y = _EDGE_SHARE * w, _EDGE_SHARE * h
    left, right = x < near_x, x + w > width - near_x
    top, bottom = y < -near_y, y + h > height + near_y
    if (left and right) or w > _CROP_SHARE * width:
        return False
    return left or right or top or bottom
