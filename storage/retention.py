"""What is due for purging, by which clause, and when the rest will be. Pure: it plans, and `purge` acts.

An epoch is due a year after its first record (463.8), or a day after the department's receipt for all of it,
whichever is first. Held content has already left its epoch (see holds). The time is custody's trusted time,
which does not follow a clock that jumps ahead.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from storage.counts import counted
from storage.epochs import EpochFacts, LogFacts
from storage.keyring import AT_MEMORY
from storage.log_records import EpochPurged
from storage.policy import CustodyPolicy
from storage.record_base import KeyClass
from storage.times import DAY_US, HOUR_US

AUDIT_EPOCH_US = 365 * DAY_US  # how long access entries go under one key


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochCount:
    """An epoch's records, how many of them the department's receipts cover, and the last receipt's time."""

    records: int
    received: int
    received_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEpoch:
    """One epoch in the plan. `due_us`: when it is or was due; `due`: whether it is due now."""

    epoch: int
    key_class: KeyClass
    records: int
    received: int
    opened_us: int
    due_us: int
    due: bool
    clause: str
    reason: str

    def purged(self) -> EpochPurged:
        return EpochPurged(
            epoch=self.epoch,
            key_class=self.key_class,
            records=self.records,
            clause=self.clause,
            reason=self.reason,
        )


def plan_purge(
    book: LogFacts,
    counts: Mapping[int, EpochCount],
    policy: CustodyPolicy,
    *,
    now_us: int,
    live: Set[int],
) -> tuple[PlannedEpoch, ...]:
    """The plan for every epoch with content, oldest first. `live`: epochs with a key in memory."""
    items = []
    content_left = _oldest_content(book)
    for facts in book.epochs.values():
        if facts.purged_by is not None:
            continue
        count = counts.get(facts.epoch, EpochCount(records=0, received=0, received_us=0))
        due_us, clause, reason = _due(facts, count, policy, live)
        if facts.key_class is KeyClass.HOLD:
            released = facts.epoch in book.released
            due_us, reason = (now_us, "hold released") if released else (_NEVER, "held")
        ended = facts.closed or now_us - facts.opened_us >= policy.epoch_hours * HOUR_US
        if facts.key_class is KeyClass.AUDIT:
            ended = facts.closed and facts.opened_us < content_left - AUDIT_EPOCH_US
        if facts.key_class is KeyClass.HOLD:
            ended = True
        items.append(
            PlannedEpoch(
                epoch=facts.epoch,
                key_class=facts.key_class,
                records=count.records,
                received=count.received,
                opened_us=facts.opened_us,
                due_us=due_us,
                due=ended and due_us <= now_us,
                clause=clause,
                reason=reason,
            )
        )
    return tuple(items)


_NEVER = (1 << 63) - 1


def _oldest_content(book: LogFacts) -> int:
    """When the oldest remaining content was opened; audit entries outlive what they are about."""
    kept = [
        f.opened_us for f in book.epochs.values() if f.purged_by is None and f.key_class is not KeyClass.AUDIT
    ]
    return min(kept, default=_NEVER)


def _due(facts: EpochFacts, count: EpochCount, policy: CustodyPolicy, live: Set[int]) -> tuple[int, str, str]:
    """(when, clause, reason) for one epoch."""
    if facts.key_class is KeyClass.AUDIT:
        last_us = max(facts.opened_us + AUDIT_EPOCH_US, facts.closed_us or 0)  # the last entry in it
        end = last_us + policy.audit_keep_days * DAY_US
        kept = counted(policy.audit_keep_days, "day")
        return end, "463.5", f"a year of access entries, kept {kept} after it"
    if facts.key_at == AT_MEMORY and facts.epoch not in live:
        return facts.opened_us, "463.8", "its key was only in memory and was lost with it"
    year = facts.opened_us + policy.keep_days * DAY_US
    if count.records and count.received == count.records:
        received = count.received_us + policy.keep_hours_after_receipt * HOUR_US
        if received < year:
            return received, "463.8", f"received by the department, {policy.keep_hours_after_receipt} h kept"
    return year, "463.8", f"{counted(policy.keep_days, 'day')} after its first record"
