"""No-read zones: where a moving unit reads nothing. Geometry, and one decision per frame; no I/O.

Promise: a frame that may have been taken inside a zone, considering its position's error, is never read, nor
is any frame while there are zones and the unit's position is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.position import Fix, FixQuality
from storage.policy import NoReadZone

METERS_PER_DEGREE = 111_320.0  # of latitude; the equator's circumference / 360; at most 0.6 % too large
SLACK = 1.01  # for distances on a flat earth: the error is under 1 % within 50 km
MARGIN_M = 10.0  # since corners are drawn on a map


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a frame was taken: degrees (WGS 84), within error_m meters."""

    latitude: float
    longitude: float
    error_m: float


class Zone:
    """One polygon, prepared for many queries. Its edges are straight in latitude and longitude."""

    def __init__(self, zone: NoReadZone) -> None:
        self._corners = np.asarray(zone.corners, dtype=np.float64)  # (N, 2): latitude, longitude
        span = np.ptp(_wrapped(self._corners[:, 1] - self._corners[0, 1]))
        if span >= 180.0:
            raise ValueError(f"{zone.id}: the zone covers half the earth")

    def reaches(self, place: Place) -> bool:
        """Whether the place may be inside."""
        reach_m = (place.error_m + MARGIN_M) * SLACK
        if not math.isfinite(reach_m) or abs(place.latitude) > 89.0:
            return True
        flat = self._meters_from(place)
        low, high = flat.min(axis=0), flat.max(axis=0)
        if (low > reach_m).any() or (high < -reach_m).any():
            return False
        return _inside(flat) or _distance_m(flat) <= reach_m

    def _meters_from(self, place: Place) -> NDArray[np.float64]:
        """The corners relative to the place: (north, east) in meters."""
        north = (self._corners[:, 0] - place.latitude) * METERS_PER_DEGREE
        east = _wrapped(self._corners[:, 1] - place.longitude) * METERS_PER_DEGREE
        return np.stack([north, east * math.cos(math.radians(place.latitude))], axis=1)


def _wrapped(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences of longitude, the short way around."""
    return (degrees + 180.0) % 360.0 - 180.0


def _inside(corners: NDArray[np.float64]) -> bool:
    """Whether the origin is in the polygon: an odd number of edges crosses the ray to the north."""
    here, there = corners, np.roll(corners, -1, axis=0)
    across = (here[:, 1] > 0) != (there[:, 1] > 0)
    step = np.where(across, there[:, 1] - here[:, 1], 1.0)
    north = here[:, 0] - here[:, 1] * (there[:, 0] - here[:, 0]) / step
    return bool(np.count_nonzero(across & (north > 0)) % 2)


def _distance_m(corners: NDArray[np.float64]) -> float:
    """The distance from the origin to the nearest edge."""
    here, along = corners, np.roll(corners, -1, axis=0) - corners
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    share = np.clip(-(here * along).sum(axis=1) / length, 0.0, 1.0)
    return float(np.sqrt(((here + share[:, None] * along) ** 2).sum(axis=1).min()))


class NoReadRule:
    """Decides for each frame whether it may be read. Thread-safe: two stages ask.

    zones: gives the current ones, called each time. fix_at: where the unit was so many seconds ago. fixed:
    the surveyed place of a fixed unit, which then needs no receiver; None on a moving one.
    """

    def __init__(
        self,
        zones: Callable[[], Sequence[NoReadZone]],
        fix_at: Callable[[float], Fix | None],
        *,
        mobile: bool,
        fixed: Place | None = None,
    ) -> None:
        self._zones, self._fix_at = zones, fix_at
        self._mobile, self._fixed = mobile, fixed
        self._prepared: tuple[tuple[NoReadZone, ...], tuple[Zone, ...]] = ((), ())

    def permits(self, ago_s: float) -> bool:
        """Whether a frame taken ago_s seconds ago may be read."""
        zones = tuple(self._zones())
        if not zones:
            return True
        known, ready = self._prepared
        if zones != known:
            ready = tuple(Zone(zone) for zone in zones)
            self._prepared = (zones, ready)
        place = self._place(ago_s)
        if place is None:
            return not self._mobile
        return not any(zone.reaches(place) for zone in ready)

    def _place(self, ago_s: float) -> Place | None:
        fix = self._fix_at(ago_s)
        if fix is None or fix.quality not in {FixQuality.SATELLITE, FixQuality.CORRECTED}:
            return self._fixed
        return Place(latitude=fix.latitude_deg, longitude=fix.longitude_deg, error_m=fix.error_m)
