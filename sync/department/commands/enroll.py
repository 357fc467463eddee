"""`department enroll`: one-time codes for units; their list; their revocation."""

from __future__ import annotations

import json
import sys

import click

from storage.times import now_us, utc_text
from sync.command_frame import Common, verb
from sync.department.commands import desk_access
from sync.department.desk.machine.unit_calls import RevokeUnitForm, UnitCode, UnitForm
from sync.department.ground.home import DepartmentHome
from sync.department.server.server import Department
from sync.department.units import documents
from sync.errors import DONE


@verb("enroll", example="department enroll --name 'Car 12' --user chief")
@click.option("--name", help="Name of the new unit.")
@click.option("--list", "wants_list", is_flag=True, help="List the units. `reset` marks one to revoke.")
@click.option("--revoke", metavar="UNIT", help="Revoke this unit (name or id): it can no longer sync.")
@click.option("--why", default="", help="With --revoke: the reason, for the record.")
@desk_access.as_user
def enroll(
    common: Common,
    *,
    name: str | None,
    wants_list: bool,
    revoke: str | None,
    why: str,
    as_user: str | None,
) -> int:
    """Issue the one-time code with which a unit joins (`reader enroll CODE`); list or revoke units.

    The code works for one unit, once, for the hours in the settings. The log records who made it and who
    revoked a unit. Before the first administrator there is no log and no login.
    """
    if [name is not None, wants_list, revoke is not None].count(True) != 1:
        raise click.UsageError("give one of --name, --list and --revoke")
    terminal = desk_access.Terminal(common, as_user)
    if not wants_list and desk_access.has_desk(common):
        if revoke is not None:
            terminal.call("unit/revoke", RevokeUnitForm(unit=revoke, reason=why))
            print(f"revoked: {revoke}")
            return DONE
        made: UnitCode = terminal.call("unit/enroll", UnitForm(name=name or ""))
        _show_code(made.name, made.code, made.hours, as_json=common.json)
        return DONE
    home = (DepartmentHome.read_only if wants_list else DepartmentHome.open)(common.home)
    department = Department(home, changes=not wants_list)
    try:
        if wants_list:
            _show_units(department, as_json=common.json)
        elif revoke is not None:
            department.enrollment.revoke(revoke, why)
            print(f"revoked: {revoke}")
        else:
            documents.refresh(home, department.store, department.keys, now_us())
            code = department.enrollment.issue_code(name or "").text()
            _show_code(name or "", code, home.settings.code_hours, as_json=common.json)
    finally:
        department.close()
    return DONE


def _show_code(name: str, code: str, hours: int, *, as_json: bool) -> None:
    print(json.dumps({"name": name, "code": code, "hours": hours}) if as_json else code)


def _show_units(department: Department, *, as_json: bool) -> None:
    rows = department.enrollment.listed()
    if not rows:
        print("no unit has joined yet: department enroll --name NAME makes a code for one", file=sys.stderr)
    for unit in rows:
        if as_json:
            facts = {
                "unit": unit.unit_id,
                "name": unit.name,
                "enrolled_us": unit.enrolled_us,
                "seen_us": unit.seen_us,
                "reset_us": unit.reset_us,
                "revoked_us": unit.revoked_us,
                "state": unit.state,
            }
            print(json.dumps(facts))
        else:
            print(f"{unit.unit_id}  {unit.state:8}  seen {_moment(unit.seen_us):16}  {unit.name}")


def _moment(us: int | None) -> str:
    return "never" if us is None else utc_text(us, to="minute")
