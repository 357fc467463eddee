"""Figures for the audit: accesses by purpose, person, action and day; the auditor's bundle (463.5 (c))."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sync.department.desk.audit.calls import FOREVER_US
from sync.department.desk.audit.rules import NOT_FILED, demand_period
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry.calls import read_log
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.transparency import bundle
from sync.department.desk.transparency.counts import counted
from sync.department.desk.transparency.facts import KINDS, facts_of
from sync.department.desk.transparency.rules import Tally
from sync.department.ground.local_time import local
from sync.department.journal.entries import Entry, LogRead
from sync.department.policy.roles import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class NumbersForm:
    """The period to count; empty for the whole log. `action`: search, image, export and so on; empty for
    all."""

    since_us: int = 0
    until_us: int = FOREVER_US
    action: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Counts of accesses in a period, the largest first.

    `by_person`: by who ran them; `by_day`: by YYYY-MM-DD of the department's clocks, in order of the days.
    """

    accesses: int
    not_filed: int
    by_purpose: tuple[Tally, ...]
    by_person: tuple[Tally, ...]
    by_action: tuple[Tally, ...]
    by_day: tuple[Tally, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """The auditor's bundle (ZIP), the entry up to which it goes, and its SHA-256."""

    entries: int
    digest: str
    bundle: bytes = field(repr=False)


def _largest(counter: Counter[str]) -> tuple[Tally, ...]:
    rows = sorted(counter.items(), key=lambda one: (-one[1], one[0]))
    return tuple(Tally(name=name, count=number) for name, number in rows)


def numbers(front: DeskContext, token: str, form: NumbersForm) -> Numbers:
    """Count accesses by purpose, person, action and day. This makes an entry."""
    found = read_log(
        front,
        token,
        Call.AUDIT_READ,
        "numbers by purpose and person",
        lambda one, _user: form.since_us <= one.at_us < form.until_us and form.action in {"", one.action},
        check=lambda: demand_period(form.since_us, form.until_us),
    )
    zone = front.desk.policy.zone
    days = Counter(local(one.at_us, zone).date().isoformat() for one in found)
    return Numbers(
        accesses=len(found),
        not_filed=sum(one.rms_number == NOT_FILED for one in found),
        by_purpose=_largest(Counter(one.purpose for one in found)),
        by_person=_largest(Counter(one.username for one in found)),
        by_action=_largest(Counter(one.action for one in found)),
        by_day=tuple(Tally(name=name, count=days[name]) for name in sorted(days)),
    )


def bundled(front: DeskContext, token: str, form: NothingForm) -> Bundled:  # noqa: ARG001
    """Make the auditor's bundle: the log's tree and the public counts, without a plate. This makes an
    entry."""
    desk = front.desk

    def plan(_caller: Caller) -> Plan[Entry]:
        return [LogRead(elements="auditor's bundle", count=-1)], lambda made: made[0]

    entry = desk.act(token, Call.AUDIT_READ, plan)
    desk.covered(entry.sequence)
    counts = counted(desk)
    facts = facts_of(desk.log.entries(0, counts.entries, KINDS))
    content = bundle.Content(
        leaves=desk.log.leaves(counts.entries),
        openings=_openings(desk, counts.entries),
        facts=(one for one in facts if one.kind not in bundle.OPENED),
        counts=counts,
    )
    data = bundle.build(content, functools.partial(desk.log.sign, context=bundle.BUNDLE_CONTEXT))
    return Bundled(entries=counts.entries, digest=hashlib.sha256(data).hexdigest(), bundle=data)


def _openings(desk: Desk, size: int) -> Iterator[bundle.BundleOpening]:
    for entry in desk.log.entries(0, size, tuple(sorted(bundle.OPENED))):
        opened = desk.log.opening(entry.sequence)[1]
        yield bundle.BundleOpening(entry=entry.sequence, salt=opened.salt, content=opened.content)
