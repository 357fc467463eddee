"""Frame-age watchdog: a camera that falls silent is noticed, given up and opened again; blind time counts.

Cameras stop without an exception (picamera2 issues 1090 and 1392), and some hang even in close(). So frames
are fetched in their own thread that can be left behind, and their age is judged from outside. One that
gives broken frames alone is blind too, and is not opened again for it. A driver that hangs for ever
holds a few threads and no more: only another process cures it, and the heartbeat that ends sees to that.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hw.camera import Camera, CameraSource, Frame
from hw.clock import Clock, UtcTime
from hw.errors import BrokenFrameError, EndOfSourceError, HardwareError, MissingDriverError, PartFailedError

STALL_S = 4.0  # noticed within 5 s, with room for the look itself
RETRY_FIRST_S = 0.25
RETRY_LAST_S = 5.0
CLOSE_S = 1.0  # a hung close is left behind after this
NO_MEMORY = "no memory for its frames"
LACKING_S = 300.0  # a unit that keeps running syncs meanwhile: a setting that is too large can be corrected
LEFT_BEHIND = 2  # most threads that may hang in a driver; with so many, nothing is opened until one returns


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindSpell:
    """A time without frames: from the last frame before it to the first after it, or until the end."""

    began: UtcTime
    ended: UtcTime
    blind_s: float
    reason: str
    reopened: int  # how often opening was tried


class _NoMemoryError(PartFailedError):
    """The thread that feeds had no memory for a frame, or the driver none for its buffers."""


class _Feeder:
    """One opened camera in its own thread, that hands over one owned frame at a time.

    The camera has each frame back once it was taken, or learns that it was not.
    """

    def __init__(self, source: CameraSource) -> None:
        self._source = source
        self._stop = threading.Event()
        self._handover: queue.Queue[Frame | HardwareError] = queue.Queue(maxsize=1)
        self._taken = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._feed, name="camera", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> Frame | HardwareError | None:
        """The next frame or error; None when nothing came in time."""
        try:
            item = self._handover.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self._taken.release()
        return item

    def give_up(self) -> None:
        """Stop; a thread that hangs in the driver is left behind."""
        self._stop.set()
        self._thread.join(CLOSE_S)

    @property
    def hangs(self) -> bool:
        """Whether its thread still runs."""
        return self._thread.is_alive()

    def _feed(self) -> None:
        camera: Camera | None = None
        try:
            camera = self._source.open()
            while not self._stop.is_set():
                self._hand_over(camera)
        except MemoryError:
            self._put(_NoMemoryError(NO_MEMORY))
        except HardwareError as error:  # a driver words what its library raised
            self._put(_NoMemoryError(NO_MEMORY) if isinstance(error.__cause__, MemoryError) else error)
        except Exception as error:  # noqa: BLE001 - of a driver's own kind: named now, not as a silence later
            # A file may be named by its plate, also in the only words of an error that has no number.
            why = (error.strerror or "failed") if isinstance(error, OSError) else error
            self._put(PartFailedError(f"{type(error).__name__}: {why}"))
        finally:
            if camera is not None:
                with contextlib.suppress(Exception):  # the next opening reports the fault
                    camera.close()

    def _hand_over(self, camera: Camera) -> None:
        try:
            with camera.borrow() as frame:
                if not self._put(frame.owned()):
                    raise EndOfSourceError("closed before its frame was taken")
        except BrokenFrameError as error:
            self._put(error)

    def _put(self, item: Frame | HardwareError) -> bool:
        """Whether it was taken; not, where the camera is given up first."""
        self._handover.put(item)
        while not self._stop.is_set():
            if self._taken.acquire(timeout=0.1):
                return True
        try:
            self._handover.get_nowait()
        except queue.Empty:
            return True
        return False


class WatchedCamera:
    """A camera that comes back; see hw.camera.Camera. Its frames own their memory.

    on_blind is called once per blind spell, when it is over (or at close). stall_s: the longest silence that
    is accepted. A missing driver at the first opening is raised, unless `patient`; later, or then, it is a
    stall like any other failure.
    """

    def __init__(
        self,
        source: CameraSource,
        *,
        clock: Clock,
        on_blind: Callable[[BlindSpell], None],
        stall_s: float = STALL_S,
        patient: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._patient, self._monotonic = source, patient, monotonic
        self._clock = clock
        self._on_blind = on_blind
        self._stall_s = max(stall_s, 3 * source.interval_s)  # a slow source is not a silent one
        self._closed = threading.Event()
        self._reporting = threading.Lock()
        self._seen = False
        self._last_s = self._heard_s = self._opened_s = monotonic()  # of a whole frame, of anything
        self._asked_s: float | None = None  # since when a frame is being waited for
        self._last_at = clock.now()
        self._sequence_base = 0
        self._last_sequence = -1
        self._reason: str | None = None  # of the blind spell that runs now
        self._newest_reason = ""
        self._lacking_s = 0.0  # since when each try lacks memory
        self._wanted_again: str | None = None  # why a person asked for a fresh opening
        self._tries = 0
        self.blind_s = 0.0
        self._left: list[_Feeder] = []  # given up, and still in the driver
        self._feeder: _Feeder | None = _Feeder(source)

    @property
    def frame_age_s(self) -> float:
        """Seconds since the last whole frame."""
        return self._monotonic() - self._last_s

    @property
    def seen(self) -> bool:
        """Whether any frame came since the start, broken ones too."""
        return self._seen

    @property
    def blind_now(self) -> bool:
        """Whether the camera is blind now."""
        return self._reason is not None

    @property
    def why_blind(self) -> str | None:
        """What began the blind spell that runs now, and what the newest try said; None while frames come."""
        first, newest = self._reason, self._newest_reason
        return first if first is None or newest == first else f"{first}; now: {newest}"

    @property
    def silent_s(self) -> float | None:
        """Seconds since the last whole frame, of a camera that was asked for one and does not deliver.

        None for a working one: if no other frame was requested, an old frame means nothing.
        """
        asked_s = self._asked_s
        overdue = asked_s is not None and self._monotonic() - asked_s > self._stall_s
        return self.frame_age_s if overdue or self.blind_now else None

    def reopen(self, reason: str) -> None:
        """Give the camera up and open it again, from any thread: a short blind spell with this reason."""
        self._wanted_again = reason

    @contextmanager
    def borrow(self) -> Iterator[Frame]:
        """See Camera.borrow; waits through a stall, reopening, until a frame comes or close() is called.

        Raises MemoryError where another opening has not ended a lack of memory: another process does. If it
        is `patient`, only after LACKING_S: each end would come before the sync that brings a better setting.
        """
        self._asked_s = self._monotonic()
        try:
            frame = self._next()
        finally:
            self._asked_s = None
        yield frame

    def close(self) -> None:
        """See Camera.close; reports a blind spell that still runs."""
        if not self._closed.is_set():
            self._closed.set()
            if self._feeder is not None:
                self._feeder.give_up()
            self._end_spell()

    def _next(self) -> Frame:
        while not self._closed.is_set():
            if self._wanted_again is not None:
                reason, self._wanted_again = self._wanted_again, None
                self._lose(reason)
            if self._feeder is None:
                self._left = [feeder for feeder in self._left if feeder.hangs]
                if len(self._left) >= LEFT_BEHIND:
                    self._lose("its driver hangs")
                    continue
                self._feeder = _Feeder(self._source)
                if self._closed.is_set():  # close() ran meanwhile, and found none to give up
                    self._feeder.give_up()
            item = self._feeder.take(0.2)
            if isinstance(item, Frame):
                return self._accepted(item)  # what was taken is not lost, even if close() ran meanwhile
            if self._closed.is_set():
                break
            if isinstance(item, BrokenFrameError):
                self._broken(item)
                raise item
            if isinstance(item, EndOfSourceError):
                self.close()
                raise item
            if isinstance(item, MissingDriverError) and not (self._seen or self._patient):
                raise item
            if item is not None:
                self._fail(item)
            elif self._monotonic() - max(self._heard_s, self._opened_s) > self._stall_s:
                self._lose(f"no frame for {self.frame_age_s:.1f} s")
        self._end_spell()  # one that began while close() ran
        raise EndOfSourceError("the camera was closed")

    def _accepted(self, frame: Frame) -> Frame:
        if frame.sequence <= self._last_sequence - self._sequence_base:
            self._sequence_base = self._last_sequence + 1  # the camera began to count again
        sequence = frame.sequence + self._sequence_base
        self._last_sequence = sequence
        self._alive()
        if sequence == frame.sequence:
            return frame
        return replace(frame, sequence=sequence)

    def _alive(self) -> None:
        self._end_spell()
        self._seen = True
        self._last_s = self._heard_s = self._monotonic()
        self._last_at = self._clock.now()

    def _broken(self, error: BrokenFrameError) -> None:
        """One broken frame is not a stall; if nothing else comes for long, the camera is blind."""
        self._seen = True
        self._heard_s = self._monotonic()
        if self._reason is None and self._heard_s - self._last_s > self._stall_s:
            self._reason = self._newest_reason = f"only broken frames: {error.reason}"
            self._tries = 0

    def _fail(self, error: HardwareError) -> None:
        """Raises MemoryError where the try before lacked memory too; of a patient one, once that lasts."""
        if isinstance(error, _NoMemoryError):
            if self._reason is None or self._newest_reason != NO_MEMORY:
                self._lacking_s = self._monotonic()
            elif self._monotonic() - self._lacking_s >= (LACKING_S if self._patient else 0.0):
                raise MemoryError(NO_MEMORY)
        self._lose(str(error))

    def _lose(self, reason: str) -> None:
        """Give the camera up; the next look opens it again, later and later while it fails."""
        if self._reason is None:
            self._reason = reason
            self._tries = 0
        self._newest_reason = reason
        if self._feeder is not None:
            self._feeder.give_up()
            self._left.append(self._feeder)
            self._feeder = None
        self._closed.wait(min(RETRY_LAST_S, RETRY_FIRST_S * 2**self._tries))
        self._tries += 1
        self._opened_s = self._monotonic()

    def _end_spell(self) -> None:
        with self._reporting:
            if self._reason is None:
                return
            spell = BlindSpell(
                began=self._last_at,
                ended=self._clock.now(),
                blind_s=self.frame_age_s,
                reason=self._reason,
                reopened=self._tries,
            )
            self._reason = None
            self.blind_s += spell.blind_s
            self._on_blind(spell)
