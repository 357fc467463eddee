"""Corrects the dates of epochs that were opened while custody's time was behind, as after months in storage.

A time on which two sources agree may be months ahead of custody's time until then. Content sealed meanwhile
is that much younger than its epoch's date: it would be purged as a year old hours after it was read. So the
transaction that first writes the later time also opens an epoch whose reason names the first such epoch and
the difference. The book, and every reader of the log, dates these epochs and the receipts since by it, but
none later than that record.

Late are the epochs of this process, whose age is known from running time, and those of earlier processes in
which no two sources agreed, since a lone clock that calls itself disciplined may have been behind. If it was
not, or if there were several starts, their content is kept longer by the difference, unless delivered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from storage.record_base import ClockState, KeyClass

if TYPE_CHECKING:
    from storage.store import UnitStore

LATE_FROM = "late_from"  # the cursor of the first epoch opened since two sources last agreed
LATE_SINCE = "late_since_us"  # the cursor of the time then: a later receipt may be late, too
LATE_BY = "late_by_us"  # the cursor of a leap that the state's time includes and no epoch names yet
_REASON = re.compile(
    r"the time was behind: epochs from ([0-9]{1,18}) and receipts since ([0-9]{1,18}) us"
    r" are ([0-9]{1,18}) us later"
)


def reason_of(first: int, since_us: int, by_us: int) -> str:
    """The reason of the epoch that a leap opens: epochs from `first` on opened, and receipts since `since_us`
    came, `by_us` later than they say.
    """
    return f"the time was behind: epochs from {first} and receipts since {since_us} us are {by_us} us later"


def parse_reason(reason: str) -> tuple[int, int, int] | None:
    """(first, since_us, by_us) of such a reason; None for any other."""
    found = _REASON.fullmatch(reason)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def note_leap(store: UnitStore) -> int:
    """At the end of a transaction, date the epochs and receipts that a leap of the time made too old; returns
    the leap in us.

    A slot that has not answered takes no new key, and one that is about to be turned could not open it: then
    a later transaction notes the leap. Raises like open_epoch.
    """
    store.time.now()  # the clock may agree with the department's time only now
    is_turning = store.slot_unsure or store.book.pending is not None
    leapt_us = 0 if is_turning else store.time.leapt_us
    if leapt_us:
        first, since_us = _late_or_of_this_process(store)
        newest_us = store.book.received.newest_us
        late = any(one.epoch >= first and one.purged_by is None for one in store.book.epochs.values())
        if late or (newest_us is not None and newest_us >= since_us):
            store.open_epoch(KeyClass.AUDIT, reason_of(first, since_us, leapt_us))
    return leapt_us


def _late(store: UnitStore) -> tuple[int, int]:
    """The first epoch, and the time of the first receipts, that a leap affects."""
    state = store.state
    return state.cursor(LATE_FROM) or store.first_epoch, state.cursor(LATE_SINCE) or store.opened_us


def _late_or_of_this_process(store: UnitStore) -> tuple[int, int]:
    first, since_us = _late(store)
    return min(first, store.first_epoch), min(since_us, store.opened_us)


def next_cursors(store: UnitStore, noted_us: int, moment: tuple[int, int, bool]) -> dict[str, int]:
    """The cursors for the state that is about to be written, after a leap of `noted_us` was noted.

    moment: from `TrustedTime.read_at_once`.
    """
    now_us, leapt_us, agreed = moment
    late_us = leapt_us - noted_us
    if late_us:  # the next process dates them in place of this one
        first, since_us = _late_or_of_this_process(store)
    elif agreed:
        first, since_us = store.book.next_epoch(), now_us
    elif noted_us:  # a leap of the earlier process: its epochs are right now
        first, since_us = store.first_epoch, store.opened_us
    else:
        first, since_us = _late(store)
    return {LATE_FROM: first, LATE_SINCE: since_us, LATE_BY: late_us}


def sealing_us(store: UnitStore) -> int | None:
    """The time (us UTC) to whose day key an epoch's key is sealed; None: to the last day's.

    The department destroys a day's key after a year, and an unknown time may be further behind than that. An
    escrowed copy must not outlive the year, so it is always sealed to custody's day.
    """
    is_known = store.time.agreed or store.time.now().state is ClockState.DISCIPLINED
    return store.time.trusted_us if is_known or store.policy.escrow else None


def date_again(store: UnitStore) -> None:
    """Before a purge, note a leap that no record has followed yet. Raises like `adding`."""
    store.time.now()
    if store.time.leapt_us:
        with store.adding():
            pass  # the end of the transaction notes it
