"""The clocks of a machine, set by a test."""

from __future__ import annotations

import pytest

from storage import damage


class MachineClocks:
    """The clocks of a machine, by which looks and starts are counted that the card ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.boot, self.running_s, self.clock_s = "first", 1_000_000, 1_800_000_000
        monkeypatch.setattr(damage, "boot_id", lambda: self.boot)
        monkeypatch.setattr(damage, "boottime_us", lambda: self.running_s * 1_000_000)
        monkeypatch.setattr("storage.damage.time.time", lambda: self.clock_s)

    def runs(self, seconds: int) -> None:
        self.running_s += seconds
        self.clock_s += seconds

    def restarts(self, *, clock_s: int) -> None:
        """The machine starts again; all that this process remembered is gone."""
        self.boot, self.running_s, self.clock_s = f"{self.boot}+", 20, clock_s
        damage._KEPT.clear()
