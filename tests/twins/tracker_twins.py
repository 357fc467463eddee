"""Feeds frames to a tracker at a rate and keeps its output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from detector_twins import DECODING, as_asked, box_at, frame, reading

from detector.frame_average import SeeTogether
from detector.plates import FrameReadings, PlateReading, VehiclePass
from detector.track import Tracker, TrackStep

FLEET = ("7ABC123", "7ABC124", "7ABC125")
TEXTS = ("7ABC123", "4XYZ999", "KLM5678", "BRT20W4")
SHAPE = (720, 1280)


def near(text: str, x: float, y: float, width: float = 100.0) -> PlateReading:
    return reading(text, box_at(x, y, width))


class Replay:
    """Feeds frames at a rate; keeps the tracker's output and the frames that a caller would keep."""

    def __init__(self, fps: float = 15.0, together: SeeTogether | None = None) -> None:
        self.tracker = Tracker(DECODING) if together is None else Tracker(DECODING, together)
        self.step_us = int(1e6 / fps)
        self.now_us = 0
        self.sequence = -1
        self.ended: list[VehiclePass] = []
        self.kept: dict[int, int] = {}
        self.read = self.confirmed = 0

    def show(self, seen: FrameReadings | None = None, *, after_s: float | None = None) -> TrackStep:
        self.now_us += self.step_us if after_s is None else int(after_s * 1e6)
        self.sequence += 1
        step = self.tracker.update(self.sequence, self.now_us, SHAPE, seen or frame())
        for pass_id in step.best_for:
            self.kept[pass_id] = self.sequence
        self.end(step.ended)
        for pass_id in step.dropped:
            assert self.kept.pop(pass_id) is not None
        return step

    def look(self, *plates: PlateReading) -> TrackStep:
        """Show a frame as a reader does: what the tracker does not want stays unread."""
        seen = as_asked(self.tracker, plates)
        self.read += len(seen.readings)
        self.confirmed += len(seen.confirmed)
        return self.show(seen)

    def end(self, passes: Iterable[VehiclePass]) -> None:
        for one in passes:
            assert self.kept.pop(one.pass_id) == one.best_sequence
            self.ended.append(one)

    def finish(self) -> list[VehiclePass]:
        self.end(self.tracker.flush())
        self.kept.clear()  # the rest belongs to passes that were discarded
        return self.ended


def texts(passes: Sequence[VehiclePass]) -> list[str]:
    return sorted(one.text.text for one in passes)
