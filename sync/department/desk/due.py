"""What a department owes and what ends, asked of one desk: one answer for pages, commands and mails."""

from __future__ import annotations

from dataclasses import dataclass

from storage.errors import ExplainedError
from storage.times import DAY_US
from sync.department.desk import compliance
from sync.department.desk.context import DeskContext
from sync.department.desk.documents.own_entries import ANYONE, Onlooker, lists_shown, own_known
from sync.department.desk.endings import (
    OF_PEOPLE,
    PASSES,
    SEEN_WITH,
    by_date,
    of_lists,
    of_people,
    of_units,
    seen_by,
    soon,
    unheard,
    unreadable_lists,
)
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.owed import Ending, Overdue
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call

GONE_DAYS = 30  # the calendar leaves out what ended longer ago than this


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarForm:
    """Which part of the calendar to show. `kinds`: only these kinds; empty for all."""

    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueForm:
    """What to list. `filings`: also requests not filed in the RMS, which reads the whole log."""

    filings: bool = True


def overdue_now(
    front: DeskContext, now_us: int, *, filings: bool = True, onlooker: Onlooker = ANYONE
) -> list[Overdue]:
    """Everything overdue that log, store and clock know of. `onlooker`: as for `endings_now`."""
    desk = front.desk
    requests = front.requests.of(desk.log) if filings else []
    user, roles = onlooker.user, onlooker.roles
    incidents = front.incidents.listed()
    with desk.looking() as book:
        found = compliance.overdue(desk.policy, book, requests, now_us, user=user, roles=roles)
        found += compliance.held(book, front.vault.count)
        found += compliance.keys_list(book, now_us)
        incidents_open = compliance.open_incidents(incidents, book, now_us)
        claims = compliance.claims(desk.policy, book, now_us)
    found += front.overdue_from_store(now_us)
    found += incidents_open
    if desk.root.witnesses:  # the hourly heads report it if none is named
        found += compliance.witness(desk.policy, desk.witness_problem(), fork=bool(desk.fork))
        found += claims
    doubt = front.time.doubt() if front.time is not None else None
    return found + compliance.clocks(doubt, now_us, desk.log.newest_us())


def endings_now(
    front: DeskContext,
    now_us: int,
    kinds: frozenset[str] = frozenset(SEEN_WITH),
    *,
    onlooker: Onlooker = ANYONE,
) -> list[Ending]:
    """Everything of these kinds that ends, soonest first, without what ended for good a while ago.

    Of the own hot list, it has what the onlooker may know.
    """
    desk = front.desk
    with desk.looking() as book:
        found = of_people(desk.policy, book, now_us)
    if kinds & {"authority", "certificate", "day-keys"}:
        found += front.ending()
    if "unit-certificate" in kinds:
        found += of_units(front.state.units(now_us))
    if kinds & {"hot-list", "list-entry", "recipients"}:
        try:
            own = own_known(front, onlooker)
            found += of_lists(lists_shown(front), own)
            found += unheard(desk.policy, desk.book, own, now_us)
        except (ExplainedError, OSError) as error:
            where = error.where if isinstance(error, ExplainedError) else str(error.filename or "")
            found.append(unreadable_lists(where))  # a damaged file is reported and hides no other end
    return by_date(
        one
        for one in found
        if one.kind in kinds and (one.kind not in PASSES or one.ends_us > now_us - GONE_DAYS * DAY_US)
    )


def overdue(front: DeskContext, token: str, form: OverdueForm) -> tuple[Overdue, ...]:
    """List what is overdue: audits, training, purges, silent units, findings, requests not filed."""
    desk = front.desk
    caller = desk.demand(token, Call.COMPLIANCE_READ)
    return tuple(overdue_now(front, desk.now_us(), filings=form.filings, onlooker=caller))


def ending_soon(front: DeskContext, token: str, form: NothingForm) -> tuple[Ending, ...]:  # noqa: ARG001
    """List what ends within the policy's days of notice, for people, the server and units."""
    desk = front.desk
    caller = desk.demand(token, Call.COMPLIANCE_READ)
    now_us = desk.now_us()
    return tuple(soon(desk.policy, endings_now(front, now_us, onlooker=caller), now_us))


def listed(front: DeskContext, token: str, form: CalendarForm) -> tuple[Ending, ...]:
    """List everything that ends, soonest first. Each person sees what concerns them or is theirs to renew."""
    desk = front.desk
    if not set(form.kinds) <= set(SEEN_WITH):
        raise FormError(
            "kinds: the calendar has no such kind", code="kinds", clause="463.4", cure=", ".join(SEEN_WITH)
        )
    caller = desk.demand(token, Call.POLICY_READ)
    calls = desk.policy.calls_by(caller.roles)
    every = Call.COMPLIANCE_READ in calls
    kinds = {kind for kind, call in SEEN_WITH.items() if every or call in calls or kind in OF_PEOPLE}
    asked = frozenset(kinds & set(form.kinds or SEEN_WITH))
    found = endings_now(front, caller.at_us, asked, onlooker=caller)
    return tuple(seen_by(found, caller.user, calls))
