"""Who a session is: what a logon answers beside the token, so that a client need not ask again."""

from __future__ import annotations

from storage.times import HOUR_US, MINUTE_US
from sync.department.desk import sessions
from sync.department.desk.desk import Desk
from sync.department.desk.logon_forms import LoggedOn
from sync.department.desk.people import rules as people


def logged_on(desk: Desk, token: str) -> LoggedOn:
    """The session of a token that was just given out. Raises NotProvenError."""
    session = sessions.find(desk.book.sessions, token)
    account = desk.book.roster.accounts[session.user]
    policy, now_us = desk.policy, desk.now_us()
    posted = session.post in policy.sessions.staffed_posts
    ends_us = people.expires_us(policy.security, desk.book.roster.credential_us.get(session.user, 0))
    known = desk.book.roster.credentials.get(session.user)
    must = (
        "first-password" if known is None or known.first else "password-expired" if now_us > ends_us else ""
    )
    return LoggedOn(
        token=token,
        user=session.user,
        name=account.name,
        organisation=account.organisation,
        roles=tuple(
            str(role) for role in policy.effective_roles(desk.book.roster.roles_of(session.user, now_us))
        ),
        expires_us=session.opened_us + policy.sessions.longest_hours * HOUR_US,
        locks_after_us=-1 if posted else policy.sessions.lock_minutes * MINUTE_US,
        password_ends_us=ends_us,
        must_change=must,
    )
