"""The one mutable record: newest believed time and cursors. Signed by the log key. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

CONTEXT = b"alpr-reader/state/v1"
MAX_STATE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What may change without being a record. `size`: the tree size when it was written."""

    size: int
    trusted_us: int
    anchored_us: int
    cursors: tuple[tuple[str, int], ...] = ()

    def cursor(self, name: str) -> int:
        return dict(self.cursors).get(name, 0)

    def with_cursor(self, name: str, value: int) -> State:
        return replace(self, cursors=tuple(sorted((dict(self.cursors) | {name: value}).items())))
