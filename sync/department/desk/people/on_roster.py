"""Whether a person whom a call names is on the roster; the refusal names them. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

from sync.department.journal.entries import AccountSet
from sync.department.policy.refusals import FormError

LONGEST = 64
CURE = "see People (department user list) for the names; the administrator enters a person first"


def demand_active(
    accounts: Mapping[str, AccountSet],
    user: str,
    *,
    clause: str,
    cure: str = CURE,
    fields: tuple[str, ...] = (),
) -> AccountSet:
    """The account of an active person. Raises FormError."""
    account = accounts.get(user)
    if account is None or not account.active:
        raise unknown(user, clause=clause, cure=cure, fields=fields)
    return account


def unknown(user: str, *, clause: str, cure: str = CURE, fields: tuple[str, ...] = ()) -> FormError:
    """The refusal of a name that no person of the roster has."""
    what = f"{user[:LONGEST]} is not on the roster" if user else "no user is named"
    return FormError(what, code="no-such-user", clause=clause, cure=cure, fields=fields)
