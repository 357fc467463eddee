"""Votes, list entries and a hot list in memory, for tests of alerts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detector.plates import ALPHABET, CLASSES, Corners, PlateBox, PlateText
from storage.times import HOUR_US
from sync.hot_lists.document import ListHead
from sync.hot_lists.entry import ListEntry

NOW_US = 1_795_000_000_000_000
KNOWN = ("US-CA", "US-CO", "US-MT", "US-OH", "US-TX", "EU", "MX")
HEAD = ListHead(
    list_id="doj",
    sequence=1,
    organization="Monrovia PD",
    issuer="DOJ",
    source="SVS",
    agency="",
    extracted_us=NOW_US - HOUR_US,
    expires_us=NOW_US + 24 * HOUR_US,
    count=1,
    digest=bytes(32),
    snapshot=1,
    parts=1,
)


@dataclass
class Held:
    """A hot list in memory."""

    entries: list[ListEntry]
    head: ListHead = HEAD
    asked: list[int] = field(default_factory=list)

    def is_crowded(self, most: int, at_us: int, *, at_most_us: int, looked_at: int) -> bool:
        assert looked_at > len(self.entries)
        keys = [one.key for one in self.entries if one.runs(at_us, at_most_us=at_most_us)]
        return any(keys.count(key) > most for key in set(keys))

    def under(self, key: int) -> Iterator[bytes]:
        self.asked.append(key)
        return (one.to_bytes() for one in self.entries if one.key == key)


def plate_box(aspect: float = 2.0) -> PlateBox:
    """The box of a plate, `aspect` times as wide as high."""
    corners: Corners = ((0.0, 0.0), (40 * aspect, 0.0), (40 * aspect, 40.0), (0.0, 40.0))
    return PlateBox(corners=corners, confidence=0.9)


def seen(text: str, confidence: float = 0.97, *, state: str = "US-CA", sure: float = 0.95) -> PlateText:
    """A vote that is almost sure of every slot."""
    slots = np.full((len(text), CLASSES), 1e-4, dtype=np.float32)
    for at, character in enumerate(text):
        slots[at, ALPHABET.index(character)] = 0.99
    named = ((state, sure),) if state else ()
    return PlateText(text=text, confidence=confidence, slots=slots, candidates=(), jurisdiction=named)


def entry(plate: str = "7XKR219", **fields: Any) -> ListEntry:
    """A list entry for a stolen vehicle with a California plate."""
    return ListEntry(plate=plate, category="stolen-vehicle", **{"state": "US-CA", **fields})
