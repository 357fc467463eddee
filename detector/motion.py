"""How one plate moves through the picture: velocity, growth, and the direction that follows from them.

A vehicle at constant speed does not move at constant speed in the picture: the reciprocal of the plate's
width changes linearly with time, and its place linearly with the width. This matters between frames that show
it much nearer or farther.
"""

from __future__ import annotations

import math

from .plates import Direction, PlateBox

_FOLLOW = 0.5  # weight of a new velocity: boxes jitter by a few percent
_GROWN = 0.14  # log of the change of size that shows a direction: three times the detector's jitter
_STILL_WIDTHS = 0.6  # a parked plate's center stays within this many plate widths
_PARKED_S = 2.0
_SAME_WIDTHS = 0.05  # within this many widths, all frames show a plate on the same px
_STRAY_SHARE = 0.3  # weight of a new prediction error in the usual one
_APPROACH = 0.15  # log of the change of size between sightings from which the distance predicts the place:
# it is then off by 0.2 to 0.6 widths (median); with constant velocity, by 0.6 to 2.4
_NEAREST = 1.0  # log of the largest predicted change of size: a plate that passes the camera has no place
_SMOOTH = 3  # sightings that the first and the last size are averaged over


class Motion:
    """Position, velocity and size of one plate. Times are microseconds, lengths px of the frame."""

    __slots__ = (
        "_before",
        "_grow_per_s",
        "_high",
        "_predicted",
        "_speed",
        "_start",
        "_wander",
        "_wide",
        "box",
        "first_us",
        "last_us",
        "sightings",
        "stray_px",
    )

    def __init__(self, time_us: int, box: PlateBox) -> None:
        self.first_us = self.last_us = time_us
        self.box = box
        self.sightings = 1
        self.stray_px = 0.0  # how far sightings usually are from where they were expected
        self._start = box.center
        self._speed = (0.0, 0.0)
        self._grow_per_s = 0.0
        self._before: tuple[int, PlateBox] | None = None  # the sighting before the last
        self._predicted: tuple[int, tuple[float, float, float]] | None = None  # asked for once a box
        self._wander = 0.0
        self._wide = (math.log(max(box.width_px, 1.0)),) * 2  # early sum, late mean
        self._high = (math.log(max(box.height_px, 1.0)),) * 2

    def take(self, time_us: int, box: PlateBox) -> None:
        """Adds a sighting, which must be later than all before."""
        seconds = max((time_us - self.last_us) / 1e6, 1e-3)
        (x0, y0), (x1, y1) = self.box.center, box.center
        if self.sightings > 1:
            x, y, _ = self.predicted(time_us)
            self.stray_px += _STRAY_SHARE * (math.dist((x, y), (x1, y1)) - self.stray_px)
        width = max(box.width_px, 1.0)
        grown = math.log(width) - math.log(max(self.box.width_px, 1.0))
        share = 1.0 if self.sightings == 1 else _FOLLOW
        speed = ((x1 - x0) / seconds, (y1 - y0) / seconds)
        self._speed = (
            self._speed[0] + share * (speed[0] - self._speed[0]),
            self._speed[1] + share * (speed[1] - self._speed[1]),
        )
        self._grow_per_s += share * (grown / seconds - self._grow_per_s)
        self._wander = max(self._wander, math.dist((x1, y1), self._start) / width)
        self.sightings += 1
        self._wide = self._smoothed(self._wide, math.log(width))
        self._high = self._smoothed(self._high, math.log(max(box.height_px, 1.0)))
        self._before = self.last_us, self.box
        self.box, self.last_us = box, time_us
        self._predicted = None

    def _smoothed(self, sizes: tuple[float, float], size: float) -> tuple[float, float]:
        """Sum of the first few logarithms of a size, and the mean of the last few."""
        early, late = sizes
        if self.sightings <= _SMOOTH:
            early += size
        return early, late + (size - late) / min(self.sightings, _SMOOTH)

    def join(self, other: Motion) -> None:
        """Adds the sightings of the same plate that another motion followed."""
        first = self if self.first_us <= other.first_us else other
        last = self if self.last_us > other.last_us else other
        self._wander = max(
            self._wander, other._wander, math.dist(first._start, last.box.center) / last._width
        )
        counts = self.sightings, other.sightings
        early = first._wide[0] / min(first.sightings, _SMOOTH), first._high[0] / min(first.sightings, _SMOOTH)
        self.sightings = sum(counts)
        share = min(self.sightings, _SMOOTH)
        self._wide, self._high = (early[0] * share, last._wide[1]), (early[1] * share, last._high[1])
        self._start, self._speed, self._grow_per_s = first._start, last._speed, last._grow_per_s
        self._before = last._before
        self.first_us, self.last_us, self.box = first.first_us, last.last_us, last.box
        self.stray_px = max(self.stray_px, other.stray_px)
        self._predicted = None

    @property
    def _width(self) -> float:
        return max(self.box.width_px, 1.0)

    def predicted(self, time_us: int) -> tuple[float, float, float]:
        """Predicts center x, y and width in px; growth is extrapolated for at most half a second."""
        if self._predicted is not None and self._predicted[0] == time_us:
            return self._predicted[1]
        seconds = (time_us - self.last_us) / 1e6
        x, y = self.box.center
        ahead = min(seconds, 1.0)  # a velocity measured on jittering boxes says little beyond a second
        width = self.box.width_px * math.exp(min(max(self._grow_per_s * min(seconds, 0.5), -0.5), 0.5))
        place = self._approached(ahead) or (x + self._speed[0] * ahead, y + self._speed[1] * ahead)
        where = *place, width
        self._predicted = time_us, where
        return where

    def _approached(self, ahead_s: float) -> tuple[float, float] | None:
        """Predicts the center from the change of distance; None if the plate hardly grew.

        In central projection, the reciprocal of the width is linear in time, and the place in the width.
        """
        if self._before is None:
            return None
        before_us, before = self._before
        wide, high = self._width / max(before.width_px, 1.0), self.box.height_px / max(before.height_px, 1.0)
        if min(wide, high) < math.exp(_APPROACH) and max(wide, high) > math.exp(-_APPROACH):
            return None
        if abs(math.log(wide / max(high, 0.01))) > _APPROACH:
            return None  # a side hidden by an obstacle or the picture's edge is no change of distance
        passed = ahead_s * 1e6 / max(self.last_us - before_us, 1)
        inverse = 1.0 + passed * (1.0 - wide)  # of the width to come, in widths of the last box
        grown = 1.0 / max(inverse, math.exp(-_NEAREST)) - 1.0
        share = grown / (1.0 - 1.0 / wide)
        (x0, y0), (x1, y1) = before.center, self.box.center
        return x1 + share * (x1 - x0), y1 + share * (y1 - y0)

    def leaves(self, time_us: int, frame_shape: tuple[int, int]) -> bool:
        """Whether its motion will have taken the plate out of the picture (H, W) by then."""
        x, y, width = self.predicted(time_us)
        reach = width / 2
        return not (reach <= x <= frame_shape[1] - reach and reach / 3 <= y <= frame_shape[0] - reach / 3)

    @property
    def moves(self) -> bool:
        """Whether the plate has left the place where it was first seen."""
        return self._wander >= _STILL_WIDTHS or abs(self._growth) >= _GROWN

    @property
    def unmoved(self) -> bool:
        """Whether every sighting was in exactly the place of the first: they show one view of the plate."""
        return self._wander < _SAME_WIDTHS

    @property
    def _growth(self) -> float:
        """Log of the change of size; a side that appears from behind something is not growth."""
        wide, high = (late - early / min(self.sightings, _SMOOTH) for early, late in (self._wide, self._high))
        return math.copysign(min(abs(wide), abs(high)), wide) if wide * high > 0 else 0.0

    @property
    def direction(self) -> Direction:
        """The direction: growing plates approach the camera, shrinking ones recede, still ones are parked."""
        if self.sightings < 2:
            return "unknown"
        if self._growth >= _GROWN:
            return "towards"
        if self._growth <= -_GROWN:
            return "away"
        still = self._wander < _STILL_WIDTHS and self.last_us - self.first_us >= _PARKED_S * 1e6
        return "parked" if still else "unknown"
