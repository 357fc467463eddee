"""One alert a vehicle and visit: a parked or passing car raises one; later reads are sightings. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from storage.times import MINUTE_US

EPISODE_US = 15 * MINUTE_US  # unseen for so long, the next read is a new visit
MOST = 10_000
T = TypeVar("T")


@dataclass(slots=True)
class _Visit:
    alert: int
    last_us: int
    sounds: bool


@dataclass(slots=True)
class Episodes:
    """Alerts by what is wanted. One thread at a time."""

    _last: OrderedDict[Hashable, _Visit] = field(default_factory=OrderedDict)
    _settled: OrderedDict[Hashable, int] = field(default_factory=OrderedDict)

    def ongoing(self, wanted: Hashable, at_us: int, *, sounds: bool) -> int | None:
        """The alert of which a read at `at_us` is another sighting; None for a new visit.

        A match that sounds is no sighting of an alert that was listed silently: that one woke no one.
        """
        found = self._last.get(wanted)
        if found is None or abs(at_us - found.last_us) > EPISODE_US or (sounds and not found.sounds):
            return None
        found.last_us = max(found.last_us, at_us)
        self._last.move_to_end(wanted)
        return found.alert

    def begin(self, wanted: Hashable, alert: int, at_us: int, *, sounds: bool) -> None:
        """Remember a new alert."""
        _keep(self._last, wanted, _Visit(alert, at_us, sounds))

    def end(self, wanted: Hashable) -> None:
        """The next read is a new visit."""
        self._last.pop(wanted, None)

    def settle(self, wanted: Hashable, at_us: int) -> None:
        """End the visit: a person looked, and the vehicle is not the one that is wanted."""
        self.end(wanted)
        _keep(self._settled, wanted, at_us)

    def settled(self, wanted: Hashable, at_us: int) -> bool:
        """Whether that was a moment ago: the read is probably of the same vehicle. No read prolongs it."""
        settled_us = self._settled.get(wanted)
        return settled_us is not None and abs(at_us - settled_us) <= EPISODE_US


def _keep(kept: OrderedDict[Hashable, T], name: Hashable, value: T) -> None:
    kept[name] = value
    kept.move_to_end(name)
    while len(kept) > MOST:
        kept.popitem(last=False)
