"""One alert per vehicle and visit: the first read raises it, and later reads are sightings. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from storage.times import MINUTE_US

EPISODE_US = 15 * MINUTE_US  # after this long without a read, the next one is a new visit
MOST = 10_000
T = TypeVar("T")


@dataclass(slots=True)
class _Visit:
    alert: int
    last_us: int
    sounds: bool


class Wish(NamedTuple):
    """The list entry that wants a vehicle. Another entry may word the same subject differently."""

    list_id: str
    subject: Hashable
    entry_digest: bytes


@dataclass(slots=True)
class Episodes:
    """Alerts by the entry that wants the vehicle. Not thread-safe."""

    _last: OrderedDict[Wish, _Visit] = field(default_factory=OrderedDict)
    _settled: OrderedDict[Wish, int] = field(default_factory=OrderedDict)

    def reworded(self, wish: Wish, listed: Collection[bytes]) -> Wish | None:
        """The known wish that a new one replaces: it has the same subject, and its entry is no longer listed.

        listed: digests of the list's entries for that plate. An entry that is still listed was not replaced.
        """
        if wish in self._last or wish in self._settled:
            return None
        known = (old for kept in (self._last, self._settled) for old in kept if old[:2] == wish[:2])
        return next((old for old in known if old.entry_digest not in listed), None)

    def rename(self, old: Wish, new: Wish) -> None:
        """Continue a visit under the reworded entry."""
        if old in self._last:
            _keep(self._last, new, self._last.pop(old))
        if old in self._settled:
            _keep(self._settled, new, self._settled.pop(old))

    def ongoing(self, wish: Wish, at_us: int, *, sounds: bool) -> int | None:
        """The alert of which a read at `at_us` is another sighting; None for a new visit.

        A match that sounds is not a sighting of a silent alert, which no one has heard.
        """
        found = self._last.get(wish)
        if found is None or abs(at_us - found.last_us) > EPISODE_US or (sounds and not found.sounds):
            return None
        found.last_us = max(found.last_us, at_us)
        self._last.move_to_end(wish)
        return found.alert

    def begin(self, wish: Wish, alert: int, at_us: int, *, sounds: bool) -> None:
        """Remember a new alert."""
        _keep(self._last, wish, _Visit(alert, at_us, sounds))

    def end(self, wish: Wish) -> None:
        """Treat the next read as a new visit."""
        self._last.pop(wish, None)

    def settle(self, wish: Wish, at_us: int) -> None:
        """End the visit: a person found that it is not the wanted vehicle."""
        self.end(wish)
        _keep(self._settled, wish, at_us)

    def settled(self, wish: Wish, at_us: int) -> bool:
        """Whether a person settled this so recently that the read is probably of the same vehicle.

        Another read does not extend the period.
        """
        settled_us = self._settled.get(wish)
        return settled_us is not None and abs(at_us - settled_us) <= EPISODE_US


def _keep(kept: OrderedDict[Wish, T], name: Wish, value: T) -> None:
    kept[name] = value
    kept.move_to_end(name)
    while len(kept) > MOST:
        kept.popitem(last=False)
