"""The custody fixtures, for the tests of this folder."""

from __future__ import annotations

from attacked_unit import original, unit
from custody_twins import door, home, ledger, reopen, slot, time

__all__ = ["door", "home", "ledger", "original", "reopen", "slot", "time", "unit"]
