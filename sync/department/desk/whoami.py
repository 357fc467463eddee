"""Whose a session is: what a login answers besides the token, and what a client can ask again."""

from __future__ import annotations

from dataclasses import fields

from storage.times import HOUR_US
from sync.department.desk import sessions
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.logon_forms import LoggedOn, Me
from sync.department.desk.people import rules as people
from sync.department.policy.roles import Call


def logged_on(desk: Desk, token: str) -> LoggedOn:
    """The answer to a login, for a token that was just given out. Raises NotProvenError."""
    known = _session_of(desk, token)
    return LoggedOn(token=token, **{one.name: getattr(known, one.name) for one in fields(Me)})


def _session_of(desk: Desk, token: str) -> Me:
    """Whose session a token opens. Raises NotProvenError."""
    session = sessions.find(desk.book.sessions, token)
    account = desk.book.roster.accounts[session.user]
    policy, now_us = desk.policy, desk.now_us()
    posted = session.post in policy.sessions.staffed_posts
    ends_us = people.expires_us(policy.security, desk.book.roster.credential_us.get(session.user, 0))
    known = desk.book.roster.credentials.get(session.user)
    must = (
        "first-password" if known is None or known.first else "password-expired" if now_us > ends_us else ""
    )
    return Me(
        user=session.user,
        name=account.name,
        organisation=account.organisation,
        roles=tuple(
            str(role) for role in policy.effective_roles(desk.book.roster.roles_of(session.user, now_us))
        ),
        expires_us=session.opened_us + policy.sessions.longest_hours * HOUR_US,
        locks_after_min=-1 if posted else policy.sessions.lock_minutes,
        password_ends_us=ends_us,
        must_change=must,
        replaces_authenticator=session.user not in desk.book.roster.own_secrets,
    )


def me(front: DeskContext, token: str, form: NothingForm) -> Me:  # noqa: ARG001
    """Show whose session this is, when it ends, and whether a new password makes a new authenticator too."""
    desk = front.desk

    def plan(_caller: Caller) -> Plan[Me]:
        shown = _session_of(desk, token)
        return [], lambda _entries: shown

    return desk.act(token, Call.POLICY_READ, plan)
