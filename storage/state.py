"""The only mutable record: newest believed time, cursors. Signed by the log key with every head. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

STATE_CONTEXT = b"alpr-reader/state/v1"
MAX_STATE_BYTES = 256 * 1024
LEAD = "clock_lead_us"  # the spent budget of lone time sources: storage.clock_trust
RUNNING = "running"  # 1 from the first write of a process to its orderly end
IMAGES_AHEAD = "images_ahead"  # how many images an operation writes before the records that name them
IMAGES_LEFT = "images_left"  # how many folders of purged images could not be removed yet
ANCHORING = "anchoring_us"  # the time of the anchor that is being written into the slot


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerState:
    """What may change without being a record. `size`: the tree size when it was written, always the head's.

    anchored_us: the time in the slot's newest anchor. If a power cut came between writing the slot and this
    record, the slot has the time of the ANCHORING cursor instead.
    """

    size: int
    trusted_us: int
    anchored_us: int
    cursors: tuple[tuple[str, int], ...] = ()

    def cursor(self, name: str) -> int:
        return dict(self.cursors).get(name, 0)

    @property
    def with_every_head(self) -> bool:
        """Whether the program that wrote it writes it with every head; earlier versions did not."""
        return LEAD in dict(self.cursors)

    def with_cursor(self, name: str, value: int) -> LedgerState:
        return self.with_cursors({name: value})

    def with_cursors(self, values: Mapping[str, int]) -> LedgerState:
        """The state with these cursors changed."""
        return replace(self, cursors=tuple(sorted((dict(self.cursors) | dict(values)).items())))
