"""The policy's no-read zones on pages: in words, on a plot, for the map's script. No I/O."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from storage.policy import NoReadZone
from sync.department.pages.plotting import DEGREE_M, PlotFrame
from sync.department.pages.wording import word_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One zone on a plot. `points`: in the form of SVG."""

    name: str
    points: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneRow:
    """One zone in words. `square_km`: its approximate area; `corners`: (latitude, longitude) in degrees."""

    name: str
    square_km: float
    corners: tuple[tuple[float, float], ...]

    @property
    def size(self) -> str:
        """Its approximate size, in words."""
        if self.square_km >= 0.1:
            return f"about {self.square_km:.1f} km²"
        return f"about {max(1, round(self.square_km * 100))} ha"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonePlot:
    """All zones in one frame."""

    frame: PlotFrame
    shapes: tuple[Shape, ...]


def rows_of(zones: Sequence[NoReadZone]) -> tuple[ZoneRow, ...]:
    """The zones in words, by name."""
    rows = [ZoneRow(name=word_of(one.id), square_km=_square_km(one), corners=one.corners) for one in zones]
    return tuple(sorted(rows, key=lambda one: one.name))


def shapes_of(zones: Sequence[NoReadZone], frame: PlotFrame) -> tuple[Shape, ...]:
    """The zones in a frame, including those that reach beyond it."""
    return tuple(
        Shape(
            name=word_of(one.id),
            points=" ".join("{:.1f},{:.1f}".format(*frame.place(*corner)) for corner in one.corners),
        )
        for one in zones
    )


def plot_of_zones(zones: Sequence[NoReadZone]) -> ZonePlot | None:
    """The plot of all zones; None if there is none."""
    if not zones:
        return None
    frame = PlotFrame.around(corner for one in zones for corner in one.corners)
    return ZonePlot(frame=frame, shapes=shapes_of(zones, frame))


def zones_text(zones: Sequence[NoReadZone]) -> str:
    """Zones for the map's script: [[words, [[latitude, longitude], ...]], ...]; empty for none."""
    return json.dumps([[f"No-read zone: {word_of(one.id)}", one.corners] for one in zones]) if zones else ""


def _square_km(zone: NoReadZone) -> float:
    """The area by the shoelace formula, on a plane that touches the earth there."""
    middle = sum(latitude for latitude, _ in zone.corners) / len(zone.corners)
    narrow = math.cos(math.radians(middle))
    flat = [(longitude * narrow, latitude) for latitude, longitude in zone.corners]
    twice = sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(flat, [*flat[1:], flat[0]], strict=True))
    return abs(twice) / 2 * (DEGREE_M / 1000) ** 2
