"""Checks that the person whom a call names, or whose decision it needs, is on the roster. No I/O."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from sync.department.desk.people.rules import Accounts, calls_of, has_approvers
from sync.department.journal.entries import AccountSet, Entry
from sync.department.journal.second_hands import SecondHands
from sync.department.journal.signers import Signers
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import DeskRefusal, FormError, demand
from sync.department.policy.roles import Call

LONGEST = 64
ANOTHER_APPROVER = (
    "enter another CCAT supervisor or designee while a person may approve it; afterwards two of the three "
    "offices must name the administrator again (department keys administrator)"
)
ALONE = (
    "the administrator enters a CCAT supervisor or a designee first, alone and so without --propose "
    "(department user set, user credential), who may approve once they have a password of their own"
)
CURE = "the administrator enters a person first; for the names see People, or: department user list"


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
    """The refusal of a name that no person on the roster has."""
    what = f"{user[:LONGEST]} is not on the roster" if user else "no user is named"
    return FormError(what, code="no-such-user", clause=clause, cure=cure, fields=fields)


def check_same_person(roster: Accounts, account: AccountSet) -> None:
    """Demand that a removed account comes back as the same person. Raises FormError.

    Training, requests and lookups under its user name are that person's.
    """
    before = roster.accounts.get(account.user)
    if before is None or before.active or not account.active:
        return
    demand(
        _words(account.name) == _words(before.name),
        f"this user name was {before.name}'s",
        code="user-name",
        clause="463.3",
        cure="another person needs another user name; a person who comes back keeps the old name",
        fields=("user", "name"),
    )


def _words(name: str) -> list[str]:
    """The words of a name, whichever way a keyboard composes their accents (NFC, Unicode Standard Annex
    15)."""
    return unicodedata.normalize("NFC", name).split()


def demand_approver(second: SecondHands, call: Call, number: int, user: str, clause: str) -> None:
    """Demand that the approval of proposal or request `number` by `user` still counts. Raises DeskRefusal."""
    if not second.counts(call, number, user):
        raise DeskRefusal(
            "the person who approved it may no longer approve",
            code="approver-gone",
            clause=clause,
            cure="propose or enter it again, for another person to approve",
        )


def approvers_beside(policy: Policy, roster: Accounts, user: str, now_us: int) -> list[str]:
    """The users who may approve what `user` proposes."""
    return [
        one
        for one in roster.credentials
        if one != user and Call.CHANGE_APPROVE in calls_of(policy, roster.roles_of(one, now_us))
    ]


def fewer_approvers(policy: Policy, roster: Accounts, account: AccountSet, user: str, now_us: int) -> str:
    """A warning if this account leaves one person or no one to approve what `user` proposes; else empty."""
    before = approvers_beside(policy, roster, user, now_us)
    stays = account.active and Call.CHANGE_APPROVE in calls_of(policy, account.roles)
    left = [one for one in before if one != account.user]
    if stays or account.user not in before or len(left) > 1:
        return ""
    return one_approves(left, user)


def one_approves(able: Sequence[str], user: str) -> str:
    """What to do if only one person, or no one, may approve what `user` proposes."""
    return f"{f'only {able[0]}' if able else 'no one'} may approve what {user} proposes: {ANOTHER_APPROVER}"


def acts_alone(policy: Policy, roster: Accounts, signers: Signers, user: str) -> bool:
    """Whether the administrator may change the roster without a second person.

    That holds until another person could approve, and again if two offices named this administrator after the
    last approver had left.
    """
    named_alone = signers.named_at >= 0 and not signers.second.approved_once - {user}
    return named_alone or not has_approvers(policy, roster, user)


def demand_someone(
    policy: Policy, roster: Accounts, user: str, about: str, now_us: int, *, alone: bool
) -> None:
    """Demand that a person is there to decide a proposal: neither `user` nor whom it is about.

    `alone`: see `acts_alone`. Raises DeskRefusal.
    """
    able = approvers_beside(policy, roster, user, now_us)
    if set(able) <= {about}:
        cure = (
            f"{f'take the account of {about} away; ' if able else ''}two of the three offices name the "
            "administrator again (department keys administrator), who then enters the next CCAT supervisor "
            "or designee alone"
        )
        raise DeskRefusal(
            "no other person may approve this",
            code="no-approver",
            clause="463.4",
            cure=ALONE if alone else cure,
        )


def is_here(roster: Accounts, entry: Entry) -> bool:
    """Whether the person of an entry has been on the roster ever since. A proposal ends when its person
    leaves."""
    account = roster.accounts.get(entry.stamp.user)
    return account is not None and account.active and roster.left.get(account.user, -1) < entry.sequence


def demand_proposer(roster: Accounts, entry: Entry, clause: str) -> None:
    """Demand that a proposal's person is still on the roster. Raises DeskRefusal."""
    if not is_here(roster, entry):
        what = "the person who proposed it has since been removed: it ends by itself"
        raise DeskRefusal(what, code="proposer-gone", clause=clause, cure="have it proposed again")
