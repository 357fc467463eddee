"""`department compliance`: what is overdue; exit 1 if anything is. Shows no plate and opens no content."""

from __future__ import annotations

import json

from sync.command_frame import Common, verb
from sync.department.commands import client, desk_access
from sync.department.desk.due import OverdueForm
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.json_forms import to_json
from sync.department.desk.owed import Late
from sync.department.ground.home import DepartmentHome
from sync.department.server.due_work import DueWork, standing
from sync.department.server.open_desk import open_front
from sync.errors import DONE, FOUND_WRONG

DONE_BY = {
    Late.ALERT: "alert list",
    Late.APPROVER: "user set",
    Late.AUDIT: "audit run",
    Late.CLETS: "alert clets",
    Late.CLOCK: "clock confirm",
    Late.EMERGENCY: "inquiry emergencies",
    Late.ENROLLMENT: "enroll --list",
    Late.FILING: "inquiry unfiled",
    Late.FINDING: "audit findings",
    Late.FORK: "verify",
    Late.GRANT: "grant list",
    Late.HOLD: "hold list",
    Late.INCIDENT: "incident list",
    Late.KEYS: "keys list",
    Late.PASSWORD: "user password",
    Late.PURGE: "retention list",
    Late.REDRESS: "redress list",
    Late.REVIEWER: "user set",
    Late.ROSTER: "serve",
    Late.SERVICE: "keys serve",
    Late.SHARE: "share list",
    Late.SOURCE: "hotlist sources",
    Late.STORE: "verify",
    Late.TRAINING: "training record",
    Late.UNIT: "health",
    Late.UNOPENED: "alert list",
    Late.WITNESS: "witness serve",
}
"""Kinds of what is overdue, and the command to begin with."""


@verb("compliance", example="department compliance --home /srv/alpr")
@desk_access.as_user
def compliance(common: Common, *, as_user: str | None) -> int:
    """List what is overdue and what expires soon; the exit status is 1 if anything is overdue.

    Overdue audits, training, purges, silent units, findings, requests not filed, sharing requests and holds,
    a clock in doubt, a witness that does not sign, a key service elsewhere that does not serve; passwords,
    training, designations, grants, certificates and day keys that expire within the policy's days of notice.
    For a person or a timer at the department's machine: there it needs no login. It shows no plate.
    """
    if client.configured():
        found = _asked(desk_access.Terminal(common, as_user))
    else:
        front = open_front(DepartmentHome.open(common.home))
        try:
            found = standing(front)
        finally:
            front.close()
    if common.json:
        for one in (*found.overdue, *found.ending):
            print(json.dumps(to_json(one)))
    else:
        print("\n".join(found.lines()) or "nothing is overdue")
        for kind in dict.fromkeys(one.kind for one in found.overdue):
            print(f"{kind}: begin with: department {DONE_BY[kind]}")
    return FOUND_WRONG if found.overdue else DONE


def _asked(terminal: desk_access.Terminal) -> DueWork:
    """The same from a remote desk, for a person whose role reads it."""
    with desk_access.seat(terminal) as call:
        return DueWork(
            overdue=call("compliance/overdue", OverdueForm()),
            ending=call("compliance/endings", NothingForm()),
        )
