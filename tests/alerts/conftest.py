"""The custody fixtures and a car with its page, for the tests of this folder."""

from __future__ import annotations

from board_twins import make_car
from car_page import car
from custody_twins import door, home, ledger, reopen, slot, time

__all__ = ["car", "door", "home", "ledger", "make_car", "reopen", "slot", "time"]
