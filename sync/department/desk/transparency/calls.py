"""The public counts at the desk: anyone reads them; recomputed at most once an hour."""

from __future__ import annotations

import threading

from storage.times import HOUR_US
from sync.department.desk.context import Front
from sync.department.desk.desk import Desk
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.transparency import rules
from sync.department.desk.transparency.facts import KINDS, facts_of
from sync.department.desk.transparency.rules import Seen, Transparency
from sync.department.policy.roles import Call


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
    """The counts as they are given away: computed once an hour at most, however many ask. Thread-safe."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._guard = threading.Lock()
        self._made: tuple[int, Transparency] | None = None

    def newest(self) -> Transparency:
        """The counts of this hour."""
        with self._guard:
            now_us = self._desk.now_us()
            if self._made is None or not 0 <= now_us - self._made[0] < HOUR_US:
                self._made = (now_us, counted(self._desk))
            return self._made[1]


def read(front: Front, token: str, form: NothingForm) -> Transparency:  # noqa: ARG001
    """The public counts as they are now."""
    front.desk.act(token, Call.POLICY_READ, lambda _caller: ([], lambda _entries: None))
    return counted(front.desk)
