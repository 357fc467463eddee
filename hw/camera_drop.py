"""A drop folder: pictures that another program puts there are read as they come, and taken out.

Promise: a file that is still being written is waited for. What was read is removed, since what is in a
folder is neither sealed nor purged; an unreadable file stays, renamed .broken. While a file is read it is
called .reading: one that ends the reader itself, by its memory or a power cut, is read once more, and is
.broken if that ends the same way. Then it is .held until it is taken, and is put back if the reader ends
first; never over another that its sender gave the same name. A picture is dated by its file's time, which
its sender can set; the error reaches to when it came, which no sender sets.
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
SETTLED_S = 0.5  # a file that has not changed for so long is whole ...
PAUSE_S = 10.0  # ... or, if it looks cut off, its sender pauses, at most for so long
QUIET_S = 3600.0  # without a picture before the folder counts as blind
ERROR_US = 2_000_000  # of a file's time
LONGEST = 220  # of a name, in bytes: it is prolonged while its picture is read, and 255 is the most
READING, HELD, BROKEN, AGAIN = ".reading", ".held", ".broken", "again."
KEPT = f"kept under a name that ends in {BROKEN}"  # a reason is logged, and a name may be a plate


class DropFolder:
    """Opens the folder, as often as needed. Raises NoSuchSourceError."""

    live = True
    waits = True  # a picture can wait in its folder until it can be read and stored
    interval_s = QUIET_S / 3  # pictures may come at any time: none is no stall

    def __init__(self, folder: Path, *, clock: Clock, rotation: int = 0) -> None:
        if not folder.is_dir():
            raise NoSuchSourceError(f"{folder}: no such folder to watch")
        self.folder, self.clock, self.rotation = folder, clock, rotation  # degrees, 0 or 180
        self.sequence = 0

    def open(self) -> DropCamera:
        """See CameraSource.open."""
        return DropCamera(self, self._left_over())

    def _left_over(self) -> list[str]:
        """Put back what was read or held when the reader ended; the files that ended it twice."""
        twice = []
        for path in self._called(HELD):
            with contextlib.suppress(OSError, ValueError):  # a name too long, or "..held": no file of ours
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
        """Files whose names end this way and have more than the ending. A missing folder is reported when it
        is read."""
        with contextlib.suppress(OSError):
            return sorted(path for path in self.folder.glob(f"*{end}") if path.name != end)
        return []


class DropCamera:
    """Takes pictures out of one folder, the oldest first; see hw.camera.Camera."""

    def __init__(self, source: DropFolder, twice: list[str]) -> None:
        self._source, self._twice = source, twice
        self._closed = threading.Event()
        self._seen: dict[Path, tuple[int, int, float]] = {}  # size, change time, since when so
        self._cut: dict[Path, tuple[int, int]] = {}  # as which it looked cut off

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
        except BaseException:  # as no memory for it: the next opening reads it once more
            with contextlib.suppress(OSError):
                held.rename(held.with_name(held.name.removesuffix(HELD) + READING))
            raise
        with contextlib.suppress(FileNotFoundError):
            held.unlink()

    def close(self) -> None:
        """See Camera.close."""
        self._closed.set()

    def _taken(self, path: Path) -> tuple[Path, tuple[int, int], Planes] | None:
        """Where the picture is meanwhile, its time and error, and itself; None if its sender may pause."""
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
        except OSError as error:  # a folder that this user may not write in
            raise PartFailedError(f"{self._source.folder}: {error.strerror}") from error

    def _next(self) -> Path:
        while not self._closed.is_set():
            for path in self._settled():
                return path
            self._closed.wait(LOOK_S)
        raise EndOfSourceError(f"{self._source.folder}: closed")

    def _settled(self) -> list[Path]:
        """Pictures that are whole, the oldest first. Raises PartFailedError for a folder that is gone."""
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
    """The name, or, where none of its later names would be one that a file system takes, a shorter one."""
    if len(os.fsencode(name)) <= LONGEST:
        return name
    again = AGAIN if name.startswith(AGAIN) else ""  # one that ended the reader stays known
    return f"{again}{hashlib.sha256(os.fsencode(name)).hexdigest()}{Path(name).suffix}"


def _dated(path: Path) -> tuple[int, int]:
    """When a picture was taken, and the error of that, in us. Before it is renamed, which changes its inode.

    Pictures that come late, after an outage, keep their order and the time between them.
    """
    about = path.stat()
    own_us, came_us = about.st_mtime_ns // 1000, about.st_ctime_ns // 1000
    if own_us > came_us:
        return came_us, ERROR_US
    return own_us, ERROR_US + came_us - own_us


def _keep_date(path: Path, taken_us: int) -> None:
    """Date a file from the future by when it came, which the file system forgets when it is renamed."""
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
    """Call a file `name` again, or, if its sender sent another by that name, a name like it that is free."""
    for number in itertools.count():
        whole = Path(name)
        back = path.with_name(f"{whole.stem}.{number}{whole.suffix}" if number else name)
        try:
            os.link(path, back)  # unlike renaming, replaces nothing
        except FileExistsError:
            continue
        except OSError:  # a file system without links, or another user's file
            if back.exists():
                continue
            path.rename(back)
        else:
            path.unlink()
        return
