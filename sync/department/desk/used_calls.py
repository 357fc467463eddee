"""Signed calls that made an access in the last hour, from the log. None of them may make it again.

A client whose call was cut off may send it again with the same signature. The key service opens nothing for a
second entry, and `verify` would name it forever, so it is never made.
"""

from __future__ import annotations

from storage.errors import StorageError
from sync.department.journal.access_log import AccessLog
from sync.department.journal.entries import Entry
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.second_hand_facts import forget
from sync.department.journal.signed_log import access_digest
from sync.department.journal.signers import KEPT_US
from sync.department.journal.statements import USED, said_in
from sync.department.journal.unsigned import UnsignedError


class UsedCalls:
    """The signed calls that the log's newest accesses used. Not thread-safe: use it within a transaction."""

    def __init__(self, log: AccessLog) -> None:
        self._log = log
        self.forget()

    def forget(self) -> None:
        """Forget the calls, so that they are read again after a rollback."""
        self._seen, self._used = -1, dict[bytes, int]()

    def demand_new(self, entry: Entry) -> None:
        """Refuse a new access whose signed call already made it. Raises UnsignedError."""
        since_us = entry.stamp.at_us - KEPT_US
        start = self._seen if self._seen >= 0 else self._log.size_at(since_us)
        for one in self._log.entries(start, entry.sequence, (Access.KIND,)):
            if one.signed:
                self._used[_digest(one)] = one.stamp.at_us
        self._seen = entry.sequence
        forget(self._used, lambda at_us: at_us < since_us)
        if _digest(entry) in self._used:
            raise UnsignedError(USED)


def _digest(entry: Entry) -> bytes:
    """The digest of an access and its signed call, or of no call if that is malformed."""
    if not isinstance(entry.note, Access):
        raise TypeError("an access")
    try:
        return access_digest(said_in(entry.signed), entry.note)
    except StorageError:
        return b""
