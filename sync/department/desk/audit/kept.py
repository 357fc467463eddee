"""The ALPR Requests of the log, kept in memory.

The daily run, the list of what is overdue and every page of accesses continue reading where the last one
ended.
"""

from __future__ import annotations

import threading

from sync.department.desk.audit.rules import ACCESS_KINDS, AlprRequest, RequestFold
from sync.department.journal.access_log import AccessLog

MOST_KEPT = 50_000  # some 60 MB


class KeptRequests:
    """The ALPR Requests of a log as far as it was read. The next call continues reading there.

    Keeps up to `MOST_KEPT`; nothing of a longer log stays in memory. Thread-safe.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._fold, self._size = RequestFold(), 0

    def of(self, log: AccessLog, end: int | None = None) -> list[AlprRequest]:
        """The requests of the first `end` entries in order, or all. Raises SealError for a changed entry."""
        with self._guard:
            size = log.size()
            if size < self._size:  # not the log that was read before
                self._fold, self._size = RequestFold(), 0
            fold = self._fold
            try:
                for entry in log.entries(self._size, size, ACCESS_KINDS):
                    fold.apply(entry)
                self._size = size
                found = list(fold.requests.values())
            except BaseException:
                self._fold, self._size = RequestFold(), 0
                raise
            if len(found) > MOST_KEPT:
                self._fold, self._size = RequestFold(), 0
        return found if end is None else [one for one in found if one.entry < end]
