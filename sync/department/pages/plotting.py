"""Places on a square plot in pixels: north is up, and both directions have the same scale. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

SIDE = 300.0
EDGE = 24.0
DEGREE_M = 111_320.0
LEAST_M = 200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotFrame:
    """What a plot shows: its bounds in degrees (WGS 84), meters per pixel, and how narrow a degree of
    longitude is.

    `scale_m`: the length that `scale_px` shows.
    """

    south: float
    west: float
    north: float
    east: float
    narrow: float
    pixel_m: float
    scale_m: float
    scale_px: float

    @classmethod
    def around(cls, places: Iterable[tuple[float, float]]) -> PlotFrame:
        """The frame around places (latitude, longitude). Raises ValueError if there are none."""
        latitudes, longitudes = zip(*places, strict=True)
        south, north, west, east = min(latitudes), max(latitudes), min(longitudes), max(longitudes)
        narrow = max(0.01, math.cos(math.radians((south + north) / 2)))
        span_m = max((north - south) * DEGREE_M, (east - west) * DEGREE_M * narrow, LEAST_M)
        pixel_m = span_m / (SIDE - 2 * EDGE)
        scale_m = 10.0 ** math.floor(math.log10(span_m / 2))
        return cls(
            south=south,
            west=west,
            north=north,
            east=east,
            narrow=narrow,
            pixel_m=pixel_m,
            scale_m=scale_m,
            scale_px=round(scale_m / pixel_m, 1),
        )

    def place(self, latitude: float, longitude: float) -> tuple[float, float]:
        """(x, y) in pixels from the top left, rounded to a tenth."""
        middle = (self.south + self.north) / 2, (self.west + self.east) / 2
        return (
            round(SIDE / 2 + (longitude - middle[1]) * DEGREE_M * self.narrow / self.pixel_m, 1),
            round(SIDE / 2 - (latitude - middle[0]) * DEGREE_M / self.pixel_m, 1),
        )
