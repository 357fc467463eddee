"""How long the card lasts at this rate of writing, and how much room there is. Arithmetic; no I/O.

A hit writes more than another read. So what a console or a metric shows of the machine's storage is in steps
in which no single read can be seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hw.card import CardWrites

# What a consumer card takes, in its own size: 1,000 erase cycles, each written byte costing ten by the card's
# own housekeeping. parts.card_tb says better where the maker does.
ASSUMED_SIZES = 100
YEAR_S = 365 * 86_400.0
BYTES_STEP, FLUSHES_STEP = 10_000_000, 1000  # an hour; rounded up
FREE_STEP = 64 << 20  # bytes; rounded down
LEAST_S = 600.0  # of running, before a rate says anything


@dataclass(frozen=True, slots=True, kw_only=True)
class WearBudget:
    """At most so many bytes and flushes an hour since the machine started, and the years that a new card
    lasts so.
    """

    bytes_an_hour: int
    flushes_an_hour: int | None
    years: float | None


def wear_budget(
    writes: CardWrites | None, *, running_s: float, size_bytes: int, card_tb: float | None = None
) -> WearBudget | None:
    """None if nothing counts. years: None before ten minutes have passed, or if nothing is written."""
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
    """Free room, bytes, in whole steps."""
    return free_bytes // FREE_STEP * FREE_STEP


def _up(value: float, step: int) -> int:
    return math.ceil(value / step) * step
