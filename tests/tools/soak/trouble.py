"""What goes wrong in a soak: a clock that jumps, a camera that hangs, a lost line to the department."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hw.camera import Camera, Frame
from hw.camera_replay import ReplaySource
from hw.clock import SystemClock, TimeState, UtcTime
from hw.errors import CameraStalledError

CLOCK_ERROR_US = 100_000
HANGS_S = 8.0  # longer than a stall is borne (hw.camera_watch); the drivers give a job up sooner
KINDS_OF_LOSS = ("refused", "silent", "halfway")
PIECE = 16 * 1024
HALFWAY_BYTES = (500, 60_000)


class SteppedClock:
    """The system clock as a disciplined one, moved by whole seconds now and then."""

    def __init__(self) -> None:
        self._inner = SystemClock()
        self._offset_us = 0

    def now(self) -> UtcTime:
        """See Clock.now."""
        us = self._inner.now().us + self._offset_us
        return UtcTime(us=us, error_us=CLOCK_ERROR_US, state=TimeState.DISCIPLINED)

    def step(self, seconds: float) -> None:
        """Move the clock."""
        self._offset_us += round(seconds * 1e6)


class StallingSource:
    """A source whose camera hangs when told to, for longer than a stall is borne; opening it cures it."""

    live = True

    def __init__(self, inner: ReplaySource) -> None:
        self._inner = inner
        self._hang = threading.Event()
        self.interval_s = inner.interval_s
        self.round_s = inner.reel.duration_us / 1e6

    def open(self) -> Camera:
        """See CameraSource.open."""
        self._hang = threading.Event()
        return _HangingCamera(self._inner.open(), self._hang)

    @property
    def hangs(self) -> bool:
        """Whether the camera that is open now delivers nothing."""
        return self._hang.is_set()

    def stall(self) -> None:
        """The camera that is open now delivers nothing any more."""
        self._hang.set()


class _HangingCamera:
    def __init__(self, inner: Camera, hang: threading.Event) -> None:
        self._inner = inner
        self._hang = hang
        self._closed = threading.Event()

    @contextmanager
    def borrow(self) -> Iterator[Frame]:
        if self._hang.is_set():
            self._closed.wait(HANGS_S)
            raise CameraStalledError("hung on purpose")
        with self._inner.borrow() as frame:
            yield frame

    def close(self) -> None:
        self._closed.set()
        self._inner.close()


class Line:
    """The line to the department: a forwarder on loopback that can be lost, and found again.

    refused: what is open is cut, nothing new gets through; silent: everything stays open and nothing moves;
    halfway: every connection is cut after some bytes, in the middle of whatever they belong to.
    """

    def __init__(self, port: int, draw: random.Random) -> None:
        self._target, self._draw = port, draw
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.2)
        self.port = int(self._listener.getsockname()[1])
        self.cut = 0  # connections that were cut
        self._kind: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="line", daemon=True)
        self._thread.start()

    def lose(self, kind: str) -> None:
        """From now on. kind: one of KINDS_OF_LOSS."""
        self._kind = kind

    def find(self) -> None:
        """The line is there again."""
        self._kind = None

    def close(self) -> None:
        """Cut everything and listen no more."""
        self._stop.set()
        self._thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                inner, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            threading.Thread(target=self._serve, args=(inner,), name="line", daemon=True).start()

    def _serve(self, inner: socket.socket) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            stack.enter_context(inner)
            if self._kind == "refused":
                self.cut += 1
                return
            outer = stack.enter_context(socket.create_connection(("127.0.0.1", self._target), 5))
            self._forward(inner, outer)

    def _forward(self, inner: socket.socket, outer: socket.socket) -> None:
        other = {inner: outer, outer: inner}
        left = self._draw.randint(*HALFWAY_BYTES)
        while not self._stop.is_set():
            kind = self._kind
            if kind == "refused":
                self.cut += 1
                return
            if kind == "silent":
                self._stop.wait(0.2)
                continue
            for one in select.select(list(other), [], [], 0.2)[0]:
                if self._kind != kind:
                    break
                data = one.recv(PIECE)
                if not data:
                    return
                if kind == "halfway":
                    left -= len(data)
                    if left <= 0:
                        other[one].sendall(data[: len(data) // 2])
                        self.cut += 1
                        return
                other[one].sendall(data)
