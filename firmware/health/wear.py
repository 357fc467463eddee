"""How long the card lasts at the current rate of writing, and how much room it has. Arithmetic; no I/O.

A hit writes more than another read. So a console or metric shows figures about storage only in steps that do
not reveal a single read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hw.card import CardWrites

# How often a consumer card can be filled: 1,000 erase cycles, and the card's housekeeping writes ten bytes
# for each. parts.card_tb is better if the maker gives the figure.
ASSUMED_SIZES = 100
YEAR_S = 365 * 86_400.0
BYTES_STEP, FLUSHES_STEP = 10_000_000, 1000  # per hour; rounded up
FREE_STEP = 64 << 20  # bytes; rounded down
LEAST_S = 600.0  # of running before a rate is meaningful


@dataclass(frozen=True, slots=True, kw_only=True)
class WearBudget:
    """The most bytes and flushes per hour since the machine started, and how long a new card lasts so."""

    bytes_an_hour: int
    flushes_an_hour: int | None
    years: float | None


def wear_budget(
    writes: CardWrites | None, *, running_s: float, size_bytes: int, card_tb: float | None = None
) -> WearBudget | None:
    """The budget; None if nothing counts writes. years: None in the first ten minutes, or without writes."""
    if writes is None or running_s <= 0:
        return None
    hours = running_s / 3600
    endurance = size_bytes * ASSUMED_SIZES if card_tb is None else card_tb * 1e12
    bytes_an_hour = _up(writes.written_bytes / hours, BYTES_STEP)
    known = writes.written_bytes > 0 and running_s >= LEAST_S
    return WearBudget(
        bytes_an_hour=bytes_an_hour,
        flushes_an_hour=None if writes.flushes is None else _up(writes.flushes / hours, FLUSHES_STEP),
        years=endurance / bytes_an_hour * 3600 / YEAR_S if known else None,
    )


def coarse_free(free_bytes: int) -> int:
    """Free space in bytes, rounded down to whole steps."""
    return free_bytes // FREE_STEP * FREE_STEP


def _up(value: float, step: int) -> int:
    return math.ceil(value / step) * step
