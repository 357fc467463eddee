"""The department's own hot list entries, for people who sign them: case, who, until when; never the plate.

Here is who may know of a covert entry, and of the list that its coming and going changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.journal.entries import LogRead
from sync.department.journal.made_by import LOCAL
from sync.department.policy.roles import Call, Role
from sync.hot_lists.document import ListHead
from sync.hot_lists.entry import ListEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEntry:
    """One entry that has not ended. `until_us`: when it ends, -1 for never; `covert`: only named people see
    its alerts."""

    case: str = field(repr=False)
    category: str
    reason: str = field(repr=False)
    requester: str
    approver: str
    until_us: int
    covert: bool


def knows(entry: ListEntry, caller: Caller | None) -> bool:
    """Whether a person may know that an entry of the own list is there; None: any reader of a mail."""
    if not entry.covert:
        return True
    return caller is not None and (
        Role.ADMINISTRATOR in caller.roles
        or caller.user in {entry.requester, entry.approver, *entry.recipients}
    )


def heads_for(front: DeskContext, caller: Caller) -> list[ListHead]:
    """The newest version of each list; of the own one for people who sign documents alone, for its versions,
    counts and ends would show others when a covert entry came."""
    signs = Call.DOCUMENT_SIGN in front.desk.policy.calls_by(caller.roles)
    return [one for one in front.lists_out() if signs or one.list_id != LOCAL]


def listed(front: DeskContext, token: str, form: NothingForm) -> tuple[OwnEntry, ...]:  # noqa: ARG001
    """The department's own entries, the soonest to end first. A covert one: to its people and the
    administrator."""
    desk = front.desk
    held = front.list_entries(LOCAL)

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
            for one in held
            if (one.until_us is None or caller.at_us < one.until_us) and knows(one, caller)
        ]
        rows.sort(key=lambda one: (one.until_us, one.case))
        return [LogRead(elements="own hot list entries", count=len(rows))], lambda _entries: tuple(rows)

    return desk.act(token, Call.DOCUMENT_SIGN, plan)
