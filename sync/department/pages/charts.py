"""Bar charts as SVG shapes: numbers in, positions in pixels out. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sync.department.pages.wording import word_of

ROW_PX = 24
BAR_PX = 330
MOST_BARS = 20


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, its number, its top and length in pixels."""

    label: str
    count: int
    y: int
    width: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of horizontal bars, the largest first. The table below it says the same to a screen reader."""

    title: str
    bars: tuple[Bar, ...]
    left_out: int

    @property
    def height(self) -> int:
        return max(1, len(self.bars)) * ROW_PX


def chart_of(title: str, counts: Iterable[tuple[str, int]]) -> Chart:
    """Make the chart of named counts, with how many were left out if there are too many to see."""
    rows = [(label if label[:1].isdigit() else word_of(label), number) for label, number in counts]
    most = max((number for _label, number in rows), default=0)
    bars = tuple(
        Bar(label, number, at * ROW_PX, round(number / most * BAR_PX) if most else 0)
        for at, (label, number) in enumerate(rows[:MOST_BARS])
    )
    return Chart(title, bars, max(0, len(rows) - MOST_BARS))
