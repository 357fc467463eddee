"""Limits how fast one address may try to log in, at the desk and at the page in the car. No I/O."""

from __future__ import annotations

from collections import OrderedDict

from storage.times import MINUTE_US

A_MINUTE = 30  # enough for a station's morning shift behind one address
BURST = 60


class LogonPace:
    """A budget for each address that refills with time. The owner must hold a lock."""

    def __init__(self, remembered: int) -> None:
        """remembered: how many addresses to keep; the least recent one is forgotten first."""
        self._remembered = remembered
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def spend(self, place: str, now_us: int) -> bool:
        """Count one attempt; False if the budget is spent."""
        left, at_us = self._left.pop(place, (float(BURST), now_us))
        left = min(float(BURST), left + max(0, now_us - at_us) / MINUTE_US * A_MINUTE)
        self._left[place] = (max(0.0, left - 1), now_us)
        if len(self._left) > self._remembered:
            self._left.popitem(last=False)
        return left >= 1
