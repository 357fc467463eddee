"""The key service as `verify` asks it. If it does not answer, the rest is still checked.

What only its keys could check is counted and reported as not checked. After the first call without an answer,
no other call waits for it. What was purged since the check began is counted in the same way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

from storage.counts import counted
from storage.times import day_text
from sync.department.content.key_service import CheckingKeys
from sync.department.content.search_tokens import IndexedText, StoredElement
from sync.errors import KeyServiceAwayError, KeyServiceError

T = TypeVar("T")


class AskedKeys:
    """A key service that may not answer. `away`: why, from the first unanswered call on."""

    def __init__(self, keys: CheckingKeys, purged: Callable[[int], bool] = lambda _day: False) -> None:
        """`purged`: whether a day's purge has begun since."""
        self._keys, self._purged = keys, purged
        self._left: Counter[str] = Counter()
        self._gone: dict[int, Counter[str]] = defaultdict(Counter)
        self.away: KeyServiceAwayError | None = None

    def take_unchecked(self) -> list[str]:
        """What was left unchecked since the last time, as lines; none if every call was answered."""
        lines = [
            f"{_words(left)} of the day of receipt {day_text(day)}: it was purged while this check ran"
            for day, left in sorted(self._gone.items())
        ]
        if self._left:
            lines.append(f"{_words(self._left)}: {self.away}")
        self._left.clear()
        self._gone.clear()
        return lines

    def check_stored(self, day: int, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
        """Check as the key service does. Nothing is reported as wrong that could not be checked."""
        nothing: list[str | None] = [None] * len(wanted)
        return self._of_day(
            day, lambda: self._keys.check_stored(day, log_id, wanted), nothing, "sealed element"
        )

    def check_tokens(self, day: int, log_id: bytes, wanted: Sequence[IndexedText]) -> list[str | None]:
        """The same."""
        nothing: list[str | None] = [None] * len(wanted)
        return self._of_day(
            day, lambda: self._keys.check_tokens(day, log_id, wanted), nothing, "read's search token"
        )

    def check_held(self, hold: str, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
        """The same."""
        nothing: list[str | None] = [None] * len(wanted)
        return self._asked(
            lambda: self._keys.check_held(hold, log_id, wanted), nothing, "held element", len(wanted)
        )

    def days_with_keys(self, days: Sequence[int]) -> set[int]:
        """The purged days whose key is there, as the key service says; none if it does not answer."""
        return self._asked(lambda: self._keys.days_with_keys(days), set[int](), "purged day's key", len(days))

    def _of_day(
        self, day: int, ask: Callable[[], list[str | None]], nothing: list[str | None], what: str
    ) -> list[str | None]:
        try:
            found = self._asked(ask, nothing, what, len(nothing))
        except KeyServiceError:
            if not self._purged(day):
                raise
            found = nothing
            self._gone[day][what] += len(nothing)
        return found

    def _asked(self, ask: Callable[[], T], nothing: T, what: str, many: int) -> T:
        if self.away is None:
            try:
                return ask()
            except KeyServiceAwayError as error:
                self.away = error
        self._left[what] += many
        return nothing


def _words(left: Counter[str]) -> str:
    return ", ".join(counted(many, what) for what, many in sorted(left.items()))
