"""Checks the search index: every day with content has its row, and every text has exactly its own search
token.

No signature covers either. No search looks at a day without its row, and no exact search finds a read without
its token or with another's. This is one pass over each day's texts and tokens, side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from itertools import groupby
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy import select

from storage.times import day_text
from sync.department.content.key_service import CheckingKeys
from sync.department.content.search_tokens import TEXT, IndexedText, StoredElement
from sync.department.store.blobs import PackStore
from sync.department.store.tables import alerts, days, elements, leaves, tokens
from sync.errors import KeyServiceError, OlderKeyServiceError, StoreError

AT_ONCE = 500
Place: TypeAlias = tuple[int, int]
"""A record: the number of its log, and its own."""


class SearchIndex:
    """The check of one store. `wrong`: called with each problem; `purged`: as for the `Checker`."""

    def __init__(
        self,
        keys: CheckingKeys,
        packs: PackStore,
        wrong: Callable[[str], object],
        purged: Callable[[int], bool],
    ) -> None:
        self._keys, self._packs, self._wrong, self._purged = keys, packs, wrong, purged

    def days(self, connection: sa.Connection, here: Iterable[int]) -> None:
        """Check the rows of days. `here`: days of receipt (since 1970) that hold content."""
        known = set(connection.execute(select(days.c.day)).scalars())
        for day in sorted(set(here) - known):
            self._wrong(f"the day of receipt {day_text(day)} has no row: no search finds what came on it")

    def tokens(
        self,
        connection: sa.Connection,
        here: Iterable[int],
        log_ids: Mapping[int, bytes],
        rest: Callable[[], object],
    ) -> str:
        """Check every token; return what could not be checked, or "". `log_ids`: by the logs' numbers;
        `rest`: called after each day."""
        indexed = set(connection.execute(select(tokens.c.day).distinct()).scalars())
        try:
            for day in sorted(set(here) | indexed):
                if not self._purged(day):
                    self._day(connection, day, log_ids)
                rest()
        except OlderKeyServiceError as error:
            return f"the search tokens: {error}"
        return ""

    def _day(self, connection: sa.Connection, day: int, log_ids: Mapping[int, bytes]) -> None:
        some: list[tuple[int, IndexedText]] = []
        before = -1
        for (log_no, sequence), text, found in self._side_by_side(connection, day):
            if log_no not in log_ids:
                continue  # a missing log is reported elsewhere
            if some and (log_no != before or len(some) == AT_ONCE):
                self._ask(day, log_ids[before], some)
                some = []
            before = log_no
            if text is None:
                what = "a search token without its text"
                self._wrong(f"log {log_ids[log_no].hex()[:16]}, record {sequence}: {what}")
            else:
                some.append((sequence, IndexedText(text, found)))
        if some:
            self._ask(day, log_ids[before], some)

    def _ask(self, day: int, log_id: bytes, some: list[tuple[int, IndexedText]]) -> None:
        log = log_id.hex()[:16]
        try:
            answers = self._keys.check_tokens(day, log_id, [one for _, one in some])
        except OlderKeyServiceError:
            raise
        except KeyServiceError as error:
            self._wrong(f"log {log}, search tokens of {day_text(day)}: {error.what}")
            return
        for (sequence, _), what in zip(some, answers, strict=True):
            if what is not None:
                self._wrong(f"log {log}, record {sequence}, {TEXT}: {what}")

    def _side_by_side(
        self, connection: sa.Connection, day: int
    ) -> Iterator[tuple[Place, StoredElement | None, tuple[bytes, ...]]]:
        """(record, its text, its tokens) of a day of receipt, in the order of the logs."""
        both = merge(self._texts(connection, day), _tokens(connection, day), key=lambda one: one[0])
        for place, found in groupby(both, key=lambda one: one[0]):
            text, made = None, []
            for _, one in found:
                if isinstance(one, StoredElement):
                    text = one
                else:
                    made.append(one)
            yield place, text, tuple(made)

    def _texts(self, connection: sa.Connection, day: int) -> Iterator[tuple[Place, StoredElement | bytes]]:
        e, leaf, early = elements.c, leaves.c, alerts.c
        query = (
            select(e.log_no, e.sequence, e.stored, e.pack, e.offset, e.length, leaf.leaf, early.leaf)
            .outerjoin(leaves, sa.and_(leaf.log_no == e.log_no, leaf.sequence == e.sequence))
            .outerjoin(alerts, sa.and_(early.log_no == e.log_no, early.sequence == e.sequence))
            .where(e.day == day, e.name == TEXT)
            .order_by(e.log_no, e.sequence)
            .execution_options(yield_per=AT_ONCE)
        )
        for log_no, sequence, stored, pack, offset, length, in_place, ahead in connection.execute(query):
            data = in_place if in_place is not None else ahead
            if data is None:
                continue  # an element without a leaf is reported elsewhere
            content = b"" if stored is None else bytes(stored)
            if pack is not None:
                try:
                    content = packed(self._packs, day, pack, offset, length)
                except StoreError:
                    continue  # reported with the elements
            yield (log_no, sequence), StoredElement(bytes(data), TEXT, content)


def packed(packs: PackStore, day: int, pack: str, offset: int | None, length: int | None) -> bytes:
    """Read an element from a pack. Raises StoreError, also for a row that does not say where it is."""
    if offset is None or length is None:
        raise StoreError("its row does not say where in its pack it is")
    return packs.get(day, pack, offset, length)


def _tokens(connection: sa.Connection, day: int) -> Iterator[tuple[Place, StoredElement | bytes]]:
    t = tokens.c
    query = (
        select(t.log_no, t.sequence, t.token)
        .where(t.day == day)
        .order_by(t.log_no, t.sequence)
        .execution_options(yield_per=AT_ONCE)
    )
    for log_no, sequence, token in connection.execute(query):
        yield (log_no, sequence), bytes(token)
