"""The door to keys that follow the log: first shows them every entry up to the present tree head.

The key service does not trust heads. It names the size up to which it has followed the log, and gets the
entries from there on; an older head is proved to be of the same log. An access log that lost entries cannot
do that, and no longer gets anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from storage.sealing import Opened
from sync.department.content.followed_log import AT_ONCE
from sync.department.content.key_door import Cover, HeadAskedError, KeyDoor, MatchedRead, Row
from sync.department.journal.access_log import AccessLog, LogPart
from sync.department.journal.inquiry_entries import Query
from sync.department.policy.refusals import BUSY, NotYetError

T = TypeVar("T")
TRIES = 4  # at least: another call may show a newer head in between
PATIENCE_S = 20.0  # longest wait of a call while a long log is followed; progress is kept


class ProvenDoor:
    """A `KeyDoor` in front of another one that must be shown the log."""

    def __init__(self, door: Callable[[], KeyDoor], log: AccessLog) -> None:
        """`door`: gives the present door, which a newer root file replaces."""
        self._door, self._log = door, log
        self._since = -1  # how far the keys say that they follow; -1 if unknown

    def _shown(self, cover: Cover) -> Cover:
        """The cover with its consistency proof, once the keys have followed the log that far."""
        started = time.monotonic()
        while 0 <= self._since < cover.size:
            if time.monotonic() - started > PATIENCE_S:
                raise NotYetError(
                    f"the key service follows the log: {self._since} of {cover.size} entries so far",
                    code="following",
                    clause="463.5",
                    cure="ask again in a minute; the entry of this call remains",
                )
            if not self._step(cover.size):
                break  # it follows less than it was shown, and will say so when asked
        since = max(self._since, 0)
        proof = self._log.consistency(cover.size, since) if cover.size < since else []
        return replace(cover, since=since, consistency=tuple(proof))

    def _step(self, size: int) -> bool:
        """Show the next entries up to `size`; returns whether the keys have followed all of them."""
        since = self._since  # another call moves it on
        end = min(since + AT_ONCE, size)
        if since < end:
            self._since = since = self.follow(self._log.part(since, end))
        return since >= end

    def catch_up(self, on_progress: Callable[[int, int], None]) -> int:
        """Show the keys every entry so far, ahead of the call that needs it; returns how many were new.

        `on_progress` is called after each part with how many of how many. Raises DeskRefusal.
        """
        size = self._log.size()
        try:
            first = self._since = self.follow(self._log.part(size, size))
        except HeadAskedError as asked:
            first = self._since = asked.size
        while self._since < size and self._step(size):
            on_progress(self._since, size)
        return max(0, self._since - first)

    def follow(self, part: LogPart) -> int:
        return self._door().follow(part)

    def _ask(self, cover: Cover, work: Callable[[Cover], T]) -> T:
        started, tries = time.monotonic(), 0
        while tries < TRIES or time.monotonic() - started < PATIENCE_S:
            tries += 1
            try:
                return work(self._shown(cover))
            except HeadAskedError as asked:
                size = self._log.size()
                if asked.size > size:
                    raise NotYetError(
                        f"the key service has seen {asked.size} entries, this log holds {size}: "
                        "entries were lost or removed",
                        code="forked",
                        clause="463.5",
                        cure="department verify; do not continue, and call the office that runs the service",
                    ) from None
                self._since = asked.size
        raise NotYetError(
            "the key service accepts newer tree heads faster than this one is shown",
            code=BUSY,
            clause="463.5",
            cure="ask again",
        )

    def tokens(self, cover: Cover, query: Query, days: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        return self._ask(cover, lambda shown: self._door().tokens(shown, query, days))

    def match(
        self, cover: Cover, query: Query, day: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[MatchedRead]:
        return self._ask(cover, lambda shown: self._door().match(shown, query, day, log_id, rows))

    def open(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, Opened]]:
        return self._ask(cover, lambda shown: self._door().open(shown, day, log_id, rows))

    def hold(self, cover: Cover, day: int, log_id: bytes, rows: Sequence[Row]) -> list[dict[str, bytes]]:
        return self._ask(cover, lambda shown: self._door().hold(shown, day, log_id, rows))

    def open_held(
        self, cover: Cover, access: int, log_id: bytes, rows: Sequence[Row]
    ) -> list[dict[str, Opened]]:
        return self._ask(cover, lambda shown: self._door().open_held(shown, access, log_id, rows))

    def held_keys(self) -> list[int]:
        return self._door().held_keys()

    def abandon(self, cover: Cover) -> None:
        self._ask(cover, lambda shown: self._door().abandon(shown))

    def release(self, cover: Cover) -> None:
        self._ask(cover, lambda shown: self._door().release(shown))
