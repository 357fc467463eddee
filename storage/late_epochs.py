"""Dates epochs that were opened while custody's time was behind, as after months in a drawer.

A time that two sources agree on may be months ahead of the one that custody counted on by until then. What
was sealed meanwhile is as many months younger than its epoch says: it would be purged, past its year, hours
after it was read. So the transaction that first writes the later time also opens an epoch whose reason names
the first such epoch and by how much; the book dates them by it, and so does each reader of the log.
Where several starts passed before two sources agreed, the earlier ones' are kept longer by the time between.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from storage.record_base import KeyClass

if TYPE_CHECKING:
    from storage.store import UnitStore

LATE_FROM = "late_from"  # the cursor of the first epoch opened since the time was last known
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

    A slot that has not answered takes no new key: the next transaction notes it. Raises as open_epoch.
    """
    store.time.now()  # the clock may agree only now with what the department said
    leapt_us = 0 if store.slot_unsure else store.time.leapt_us
    first = late_from(store)
    if leapt_us and any(one.epoch >= first and one.purged_by is None for one in store.book.epochs.values()):
        store.open_epoch(KeyClass.AUDIT, reason_of(first, leapt_us))
    return leapt_us


def late_from(store: UnitStore) -> int:
    """The first epoch that was opened since the time was last known."""
    return store.state.cursor(LATE_FROM) or store.first_epoch


def next_late_from(store: UnitStore, noted_us: int) -> int:
    """The same for the state that is about to be written, where a leap of `noted_us` has been noted."""
    is_known = store.time.is_known and store.time.leapt_us == noted_us
    return store.book.next_epoch() if is_known else late_from(store)


def date_again(store: UnitStore) -> None:
    """Before a purge: note a leap that no record has followed yet. Raises as `adding`."""
    store.time.now()
    if store.time.leapt_us:
        with store.adding():
            pass  # its end notes it
