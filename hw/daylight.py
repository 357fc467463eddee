"""Day or night: decides when the infrared filter moves out and the strobe fires. No I/O; lamps carry it out.

Light is measured as the share of the camera's longest shutter and largest gain that a well-exposed picture
needs. At night the strobe also lights the picture, so a low share does not prove that it is day: the strobe
is then turned off for a moment, and the share without it decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hw.exposure import TARGET_LUMA

BRIGHT_LUMA, DARK_LUMA = 70.0, 25.0  # for a camera that does not report its exposure


class Light(Enum):
    """What the lamps are set to."""

    DAY = "day"  # filter in, strobe off
    NIGHT = "night"  # filter out, strobe fires
    LOOKING = "looking"  # filter out, strobe off for a moment


def needed_share(
    mean_luma: float, *, exposure_us: int | None, gain: float | None, longest_us: int, gain_max: float
) -> float | None:
    """The share of the camera's longest shutter times largest gain that a good picture needs; may exceed 1.

    None if the camera does not report its exposure and the brightness shows neither day nor night.
    """
    if exposure_us is None or gain is None:
        if mean_luma < DARK_LUMA:
            return 1.0
        return 0.0 if mean_luma > BRIGHT_LUMA else None
    used = exposure_us * gain / (longest_us * gain_max)
    return used * TARGET_LUMA / max(mean_luma, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaylightPolicy:
    """When day and night begin.

    night_share: it is night above this share of the camera's maximum. day_share: it is day below this share
    with the strobe off. lasting_s: how long either must last, so that a truck in front is not night.
    look_every_s, look_s: the strobe is turned off at most this often, and for how long.
    """

    night_share: float = 0.9
    day_share: float = 0.25
    lasting_s: float = 20.0
    look_every_s: float = 300.0
    look_s: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.day_share * 2 <= self.night_share:
            raise ValueError("daylight: day_share must be at most half of night_share, or lamps would flap")


class Daylight:
    """Turns measurements of the light into a setting of the lamps. No I/O; now_s is monotonic."""

    def __init__(self, policy: DaylightPolicy | None) -> None:
        self._policy = policy or DaylightPolicy()
        self.light: Light | None = None  # None before the first measurement
        self._since_s: float | None = None  # since when the light fits the other setting
        self._looked_s = 0.0

    def step(self, share: float | None, now_s: float) -> Light:
        """The setting after a measurement; `share` as `needed_share` returns it."""
        policy = self._policy
        if self.light is None:
            dark = share is not None and share >= policy.night_share
            self.light, self._looked_s = (Light.NIGHT if dark else Light.DAY), now_s
        elif self.light is Light.LOOKING:
            self._look(share, now_s)
        elif self._lasts(share, now_s):
            self._since_s = None
            if self.light is Light.DAY:
                self.light, self._looked_s = Light.NIGHT, now_s
            elif now_s - self._looked_s >= policy.look_every_s:
                self.light, self._looked_s = Light.LOOKING, now_s
        return self.light

    def _lasts(self, share: float | None, now_s: float) -> bool:
        """Whether the light has fit the other setting for long enough."""
        policy = self._policy
        other = share is not None and (
            share >= policy.night_share if self.light is Light.DAY else share <= policy.day_share
        )
        if not other:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        return self._since_s is not None and now_s - self._since_s >= policy.lasting_s

    def _look(self, share: float | None, now_s: float) -> None:
        """With the strobe off: day if the share stays low until the end of the look, else night at once."""
        if share is not None and share > self._policy.day_share:
            self.light = Light.NIGHT
        elif now_s - self._looked_s >= self._policy.look_s:
            self.light = Light.DAY if share is not None else Light.NIGHT
        self._since_s = None
