"""The public counts of a desk, computed from its log once a week, however many people ask."""

from __future__ import annotations

import threading

from storage.times import DAY_US
from sync.department.desk.desk import Desk
from sync.department.desk.transparency import rules
from sync.department.desk.transparency.facts import KINDS, facts_of
from sync.department.desk.transparency.rules import Seen, Transparency


def counted(desk: Desk) -> Transparency:
    """The exact counts for an auditor, up to the newest co-signed tree head."""
    size, checkpoint = desk.log.cosigned()
    return rules.count(facts_of(desk.log.entries(0, size, KINDS)), seen_now(desk, size, checkpoint))


def seen_now(desk: Desk, size: int, checkpoint: str) -> Seen:
    """What the counts need besides the first `size` entries."""
    return Seen(
        department=desk.policy.department,
        policy_version=desk.policy.version,
        as_of_us=desk.log.entry(size - 1).stamp.at_us if size else 0,
        entries=size,
        witnesses=tuple(one.keys[0].partition("+")[0] for one in desk.root.witnesses),
        quorum=desk.root.quorum,
        checkpoint=checkpoint,
        alert_terms=desk.policy.alerts,
    )


def published(desk: Desk, week_us: int) -> Transparency:
    """The counts that everyone may see, up to the newest tree head co-signed over entries before `week_us`.

    Hourly counts would reveal to a driver who passed a camera whether that raised a hit, and when a person
    made a lookup. So would the size of the log.
    """
    size, checkpoint = desk.log.cosigned(desk.log.size_at(week_us))
    facts = list(facts_of(desk.log.entries(0, size, KINDS)))
    return rules.for_public(facts, seen_now(desk, size, checkpoint))


def week_of(us: int) -> int:
    """When the week of this time began (Monday, UTC)."""
    monday = (us // DAY_US + 3) // 7 * 7 - 3
    return monday * DAY_US


class PublicCounts:
    """The published counts, on the page and as JSON, which stay the same for a week. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._made: tuple[int, Transparency] | None = None

    def newest(self, desk: Desk) -> Transparency:
        """The counts up to the end of the last week."""
        with self._guard:
            week_us = week_of(desk.now_us())
            if self._made is None or self._made[0] != week_us:
                self._made = (week_us, published(desk, week_us))
            return self._made[1]
