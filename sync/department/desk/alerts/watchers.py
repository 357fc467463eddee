"""Who follows the alerts: a limited number of streams, in total and for each session. No I/O."""

from __future__ import annotations

import threading
from collections import OrderedDict

from sync.department.policy.refusals import TooManyError

MOST_STREAMS = 64
MOST_A_SESSION = 4


class Watcher:
    """One stream. `dropped`: a newer one of the same session took its place."""

    __slots__ = ("dropped", "session")

    def __init__(self, session: bytes) -> None:
        self.session = session
        self.dropped = False


class Watchers:
    """The streams of one server. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._all: OrderedDict[Watcher, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def join(self, session: bytes) -> Watcher:
        """Take a place for a stream. A session's oldest stream gives way to its newest. Raises
        TooManyError."""
        with self._guard:
            mine = [one for one in self._all if one.session == session]
            if len(mine) >= MOST_A_SESSION:
                mine[0].dropped = True
                del self._all[mine[0]]
            elif len(self._all) >= MOST_STREAMS:
                raise TooManyError(
                    "too many streams of alerts are open",
                    clause="463.7",
                    cure="close one, or ask for alert/list",
                )
            watcher = Watcher(session)
            self._all[watcher] = None
            return watcher

    def leave(self, watcher: Watcher) -> None:
        """Free the place. To call this again changes nothing."""
        with self._guard:
            self._all.pop(watcher, None)
