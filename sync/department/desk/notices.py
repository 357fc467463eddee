"""Everything that ends soon: what ends for people, and audit, policy, certificates, day keys. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from storage.times import DAY_US, iso_text
from sync.department.desk.endings import Ending, endings
from sync.department.desk.state import Book
from sync.department.journal.entries import AuditDone
from sync.department.policy.policy import Policy

REVIEW_DAYS = 365  # a policy is read again once a year


def ending(
    policy: Policy, book: Book, now_us: int, machine: Iterable[tuple[str, str, int, str]] = ()
) -> list[Ending]:
    """Everything that ends within the policy's days of notice, the soonest first.

    `machine`: (kind, what, end, cure) of the server's own certificates and keys.
    """
    until_us = now_us + policy.people.notice_days * DAY_US
    ends = [entry.note.to_us for entry in book.findings.audits if isinstance(entry.note, AuditDone)]
    audit_us = max(ends, default=book.opened_us) + policy.audit.every_days * DAY_US
    found = [
        *((kind, "463.5", what, ends_us, cure) for kind, what, ends_us, cure in machine),
        ("audit", policy.audit.clause, "the time without a periodic audit", audit_us, "department audit run"),
    ]
    if book.policy_us:
        review_us = book.policy_us + REVIEW_DAYS * DAY_US
        cure = "adopt it again, as it is or changed: department keys draft, sign, adopt"
        found.append(("policy", "1798.90.51", "the year since the policy was last adopted", review_us, cure))
    more = [
        Ending(
            kind=kind,
            clause=clause,
            about=what,
            ends_us=ends_us,
            what=f"{what} ends {iso_text(ends_us, to='second')} ({cure})",
        )
        for kind, clause, what, ends_us, cure in found
        if now_us <= ends_us < until_us
    ]
    return sorted([*endings(policy, book, now_us), *more], key=lambda one: (one.ends_us, one.about))
