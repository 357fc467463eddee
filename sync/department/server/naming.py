"""An administrator whom two of the three offices name: the way back in when no administrator can log in.

The statement that the offices sign is in `journal/named_administrator.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from storage.errors import RecordError, SignatureError
from sync.department.desk.desk import Desk
from sync.department.desk.people import rules as people
from sync.department.desk.people.calls import HandedOver
from sync.department.desk.people.on_roster import check_same_person
from sync.department.journal.entries import AccountSet, Entry
from sync.department.journal.machine_entries import AdministratorNamed
from sync.department.journal.named_administrator import (
    AdministratorStatement,
    is_over,
    parse,
    signers,
    unsigned,
)
from sync.department.policy.roles import Role
from sync.root_file import THRESHOLD


def draft(desk: Desk, user: str, name: str) -> bytes:
    """Draft a statement to sign. Raises FormError for a name that is invalid or another person's."""
    account = _account(desk, user, name)
    people.check_account(desk.policy, account)
    check_same_person(desk.book.roster, account)
    made = AdministratorStatement(
        department=desk.root.department,
        user=user,
        name=account.name,
        root=desk.root.digest(),
        log_size=desk.log.size(),
        at_us=desk.now_us(),
    )
    return unsigned(made)


def name_administrator(desk: Desk, data: bytes) -> HandedOver:
    """Put a signed statement in force: the account, and a first password for it.

    The previous administrator loses the role. Raises SignatureError, RecordError, FormError.
    """
    statement, signatures = parse(data)
    offices = signers(desk.root, statement, signatures)
    if len(offices) < THRESHOLD:
        raise SignatureError(
            f"signed by {', '.join(offices) or 'no office'}: {THRESHOLD} of the three must sign",
            where="statement",
            cure="department keys sign, at another office",
        )
    with desk.log.writing():  # if two people bring the same statement, the second finds its entry
        entries = _entered(desk, statement, data, offices)
    password = people.one_time_password()
    credential = people.new_credential(
        desk.policy.security, statement.user, password, entries[-1].stamp.at_us, first=True
    )
    desk.set_credential(credential, entries[-1].stamp)
    desk.try_cover(desk.log.size() - 1)
    uri = people.totp_uri(credential.user, credential.totp, desk.policy.department)
    return HandedOver(user=statement.user, password=password, totp_uri=uri)


def _entered(
    desk: Desk, statement: AdministratorStatement, data: bytes, offices: Sequence[str]
) -> list[Entry]:
    """The entries of a statement that is still valid and not used yet. Raises RecordError, FormError."""
    desk.refresh()
    if statement.root != desk.root.digest() or statement.department != desk.root.department:
        raise RecordError("names another root file than the one in force", where="statement")
    if any(
        isinstance(one.note, AdministratorNamed)
        for one in desk.log.entries(statement.log_size, kinds=(AdministratorNamed.KIND,))
    ):
        raise RecordError("an administrator has been named since", where="statement", cure="draft it again")
    if is_over(statement, desk.now_us(), dated=True):
        raise RecordError("was not drafted in the last 14 days", where="statement", cure="draft it again")
    account = _account(desk, statement.user, statement.name)
    check_same_person(desk.book.roster, account)
    notes = [AdministratorNamed(user=statement.user, statement=data)]
    before = [
        replace(
            account,
            roles=tuple(role for role in account.roles if role is not Role.ADMINISTRATOR),
            active=account.roles != (Role.ADMINISTRATOR,),
            reason=f"{statement.user} was named administrator by {', '.join(offices)}",
        )
        for account in desk.book.roster.accounts.values()
        if account.active and Role.ADMINISTRATOR in account.roles and account.user != statement.user
    ]
    return desk.system(*notes, *before, account)


def _account(desk: Desk, user: str, name: str) -> AccountSet:
    """The new account: the administrator's role, and the person's roles that may be combined with it."""
    known = desk.book.roster.accounts.get(user)
    return AccountSet(
        user=user,
        name=name or (known.name if known else user),
        organisation=known.organisation if known else desk.policy.department,
        roles=(Role.ADMINISTRATOR,),
        shift=known.shift if known else None,
        active=True,
        reason="named by two of the three offices",
        ssh_keys=known.ssh_keys if known else (),
    )
