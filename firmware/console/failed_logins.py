"""The failed logins of a unit's consoles, in a file of the home; `storage.lockout` decides when they lock.

The lock applies to everyone at every console of the unit, and survives a restart.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
from collections.abc import Callable
from pathlib import Path

from firmware.console.errors import LockedOutError
from storage import files
from storage.clock_trust import boot_id
from storage.errors import StorageError
from storage.lockout import CJIS
from storage.times import MINUTE_US, SECOND_US


class FailedLogins:
    """Counts failures by CLOCK_BOOTTIME, which no console command can step.

    That clock starts over with the machine. So after a restart the newest failure counts as happening now,
    and the others keep their distance from it: cutting the power never shortens a lock.
    """

    def __init__(self, path: Path | None, running_s: Callable[[], float], boot: str | None = None) -> None:
        """`path`: None keeps the count in memory only; `running_s`: seconds since the machine started."""
        self._path, self._running_s, self._boot = path, running_s, boot if boot is not None else boot_id()
        # Held from check to count, so that several lines together get no more tries than one.
        self.turn = threading.RLock()
        self._failures_us = self._load()

    def check(self) -> None:
        """Raise LockedOutError while the consoles are locked."""
        left_us = CJIS.locked_until_us(self._failures_us) - self._now_us()
        if left_us > 0:
            raise LockedOutError(
                f"locked after {CJIS.attempts} failed logins: {math.ceil(left_us / MINUTE_US)} min left"
            )

    def failed(self) -> bool:
        """Count a failed login; True if it locked the consoles."""
        now_us = self._now_us()
        self._failures_us = [*CJIS.worth_keeping(self._failures_us, now_us), now_us]
        self._save()
        return CJIS.locked(self._failures_us, now_us)

    def succeeded(self) -> None:
        """Clear the count after a good login."""
        if self._failures_us:
            self._failures_us = []
            self._save()

    def _now_us(self) -> int:
        return round(self._running_s() * SECOND_US)

    def _load(self) -> list[int]:
        if self._path is None or not self._path.exists():
            return []
        now_us = self._now_us()
        try:
            stored = json.loads(files.read_bounded(self._path, 4096))
            failures_us = [round(float(at) * SECOND_US) for at in stored["failures"]]
            if stored["boot"] != self._boot:
                newest_us = max(failures_us, default=now_us)
                return [at_us + now_us - newest_us for at_us in failures_us]
            return [min(at_us, now_us) for at_us in failures_us]
        except (OSError, ValueError, OverflowError, KeyError, TypeError, RecursionError, StorageError):
            return [now_us] * CJIS.attempts  # a damaged file counts as the worst case and locks

    def _save(self) -> None:
        with contextlib.suppress(OSError):  # on a full disk, the count is only in memory
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        state = {"boot": self._boot, "failures": [at_us / SECOND_US for at_us in self._failures_us]}
        files.replace(self._path, json.dumps(state).encode())
