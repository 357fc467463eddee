"""Dates epochs that were opened while custody's time was behind, as after months in a drawer.

A time that two sources agree on may be months ahead of the one that custody counted on by until then. What
was sealed meanwhile is as many months younger than its epoch says: it would be purged, past its year, hours
after it was read. So the transaction that first writes the later time also opens an epoch whose reason names
the first such epoch and by how much; the book dates them, and receipts since, by it, and so does each reader
of the log. No one is dated later than that record.

Late are the epochs of this process, whose age running time knows whatever any clock said, and those of
earlier ones in which no two sources agreed: a lone clock that calls itself disciplined may have been behind.
Where it was not, or several starts passed, these are kept longer by the time between, unless delivered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from storage.record_base import KeyClass

if TYPE_CHECKING:
    from storage.store import UnitStore

LATE_FROM = "late_from"  # the cursor of the first epoch opened since two sources last agreed
LATE_BY = "late_by_us"  # the cursor of a leap that is in the state's time and that no epoch says yet
_REASON = re.compile(r"the time was behind: epochs from ([0-9]{1,18}) opened ([0-9]{1,18}) us later")


def reason_of(first: int, by_us: int) -> str:
    """Why the epoch of a later time opens: those from `first` on opened `by_us` later than they say."""
    return f"the time was behind: epochs from {first} opened {by_us} us later"


def parse_reason(reason: str) -> tuple[int, int] | None:
    """(first, by_us) of such a reason; None for any other."""
    found = _REASON.fullmatch(reason)
    return None if found is None else (int(found[1]), int(found[2]))


def note_leap(store: UnitStore) -> int:
    """Date the epochs that a leap of the time made too old, at the end of a transaction; the leap, us.

    A slot that has not answered takes no new key, and one that is about to be turned would not open it: a
    transaction after that notes it. Raises as open_epoch.
    """
    store.time.now()  # the clock may agree only now with what the department said
    is_turning = store.slot_unsure or store.book.pending is not None
    leapt_us = 0 if is_turning else store.time.leapt_us
    first = min(_late_from(store), store.first_epoch)
    if leapt_us and any(one.epoch >= first and one.purged_by is None for one in store.book.epochs.values()):
        store.open_epoch(KeyClass.AUDIT, reason_of(first, leapt_us))
    return leapt_us


def _late_from(store: UnitStore) -> int:
    return store.state.cursor(LATE_FROM) or store.first_epoch


def next_cursors(store: UnitStore, noted_us: int) -> dict[str, int]:
    """The cursors of the state that is about to be written, where a leap of `noted_us` has been noted."""
    late_us = store.time.leapt_us - noted_us
    agreed = store.time.agreed and not late_us
    return {LATE_FROM: store.book.next_epoch() if agreed else _late_from(store), LATE_BY: late_us}


def date_again(store: UnitStore) -> None:
    """Before a purge: note a leap that no record has followed yet. Raises as `adding`."""
    store.time.now()
    if store.time.leapt_us:
        with store.adding():
            pass  # its end notes it
