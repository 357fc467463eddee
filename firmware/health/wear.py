"""How long the card lasts at this rate of writing. Arithmetic; no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from hw.card import CardWrites

# What a consumer card takes, in its own size: 1,000 erase cycles, each written byte costing ten by the card's
# own housekeeping. parts.card_tb says better where the maker does.
ASSUMED_SIZES = 100
YEAR_S = 365 * 86_400.0
LEAST_S = 600.0  # of running, before a rate says anything


@dataclass(frozen=True, slots=True, kw_only=True)
class WearBudget:
    """Bytes and flushes an hour since the machine started, and the years that a new card lasts so."""

    bytes_an_hour: float
    flushes_an_hour: float | None
    years: float | None


def wear_budget(
    writes: CardWrites | None, *, running_s: float, size_bytes: int, card_tb: float | None = None
) -> WearBudget | None:
    """None if nothing counts. years: None before ten minutes have passed, or if nothing is written."""
    if writes is None or running_s <= 0:
        return None
    hours = running_s / 3600
    endurance = size_bytes * ASSUMED_SIZES if card_tb is None else card_tb * 1e12
    rate = writes.written_bytes / running_s
    years = endurance / rate / YEAR_S if rate > 0 and running_s >= LEAST_S else None
    return WearBudget(
        bytes_an_hour=writes.written_bytes / hours,
        flushes_an_hour=None if writes.flushes is None else writes.flushes / hours,
        years=years,
    )
