"""The stages from frame to read: capture, read and track, store; a thread each, with bounded queues between.

Promises: a frame is kept only while it is the best of a live pass; every ended pass is stored, or its loss
counted; stopping processes what waits, ends the live passes and stores them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detector.errors import NetAnswerError
from detector.plates import FrameReadings, PlateBox, VehiclePass
from detector.track import LivePass, Tracker, TrackStep
from detector.way_up import WayUp
from firmware.frames.capture import BoundedQueue, Capture, Stage
from hw.camera import Camera, Frame
from hw.errors import BrokenFrameError
from storage.ledger import TOGETHER

OVERVIEWS_MAX = 48  # frames kept for live passes: about 150 MB at 1080p, more vehicles than fit in one view
LONGEST_INTERVAL_US = 1_000_000
JITTER_US = 1_000_000  # the coarsest stamps are file times in whole seconds
_JITTER_SHARE = 50  # of an interval: frames closer than this have the same stamp
GLANCE_GAP_US = 120_000  # a pass that has been out of sight for this long may be over
GLANCE_EVERY_US = 1_000_000  # a car ahead in traffic stays in view for minutes
# Passes that end within a second are stored together: flushes wear a card, and a batch needs no more of them
# than one read. None is announced before all are durable; a power cut may cost a second more.
GATHER_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EndedPass:
    """One vehicle's pass and its best frame. `in_view`: the vehicle is still in view."""

    vehicle: VehiclePass
    frame: Frame = field(repr=False)
    in_view: bool = False


@dataclass(slots=True, kw_only=True)
class PipelineCounts:
    """Counts since the start. Each is written by one stage; any thread may read them."""

    frames: int = 0
    broken: int = 0
    dropped: int = 0
    read: int = 0
    passes: int = 0
    stored: int = 0
    lost_passes: int = 0  # that the store did not take
    refused: int = 0  # passes that ended after the store had failed
    without_frame: int = 0
    withheld: int = 0  # frames of a no-read zone, never read

    @property
    def unstored(self) -> int:
        """Passes with a frame that are in no read."""
        return self.lost_passes + self.refused

    @property
    def lost(self) -> int:
        """Ended passes that are in no read."""
        return self.unstored + self.without_frame


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunProgress:
    """The state after one frame: what is in view, and how long each stage took."""

    sequence: int
    live: tuple[LivePass, ...]
    ms: Mapping[str, float]


class Eyes(Protocol):
    """Finds and reads the plates of one frame: detector.reader.PlateReader."""

    def read(
        self,
        luma: NDArray[np.uint8],
        lores: NDArray[np.uint8] | None = None,
        *,
        wanted: Callable[[PlateBox], bool | str] | None = None,
    ) -> FrameReadings:
        """See PlateReader.read."""


