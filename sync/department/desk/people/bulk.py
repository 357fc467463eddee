"""Adds a list of people at once: one form, one second person, all accounts and first passwords (463.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.counts import counted
from sync.department.desk.changes import rules as changes
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.people import rules as people
from sync.department.desk.people.calls import HandedOver, hand_over, second_of
from sync.department.desk.people.sheets import named_twice
from sync.department.journal.change_entries import ChangeProposed
from sync.department.journal.entries import AccountSet
from sync.department.policy.refusals import FormError, refuse_lines
from sync.department.policy.roles import Call, Role

MAX_PEOPLE = 500
CALL = "user/import"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLine:
    """One person of a list."""

    user: str
    name: str
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportForm:
    """New people, all or none. `propose`, `approval`: as for one account."""

    people: tuple[PersonLine, ...]
    reason: str
    propose: bool = False
    approval: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """First passwords and authenticators, shown once. `proposal`: set if a second person was asked, else
    -1."""

    people: tuple[HandedOver, ...] = field(repr=False)
    proposal: int = -1


def import_people(front: DeskContext, token: str, form: ImportForm) -> Imported:
    """Add people who are not on the roster yet."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Imported]:
        accounts = _accounts_of(desk, form)
        needed = any(people.account_needs_second(desk.policy, desk.book.roster, one) for one in accounts)
        second = second_of(desk, caller, CALL, form, needed=needed)
        if isinstance(second, ChangeProposed):
            return [second], lambda made: Imported(people=(), proposal=made[0].sequence)
        given = []
        for account in accounts:
            used = [changes.used_for(one, account.user) for one in second]
            desk.follow_up(caller.stamp(), *used, account)
            given.append(hand_over(desk, account.user, caller))
        return [], lambda _entries: Imported(people=tuple(given))

    made = desk.act(token, Call.USER_MANAGE, plan)
    front.notify_units()
    return made


def _accounts_of(desk: Desk, form: ImportForm) -> list[AccountSet]:
    """The accounts of a list. Raises FormError naming each wrong line."""
    names = [one.user for one in form.people]
    if not 0 < len(names) <= MAX_PEOPLE:
        raise FormError(
            f"the list names {counted(len(names), 'person', 'people')}; it may name 1 to {MAX_PEOPLE}",
            code="people",
            clause="463.3",
            cure="divide a longer list",
        )
    if twice := named_twice(names):
        raise FormError(
            f"the list names more than once: {twice}",
            code="people",
            clause="463.3",
            cure="leave one line for each person",
        )
    accounts, wrong = [], []
    for one in form.people:
        try:
            accounts.append(_account_of(desk, one, form.reason))
        except FormError as error:
            wrong.append(error)
    refuse_lines(wrong)
    return accounts


def _account_of(desk: Desk, line: PersonLine, reason: str) -> AccountSet:
    """The account of one line. Raises FormError."""
    if line.user in desk.book.roster.accounts:
        cure = "take that line out; to change the person, enter the account by itself"
        raise FormError(f"{line.user}: is on the roster", code="known-user", clause="463.3", cure=cure)
    if {Role.ADMINISTRATOR, Role.DESIGNEE} & set(line.roles):
        raise FormError(
            f"{line.user}: an administrator or a designee is made one by one",
            code="roles",
            clause="463.4",
            cure="take that line out, and enter the account by itself",
        )
    account = AccountSet(
        user=line.user,
        name=line.name,
        organisation=desk.policy.department,
        roles=line.roles,
        shift=None,
        active=True,
        reason=reason,
        ssh_keys=(),
    )
    people.check_account(desk.policy, account)
    return account
