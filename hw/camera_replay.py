"""The camera's twin: a folder of pictures or a video, at its own pace or as fast as it is read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from hw.camera import Frame
from hw.clock import Clock
from hw.errors import BrokenFrameError, EndOfSourceError, NoSuchSourceError
from hw.picture_file import READ, Planes, is_picture, load_planes, natural_order
from hw.video_file import VideoFile

ROUND_GAP_US = 2_500_000  # between rounds, so that the last pass ends; below the shortest stall_s

KINDS = "camera, camera:0 to camera:9, rtsp://..., drop:FOLDER, a folder of pictures, or a video file"
NAMED = 5  # files that a note names
BESIDE = frozenset({".json", ".txt", ".md", ".csv", ".xml", ".sha256"})  # files beside pictures


class Reel(Protocol):
    """Pictures in order, playable from any frame number."""

    frame_us: int
    duration_us: int

    def play(self, start: int) -> Iterator[tuple[str, int, Planes | BrokenFrameError]]:
        """Yield (name, stream time in us, picture or its error), starting at frame number `start`."""


class FolderReel:
    """The JPEG, PNG and WebP files of one folder, in natural order of their names.

    If all pictures are in one inner folder, that folder is read. notes: what is not read.
    """

    def __init__(self, folder: Path, fps: float) -> None:
        self._files = _pictures_in(folder)
        if not self._files:
            inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and _pictures_in(path)]
            if len(inside) != 1:
                hint = f" (did you mean {inside[0]}?)" if inside else ""
                raise NoSuchSourceError(f"{folder}: no {READ} file in it{hint}")
            folder = inside[0]
            self._files = _pictures_in(folder)
        self.notes = _not_read(folder)
        self.frame_us = round(1e6 / fps)
        self.duration_us = len(self._files) * self.frame_us

    def play(self, start: int) -> Iterator[tuple[str, int, Planes | BrokenFrameError]]:
        """See Reel.play."""
        for number, path in enumerate(self._files[start:], start):
            picture: Planes | BrokenFrameError
            try:
                picture = load_planes(path)
            except BrokenFrameError as error:
                picture = error
            yield path.name, number * self.frame_us, picture


def _not_read(folder: Path) -> tuple[str, ...]:
    """One line for each kind of file that is not read; hidden files are ignored."""
    seen = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    others = [path for path in seen if not is_picture(path) and path.suffix.lower() not in BESIDE]
    folders = [path.name for path in others if path.is_dir()]
    files = [path.name for path in others if not path.is_dir()]
    lines = []
    for what, names in ((f"no {READ}", files), ("a folder in the folder", folders)):
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            lines.append(f"not read, {what}: {', '.join(names[:NAMED])}{more}")
    return tuple(lines)


def _pictures_in(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if is_picture(path)), key=natural_order)


class ReplaySource:
    """Opens the replay, and after a stall reopens it where it stopped.

    live: at the source's pace (a slow reader drops frames), else as fast as it is read.
    rounds: how often it is played; None plays forever. Raises NoSuchSourceError, MissingDriverError.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        fps: float = 10.0,
        live: bool = False,
        rounds: int | None = 1,
        rotation: int = 0,
    ) -> None:
        self.notes: tuple[str, ...] = ()
        self.reel: Reel
        if path.is_dir():
            self.reel = folder = FolderReel(path, fps)
            self.notes = folder.notes
        elif path.is_file():
            self.reel = VideoFile(path)
        elif path.exists():
            raise NoSuchSourceError(
                f"{path}: a pipe or a device (a USB camera, say) cannot be read: a source is {KINDS}"
            )
        else:
            raise NoSuchSourceError(f"{path}: no such folder or video: a source is {KINDS}")
        self.name = path.name
        self.live = live
        self.interval_s = self.reel.frame_us / 1e6 if live else 0.0
        self.clock = clock
        self.rounds = rounds
        self.rotation = rotation  # degrees, 0 or 180
        self.played = 0  # whole rounds so far
        self.number = 0  # next frame of this round
        self.sequence = 0  # next frame since the first open
        self.zero_us: int | None = None  # UTC of this round's stream time 0
        self.last_us = 0

    def open(self) -> ReplayCamera:
        """See CameraSource.open."""
        if self.live:
            self.zero_us = None  # time has passed since the last frame
        return ReplayCamera(self)


class ReplayCamera:
    """Plays one reel; see hw.camera.Camera."""

    def __init__(self, source: ReplaySource) -> None:
        self._source = source
        self._pictures: Iterator[tuple[str, int, Planes | BrokenFrameError]] | None = None
        self._due_s = 0.0  # monotonic time of stream time 0, for the source's pace
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[Frame]:
        """See Camera.borrow."""
        yield self._next()

    def close(self) -> None:
        """See Camera.close."""
        self._closed = True
        self._pictures = None

    def _next(self) -> Frame:
        source = self._source
        while not self._closed:
            if self._pictures is None:
                self._pictures = source.reel.play(source.number)
            item = next(self._pictures, None)
            if item is not None:
                return self._frame_of(*item)
            self._pictures = None
            source.played += 1
            source.number = 0
            source.zero_us = None
            if source.rounds is not None and source.played >= source.rounds:
                self._closed = True
        raise EndOfSourceError(f"{source.name}: played to its end")

    def _frame_of(self, name: str, stream_us: int, picture: Planes | BrokenFrameError) -> Frame:
        source = self._source
        if source.zero_us is None:
            self._start_round(stream_us)
        if source.live:
            time.sleep(max(0.0, self._due_s + stream_us / 1e6 - time.monotonic()))
        source.number += 1
        source.sequence += 1
        if isinstance(picture, BrokenFrameError):
            raise picture
        if source.rotation == 180:
            picture = picture.upside_down()
        now = source.clock.now()
        source.last_us = (source.zero_us or 0) + stream_us
        return Frame(
            luma=picture.luma,
            chroma=picture.chroma,
            lores=None,
            sequence=source.sequence - 1,
            captured=now.shifted(source.last_us - now.us),
            exposure_us=None,
            gain=None,
            source=f"{source.name}/{name}",
        )

    def _start_round(self, stream_us: int) -> None:
        """Map stream time to UTC: if live, the current frame is now; otherwise the round ends now.

        If the clock of a live replay is set back, the times of its frames go back too.
        """
        source = self._source
        now_us = source.clock.now().us
        gap_us = ROUND_GAP_US if source.last_us and stream_us == 0 else 0
        if source.live:
            source.zero_us = now_us - stream_us + gap_us
        else:
            after_last_us = source.last_us + max(gap_us, 1) - stream_us if source.last_us else 0
            source.zero_us = max(now_us - source.reel.duration_us, after_last_us)
        self._due_s = time.monotonic() + (gap_us - stream_us) / 1e6
