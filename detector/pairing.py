"""The cost of assigning a sighting to a pass, from its place, size and text."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .likeness import TRUSTED, Likeness, is_part
from .passes import LiveTrack, Sighting
from .place_fit import misfit, off_its_place, similar_size, turns_back
from .plates import PlateReading

_GAP_US = 400_000  # after this gap, another vehicle may have taken the place unseen
PATIENCE_INTERVALS = 1.6  # a plate is out of sight after so many frame intervals without it
_SAME_TEXT_BONUS = 2.0
_FARTHEST = 3.0  # highest cost of a place far from the expected one, if the text is the same
_SPARSE_US = 200_000  # frames this far apart do not show how a plate moves in an unsteady picture
_CLOSEST: tuple[Likeness, ...] = ("same", "misread", "unclear", "neighbor", "different")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The pace of the frames. interval_us: time between two, smoothed; frame_shape: (H, W)."""

    interval_us: float = 0.0
    frame_shape: tuple[int, int] = (0, 0)

    @property
    def gap_us(self) -> float:
        """The gap from which a plate was out of sight."""
        return max(_GAP_US, PATIENCE_INTERVALS * self.interval_us)


def pair_cost(track: LiveTrack, sighting: Sighting, pace: Pace) -> float:
    """How badly a sighting fits a pass; infinite if it cannot be the same vehicle."""
    unfit = misfit(track.motion, sighting.time_us, sighting.box)
    reading = sighting.reading
    if reading is None or (unfit == math.inf and not track.spelt_like(reading)):
        return unfit  # too far away unless the text is the same: no need to compare columns
    alike = track.likeness(reading)
    if track.rival is not None and alike != "same":
        alike = min(alike, track.rival.likeness(reading), key=_CLOSEST.index)
    return _cost_by_text(track, sighting, alike, unfit, pace)


def _cost_by_text(track: LiveTrack, sighting: Sighting, alike: Likeness, unfit: float, pace: Pace) -> float:
    far = unfit == math.inf
    match alike:
        case "same" if not far or (sighting.reading and _is_trusted(sighting.reading)):
            return min(unfit, _FARTHEST) - _SAME_TEXT_BONUS
        case "misread" if far and _may_have_jumped(track, sighting, pace):
            return _FARTHEST
        case "neighbor" | "different":
            # surely another plate's text: it is this pass only if no other plate can be there
            gap_us = _GAP_US if alike == "different" else pace.gap_us
            gone = sighting.time_us - track.motion.last_us >= gap_us
            off = off_its_place(track.motion, sighting.time_us, sighting.box)
            return math.inf if gone or off else unfit + 1.0
        case "unclear" if _has_left(track, sighting, pace) or _comes_in(track, sighting, pace):
            return math.inf
        case "unclear" if turns_back(track.motion, sighting.time_us, sighting.box):
            return math.inf  # the vehicle behind it, whose plate is alike
        case _:
            return unfit


def _is_trusted(reading: PlateReading) -> bool:
    """Whether a reading's text may match a pass anywhere.

    It may even if the picture cuts off the plate, since the whole text was seen before.
    """
    shown = reading.evidence.trust if reading.evidence.cut else 1.0
    return reading.confidence >= TRUSTED * shown


def _has_left(track: LiveTrack, sighting: Sighting, pace: Pace) -> bool:
    """Whether a plate has left the picture since it was seen; a sighting of a part may still be it."""
    motion, now_us, reading = track.motion, sighting.time_us, sighting.reading
    if now_us - motion.last_us < pace.gap_us or not motion.leaves(now_us, pace.frame_shape):
        return False
    mine, its = track.vote.leader, reading.leader if reading else ""
    return not (is_part(mine, its) or is_part(its, mine))


def _comes_in(track: LiveTrack, sighting: Sighting, pace: Pace) -> bool:
    """Whether a plate enters at the picture's edge while that of the pass, seen whole, is out of sight.

    The visible part says little about its text. If it is the same plate, its whole text shows that later.
    """
    reading = sighting.reading
    if reading is None or not reading.evidence.cut or track.vote.cut:
        return False
    if sighting.time_us - track.motion.last_us < pace.gap_us:
        return False
    return not is_part(reading.leader, track.vote.leader) or track.motion.direction == "away"


def _may_have_jumped(track: LiveTrack, sighting: Sighting, pace: Pace) -> bool:
    """Whether a plate may be far from where it was expected: few frames a second, an unsteady camera."""
    motion, now_us = track.motion, sighting.time_us
    return (
        pace.interval_us >= _SPARSE_US
        and now_us - motion.last_us < pace.gap_us
        and not motion.leaves(now_us, pace.frame_shape)
        and similar_size(motion, now_us, sighting.box)
    )
