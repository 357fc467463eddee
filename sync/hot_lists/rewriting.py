"""A list brought from one version to another entry by entry: never a million of them in memory at once."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path

from storage import codec
from storage.errors import RecordError
from storage.hot_list_file import write_sorted
from sync.hot_lists.document import ListDelta, ListHead, digest_of
from sync.hot_lists.entry import ListEntry


class ListChanges:
    """What several deltas, one after the other, come to: entries by their digest."""

    def __init__(self) -> None:
        self.gone: set[bytes] = set()
        self.fresh: dict[bytes, bytes] = {}

    def then(self, delta: ListDelta) -> None:
        """The next one."""
        for one in delta.removed:
            self.fresh.pop(one, None)
            self.gone.add(one)
        for data in delta.added:
            self.fresh[digest_of(data)] = data

    def applied(self, entries: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """(key, entry) after the changes. entries: the previous ones, in the order of their keys."""
        added = sorted((ListEntry.from_bytes(data).key, data) for data in self.fresh.values())
        return heapq.merge(self._kept(entries), added, key=itemgetter(0))

    def _kept(self, entries: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        for key, data in entries:
            digest = digest_of(data)
            if digest not in self.gone and digest not in self.fresh:
                yield key, data


class _Sum:
    """The count and the digest of entries that pass through."""

    def __init__(self, head: ListHead) -> None:
        self._head, self._digest = head, bytes(32)

    def through(self, entries: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        total = 0
        for key, data in entries:
            total += int.from_bytes(digest_of(data), "big")
            yield key, data
        self._digest = (total % (1 << 256)).to_bytes(32, "big")

    def check(self) -> None:
        if self._digest != self._head.digest:
            raise RecordError("does not lead to its signed head", where=f"hot list {self._head.list_id}")


def rewrite(path: Path, key: bytes, head: ListHead, entries: Iterable[tuple[int, bytes]]) -> None:
    """Write the version of `head`; entries: in the order of their keys, exactly those that it names.

    Raises OSError; RecordError, and the list that was there stays, where they are others.
    """
    total = _Sum(head)
    write_sorted(
        path,
        key,
        head.list_id,
        codec.to_plain(head),
        head.count,
        total.through(entries),
        check=total.check,
    )
