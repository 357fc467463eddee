"""The key service as `verify` asks it. If it does not answer, the rest is still checked.

What only its keys could check is counted and reported as not checked. After the first call without an answer,
no other call waits for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from storage.counts import counted
from sync.department.content.key_service import CheckingKeys
from sync.department.content.search_tokens import IndexedText, StoredElement
from sync.errors import KeyServiceAwayError

T = TypeVar("T")


class AskedKeys:
    """A key service that may not answer. `away`: why, from the first unanswered call on."""

    def __init__(self, keys: CheckingKeys) -> None:
        self._keys = keys
        self._left: Counter[str] = Counter()
        self.away: KeyServiceAwayError | None = None

    def take_unchecked(self) -> list[str]:
        """What was left unchecked since the last time, as lines; none if every call was answered."""
        left = ", ".join(counted(many, what) for what, many in sorted(self._left.items()))
        self._left.clear()
        return [f"{left}: {self.away}"] if left else []

    def check_stored(self, day: int, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
        """Check as the key service does. Nothing is reported as wrong that could not be checked."""
        nothing: list[str | None] = [None] * len(wanted)
        return self._asked(
            lambda: self._keys.check_stored(day, log_id, wanted), nothing, "sealed element", len(wanted)
        )

    def check_tokens(self, day: int, log_id: bytes, wanted: Sequence[IndexedText]) -> list[str | None]:
        """The same."""
        nothing: list[str | None] = [None] * len(wanted)
        return self._asked(
            lambda: self._keys.check_tokens(day, log_id, wanted), nothing, "read's search token", len(wanted)
        )

    def check_held(self, hold: str, log_id: bytes, wanted: Sequence[StoredElement]) -> list[str | None]:
        """The same."""
        nothing: list[str | None] = [None] * len(wanted)
        return self._asked(
            lambda: self._keys.check_held(hold, log_id, wanted), nothing, "held element", len(wanted)
        )

    def has_store_key(self, day: int) -> bool:
        """Whether the key of a day is there, as the key service says; False if it does not answer."""
        return self._asked(lambda: self._keys.has_store_key(day), False, "purged day's key", 1)

    def _asked(self, ask: Callable[[], T], nothing: T, what: str, many: int) -> T:
        if self.away is None:
            try:
                return ask()
            except KeyServiceAwayError as error:
                self.away = error
        self._left[what] += many
        return nothing
