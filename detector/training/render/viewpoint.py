"""A pinhole camera over a flat road: where points of the world fall in the picture.

World: meters, x to the right, y away along the road, z up, the ground at z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

World = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewpoint:
    """A camera at (0, 0, height_m), turned by yaw (to the right) and pitch (downwards), radians."""

    width_px: int
    height_px: int
    focal_px: float
    height_m: float
    yaw: float
    pitch: float
    roll: float = 0.0

    def _turned(self) -> World:
        """Rows: the camera's right, down and forward axes in the world."""
        cy, sy, cp, sp = np.cos(self.yaw), np.sin(self.yaw), np.cos(self.pitch), np.sin(self.pitch)
        forward = np.array([sy * cp, cy * cp, -sp])
        right = np.array([cy, -sy, 0.0])
        down = np.cross(forward, right)
        c, s = np.cos(self.roll), np.sin(self.roll)
        return np.array([c * right + s * down, -s * right + c * down, forward])

    def project(self, points: World) -> World:
        """World points (N, 3) to picture px (N, 2). Raises ValueError for points behind the camera."""
        seen = (points - np.array([0.0, 0.0, self.height_m])) @ self._turned().T
        if np.any(seen[:, 2] < 0.05):
            raise ValueError("a point is behind the camera")
        flat = seen[:, :2] / seen[:, 2:3] * self.focal_px
        return np.asarray(flat + np.array([self.width_px / 2, self.height_px / 2]))

    def rays(self) -> World:
        """The direction of every pixel in the world, (H, W, 3), not normalized."""
        x = (np.arange(self.width_px) + 0.5 - self.width_px / 2) / self.focal_px
        y = (np.arange(self.height_px) + 0.5 - self.height_px / 2) / self.focal_px
        right, down, forward = self._turned()
        return np.asarray(x[None, :, None] * right + y[:, None, None] * down + forward)

    def px_per_meter(self, y_m: float) -> float:
        """The scale at distance ``y_m`` along the road."""
        return self.focal_px / max(0.1, float(np.hypot(y_m, self.height_m)))
