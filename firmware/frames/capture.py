"""The capture thread and the bounded queues between stages; a slow stage drops frames and counts them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from hw.camera import Camera, Frame
from hw.errors import BrokenFrameError, EndOfSourceError

Item = TypeVar("Item")


class BoundedQueue(Generic[Item]):
    """At most `limit` items wait. dropping: a full queue drops and counts its oldest; else `put` waits."""

    def __init__(self, limit: int, *, dropping: bool) -> None:
        self._limit = limit
        self._dropping = dropping
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.dropped = 0
        self.deepest = 0

    def put(self, item: Item) -> bool:
        """Add an item; False if the queue was closed meanwhile, so that the item is not in it."""
        with self._changed:
            while not self._dropping and len(self._items) >= self._limit and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            if len(self._items) >= self._limit:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self.deepest = max(self.deepest, len(self._items))
            self._changed.notify_all()
            return True

    def get(self) -> Item | None:
        """Take the oldest item, or wait for one; None if the queue is closed and empty."""
        with self._changed:
            while not self._items and not self._closed:
                self._changed.wait()
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def get_within(self, limit_s: float) -> Item | None:
        """Take the oldest item, waiting at most limit_s; None if none came or the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout=max(0.0, limit_s))
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Accept no more items; those that wait can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Stage(threading.Thread):
    """One thread of the pipeline. What it raises is kept in `failure`, for the thread that joins it."""

    def __init__(self, name: str, work: Callable[[], None], *, at_end: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._at_end = at_end
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Do the work; however it ends, inform the next stage that no more items come."""
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self.failure = error
        finally:
            self._at_end()


class Capture:
    """Takes frames from a camera into a queue until the source ends or `stop` is set."""

    def __init__(
        self,
        camera: Camera,
        queue: BoundedQueue[Frame],
        *,
        stop: threading.Event,
        on_frame: Callable[[Frame], None],
        on_broken: Callable[[BrokenFrameError], None],
    ) -> None:
        self._camera = camera
        self._queue = queue
        self._stop = stop
        self._on_frame = on_frame
        self._on_broken = on_broken
        self.frames = 0
        self.broken = 0
        self.lost_by_source = 0  # gaps in the camera's own count

    def run(self) -> None:
        """Capture until the end. Raises the camera's MissingDriverError or PartFailedError."""
        expected: int | None = None
        while not self._stop.is_set():
            try:
                with self._camera.borrow() as borrowed:
                    frame = borrowed.owned()
            except BrokenFrameError as error:
                self.broken += 1
                expected = None
                self._on_broken(error)
                continue
            except EndOfSourceError:
                return
            self.frames += 1
            if expected is not None:
                self.lost_by_source += max(0, frame.sequence - expected)
            expected = frame.sequence + 1
            self._on_frame(frame)
            if not self._queue.put(frame):
                return
