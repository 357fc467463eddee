"""How one plate moves through the picture: constant velocity, growth, and the direction they tell."""

from __future__ import annotations

import math

from .plates import Direction, PlateBox

_FOLLOW = 0.5  # share of a new velocity that is believed at once: boxes jitter by some per cent
_GROWN = 0.14  # log of the width's change that tells direction: three times the detector's jitter
_STILL_WIDTHS = 0.6  # a parked plate's centre stays within this many plate widths
_PARKED_S = 2.0
_SMOOTH = 3  # sightings that the first and the last width are averaged over


class Motion:
    """Position, velocity and size of one plate. Times are microseconds, lengths px of the frame."""

    __slots__ = (
        "_early_sum",
        "_grow_per_s",
        "_late_log",
        "_predicted",
        "_speed",
        "_start",
        "_wander",
        "box",
        "first_us",
        "last_us",
        "sightings",
    )

    def __init__(self, time_us: int, box: PlateBox) -> None:
        self.first_us = self.last_us = time_us
        self.box = box
        self.sightings = 1
        self._start = centre(box)
        self._speed = (0.0, 0.0)
        self._grow_per_s = 0.0
        self._predicted: tuple[int, tuple[float, float, float]] | None = None  # asked for once a box
        self._wander = 0.0
        self._early_sum = self._late_log = math.log(max(box.width_px, 1.0))

    def take(self, time_us: int, box: PlateBox) -> None:
        """One more sighting, later than all before."""
        seconds = max((time_us - self.last_us) / 1e6, 1e-3)
        (x0, y0), (x1, y1) = centre(self.box), centre(box)
        grown = math.log(max(box.width_px, 1.0)) - math.log(max(self.box.width_px, 1.0))
        share = 1.0 if self.sightings == 1 else _FOLLOW
        speed = ((x1 - x0) / seconds, (y1 - y0) / seconds)
        self._speed = (
            self._speed[0] + share * (speed[0] - self._speed[0]),
            self._speed[1] + share * (speed[1] - self._speed[1]),
        )
        self._grow_per_s += share * (grown / seconds - self._grow_per_s)
        width = max(box.width_px, 1.0)
        self._wander = max(self._wander, math.dist(centre(box), self._start) / width)
        self.sightings += 1
        if self.sightings <= _SMOOTH:
            self._early_sum += math.log(width)
        self._late_log += (math.log(width) - self._late_log) / min(self.sightings, _SMOOTH)
        self.box, self.last_us = box, time_us
        self._predicted = None

    def predicted(self, time_us: int) -> tuple[float, float, float]:
        """Centre x, y and width in px at a later time; growth is believed for half a second."""
        if self._predicted is not None and self._predicted[0] == time_us:
            return self._predicted[1]
        seconds = (time_us - self.last_us) / 1e6
        x, y = centre(self.box)
        ahead = min(seconds, 1.0)  # a velocity measured on jittering boxes tells little beyond a second
        width = self.box.width_px * math.exp(min(max(self._grow_per_s * min(seconds, 0.5), -0.5), 0.5))
        where = x + self._speed[0] * ahead, y + self._speed[1] * ahead, width
        self._predicted = time_us, where
        return where

    def leaves(self, time_us: int, frame_shape: tuple[int, int]) -> bool:
        """Whether the plate has driven out of the picture (H, W) by then, as far as can be told."""
        x, y, width = self.predicted(time_us)
        reach = width / 2
        return not (reach <= x <= frame_shape[1] - reach and reach / 3 <= y <= frame_shape[0] - reach / 3)

    @property
    def moves(self) -> bool:
        """Whether the plate has left the place where it was first seen."""
        return self._wander >= _STILL_WIDTHS or abs(self._growth) >= _GROWN

    @property
    def _growth(self) -> float:
        return self._late_log - self._early_sum / min(self.sightings, _SMOOTH)

    @property
    def direction(self) -> Direction:
        """Growing plates come towards the camera, shrinking ones go away, standing ones are parked."""
        if self.sightings < 2:
            return "unknown"
        if self._growth >= _GROWN:
            return "towards"
        if self._growth <= -_GROWN:
            return "away"
        still = self._wander < _STILL_WIDTHS and self.last_us - self.first_us >= _PARKED_S * 1e6
        return "parked" if still else "unknown"


def centre(box: PlateBox) -> tuple[float, float]:
    """Mean of the four corners."""
    a, b, c, d = box.corners
    return (a[0] + b[0] + c[0] + d[0]) / 4, (a[1] + b[1] + c[1] + d[1]) / 4
