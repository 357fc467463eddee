"""`department purge`: what is kept until when (463.8), and purge what is due now."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from storage.times import day_text, now_us, utc_text
from sync.command_frame import DONE, Common, verb
from sync.department.ground.home import DepartmentHome
from sync.department.server import daily
from sync.department.server.open_desk import front_of
from sync.department.server.server import Department


@verb("purge", example="department purge --plan")
@click.option("--plan", is_flag=True, help="Only show what is held and when it goes.")
def purge(common: Common, *, plan: bool) -> int:
    """Purge every day of receipt that was kept its full year (463.8), and print the receipts.

    The running server does the same by itself every day.
    """
    department = Department(DepartmentHome.open(common.home))
    try:
        if plan:
            _show_plan(department, as_json=common.json)
            return DONE
        receipts = department.retain()
        front = front_of(department)
        if front is not None:
            try:
                daily.enter_purges(front.desk, department.retention)
            finally:
                front.close()
    finally:
        department.close()
    for receipt in receipts:
        if common.json:
            print(json.dumps(asdict(receipt)))
        else:
            print(
                f"purged: received {day_text(receipt.day)}, {receipt.records} records, "
                f"{receipt.elements} elements, {receipt.packs} packs, {receipt.clause}"
            )
    if not receipts and not common.json:
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
            late = f"  OVERDUE {overdue} days" if overdue else ""
            print(f"received {day_text(one.day)}  goes {goes}  {records} records, {parts} elements{late}")
