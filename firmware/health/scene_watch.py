"""Notices a camera that no longer sees: dark, covered, frozen or knocked aside. Pictures in, alarms out.

Promises: it uses only coarse brightness, so that nothing kept here could show a plate, and only a monotonic
clock. A camera that has just read a plate is not blind, whatever its picture looks like.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from firmware.frames.picture_quality import PictureQuality, coarse, picture_quality

ROWS, COLUMNS = 9, 16
DARK_MEAN, DARK_CONTRAST = 12.0, 6.0
FLAT_CONTRAST = 1.0  # dark, empty pictures are equal without being frozen: a black night
COVERED_SHARE = 0.35  # of the usual contrast and sharpness
KNOCKED_LIKENESS = 0.35  # correlation with the usual view
STEADY_LIKENESS = 0.75  # if the view usually correlates less than this, the vehicle moves
LEARN_S = 600.0
CLEAR_S = 10.0  # an alarm clears once nothing has been wrong for this long: a headlight is not daybreak
PROOF_S = 300.0  # a read proves for this long that the camera sees
PROOF_READS = 10  # reads in a changed view that make it the usual one
LIMITS_S = {"dark": 60.0, "covered": 300.0, "frozen": 30.0, "knocked": 120.0}  # until it is an alarm
_CHANGE_SHARE = 0.02


class SceneWatch:
    """Give it a picture about every second; `alarms` returns what has been wrong for long enough."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._wrong_s: dict[str, float] = {}  # when it was last wrong
        self._read_s = float("-inf")
        self._reads = 0  # since the view changed
        self._usual: NDArray[np.float32] | None = None
        self._usual_contrast = self._usual_sharpness = 0.0
        self._usual_likeness = 1.0
        self._last: NDArray[np.uint8] | None = None
        self._begun_s = 0.0
        self.quality: PictureQuality | None = None

    def look(self, luma: NDArray[np.uint8], now_s: float) -> None:
        """Take one picture at now_s (monotonic). luma: uint8 (H, W), in low resolution; a picture with fewer
        pixels than cells is ignored, since it would spoil what was learned.
        """
        if luma.shape[0] < ROWS or luma.shape[1] < COLUMNS:
            return
        quality = picture_quality(luma)
        cells = coarse(luma, ROWS, COLUMNS)
        sample = luma[:: max(1, luma.shape[0] // 90), :: max(1, luma.shape[1] // 160)].copy()
        same = self._last is not None and np.array_equal(sample, self._last)
        frozen = same and (quality.contrast >= FLAT_CONTRAST or quality.mean >= DARK_MEAN)  # also if all gray
        if self._usual is None:
            self._usual, self._begun_s = cells.copy(), now_s
            self._usual_contrast, self._usual_sharpness = quality.contrast, quality.sharpness
        likeness = _likeness(cells, self._usual)
        dark = quality.mean < DARK_MEAN and quality.contrast < DARK_CONTRAST
        learned = now_s - self._begun_s >= LEARN_S
        covered = learned and not dark and (
            quality.contrast < self._usual_contrast * COVERED_SHARE
            or quality.sharpness < self._usual_sharpness * COVERED_SHARE
        )  # fmt: skip
        steady = self._usual_likeness >= STEADY_LIKENESS
        knocked = learned and steady and not dark and not covered and likeness < KNOCKED_LIKENESS
        found = {"dark": dark, "covered": covered, "frozen": frozen, "knocked": knocked}
        for name, wrong in found.items():
            if wrong:
                self._since.setdefault(name, now_s)
                self._wrong_s[name] = now_s
            elif name not in self.alarms(now_s) or now_s - self._wrong_s[name] >= CLEAR_S or name == "frozen":
                self._since.pop(name, None)
        if not any(found.values()):
            self._learn(cells, quality, likeness, fast=not learned)
        self._last, self.quality = sample, quality

    def read(self, now_s: float) -> None:
        """Note that a plate was read: the camera sees. A changed view with reads becomes the usual one."""
        self._read_s = now_s
        self._reads = self._reads + 1 if "knocked" in self._since else 0
        if "covered" in self._since or self._reads >= PROOF_READS:
            self.lit_anew()

    def lit_anew(self) -> None:
        """Learn the usual view again, since lamps or filter changed the light."""
        self._usual, self._usual_likeness, self._reads = None, 1.0, 0
        for name in ("covered", "knocked"):
            self._since.pop(name, None)

    def alarms(self, now_s: float) -> Iterable[str]:
        """Those of dark, covered, frozen and knocked that have lasted longer than their limits."""
        proven = {"dark", "covered"} if now_s - self._read_s < PROOF_S else set()
        return tuple(
            name
            for name, since_s in self._since.items()
            if now_s - since_s >= LIMITS_S[name] and name not in proven
        )

    def _learn(
        self, cells: NDArray[np.float32], quality: PictureQuality, likeness: float, *, fast: bool
    ) -> None:
        share = 0.1 if fast else _CHANGE_SHARE
        if self._usual is not None:
            self._usual += (cells - self._usual) * np.float32(share)
        self._usual_contrast += (quality.contrast - self._usual_contrast) * share
        self._usual_sharpness += (quality.sharpness - self._usual_sharpness) * share
        self._usual_likeness += (likeness - self._usual_likeness) * share


def _likeness(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    """Correlation of two coarse pictures, -1 to 1; 0 if one is flat."""
    first, second = one - one.mean(), two - two.mean()
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale > 1e-3 else 0.0
