"""Counts the records of each epoch, and how many of them the department's receipts cover."""

from __future__ import annotations

from storage.epochs import EpochFacts
from storage.record_base import KeyClass
from storage.retention import EpochCount
from storage.store import UnitStore


class EpochCounter:
    """Record and receipt counts for the purge plan, which is made every few minutes over a year of epochs.

    What can no longer change is counted only once: the records of a closed epoch, and its receipts once they
    cover it. The caller holds the store's lock.
    """

    def __init__(self, store: UnitStore) -> None:
        self._store = store
        self._spans: dict[int, tuple[int, int, int]] = {}
        self._whole: dict[int, EpochCount] = {}
        self._book, self._dated = store.book, store.book.dated

    def count(self) -> dict[int, EpochCount]:
        """Records and receipts of every epoch that is not purged."""
        found: dict[int, EpochCount] = {}
        book = self._store.book  # a new object if it was read again: `dated` starts over
        if self._book is not book or self._dated != book.dated:
            self._book, self._dated = book, book.dated
            self._whole.clear()
        for epoch, facts in self._store.book.epochs.items():
            if facts.purged_by is not None:
                self._spans.pop(epoch, None)
                self._whole.pop(epoch, None)
                continue
            count = self._whole.get(epoch)
            if count is None:
                count = self._counted(facts)
                if facts.closed and facts.key_class is not KeyClass.HOLD and count.received == count.records:
                    self._whole[epoch] = count
            found[epoch] = count
        return found

    def _counted(self, facts: EpochFacts) -> EpochCount:
        store, epoch = self._store, facts.epoch
        total, low, high = self._span(facts)
        received, newest = 0, 0
        for first, last, at_us in store.book.received.between(low, high):
            row = store.db.execute(
                "SELECT count(*) FROM leaves WHERE epoch = ? AND sequence BETWEEN ? AND ?",
                (epoch, first, last),
            ).fetchone()
            if row[0]:
                received, newest = received + int(row[0]), max(newest, at_us)
        if facts.key_class is KeyClass.HOLD:  # its records are those that were sealed again under its key
            total = len(store.book.resealed_under(epoch))
        return EpochCount(records=total, received=received, received_us=newest)

    def _span(self, facts: EpochFacts) -> tuple[int, int, int]:
        """(records, first, last); last is before first if there are none."""
        known = self._spans.get(facts.epoch)
        if known is None:
            row = self._store.db.execute(
                "SELECT count(*), coalesce(min(sequence), 0), coalesce(max(sequence), -1) FROM leaves "
                "WHERE epoch = ?",
                (facts.epoch,),
            ).fetchone()
            known = int(row[0]), int(row[1]), int(row[2])
            if facts.closed:
                self._spans[facts.epoch] = known
        return known
