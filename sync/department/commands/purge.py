"""`department purge`: show what is kept until when (463.8), and purge what is due."""

from __future__ import annotations

import json

import click

from storage.counts import counted
from storage.times import day_text, now_us, utc_text
from sync.command_frame import Common, verb
from sync.department.commands import desk_access
from sync.department.desk.context import PurgedDay
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.ground.home import DepartmentHome
from sync.department.server.server import Department
from sync.errors import DONE


@verb("purge", example="department purge --user chief")
@click.option("--plan", is_flag=True, help="Only show what is held and when it is due. Needs no login.")
@desk_access.as_user
def purge(common: Common, *, plan: bool, as_user: str | None) -> int:
    """Purge every day of receipt that was kept its full year (463.8), and print what was purged.

    The running server does the same daily. If a person runs it, the log records that person.
    """
    if plan:
        department = Department(DepartmentHome.read_only(common.home), changes=False)
        try:
            _show_plan(department, as_json=common.json)
        finally:
            department.close()
        return DONE
    terminal = desk_access.Terminal(common, as_user)
    done: tuple[PurgedDay, ...] = terminal.call("retention/purge", NothingForm())
    if common.json:
        return terminal.show(done)
    for one in done:
        print(
            f"purged: received {one.day}, {counted(one.records, 'record')}, "
            f"{counted(one.elements, 'element')}, {counted(one.packs, 'pack')}, {one.clause}"
        )
    if not done:
        print("nothing is due")
    return DONE


def _show_plan(department: Department, *, as_json: bool) -> None:
    for one in department.retention.plan():
        records, parts = department.retention.counted(one.day)
        goes = utc_text(one.due_us, to="day")
        overdue = one.overdue_days(now_us())
        if as_json:
            facts = {"received": day_text(one.day), "goes": goes, "records": records, "elements": parts}
            print(json.dumps(facts | {"overdue_days": overdue}))
        else:
            late = f"  OVERDUE {counted(overdue, 'day')}" if overdue else ""
            content = f"{counted(records, 'record')}, {counted(parts, 'element')}"
            print(f"received {day_text(one.day)}  due {goes} {content}{late}")
