"""The department's own hot list entries, for people who sign them: case, people, end; never the plate.

This module decides who may know of a covert entry. No person is shown a figure of the whole list, since that
changes when a covert entry comes or goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from storage.plate_text import fold
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.journal.entries import LogRead
from sync.department.policy.roles import Call, Role
from sync.hot_lists.document import LOCAL, ListHead
from sync.hot_lists.entry import ListEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEntry:
    """One entry that has not ended.

    `until_us`: when it ends, -1 for never; `covert`: whether only named people see its alerts.
    """

    case: str = field(repr=False)
    category: str
    reason: str = field(repr=False)
    requester: str
    approver: str
    until_us: int
    covert: bool


class Onlooker(Protocol):
    """The person who is shown something: a caller, or the readers of a mail."""

    @property
    def user(self) -> str: ...

    @property
    def roles(self) -> tuple[Role, ...]: ...


@dataclass(frozen=True, slots=True)
class Readers:
    """The readers of a mail, whose names are not known: anyone, or the holders of roles."""

    user: str = ""
    roles: tuple[Role, ...] = ()


ANYONE = Readers()


def knows(entry: ListEntry, one: Onlooker) -> bool:
    """Whether a person may know that an entry of the own list exists."""
    return (
        not entry.covert
        or Role.ADMINISTRATOR in one.roles
        or one.user in {entry.requester, entry.approver, *entry.recipients}
    )


def same_vehicle(one: ListEntry) -> tuple[object, ...]:
    """A key that two entries share if the later one replaces the other."""
    return fold(one.plate), one.state, one.case, one.category, frozenset(one.recipients)


def own_known(front: DeskContext, onlooker: Onlooker) -> list[ListEntry]:
    """The own entries that a person may know of."""
    return [one for one in front.list_entries(LOCAL) if knows(one, onlooker)]


def lists_shown(front: DeskContext) -> list[ListHead]:
    """The newest version of each list except the own one.

    The own list's versions, counts and ends would show when a covert entry came. Its entries are shown one by
    one to those who may know of them.
    """
    return [one for one in front.lists_out() if one.list_id != LOCAL]


def listed(front: DeskContext, token: str, form: NothingForm) -> tuple[OwnEntry, ...]:  # noqa: ARG001
    """List the department's own entries, the soonest to end first. Only its people and the administrator see
    a covert one."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[OwnEntry, ...]]:
        rows = [
            OwnEntry(
                case=one.case,
                category=one.category,
                reason=one.reason,
                requester=one.requester,
                approver=one.approver,
                until_us=-1 if one.until_us is None else one.until_us,
                covert=one.covert,
            )
            for one in own_known(front, caller)
            if one.until_us is None or caller.at_us < one.until_us
        ]
        rows.sort(key=lambda one: (one.until_us, one.case))
        return [LogRead(elements="own hot list entries", count=len(rows))], lambda _entries: tuple(rows)

    return desk.act(token, Call.DOCUMENT_SIGN, plan)
