"""Chooses shutter time and gain for plates: the shutter stays short, the gain stays capped. No I/O.

A plate under infra-red light is retro-reflective: an exposure made for the whole scene burns it out, and one
long enough for the dark smears it. So light is won by gain first, up to the cap, and given back by gain
first; the shutter only leaves its set time when the gain is at its floor and the picture is still too bright.
"""

from __future__ import annotations

from dataclasses import dataclass

TARGET_LUMA = 90.0  # mean of the picture; below the middle, so that a bright plate keeps its strokes
DEAD_BAND = 0.15  # of the target: inside it nothing is changed, so that noise does not make the picture pump
MAX_STEP = 1.5  # factor in one step, so that a passing headlamp does not throw the exposure off
MIN_EXPOSURE_US = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """shutter time in microseconds and analog gain (1.0 = none)."""

    exposure_us: int
    gain: float


def next_exposure(mean_luma: float, now: Exposure, *, exposure_us: int, gain_max: float) -> Exposure:
    """The exposure for the next frames, given the mean luma (0 to 255) of one taken with `now`.

    Never above exposure_us or gain_max.
    """
    factor = TARGET_LUMA / max(mean_luma, 1.0)
    if abs(factor - 1.0) < DEAD_BAND:
        factor = 1.0
    factor = min(MAX_STEP, max(1.0 / MAX_STEP, factor))
    light = now.exposure_us * now.gain * factor
    shutter_us = min(exposure_us, max(MIN_EXPOSURE_US, round(light)))
    return Exposure(exposure_us=shutter_us, gain=min(gain_max, max(1.0, light / shutter_us)))
