"""Which records the department's receipts cover, and since when: tens of thousands a year. No I/O."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


def later(at_us: int, by_us: int, now_us: int) -> int:
    """A date (us UTC) moved later by at most `by_us`, but not beyond `now_us`."""
    return max(at_us, min(at_us + by_us, now_us))


class ReceiptCoverage:
    """Ranges of records with the time of their first receipt: (first, last, us UTC), by first record."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._times: list[int] = []
        self._starts: list[int] = []  # the same records, adjacent ranges merged
        self._ends: list[int] = []
        self.records = 0
        self.newest_us: int | None = None

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int, int]]) -> ReceiptCoverage:
        """Rebuild it from its iterated ranges. Raises ValueError for ranges out of order."""
        made = cls()
        for first, last, at_us in ranges:
            if not (made._lasts[-1] if made._lasts else -1) < first <= last:
                raise ValueError("ranges must rise")
            made._firsts.append(first)
            made._lasts.append(last)
            made._times.append(at_us)
            made.records += last - first + 1
            if made._ends and made._ends[-1] + 1 == first:
                made._ends[-1] = last
            else:
                made._starts.append(first)
                made._ends.append(last)
        made.newest_us = max(made._times, default=None)
        return made

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        return zip(self._firsts, self._lasts, self._times, strict=True)

    def __contains__(self, sequence: int) -> bool:
        return self.covers(sequence, sequence)

    def add(self, first: int, last: int, at_us: int) -> None:
        """Add a receipt's range; records of earlier receipts keep their times."""
        at = bisect_left(self._lasts, first)
        while first <= last:
            if at == len(self._firsts) or self._firsts[at] > last:
                self._insert(at, first, last, at_us)
                return
            if first < self._firsts[at]:
                self._insert(at, first, self._firsts[at] - 1, at_us)
                at += 1
            first = self._lasts[at] + 1
            at += 1

    def covers(self, first: int, last: int) -> bool:
        """Whether every record from `first` to `last` is covered."""
        at = bisect_right(self._starts, first) - 1
        return first > last or (at >= 0 and self._ends[at] >= last)

    def first_missing(self) -> int:
        """The first record that no receipt covers."""
        return self._ends[0] + 1 if self._starts and self._starts[0] == 0 else 0

    def end(self) -> int:
        """The first record after all covered ones."""
        return self._lasts[-1] + 1 if self._lasts else 0

    def between(self, low: int, high: int) -> Iterator[tuple[int, int, int]]:
        """Yield the ranges with a record from `low` to `high`."""
        at = bisect_left(self._lasts, low)
        while at < len(self._firsts) and self._firsts[at] <= high:
            yield self._firsts[at], self._lasts[at], self._times[at]
            at += 1

    def date(self, since_us: int, by_us: int, now_us: int) -> None:
        """Move receipts dated `since_us` or later by `by_us`, but not beyond `now_us`."""
        self._times = [later(at, by_us, now_us) if at >= since_us else at for at in self._times]
        self.newest_us = max(self._times, default=None)

    def _insert(self, at: int, first: int, last: int, at_us: int) -> None:
        self._firsts.insert(at, first)
        self._lasts.insert(at, last)
        self._times.insert(at, at_us)
        self.records += last - first + 1
        self.newest_us = at_us if self.newest_us is None else max(self.newest_us, at_us)
        low = bisect_left(self._ends, first - 1)
        high = bisect_right(self._starts, last + 1)
        if low < high:
            first, last = min(first, self._starts[low]), max(last, self._ends[high - 1])
        self._starts[low:high], self._ends[low:high] = [first], [last]
