"""Looks at alerts among the accesses, which only those who may know of the alert and auditors are shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from sync.department.desk.audit.rules import AlprRequest
from sync.department.desk.desk import Caller, Desk
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.signed_forms import ALERTS
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call


def _sight(desk: Desk, caller: Caller) -> Callable[[str, str, Collection[str]], bool]:
    """Make a function of (action, elements, reads) that says whether the caller is shown such an access."""
    audits = Call.AUDIT_READ in desk.policy.calls_by(caller.roles)  # they see each in the log, and file it
    with desk.looking() as book:
        alerts = book.alerts
        known = alerts if audits else alerts.known_to(caller.user, caller.roles, desk.book.covert.makers)
    return lambda action, elements, reads: (
        action not in ALERTS or alerts.may_know_access(known, elements, reads)
    )


def shown_to(desk: Desk, caller: Caller, found: Iterable[AlprRequest]) -> Iterator[AlprRequest]:
    """The requests that a person may see, without what a look at alerts would reveal."""
    sees = _sight(desk, caller)
    for one in found:
        if sees(one.action, one.data_elements, one.reads):
            hides = one.action in ALERTS
            results = None if one.action == "alert" else one.results
            yield replace(one, reads=(), results=results) if hides else one


def demand_shown(desk: Desk, caller: Caller, sequence: int) -> Access:
    """An access that a person may see. Raises the same FormError as for an entry that is not an access."""
    note = desk.access(sequence)
    if not _sight(desk, caller)(note.action, note.elements, note.reads):
        raise FormError("there is no such access", code="no-access", clause="463.5 (b)")
    return note
