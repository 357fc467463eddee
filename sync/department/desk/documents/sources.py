"""What a new extract would change, and how often each source's hits were rejected. Only counts, never a
plate."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.documents.lists import ListForm, imported, reading
from sync.department.desk.documents.own_entries import lists_shown, own_known
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.journal.entries import LogRead
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call
from sync.hot_lists.document import LOCAL, difference


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffForm:
    """A file to compare with the newest version of a list; nothing is sent."""

    list_id: str
    layout: str
    body: bytes = field(repr=False)
    category: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDiff:
    """What would be sent. `categories`: (category, entries now, entries then)."""

    list_id: str
    version: int
    removed: int
    added: int
    entries: int
    said: str
    categories: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLine:
    """One source: the entries that units are offered, its checked and rejected hits, and whether it is
    silent.

    `rejected`: because of the state or the vehicle; a wrong character is the camera's error. `limit_percent`:
    if two people reject more than this share of at least `least` checked hits, its alerts become silent.
    """

    source: str
    lists: int
    entries: int
    checked: int
    rejected: int
    silent: bool
    limit_percent: int
    least: int


def diff(front: DeskContext, token: str, form: DiffForm) -> ListDiff:
    """Compare a file with the newest version of its list, and count the entries that would go and come."""
    desk = front.desk
    desk.demand(token, Call.DOCUMENT_SIGN)
    try:
        with reading(front, token):  # takes seconds, so no lock is held and other calls run
            found = _compared(front, form)
    except FormError as refusal:
        desk.refuse(token, Call.DOCUMENT_SIGN, refusal)

    def plan(_caller: Caller) -> Plan[ListDiff]:
        count = found.removed + found.added
        return [LogRead(elements="hot list compared", count=count)], lambda _made: found

    return desk.act(token, Call.DOCUMENT_SIGN, plan)


def _compared(front: DeskContext, form: DiffForm) -> ListDiff:
    """Compare two versions. Raises FormError."""
    asked = ListForm(
        list_id=form.list_id,
        layout=form.layout,
        body=form.body,
        category=form.category,
        issuer="compared",
        source="compared",
        reason="compared",
    )
    made = imported(front.desk, asked, front.desk.now_us())
    held = front.list_entries(form.list_id)
    version = next((one.sequence for one in front.lists_out() if one.list_id == form.list_id), 0)
    old = sorted({one.to_bytes() for one in held})
    new = sorted({one.to_bytes() for one in made.entries})
    gone, came = difference(old, new)
    now, then = Counter(one.category for one in held), Counter(one.category for one in made.entries)
    return ListDiff(
        list_id=form.list_id,
        version=version,
        removed=len(gone),
        added=len(came),
        entries=len(new),
        said=made.summary(),
        categories=tuple((name, now[name], then[name]) for name in sorted({*now, *then})),
    )


def sources(front: DeskContext, token: str, form: NothingForm) -> tuple[SourceLine, ...]:  # noqa: ARG001
    """List each source with the share of its hits that people rejected.

    The department itself is a source for those who sign its entries, with the entries that they may know of.
    """
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[SourceLine, ...]]:
        terms, alerts = desk.policy.alerts, desk.book.alerts.known_to(caller.user, caller.roles)
        shares = {one.source: one for one in alerts.sources()}
        counts: dict[str, list[int]] = defaultdict(list)
        for one in lists_shown(front):
            counts[one.source].append(one.count)
        if Call.DOCUMENT_SIGN not in desk.policy.calls_by(caller.roles):
            shares.pop(LOCAL, None)
        elif own := own_known(front, caller):
            counts[LOCAL].append(len(own))
        found = []
        for name in sorted({*shares, *counts}):
            share, mine = shares.get(name), counts.get(name, [])
            found.append(
                SourceLine(
                    source=name,
                    lists=len(mine),
                    entries=sum(mine),
                    checked=0 if share is None else share.checked,
                    rejected=0 if share is None else share.rejected,
                    silent=share is not None and share.muted(terms),
                    limit_percent=terms.source_rejected_percent,
                    least=terms.source_rejected_least,
                )
            )
        rows = tuple(found)
        return [LogRead(elements="sources of hot lists", count=len(rows))], lambda _made: rows

    return desk.act(token, Call.ALERT_LIST, plan)