class RisingTime:
    """Frame times for the tracker, which always rise: setting the clock back neither ends nor extends a pass.

    shift_us: how far these times are ahead of the clock, which is the total by which it was set back. If
    stamps repeat or fall slightly, time advances by the usual interval; if they then jump ahead, as rounded
    stamps do, the excess is taken back.
    """

    def __init__(self) -> None:
        self.shift_us = 0
        self._newest_us: int | None = None
        self._interval_us = 100_000  # until two stamps give it
        self._rounded_us = 0  # the part of the shift that a jump ahead takes back
        self._rose_us, self._since = 0, 1  # the last stamp that rose; frames since, including that one

    def of(self, clock_us: int) -> int:
        """The rising time of a frame whose stamp by the clock is clock_us."""
        if self._newest_us is None:
            self._rose_us = self._newest_us = clock_us
            return clock_us
        step_us = clock_us + self.shift_us - self._newest_us
        if step_us <= self._interval_us // _JITTER_SHARE:
            self._hold(step_us)
        else:
            self._rise(clock_us, step_us)
        self._newest_us = clock_us + self.shift_us
        return self._newest_us

    def _hold(self, step_us: int) -> None:
        self._since += 1
        self.shift_us += self._interval_us - step_us
        self._rounded_us += self._interval_us - step_us
        if self._rounded_us > JITTER_US:
            self._rounded_us = 0  # the clock was set back, or has stopped

    def _rise(self, clock_us: int, step_us: int) -> None:
        if clock_us > self._rose_us:
            self._interval_us = min((clock_us - self._rose_us) // self._since, LONGEST_INTERVAL_US)
        self._rose_us, self._since = clock_us, 1
        back_us = min(self._rounded_us, max(step_us - self._interval_us, 0))
        self.shift_us -= back_us
        self._rounded_us -= back_us


class Glances:
    """Decides when to check a live pass for an alert, which cannot wait until the vehicle is gone.

    That is once its text has settled, once it is out of sight for a moment, and every second until then.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int, int, int]] = {}  # frames seen, since; frames looked at, when

    def due(self, live: tuple[LivePass, ...], at_us: int) -> list[int]:
        """The passes to check after this frame."""
        found = []
        known: dict[int, tuple[int, int, int, int]] = {}
        for one in live:
            seen, since_us, looked, looked_us = self._known.get(one.pass_id, (0, at_us, 0, at_us))
            if one.frames_seen != seen:
                seen, since_us = one.frames_seen, at_us
            waits = (
                (one.settled and not looked)
                or at_us - since_us >= GLANCE_GAP_US
                or at_us - looked_us >= GLANCE_EVERY_US
            )
            if waits and looked != one.frames_looked:
                found.append(one.pass_id)
                looked, looked_us = one.frames_looked, at_us
            known[one.pass_id] = (seen, since_us, looked, looked_us)
        self._known = known
        return found


class ReadStage:
    """Frames in, ended passes out. Not thread-safe: neither the reader nor the tracker is shared."""

    def __init__(
        self,
        reader: Eyes,
        tracker: Tracker,
        *,
        counts: PipelineCounts,
        on_progress: Callable[[RunProgress], None],
        hand_on: Callable[[EndedPass], None],
        on_unsound: Callable[[NetAnswerError], None] = lambda _error: None,
        way_up: WayUp | None = None,
    ) -> None:
        self._reader = reader
        self._on_unsound = on_unsound
        self._tracker = tracker
        self._way_up = way_up or WayUp(lambda _patch: 0)
        self._counts = counts
        self._on_progress = on_progress
        self._hand_on = hand_on
        self._best: dict[int, Frame] = {}
        self._glances = Glances()
        self._time = RisingTime()

    def take(self, frame: Frame) -> None:
        """Find, read, track and vote on one frame. If a net gives no numbers, the passes in view still age,
        so that they end and are stored even if the nets fail for good.
        """
        at_us = self._time.of(frame.captured.us)
        try:
            seen = self._reader.read(frame.luma, frame.lores, wanted=self._tracker.wants_text)
        except NetAnswerError as error:
            self._on_unsound(error)
            nothing = FrameReadings(readings=())
            self._keep(self._tracker.update(frame.sequence, at_us, frame.luma.shape[:2], nothing), frame)
            return
        begun = time.perf_counter()
        step = self._tracker.update(frame.sequence, at_us, frame.luma.shape[:2], seen)
        self._keep(step, frame)
        for pass_id in self._glances.due(step.live, at_us):
            self._glance(pass_id)
        track_ms = (time.perf_counter() - begun) * 1000
        self._counts.read += 1
        self._on_progress(
            RunProgress(sequence=frame.sequence, live=step.live, ms={**seen.ms, "track": track_ms})
        )

    def finish(self) -> None:
        """End every live pass by the tracker's flush."""
        for vehicle in self._tracker.flush():
            self._end(vehicle)
        self._best.clear()

    def _keep(self, step: TrackStep, frame: Frame) -> None:
        for pass_id in step.best_for:
            self._best[pass_id] = frame
        for vehicle in step.ended:
            self._end(vehicle)
        for pass_id in step.dropped:
            self._best.pop(pass_id, None)
        while len(self._best) > OVERVIEWS_MAX:
            del self._best[next(iter(self._best))]

    def _glance(self, pass_id: int) -> None:
        """Hand on an unfinished pass, which may need an alert."""
        frame = self._best.get(pass_id)
        vehicle = None if frame is None else self._tracker.so_far(pass_id)
        if frame is not None and vehicle is not None:
            self._hand_on(EndedPass(vehicle=self._as_known(vehicle), frame=frame, in_view=True))

    def _end(self, vehicle: VehiclePass) -> None:
        frame = self._best.pop(vehicle.pass_id, None)
        self._counts.passes += 1
        self._way_up.count(vehicle)
        if frame is None:
            self._counts.without_frame += 1
            return
        self._hand_on(EndedPass(vehicle=self._as_known(vehicle), frame=frame))

    def _as_known(self, vehicle: VehiclePass) -> VehiclePass:
        """The pass with its times by the clock, marked as unsure if the camera seems to hang upside down.

        A time before 1970, from a clock that was set back in the middle of a pass, becomes 0.
        """
        shift_us = self._time.shift_us
        first_us, last_us = (max(0, one - shift_us) for one in (vehicle.first_us, vehicle.last_us))
        return replace(self._way_up.doubted(vehicle), first_us=first_us, last_us=last_us)


class Pipeline:
    """The three stages for one camera. Call start(), then join(), or stop() and join()."""

    def __init__(
        self,
        camera: Camera,
        reader: Eyes,
        tracker: Tracker,
        *,
        store: Callable[[Sequence[EndedPass]], int],
        glance: Callable[[EndedPass], None] = lambda _going: None,
        live: bool,
        queue_frames: int = 4,
        queue_passes: int = 16,
        on_frame: Callable[[Frame], None],
        on_broken: Callable[[BrokenFrameError], None],
        on_progress: Callable[[RunProgress], None],
        permitted: Callable[[Frame], bool] = lambda _frame: True,
        urgent: Callable[[EndedPass], bool] = lambda _ended: False,
        gather_s: float = GATHER_S,
        on_unsound: Callable[[NetAnswerError], None] = lambda _error: None,
        way_up: WayUp | None = None,
    ) -> None:
        """store: stores passes and returns how many; the others count as lost. It gets the passes that ended
        within gather_s, at most TOGETHER, and an urgent one at once with those before it.
        glance: checks an unfinished pass; what is then stored for an alert is not stored again.

        on_unsound: called for each frame for which a net gave no numbers; it is not read any further.

        permitted: whether a frame may be read at all; others are dropped without a look.

        way_up: learns from the passes how the camera hangs; None: it hangs upright.

        live: a full frame queue drops its oldest frame; else the source waits, and no frame is dropped.
        """
        self._camera = camera
        self._store, self._glance, self._permitted = store, glance, permitted
        self._urgent, self._gather_s = urgent, gather_s
        self._stop = threading.Event()
        self._counts = PipelineCounts()
        self._frames: BoundedQueue[Frame] = BoundedQueue(queue_frames, dropping=live)
        self._passes: BoundedQueue[EndedPass] = BoundedQueue(queue_passes, dropping=False)
        self._capture = Capture(camera, self._frames, stop=self._stop, on_frame=on_frame, on_broken=on_broken)
        self._read = ReadStage(
            reader,
            tracker,
            counts=self._counts,
            on_progress=on_progress,
            hand_on=self._hand_on,
            on_unsound=on_unsound,
            way_up=way_up,
        )
        self._stages = (
            Stage("capture", self._capture.run, at_end=self._frames.close),
            Stage("read", self._read_all, at_end=self._shut),
            Stage("store", self._store_all, at_end=self._shut),
        )

    def start(self) -> None:
        """Start all stages."""
        for stage in self._stages:
            stage.start()

    def stop(self) -> None:
        """Stop capturing; captured frames are still read, voted and stored. Safe in a signal handler."""
        self._stop.set()

    @property
    def running(self) -> bool:
        """Whether any stage still works."""
        return any(stage.is_alive() for stage in self._stages)

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the end, and raise the error that ended a stage."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        for stage in self._stages:
            stage.join(None if until is None else max(0.0, until - time.monotonic()))
        if not self.running:
            for stage in self._stages:
                if stage.failure is not None:
                    raise stage.failure

    @property
    def counts(self) -> PipelineCounts:
        """The counts so far."""
        counts = self._counts
        counts.frames, counts.broken = self._capture.frames, self._capture.broken
        counts.dropped = self._frames.dropped + self._capture.lost_by_source
        return counts

    def _read_all(self) -> None:
        withheld = False
        while (frame := self._frames.get()) is not None:
            if self._permitted(frame):
                self._read.take(frame)
                withheld = False
                continue
            if not withheld:  # the vote of passes in view uses only frames before the zone
                self._read.finish()
                withheld = True
            self._counts.withheld += 1
            self._counts.read += 1
        self._read.finish()

    def _shut(self) -> None:
        self._stop.set()  # a failed reader or store must not leave the camera running
        self._frames.close()
        self._passes.close()

    def _hand_on(self, ended: EndedPass) -> None:
        if not self._passes.put(ended) and not ended.in_view:
            self._counts.refused += 1

    def _store_all(self) -> None:
        try:
            while (ended := self._passes.get()) is not None:
                if ended.in_view:
                    self._glance(ended)
                else:
                    self._store_from(ended)
        finally:  # whatever still waits, if an error ended this
            self._passes.close()
            while (ended := self._passes.get()) is not None:
                self._counts.lost_passes += not ended.in_view

    def _store_from(self, first: EndedPass) -> None:
        """Store a pass, and those that end within the time that it may wait."""
        together, stored = [first], 0
        try:
            self._gather(together)
            stored = self._store(together)
        finally:
            self._counts.stored += stored
            self._counts.lost_passes += len(together) - stored

    def _gather(self, together: list[EndedPass]) -> None:
        """Add the passes that end while the first may wait. An unfinished one does not wait."""
        until_s = time.monotonic() + self._gather_s
        while len(together) < TOGETHER and not self._urgent(together[-1]):
            left_s = until_s - time.monotonic()
            ended = self._passes.get_within(left_s) if left_s > 0 else None
            if ended is None:
                break
            if ended.in_view:
                self._glance(ended)
            else:
                together.append(ended)
