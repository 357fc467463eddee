"""Chooses shutter time and gain for plates: the shutter stays short, the gain stays capped. No I/O.

Plates reflect infrared light back to its source: an exposure for the whole scene overexposes them, and one
long enough for the dark smears them. So the gain changes first, up to the cap and down to its floor; the
shutter becomes shorter than its set time only if the picture is still too bright at the lowest gain.
"""

from __future__ import annotations

from dataclasses import dataclass

TARGET_LUMA = 90.0  # mean of the picture; below the middle, so that a bright plate stays legible
DEAD_BAND = 0.15  # of the target: no change within it, so that noise does not make the brightness oscillate
MAX_STEP = 1.5  # factor of one step, so that a passing headlight does not spoil the exposure
MIN_EXPOSURE_US = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Shutter time in microseconds, and analog gain (1.0 = none)."""

    exposure_us: int
    gain: float


def next_exposure(mean_luma: float, now: Exposure, *, exposure_us: int, gain_max: float) -> Exposure:
    """The exposure for the next frames, given the mean luma (0 to 255) of a frame taken with `now`.

    Never above exposure_us or gain_max.
    """
    factor = TARGET_LUMA / max(mean_luma, 1.0)
    if abs(factor - 1.0) < DEAD_BAND:
        factor = 1.0
    factor = min(MAX_STEP, max(1.0 / MAX_STEP, factor))
    light = now.exposure_us * now.gain * factor
    shutter_us = min(exposure_us, max(MIN_EXPOSURE_US, round(light)))
    return Exposure(exposure_us=shutter_us, gain=min(gain_max, max(1.0, light / shutter_us)))
