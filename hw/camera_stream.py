"""A network camera by RTSP, through PyAV: frames as they come, over TCP.

Promises: a line that falls silent or breaks raises CameraStalledError or PartFailedError within a few
seconds, and the camera can be opened again; no message contains the name and password of the address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from hw.camera import Frame
from hw.clock import Clock
from hw.errors import BrokenFrameError, CameraStalledError, NoSuchSourceError, PartFailedError
from hw.video_file import decoded, load_av, planes_of

SCHEMES = ("rtsp://", "rtsps://")
OPEN_S = 8.0
DELAY_US = 1_000_000  # camera and network may delay a frame; the delay is unknown
_SECRET = re.compile(r"^(\w+://).*@", re.DOTALL)  # to the last @: a password may contain one, or a slash


def without_secret(address: str) -> str:
    """The address without its name, password and query string, so that it can be shown."""
    return _SECRET.sub(r"\1", address).partition("?")[0]


def _need_host(address: str) -> None:
    """Raise NoSuchSourceError for an address that no camera can have: it would be retried forever."""
    try:
        parts = urlsplit(address)
        fits = bool(parts.hostname) and parts.port != 0
    except ValueError:  # not a port: often a password with a slash, cut at the slash
        fits = False
    if not fits:
        raise NoSuchSourceError(
            f"{without_secret(address)}: not of the form rtsp://USER:PASSWORD@HOST:PORT/PATH (in a password "
            "write @ / ? # as %40 %2F %3F %23)"
        )


class StreamSource:
    """Opens an RTSP stream any number of times. Raises NoSuchSourceError, MissingDriverError without PyAV."""

    live = True

    def __init__(
        self, address: str, *, clock: Clock, fps: float = 20.0, stall_s: float = 4.0, rotation: int = 0
    ) -> None:
        _need_host(address)
        self._address, self._clock, self._stall_s, self._rotation = address, clock, stall_s, rotation
        self.shown = without_secret(address)
        self.interval_s = 1.0 / fps
        self._av = load_av()

    def open(self) -> StreamCamera:
        """See CameraSource.open. `WatchedCamera` retries a camera that does not answer yet."""
        return StreamCamera(
            self._av,
            self._address,
            shown=self.shown,
            clock=self._clock,
            stall_s=self._stall_s,
            rotation=self._rotation,
        )


class StreamCamera:
    """One open stream; see hw.camera.Camera."""

    def __init__(
        self, av: Any, address: str, *, shown: str, clock: Clock, stall_s: float, rotation: int = 0
    ) -> None:
        self._av, self._shown, self._clock, self._stall_s = av, shown, clock, stall_s
        self._upside_down = rotation == 180
        self._sequence = -1
        try:
            self._container: Any = av.open(
                address, mode="r", timeout=(OPEN_S, stall_s), options={"rtsp_transport": "tcp"}
            )
            stream = self._container.streams.video[0]
        except (av.FFmpegError, OSError) as error:
            raise PartFailedError(f"{shown}: cannot be opened ({_reason(error)})") from None
        except IndexError:
            self.close()
            raise PartFailedError(f"{shown}: has no video") from None
        stream.thread_type = "SLICE"  # frame threads would delay frames
        self._frames = self._decoded(stream)

    @contextmanager
    def borrow(self) -> Iterator[Frame]:
        """See Camera.borrow."""
        if self._container is None:
            raise PartFailedError(f"{self._shown}: closed")
        frame = next(self._frames, None)
        if frame is None:
            raise PartFailedError(f"{self._shown}: the camera ended the stream")
        self._sequence += 1
        if isinstance(frame, str):
            raise BrokenFrameError(self._shown, frame)
        if frame.is_corrupt:
            raise BrokenFrameError(self._shown, "a frame with concealed errors")
        now = self._clock.now()
        planes = planes_of(frame).upside_down() if self._upside_down else planes_of(frame)
        yield Frame(
            luma=planes.luma,
            chroma=planes.chroma,
            lores=None,
            sequence=self._sequence,
            captured=now.shifted(0, more_error_us=DELAY_US),
            exposure_us=None,
            gain=None,
            source=self._shown,
        )

    def close(self) -> None:
        """See Camera.close."""
        container, self._container = getattr(self, "_container", None), None
        if container is not None:
            container.close()

    def _decoded(self, stream: Any) -> Iterator[Any]:
        """Yield frames, or a text that says what is wrong with one."""
        try:
            yield from decoded(self._container.demux(stream), self._av)
        except self._av.error.ExitError:
            raise CameraStalledError(f"{self._shown}: no frame for {self._stall_s:g} s") from None
        except (self._av.FFmpegError, OSError) as error:
            raise PartFailedError(f"{self._shown}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """The library's message without the address that it quotes."""
    words = getattr(error, "strerror", None) or type(error).__name__
    return (
        f"{words}; is the camera's name and password right?" if "Unauthorized" in str(words) else str(words)
    )
