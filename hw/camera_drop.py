"""A drop folder: reads pictures that another program puts there, and removes them.

Promises: a file that is still being written is left until it is complete. A picture is removed once it is
read, since files in a folder are neither sealed nor purged; an unreadable one stays, renamed .broken. A file
is named .reading while it is read: if it ends the reader (out of memory, a power cut), it is read once more,
and becomes .broken if that fails the same way. Then it is named .held until its frame is taken; if the
reader ends first, it gets its old name back, but never replaces a newer file of that name. A picture's time
is the modification time of its file, which the sender can set; the error bound extends to the time of
arrival, which the sender cannot set.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hw.camera import Frame
from hw.clock import Clock, system_us
from hw.errors import BrokenFrameError, EndOfSourceError, NoSuchSourceError, PartFailedError
from hw.picture_file import Planes, is_picture, load_planes, natural_order

LOOK_S = 0.2
SETTLED_S = 0.5  # a file that has not changed for this long is whole ...
PAUSE_S = 10.0  # ... but if it looks cut off, its sender may be pausing, for at most this long
QUIET_S = 3600.0  # without a picture before the folder counts as blind
ERROR_US = 2_000_000  # of a file's time
LONGEST = 220  # of a name, in bytes: a suffix is added while its picture is read, and the limit is 255
READING, HELD, BROKEN, AGAIN = ".reading", ".held", ".broken", "again."
KEPT = f"kept under a name that ends in {BROKEN}"  # a reason is logged, and a name may be a plate


class DropFolder:
    """Opens the folder any number of times. Raises NoSuchSourceError."""

    live = True
    waits = True  # a picture can wait in its folder until it can be read and stored
    interval_s = QUIET_S / 3  # pictures may come at any time: a pause is not a stall

    def __init__(self, folder: Path, *, clock: Clock, rotation: int = 0) -> None:
        if not folder.is_dir():
            raise NoSuchSourceError(f"{folder}: no such folder to watch")
        self.folder, self.clock, self.rotation = folder, clock, rotation  # degrees, 0 or 180
        self.sequence = 0

    def open(self) -> DropCamera:
        """See CameraSource.open."""
        return DropCamera(self, self._left_over())

    def _left_over(self) -> list[str]:
        """Rename back the files that the reader left when it ended; return those that ended it twice."""
        twice = []
        for path in self._called(HELD):
            with contextlib.suppress(OSError, ValueError):  # too long, or "..held": not one of ours
                _put_back(path, path.name.removesuffix(HELD))
        for path in self._called(READING):
            name = path.name.removesuffix(READING)
            with contextlib.suppress(OSError, ValueError):
                if name.startswith(AGAIN):
                    path.rename(path.with_name(name + BROKEN))
                    twice.append(name)
                else:
                    _put_back(path, AGAIN + name)
        return twice

    def _called(self, end: str) -> list[Path]:
        """Files with this ending after a name; none if the folder is missing, which `borrow` reports."""
        with contextlib.suppress(OSError):
            return sorted(path for path in self.folder.glob(f"*{end}") if path.name != end)
        return []


class DropCamera:
    """Takes pictures out of one folder, oldest first; see hw.camera.Camera."""

    def __init__(self, source: DropFolder, twice: list[str]) -> None:
        self._source, self._twice = source, twice
        self._closed = threading.Event()
        self._seen: dict[Path, tuple[int, int, float]] = {}  # size, change time, unchanged since
        self._cut: dict[Path, tuple[int, int]] = {}  # size and change time when it looked cut off

    @contextmanager
    def borrow(self) -> Iterator[Frame]:
        """See Camera.borrow. Waits for a picture as long as it takes."""
        if self._twice:
            name = self._twice.pop()
            raise BrokenFrameError(name, f"ended the reader twice while it was read; {KEPT}")
        source = self._source
        source.sequence += 1
        while (taken := self._taken(self._next())) is None:
            continue
        held, (taken_us, error_us), planes = taken
        now = source.clock.now()
        ago_us = max(0, system_us() - taken_us)
        frame = Frame(
            luma=planes.luma,
            chroma=planes.chroma,
            lores=None,
            sequence=source.sequence,
            captured=now.shifted(-ago_us, more_error_us=error_us),
            exposure_us=None,
            gain=None,
            source=source.folder.name,
        )
        try:
            yield frame
        except EndOfSourceError:  # nothing consumed it
            with contextlib.suppress(OSError):
                _put_back(held, held.name.removesuffix(HELD))
            raise
        except BaseException:  # such as MemoryError: the next opening reads it once more
            with contextlib.suppress(OSError):
                held.rename(held.with_name(held.name.removesuffix(HELD) + READING))
            raise
        with contextlib.suppress(FileNotFoundError):
            held.unlink()

    def close(self) -> None:
        """See Camera.close."""
        self._closed.set()

    def _taken(self, path: Path) -> tuple[Path, tuple[int, int], Planes] | None:
        """The renamed file, its time and error (us), and its planes; None if its sender may be pausing."""
        given, path = path, path.with_name(_short(path.name))
        reading = path.with_name(path.name + READING)
        try:
            dated = _dated(given)
            given.rename(reading)
            planes = load_planes(reading)
            if self._source.rotation == 180:
                planes = planes.upside_down()
            _keep_date(reading, dated[0])
            return reading.rename(path.with_name(path.name + HELD)), dated, planes
        except FileNotFoundError:
            raise BrokenFrameError(path.name, "was removed before it was read") from None
        except BrokenFrameError as error:
            size, changed_ns, since_s = self._seen[given]
            if time.monotonic() - since_s < PAUSE_S:
                self._cut[path] = (size, changed_ns)
                with contextlib.suppress(OSError):
                    _put_back(reading, path.name)
                return None
            with contextlib.suppress(OSError):
                reading.rename(path.with_name(path.name + BROKEN))
            raise BrokenFrameError(path.name, f"{error.reason}; {KEPT}") from error
        except OSError as error:  # this user may not write in the folder
            raise PartFailedError(f"{self._source.folder}: {error.strerror}") from error

    def _next(self) -> Path:
        while not self._closed.is_set():
            for path in self._settled():
                return path
            self._closed.wait(LOOK_S)
        raise EndOfSourceError(f"{self._source.folder}: closed")

    def _settled(self) -> list[Path]:
        """Pictures that are whole, oldest first. Raises PartFailedError if the folder is gone."""
        now_s, found = time.monotonic(), {}
        try:
            for path in self._source.folder.iterdir():
                if is_picture(path):
                    with contextlib.suppress(FileNotFoundError):
                        about = path.stat()
                        before = self._seen.get(path)
                        same = before is not None and before[:2] == (about.st_size, about.st_mtime_ns)
                        since_s = before[2] if before is not None and same else now_s
                        found[path] = (about.st_size, about.st_mtime_ns, since_s)
        except OSError as error:
            raise PartFailedError(f"{self._source.folder}: {error.strerror}") from error
        self._seen = found
        self._cut = {path: seen for path, seen in self._cut.items() if found.get(path, ())[:2] == seen}
        whole = [
            path
            for path, (_, _, since_s) in found.items()
            if now_s - since_s >= (PAUSE_S if path in self._cut else SETTLED_S)
        ]
        return sorted(whole, key=lambda path: (found[path][1], natural_order(path)))


def _short(name: str) -> str:
    """The name, or a hash in its place if the name with a suffix would be too long for a file system."""
    if len(os.fsencode(name)) <= LONGEST:
        return name
    again = AGAIN if name.startswith(AGAIN) else ""  # keep the mark of a file that ended the reader
    return f"{again}{hashlib.sha256(os.fsencode(name)).hexdigest()}{Path(name).suffix}"


def _dated(path: Path) -> tuple[int, int]:
    """When a picture was taken, and the error of that, in us. Call before renaming, which changes the inode.

    Pictures that come late, after an outage, keep their order and the time between them.
    """
    about = path.stat()
    own_us, came_us = about.st_mtime_ns // 1000, about.st_ctime_ns // 1000
    if own_us > came_us:
        return came_us, ERROR_US
    return own_us, ERROR_US + came_us - own_us


def _keep_date(path: Path, taken_us: int) -> None:
    """Date a file from the future by its time of arrival, which the file system forgets on a rename."""
    if path.stat().st_mtime_ns // 1000 <= taken_us:
        return
    moment = (taken_us * 1000, taken_us * 1000)
    copy = path.with_name(f".{path.name}")
    try:
        os.utime(path, ns=moment)
    except PermissionError:  # another user's file
        with contextlib.suppress(OSError):  # a full disk
            shutil.copyfile(path, copy)
            os.utime(copy, ns=moment)
            copy.rename(path)
        copy.unlink(missing_ok=True)


def _put_back(path: Path, name: str) -> None:
    """Rename a file back to `name`, or to a similar free name if its sender sent another of that name."""
    for number in itertools.count():
        whole = Path(name)
        back = path.with_name(f"{whole.stem}.{number}{whole.suffix}" if number else name)
        try:
            os.link(path, back)  # unlike a rename, never replaces a file
        except FileExistsError:
            continue
        except OSError:  # a file system without links, or another user's file
            if back.exists():
                continue
            path.rename(back)
        else:
            path.unlink()
        return
