"""How long a search takes, from the pace of the last ones, and how far each search has come. No I/O."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

FIRST_PER_S = 1500.0  # reads per second, before any search was timed
TOKENS_S = 0.002  # seconds to make the tokens of one day
STEP_S = 1.0  # about how long a step takes
LEAST, MOST = 200, 2000  # the most: one entry names every read that matched
SHARE = 0.3  # of the newest time in the pace
REMEMBERED = 500


@dataclass(slots=True)
class SearchPace:
    """The measured pace of searches here, in reads per second. Thread-safe."""

    per_s: float = FIRST_PER_S
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def took(self, reads: int, seconds: float) -> None:
        """Learn from a part that was opened. A handful of reads is ignored."""
        if reads >= LEAST and seconds > 0:
            with self._guard:
                self.per_s += SHARE * (reads / seconds - self.per_s)

    def seconds(self, days: int, reads: int) -> float:
        """About how many seconds a search takes that covers `days` and opens `reads`."""
        return round(days * TOKENS_S + reads / self.per_s, 2)

    def step(self) -> int:
        """How many reads the next step opens."""
        return int(min(MOST, max(LEAST, self.per_s * STEP_S)))


@dataclass(slots=True)
class SearchProgress:
    """How far one search has come.

    `busy`: held during a step; `asked_to_stop`: seen by the step under way; `ended`: its last entry was made.
    """

    of: int = 0
    opened: int = 0
    found: int = 0
    asked_to_stop: bool = False
    ended: bool = False
    busy: threading.Lock = field(default_factory=threading.Lock)


class UnderWay:
    """The searches under way, by access entry. The log holds the same facts. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: OrderedDict[int, SearchProgress] = OrderedDict()

    def get(self, access: int) -> SearchProgress | None:
        """The progress of a search, as far as this process knows."""
        with self._guard:
            return self._known.get(access)

    def put(self, access: int, progress: SearchProgress) -> SearchProgress:
        """Store the progress of a search, unless another thread already did. Returns what is stored."""
        with self._guard:
            kept = self._known.setdefault(access, progress)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
            return kept
