"""The door to the keys with the proof that each tree head continues the last one that the keys accepted.

The key service takes no head on trust: it names the size that it accepted last, and is shown that the head at
hand and that one are of one log. An access log that lost entries cannot show it, and gets nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from storage.sealing import Opened
from sync.department.content.key_guard import Cover, HeadAskedError, KeyDoor, Match, Row
from sync.department.journal.entries import Query
from sync.department.policy.refusals import NotYetError

T = TypeVar("T")
TRIES = 4  # another call may have shown a newer head in between


class ProvenDoor:
    """A `KeyDoor` in front of another: `prove(first, second)` gives the log's consistency proof."""

    def __init__(
        self, door: KeyDoor, prove: Callable[[int, int], list[bytes]], size: Callable[[], int]
    ) -> None:
        self._door, self._prove, self._size = door, prove, size
        self._since = 0

    def _shown(self, cover: Cover) -> Cover:
        since = self._since
        first, second = sorted((since, cover.size))
        proof = self._prove(first, second) if 0 < first < second else []
        return replace(cover, since=since, consistency=tuple(proof))

    def _ask(self, cover: Cover, work: Callable[[Cover], T]) -> T:
        for _ in range(TRIES):
            try:
                return work(self._shown(cover))
            except HeadAskedError as asked:
                if asked.size > self._size():
                    raise NotYetError(
                        f"the key service has seen {asked.size} entries, this log holds {self._size()}: "
                        "entries were lost or removed",
                        code="forked",
                        clause="463.5",
                        cure="department verify; do not continue, and tell the office that runs the service",
                    ) from None
                self._since = asked.size
        raise NotYetError(
            "the key service accepts newer tree heads faster than this one is shown",
            code="busy",
            clause="463.5",
            cure="ask again",
        )

    def tokens(self, cover: Cover, query: Query, days: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        return self._ask(cover, lambda shown: self._door.tokens(shown, query, days))

    def match(self, cover: Cover, query: Query, day: int, log_id: bytes, rows: Sequence[Row]) -> list[Match]:
        return self._ask(cover, lambda shown: self._door.match(shown, query, day, log_id, rows))

    def open(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, Opened]]:
        return self._ask(cover, lambda shown: self._door.open(shown, day, log_id, rows))

    def hold(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, bytes]]:
        return self._ask(cover, lambda shown: self._door.hold(shown, day, log_id, rows))

    def open_held(
        self, cover: Cover, access: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[dict[str, Opened]]:
        return self._ask(cover, lambda shown: self._door.open_held(shown, access, log_id, rows))

    def release(self, cover: Cover) -> None:
        self._ask(cover, self._door.release)
