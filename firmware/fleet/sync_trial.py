"""Sync settings that the department sent are on trial until a conversation succeeds with them.

A missing network, or mains power that the unit does not have, would cut it off for good: it would never
receive a better version. So the earlier settings are kept, and are restored if the unit runs for as long as
its schedule allows without a conversation. Only running time counts, over all runs: a car that is parked for
a week has tried nothing, and no clock can interfere.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from firmware.settings.config import SyncSettings
from storage import files
from storage.errors import LedgerError
from sync.membership import SyncFolder

MOST_BYTES = 65_536  # of the file of a trial, which this unit wrote
WRITE_EVERY_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Version `version` replaced `before` with `sent`; `ran_s`: running time since, in seconds."""

    version: int
    before: SyncSettings
    sent: SyncSettings
    ran_s: float = 0.0

    @property
    def lapsed(self) -> bool:
        """Whether the unit has run for too long without a conversation."""
        return self.ran_s >= self.sent.late_after_s

    def returns_to(self) -> SyncSettings:
        """The earlier settings, with the sent networks added, since one of these may become available."""
        if not (self.before.networks and self.sent.networks):
            return self.before
        return replace(self.before, networks=f"{self.before.networks}, {self.sent.networks}")


def begin(folder: SyncFolder, trial: Trial) -> None:
    """Keep a trial. It replaces an earlier one, but keeps that one's settings to return to."""
    known = read(folder)
    if known is not None:
        trial = replace(trial, before=known.before)
    files.replace(_path(folder), json.dumps(asdict(trial)).encode())


def read(folder: SyncFolder) -> Trial | None:
    """The current trial, or None; a damaged file counts as none."""
    try:
        raw: dict[str, Any] = json.loads(files.read_bounded(_path(folder), MOST_BYTES))
        before, sent = (SyncSettings(**raw.pop(name)) for name in ("before", "sent"))
        return Trial(before=before, sent=sent, **raw)
    except (OSError, LedgerError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def end(folder: SyncFolder) -> None:
    """End the trial: a conversation succeeded, or the earlier settings are restored."""
    with contextlib.suppress(OSError):
        _path(folder).unlink(missing_ok=True)


class RunningTrial:
    """Counts the running time of a trial; a run's loop calls it at most once a second."""

    def __init__(self, folder: SyncFolder, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._monotonic = folder, monotonic
        self._trial = read(folder)
        self._since_s = monotonic()

    def passed(self) -> None:
        """End the trial because a conversation succeeded."""
        if self._trial is not None:
            self._trial = None
            end(self._folder)

    def lapses(self) -> bool:
        """Whether the earlier settings must be restored."""
        trial, elapsed_s = self._trial, self._monotonic() - self._since_s
        if trial is None:
            return False
        counted = replace(trial, ran_s=trial.ran_s + elapsed_s)
        if counted.lapsed or elapsed_s >= WRITE_EVERY_S:
            self._trial, self._since_s = counted, self._since_s + elapsed_s
            with contextlib.suppress(OSError):  # a full disk: written once there is room
                files.replace(_path(self._folder), json.dumps(asdict(counted)).encode())
        return counted.lapsed


def _path(folder: SyncFolder) -> Path:
    return folder.path / "configuration.trial"
