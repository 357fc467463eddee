"""A video file as luma and chroma planes with stream times, through PyAV; skipped bad packets are named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.errors import BrokenFrameError, MissingDriverError, NoSuchSourceError
from hw.picture_file import Planes

_GREY = frozenset({"gray", "gray10le", "gray12le"})
_QUARTER_TURN = 90
EARLY_US = 500_000  # a whole video may end this much earlier than its container says
GAP_US = 300_000


def load_av() -> Any:
    """PyAV. Raises MissingDriverError naming the extra."""
    try:
        import av  # noqa: PLC0415 - a large library, needed for videos only
    except ImportError as error:
        raise MissingDriverError(
            "PyAV not found: install the 'video' extra (pip install 'alpr-reader[video]'), "
            "or give a folder of JPEG or PNG files"
        ) from error
    return av


class VideoFile:
    """A video that can be played from any frame."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._av = load_av()
        with self._open() as container:
            if not container.streams.video:
                raise NoSuchSourceError(f"{path}: no video stream in it")
            stream = container.streams.video[0]
            self.frame_us = _frame_us(stream)
            self._constant = stream.average_rate is not None and stream.average_rate == stream.base_rate
            self.duration_us = _duration_us(container, stream, self.frame_us)

    def play(self, start: int) -> Iterator[tuple[str, int, Planes | BrokenFrameError]]:
        """Yield (name, stream time in us, picture or its error), starting at frame number `start`."""
        number, last_us = 0, -self.frame_us
        first_us: int | None = None
        for frame in self._frames():
            name = f"{self.path.name} frame {number}"
            if isinstance(frame, str):
                if number >= start:
                    yield name, last_us + self.frame_us, BrokenFrameError(name, frame)
                number += 1
                continue
            at_us = last_us + self.frame_us if frame.time is None else round(frame.time * 1e6)
            missing = self._missing_before(at_us - last_us) if first_us is not None else 0
            first_us = at_us if first_us is None else first_us
            if missing and number >= start:
                reason = f"{missing} frames before it are missing: the file is damaged"
                yield name, at_us - first_us, BrokenFrameError(name, reason)
            last_us = at_us
            if number >= start:
                broken = BrokenFrameError(name, "is damaged: parts of it are made up")
                yield name, at_us - first_us, broken if frame.is_corrupt else planes_of(frame)
            number += 1
        played_us = 0 if first_us is None else last_us - first_us + self.frame_us
        if self.duration_us - played_us > EARLY_US:
            whole_s = self.duration_us / 1e6
            why = f"ends after {played_us / 1e6:.1f} s of {whole_s:.1f}: it is cut off or damaged"
            yield f"{self.path.name} end", max(played_us, 0), BrokenFrameError(self.path.name, why)

    def _frames(self) -> Iterator[Any]:
        """Yield decoded frames, or a text that says what is wrong with one."""
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"  # one frame in, one frame out: memory use stays constant
            try:
                yield from decoded(container.demux(stream), self._av)
            except self._av.FFmpegError as error:
                yield f"cannot be read further ({type(error).__name__})"

    def _missing_before(self, gap_us: int) -> int:
        """How many frames a video of constant rate lacks in a gap; a variable rate has gaps of its own."""
        return max(0, round(gap_us / self.frame_us) - 1) if self._constant and gap_us > GAP_US else 0

    def _open(self) -> Any:
        try:
            return self._av.open(str(self.path), mode="r")
        except self._av.FFmpegError as error:
            raise NoSuchSourceError(
                f"{self.path}: not a video that can be opened ({type(error).__name__})"
            ) from error


def decoded(packets: Iterable[Any], av: Any) -> Iterator[Any]:
    """Yield the packets' frames, or a text for one that does not decode. Raises av.FFmpegError."""
    for packet in packets:
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            yield f"does not decode ({type(error).__name__})"
            continue
        yield from frames


def _frame_us(stream: Any) -> int:
    rate = stream.average_rate or stream.guessed_rate
    return round(1e6 / float(rate)) if rate else 40_000


def _duration_us(container: Any, stream: Any, frame_us: int) -> int:
    if stream.duration is not None and stream.time_base is not None:
        return round(float(stream.duration * stream.time_base) * 1e6)
    if container.duration is not None:
        return int(container.duration)  # already microseconds
    return int(stream.frames) * frame_us


def planes_of(frame: Any) -> Planes:
    """A decoded frame's planes, full range, upright. frame: av.VideoFrame."""
    turns = (round(frame.rotation / _QUARTER_TURN) if getattr(frame, "rotation", 0) else 0) % 4
    if frame.format.name in _GREY:
        gray = frame.to_ndarray(format="gray")
        return Planes(luma=_turned(gray, turns), chroma=None)
    whole = frame.reformat(format="yuv420p", dst_color_range="JPEG")
    luma, blue, red = (_plane(plane) for plane in whole.planes)
    return Planes(luma=_turned(luma, turns), chroma=(_turned(blue, turns), _turned(red, turns)))


def _plane(plane: Any) -> NDArray[np.uint8]:
    rows = np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width].copy()


def _turned(plane: NDArray[np.uint8], turns: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.rot90(plane, turns)) if turns else plane
