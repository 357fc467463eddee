"""The running reader's newest health report in a file, for `reader status` and for syncs. Never a plate."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from firmware.health.report import HealthReport
from firmware.threads import working
from hw.clock import boottime_s
from storage import files
from storage.errors import LedgerError
from sync.health import Alarm

EVERY_S = 5.0
STALE_S = 20.0
SIZE_LIMIT = 64 * 1024
NAME = "health.json"
IN_MEMORY = (Path("/run/alpr"), Path("/dev/shm"))  # noqa: S108 - a private folder in it, its owner checked


def folders_of(home: Path) -> Iterator[Path]:
    """The folders in which a report may be: first one in memory, which does not wear out, then the home.

    The folder in memory belongs to the home's user and is named after the home; another user's is skipped.
    """
    owner = home.stat().st_uid
    name = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]
    for root in IN_MEMORY:
        folder = root / f"alpr-{owner}-{name}"
        with suppress(OSError):
            if root.is_dir() and os.access(root, os.W_OK) and owner == os.geteuid():
                folder.mkdir(mode=0o700, exist_ok=True)
            about = folder.lstat()
            if stat.S_ISDIR(about.st_mode) and about.st_uid == owner and not about.st_mode & 0o077:
                yield folder
    yield home


def path_of(home: Path) -> Path:
    """The file to which this home's reader writes its report."""
    return next(folders_of(home)) / NAME


def write_report(home: Path, report: HealthReport) -> None:
    """Replace the file; without fsync, since a report from before a power cut is useless."""
    facts = report.plain() | {"written_s": boottime_s()}
    files.replace(path_of(home), json.dumps(facts).encode(), lasts=False)


def newest_report(home: Path) -> HealthReport | None:
    """The running reader's report; None if no reader runs or the file is not a report."""
    try:
        found = [_read(folder / NAME) for folder in folders_of(home)]
    except OSError:
        return None
    return next((report for report in found if report is not None), None)


def _read(path: Path) -> HealthReport | None:
    try:
        held: dict[str, Any] = json.loads(files.read_bounded(path, SIZE_LIMIT))
        age_s = boottime_s() - float(held.pop("written_s"))
        if not 0 <= age_s <= STALE_S or set(held) != {field.name for field in fields(HealthReport)}:
            return None
        return HealthReport(**held | {"alarms": tuple(Alarm(name) for name in held["alarms"])})
    except (OSError, LedgerError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


@contextmanager
def reporting(
    home: Path,
    report: Callable[[], HealthReport],
    *,
    keep: Callable[[], None] = lambda: None,
    on_trouble: Callable[[str], None] = lambda _kind: None,
) -> Iterator[None]:
    """Write the report every few seconds during the `with`; the file is removed with the process.

    keep: called hourly and at the end, to save what outlives the process. on_trouble: called with the kind of
    error when reports begin to fail; they are retried, and nothing else ends.
    """
    failing: str | None = None

    def write() -> None:
        nonlocal failing
        kind: str | None = None
        try:
            write_report(home, report())
        except Exception as error:  # noqa: BLE001 - named, and tried again: a silent thread is a lost unit
            kind = type(error).__name__
        if kind is not None and kind != failing:
            on_trouble(kind)
        failing = kind

    def work(stop: threading.Event) -> None:
        beats = 0
        while not stop.wait(EVERY_S):
            beats += 1
            write()
            if beats % (3600 / EVERY_S) == 0:
                with suppress(OSError):
                    keep()

    write()
    try:
        with working("health", work):
            yield
    finally:
        with suppress(OSError):
            keep()
        with suppress(OSError):
            path = path_of(home)
            path.unlink(missing_ok=True)
            if path.parent != home:
                path.parent.rmdir()
