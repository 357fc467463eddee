"""Follows plates over frames: which sightings are one vehicle's pass, and when it has ended."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import DetectorError
from .plates import FrameReadings, PlateBox, PlateText, VehiclePass


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LivePass:
    """A pass that is still going on, for a live view. ``settled``: more frames would not change the text."""

    pass_id: int
    text: PlateText
    frames_voted: int
    frames_seen: int
    last_box: PlateBox
    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackStep:
    """What one frame changed. ``best_for``: passes whose best frame is now this one."""

    ended: tuple[VehiclePass, ...]
    live: tuple[LivePass, ...]
    best_for: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()  # pass ids that ended without a plate worth telling: forget their frame

    @property
    def keep_frame(self) -> bool:
        """Whether the caller keeps this frame as the overview of the passes in ``best_for``."""
        return bool(self.best_for)


class Tracker:
    """One camera's passes. Deterministic, no I/O; times come from the caller."""

    def wants_text(self, box: PlateBox) -> bool:
        """False when the pass that this box continues is settled: reading it again would be wasted."""
        raise DetectorError("not built yet")

    def update(
        self, sequence: int, time_us: int, frame_shape: tuple[int, int], seen: FrameReadings
    ) -> TrackStep:
        """Takes one frame's plates; frame_shape: (H, W) of the full frame. Times must not fall."""
        raise DetectorError("not built yet")

    def flush(self) -> tuple[VehiclePass, ...]:
        """Ends every pass that is still live, as at the end of a replay."""
        raise DetectorError("not built yet")
