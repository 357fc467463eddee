"""Frame-age watchdog: detects a silent camera, abandons it, opens it again and measures the blind time.

Cameras can stop without an exception (picamera2 issues 1090 and 1392), and some hang even in close(). So a
separate thread, which can be abandoned, fetches the frames, and their age is judged from outside. A camera
that gives only broken frames is also blind, but is not reopened for it. A driver that hangs forever holds at
most a few threads: only a new process cures that, and systemd starts one when the heartbeat stops.
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

STALL_S = 4.0  # detected within 5 s, including the time of the check
RETRY_FIRST_S = 0.25
RETRY_LAST_S = 5.0
CLOSE_S = 1.0  # a close that hangs longer is abandoned
NO_MEMORY = "no memory for its frames"
LACKING_S = 300.0  # meanwhile the unit can sync, which may correct a setting that is too large
LEFT_BEHIND = 2  # threads that may hang in a driver; at this limit nothing is opened until one returns


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindSpell:
    """A time without frames: from the last frame before it to the first after it, or until the end."""

    began: UtcTime
    ended: UtcTime
    blind_s: float
    reason: str
    reopened: int  # number of tries to open it


class _NoMemoryError(PartFailedError):
    """The feeding thread had no memory for a frame, or the driver none for its buffers."""


class _Feeder:
    """Runs one open camera in its own thread and hands over one owned frame at a time.

    Each frame goes back to the camera once it is taken; if it is not taken, EndOfSourceError says so.
    """

    def __init__(self, source: CameraSource) -> None:
        self._source = source
        self._stop = threading.Event()
        self._handover: queue.Queue[Frame | HardwareError] = queue.Queue(maxsize=1)
        self._taken = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._feed, name="camera", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> Frame | HardwareError | None:
        """The next frame or error; None if nothing came in time."""
        try:
            item = self._handover.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self._taken.release()
        return item

    def give_up(self) -> None:
        """Stop; a thread that hangs in the driver is abandoned."""
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
            # The text of an OSError may contain a file's name, and a file may be named after its plate.
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
        """Hand over an item; False if the camera is given up before it is taken."""
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
    is accepted. MissingDriverError is raised only at the first opening and only if not `patient`; otherwise a
    missing driver is a stall like any other failure.
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
        self._stall_s = max(stall_s, 3 * source.interval_s)  # a slow source is not silent
        self._closed = threading.Event()
        self._reporting = threading.Lock()
        self._seen = False
        self._last_s = self._heard_s = self._opened_s = monotonic()  # whole frame, any frame, opening
        self._asked_s: float | None = None  # when the current wait for a frame began
        self._sequence_base = 0
        self._last_sequence = -1
        self._reason: str | None = None  # of the current blind spell
        self._newest_reason = ""
        self._lacking_s = 0.0  # since when every try has lacked memory
        self._wanted_again: str | None = None  # why a person asked for a fresh opening
        self._tries = 0
        self.blind_s = 0.0
        self._left: list[_Feeder] = []  # given up, but still in the driver
        self._feeder: _Feeder | None = _Feeder(source)

    @property
    def frame_age_s(self) -> float:
        """Seconds since the last whole frame."""
        return self._monotonic() - self._last_s

    @property
    def seen(self) -> bool:
        """Whether any frame, even a broken one, has come since the start."""
        return self._seen

    @property
    def blind_now(self) -> bool:
        """Whether the camera is blind now."""
        return self._reason is not None

    @property
    def why_blind(self) -> str | None:
        """What began the current blind spell, and the newest error; None while frames come."""
        first, newest = self._reason, self._newest_reason
        return first if first is None or newest == first else f"{first}; now: {newest}"

    @property
    def silent_s(self) -> float | None:
        """Seconds since the last whole frame if the camera was asked for one and does not deliver.

        None for a working camera: if no frame was requested since, the age of the last one means nothing.
        """
        asked_s = self._asked_s
        overdue = asked_s is not None and self._monotonic() - asked_s > self._stall_s
        return self.frame_age_s if overdue or self.blind_now else None

    def reopen(self, reason: str) -> None:
        """Close the camera and open it again, from any thread: a short blind spell with this reason."""
        self._wanted_again = reason

    @contextmanager
    def borrow(self) -> Iterator[Frame]:
        """See Camera.borrow; reopens a stalled camera until a frame comes or close() is called.

        Raises MemoryError if reopening did not cure a lack of memory, since a new process may. A `patient`
        one waits LACKING_S first: otherwise each process would end before a sync brings a better setting.
        """
        self._asked_s = self._monotonic()
        try:
            frame = self._next()
        finally:
            self._asked_s = None
        yield frame

    def close(self) -> None:
        """See Camera.close; reports a blind spell that has not ended."""
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
                if self._closed.is_set():  # close() ran meanwhile and found no feeder to give up
                    self._feeder.give_up()
            item = self._feeder.take(0.2)
            if isinstance(item, Frame):
                return self._accepted(item)  # keep a frame that was taken even if close() ran meanwhile
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
        self._end_spell()  # a spell that began while close() ran
        raise EndOfSourceError("the camera was closed")

    def _accepted(self, frame: Frame) -> Frame:
        if frame.sequence <= self._last_sequence - self._sequence_base:
            self._sequence_base = self._last_sequence + 1  # the camera started counting over
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

    def _broken(self, error: BrokenFrameError) -> None:
        """Note a broken frame: one is no stall, but only broken ones for too long make the camera blind."""
        self._seen = True
        self._heard_s = self._monotonic()
        if self._reason is None and self._heard_s - self._last_s > self._stall_s:
            self._reason = self._newest_reason = f"only broken frames: {error.reason}"
            self._tries = 0

    def _fail(self, error: HardwareError) -> None:
        """Give the camera up after an error. Raises MemoryError as `borrow` describes."""
        if isinstance(error, _NoMemoryError):
            if self._reason is None or self._newest_reason != NO_MEMORY:
                self._lacking_s = self._monotonic()
            elif self._monotonic() - self._lacking_s >= (LACKING_S if self._patient else 0.0):
                raise MemoryError(NO_MEMORY)
        self._lose(str(error))

    def _lose(self, reason: str) -> None:
        """Give the camera up; it is opened again after a pause that grows with each failure."""
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
            blind_s, ended = self.frame_age_s, self._clock.now()
            spell = BlindSpell(
                began=ended.shifted(-round(blind_s * 1e6)),  # the clock may have been set meanwhile
                ended=ended,
                blind_s=blind_s,
                reason=self._reason,
                reopened=self._tries,
            )
            self._reason = None
            self.blind_s += spell.blind_s
            self._on_blind(spell)
