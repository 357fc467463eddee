"""Five failed logins lock everybody out for 15 minutes, over a restart too. A file of the home, or memory.

Source: FBI CJIS Security Policy, unsuccessful logon attempts.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

from firmware.console.errors import LockedOutError

FAILURES_LIMIT = 5
WINDOW_S = 15 * 60.0
LOCKED_S = 15 * 60.0


def boot_id() -> str:
    """Distinguishes this start of the machine from the last one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


class Lockout:
    """Counts failures on CLOCK_BOOTTIME, which no console command can step. After a restart what was counted
    before counts as of now: pulling the power never shortens a lock."""

    def __init__(self, path: Path | None, running_s: Callable[[], float], boot: str | None = None) -> None:
        self._path, self._running_s, self._boot = path, running_s, boot if boot is not None else boot_id()
        # Held from the check to the count, so that several lines together get no more tries than one.
        self.turn = threading.RLock()
        self._failures: list[float] = []
        self._locked_at: float | None = None
        self._load()

    def check(self) -> None:
        """Raises LockedOutError while the lock holds."""
        now_s = self._running_s()
        if self._locked_at is not None:
            left_s = self._locked_at + LOCKED_S - now_s
            if left_s > 0:
                raise LockedOutError(
                    f"locked after {FAILURES_LIMIT} failed logins: {left_s / 60:.0f} min left"
                )
            self._locked_at, self._failures = None, []
            self._save()

    def failed(self) -> bool:
        """Count a failed login; True when it locked the console."""
        now_s = self._running_s()
        self._failures = [at for at in self._failures if now_s - at < WINDOW_S] + [now_s]
        if len(self._failures) >= FAILURES_LIMIT:
            self._locked_at = now_s
        self._save()
        return self._locked_at is not None

    def succeeded(self) -> None:
        """A good login clears the count."""
        if self._failures:
            self._failures = []
            self._save()

    def _load(self) -> None:
        if self._path is None or not self._path.exists():
            return
        now_s = self._running_s()
        try:
            held = json.loads(self._path.read_text(encoding="ascii")[:4096])
            same = held["boot"] == self._boot
            failures = [min(float(at), now_s) if same else now_s for at in held["failures"]][-FAILURES_LIMIT:]
            locked = held["locked_at"]
            self._failures = failures
            self._locked_at = None if locked is None else min(float(locked), now_s) if same else now_s
        except (OSError, ValueError, KeyError, TypeError):
            self._locked_at = now_s  # a counter that a person damaged counts as the worst that it could say

    def _save(self) -> None:
        with contextlib.suppress(OSError):  # a full disk forgets at a restart; until then the memory counts
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        state = {"boot": self._boot, "failures": self._failures, "locked_at": self._locked_at}
        fresh = self._path.with_suffix(".new")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(fd, json.dumps(state).encode())
            os.fsync(fd)
        finally:
            os.close(fd)
        fresh.replace(self._path)
