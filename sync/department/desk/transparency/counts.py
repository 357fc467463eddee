"""The public counts of a desk, computed from its log once an hour at most, however many ask."""

from __future__ import annotations

import threading

from storage.times import HOUR_US
from sync.department.desk.desk import Desk
from sync.department.desk.transparency import rules
from sync.department.desk.transparency.facts import KINDS, facts_of
from sync.department.desk.transparency.rules import Seen, Transparency


def counted(desk: Desk) -> Transparency:
    """The public counts up to the newest co-signed tree head: nothing that no witness saw."""
    size, checkpoint = desk.log.cosigned()
    return rules.count(facts_of(desk.log.entries(0, size, KINDS)), seen_now(desk, size, checkpoint))


def seen_now(desk: Desk, size: int, checkpoint: str) -> Seen:
    """What is beside the first `size` entries."""
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


class PublicCounts:
    """The counts as they are given away, on the page and as JSON: the same for an hour. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._made: tuple[int, Transparency] | None = None

    def newest(self, desk: Desk) -> Transparency:
        """The counts of this hour."""
        with self._guard:
            now_us = desk.now_us()
            if self._made is None or not 0 <= now_us - self._made[0] < HOUR_US:
                self._made = (now_us, counted(desk))
            return self._made[1]
