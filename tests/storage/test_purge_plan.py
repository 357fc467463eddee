"""The purge plan at its limits: due at the exact microsecond and not before, each for its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.epochs import EpochFacts, LogFacts
from storage.keyring import AT_KEK, AT_MEMORY
from storage.policy import CustodyPolicy
from storage.record_base import KeyClass
from storage.retention import EpochCount, PlannedEpoch, plan_purge
from storage.times import DAY_US, HOUR_US

POLICY = CustodyPolicy(keep_days=400, audit_keep_days=10, keep_hours_after_receipt=24, epoch_hours=12)
OPENED = 5 * HOUR_US
FACTS = EpochFacts(1, KeyClass.READ, OPENED, AT_KEK, 1, closed=True)
ALL = EpochCount(records=3, received=3, received_us=7 * HOUR_US)
YEAR_US = OPENED + 400 * DAY_US
AUDIT_US = OPENED + 375 * DAY_US
NEVER_US = (1 << 63) - 1


def plan(
    *facts: EpochFacts, count: EpochCount | None = None, now_us: int = 0, live: int = 1, released: int = 0
) -> tuple[PlannedEpoch, ...]:
    book = LogFacts(epochs={one.epoch: one for one in facts}, released={released})
    return plan_purge(book, {} if count is None else {1: count}, POLICY, now_us=now_us, live={live})


@pytest.mark.parametrize(
    ("count", "due_us", "reason"),
    [
        (None, YEAR_US, "400 days after its first record"),
        (replace(ALL, received=2), YEAR_US, "400 days after its first record"),
        (EpochCount(records=0, received=0, received_us=1), YEAR_US, "400 days after its first record"),
        (ALL, 31 * HOUR_US, "received by the department, 24 h kept"),
        (
            replace(ALL, received_us=YEAR_US - DAY_US - 1),
            YEAR_US - 1,
            "received by the department, 24 h kept",
        ),
        (replace(ALL, received_us=YEAR_US - DAY_US), YEAR_US, "400 days after its first record"),
    ],
)
def test_content_is_due_at_its_time_and_not_a_microsecond_before(
    count: EpochCount | None, due_us: int, reason: str
) -> None:
    for now_us, due in ((due_us - 1, False), (due_us, True)):
        (one,) = plan(FACTS, count=count, now_us=now_us)
        assert (one.due_us, one.due, one.clause, one.reason) == (due_us, due, "463.8", reason)
    known = count or EpochCount(records=0, received=0, received_us=0)
    assert (one.records, one.received, one.opened_us) == (known.records, known.received, OPENED)
    told = one.purged()
    assert (told.epoch, told.records, told.clause, told.reason) == (1, known.records, "463.8", reason)


def test_an_epoch_that_runs_waits_for_its_end_by_its_record_or_its_hours() -> None:
    for now_us, due in ((OPENED + 12 * HOUR_US - 1, False), (OPENED + 12 * HOUR_US, True)):
        running = replace(FACTS, closed=False, key_at=AT_MEMORY)
        (one,) = plan(running, now_us=now_us, live=2)
        assert (one.due, one.due_us, one.reason) == (
            due, OPENED, "its key was only in memory and was lost with it"
        )  # fmt: skip
    (one,) = plan(replace(FACTS, key_at=AT_MEMORY), now_us=OPENED)  # its key is still there
    assert (one.due, one.due_us) == (False, YEAR_US)
    (one,) = plan(FACTS, now_us=OPENED, live=2)  # on the card
    assert one.due_us == YEAR_US


def test_access_entries_outlive_what_they_are_about_by_a_year() -> None:
    audit = replace(FACTS, key_class=KeyClass.AUDIT)
    (one,) = plan(audit, now_us=AUDIT_US)
    assert (one.due_us, one.clause, one.due) == (AUDIT_US, "463.5", True)
    assert one.reason == "a year of access entries, kept 10 days after it"
    assert not plan(audit, now_us=AUDIT_US - 1)[0].due
    assert not plan(replace(audit, closed=False), now_us=10 * YEAR_US)[0].due
    for opened_us, due in ((OPENED + 365 * DAY_US, False), (OPENED + 365 * DAY_US + 1, True)):
        content = replace(FACTS, epoch=2, opened_us=opened_us)
        assert plan(audit, content, now_us=10 * YEAR_US)[0].due is due
    gone = replace(FACTS, epoch=2, purged_by=9)
    other = replace(audit, epoch=3)
    assert [(one.epoch, one.due) for one in plan(audit, gone, other, now_us=10 * YEAR_US)] == [
        (1, True), (3, True)
    ]  # fmt: skip


def test_a_hold_is_due_with_its_release_and_never_before() -> None:
    hold = replace(FACTS, key_class=KeyClass.HOLD, closed=False)
    (one,) = plan(hold, now_us=NEVER_US - 1)
    assert (one.due, one.due_us, one.reason) == (False, NEVER_US, "held")
    (one,) = plan(hold, now_us=OPENED, released=1)
    assert (one.due, one.due_us, one.reason) == (True, OPENED, "hold released")
