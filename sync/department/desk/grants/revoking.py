"""Revokes maintenance grants at the desk for good: by id, by person or by key (463.3).

Units sync one signed list of revoked names and never forget a name. So a name must be right, and no name on
the list gets another grant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from storage.grant_format import Grant
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.journal.office_entries import GrantsRevoked
from sync.department.policy.desk_terms import weight
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.policy.roles import Call

CLAUSE = "463.3"
_ID_OR_KEY = re.compile(r"[0-9a-f]{32}|SHA256:[A-Za-z0-9+/]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeForm:
    """Grants to revoke, by grant id, person or SHA256:... of a key; and why."""

    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """How many names are in the list that units sync. `ended`: how many valid grants were revoked."""

    entry: int
    names: int
    ended: int


def revoke(front: DeskContext, token: str, form: RevokeForm) -> Revoked:
    """Revoke grants. Units learn of it at their next sync."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[int, int, int]]:
        names = tuple(dict.fromkeys(name.strip() for name in form.names))
        if not names or not all(0 < len(name) <= 100 for name in names) or not weight(form.reason):
            raise FormError("name grants, persons or keys, and say why", code="names", clause=CLAUSE)
        for name in names:
            _demand_known(desk, name)
        ended, note = (
            desk.book.grants.ended_by(names, caller.at_us),
            GrantsRevoked(names=names, reason=form.reason),
        )
        return [note], lambda made: (made[0].sequence, caller.at_us, ended)

    entry, at_us, ended = desk.act(token, Call.GRANT_ISSUE, plan)
    count = front.grants.revoke(sorted(desk.book.grants.revoked), at_us)
    front.enter_sent()
    return Revoked(entry=entry, names=count, ended=ended)


def _demand_known(desk: Desk, name: str) -> None:
    """Demand a known name. Raises FormError.

    A typing error would leave a grant valid and report it as revoked. An unknown id or key is accepted, since
    it may belong to a grant that a designee signed and that is not entered yet.
    """
    if _ID_OR_KEY.fullmatch(name) or name in desk.book.roster.accounts or desk.book.grants.knows(name):
        return
    raise FormError(
        "no grant and no person of the roster has that name",
        code="names",
        clause=CLAUSE,
        cure="see Grants, or: department grant list",
    )


def demand_not_taken_back(desk: Desk, grant: Grant) -> None:
    """Refuse a grant under a revoked name. Units keep those names, so it would open nothing."""
    if {grant.person, grant.holder.fingerprint} & desk.book.grants.revoked:
        raise DeskRefusal(
            "this person or key was revoked permanently: units would refuse the grant",
            code="taken-back",
            clause=CLAUSE,
            cure="a person who comes back gets another user name and another key",
        )
