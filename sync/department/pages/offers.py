"""What a form offers instead of a typed id: people on the roster, units, console commands."""

from __future__ import annotations

from storage.grant_format import COMMANDS, DEPARTMENT
from storage.ssh_signature import SshPublicKey
from sync.department.journal.entries import AccountSet
from sync.department.pages.fields import Options
from sync.department.pages.values import local_input
from sync.department.pages.visit import Visit
from sync.department.policy.roles import Role
from sync.hot_lists.entry import CLASSES


def people(visit: Visit) -> Options:
    """Everybody on the roster, by name."""
    return [(one.user, f"{one.name} ({one.user})") for one in _active(visit)]


def others(visit: Visit) -> Options:
    """Everybody except the person who asks."""
    return [one for one in people(visit) if one[0] != visit.person.user]


def ever(visit: Visit) -> Options:
    """Everybody who ever was on the roster, since what they did stays in the log."""
    with visit.calling.front.desk.looking() as book:
        accounts = list(book.roster.accounts.values())
    return [
        (one.user, f"{one.name} ({one.user}{'' if one.active else ', left'})")
        for one in sorted(accounts, key=lambda one: (not one.active, one.name, one.user))
    ]


def trainees(visit: Visit) -> Options:
    """The people whose training this person enters (463.9)."""
    policy = visit.calling.front.desk.policy
    terms = policy.training
    mine = {Role(one) for one in visit.person.roles}
    found = []
    for one in _active(visit):
        conducts = terms.conducted_by in policy.effective_roles(one.roles)
        wanted = terms.conductor_recorded_by if conducts else terms.conducted_by
        if wanted in mine and one.user != visit.person.user:
            found.append((one.user, f"{one.name} ({one.user})"))
    return found


def trainers(visit: Visit) -> Options:
    """The people who can have trained them: the conductors of 463.9, or for a conductor any other person."""
    terms = visit.calling.front.desk.policy.training
    if terms.conductor_recorded_by in {Role(one) for one in visit.person.roles}:
        return people(visit)
    return [
        (one.user, f"{one.name} ({one.user})") for one in _active(visit) if terms.conducted_by in one.roles
    ]


def designees(visit: Visit) -> Options:
    """People who are designees."""
    return [(one.user, f"{one.name} ({one.user})") for one in _active(visit) if Role.DESIGNEE in one.roles]


def _active(visit: Visit) -> list[AccountSet]:
    with visit.calling.front.desk.looking() as book:
        active = [one for one in book.roster.accounts.values() if one.active]
    return sorted(active, key=lambda one: (one.name, one.user))


def units(visit: Visit) -> Options:
    """Every unit that is not revoked and was not reset, by its name."""
    known = visit.calling.front.state.units(visit.now_us)
    return [(one.unit, one.name) for one in known if one.reset_us < 0]


def units_and_server(visit: Visit) -> Options:
    """The units, and the server: where a grant lets a person in."""
    return [(DEPARTMENT, "the department's server"), *units(visit)]


def commands(_visit: Visit) -> Options:
    """Commands of a unit's console."""
    return [(one, one) for one in sorted(COMMANDS)]


def plate_classes(_visit: Visit) -> Options:
    """Kinds of vehicle that a plate is for."""
    return [(one, one) for one in CLASSES if one]


def named(visit: Visit) -> str:
    """The person whom the page's address names, if there is one."""
    account = _account(visit)
    return account.user if account is not None else ""


def _account(visit: Visit) -> AccountSet | None:
    return visit.calling.front.desk.book.roster.accounts.get(visit.request.query_params.get("user", ""))


def name(visit: Visit) -> str:
    """That person's name."""
    account = _account(visit)
    return account.name if account is not None else ""


def organisation(visit: Visit) -> str:
    """That person's organization, else the department."""
    account = _account(visit)
    return account.organisation if account is not None else visit.calling.front.desk.policy.department


def roles(visit: Visit) -> str:
    """That person's roles, one per line."""
    account = _account(visit)
    return "\n".join(account.roles) if account is not None else ""


def shift(visit: Visit) -> str:
    """That person's shift."""
    account = _account(visit)
    return account.shift.text() if account is not None and account.shift is not None else ""


def ssh_keys(visit: Visit) -> str:
    """That person's keys for units' consoles, one per line."""
    account = _account(visit)
    return "\n".join(SshPublicKey(blob).line for blob in account.ssh_keys) if account is not None else ""


def designation_end(visit: Visit) -> str:
    """When that person's designation ends, as a field shows it."""
    desk = visit.calling.front.desk
    account = _account(visit)
    if account is None or Role.DESIGNEE not in account.roles:
        return ""
    ends_us = desk.book.roster.designations.get(account.user, 0)
    return local_input(ends_us, desk.policy.zone) if ends_us > visit.now_us else ""
