"""One alert a vehicle and visit: a parked or passing car raises one; later reads are sightings. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from storage.times import MINUTE_US

EPISODE_US = 15 * MINUTE_US  # unseen for so long, the next read is a new visit
MOST = 10_000


@dataclass(slots=True)
class Episodes:
    """Alerts by what they are of: the folded plate and the entry. One thread only."""

    _last: OrderedDict[tuple[str, bytes], tuple[int, int]] = field(default_factory=OrderedDict)

    def ongoing(self, form: str, entry: bytes, at_us: int) -> int | None:
        """The alert of which a read at `at_us` is another sighting; None for a new visit."""
        found = self._last.get((form, entry))
        if found is None or abs(at_us - found[1]) > EPISODE_US:
            return None
        self._last[form, entry] = (found[0], max(found[1], at_us))
        self._last.move_to_end((form, entry))
        return found[0]

    def begin(self, form: str, entry: bytes, alert: int, at_us: int) -> None:
        """Remember a new alert."""
        self._last[form, entry] = (alert, at_us)
        self._last.move_to_end((form, entry))
        while len(self._last) > MOST:
            self._last.popitem(last=False)
