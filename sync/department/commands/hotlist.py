"""`department hotlist push`: sign a hot list, and offer it to units. `list`: what is out."""

from __future__ import annotations

import json
from pathlib import Path

import click
from sqlalchemy import select

from storage.times import utc_text
from sync.command_frame import DONE, Common, noun
from sync.department.commands import desk_access as desk
from sync.department.commands.signing import sign
from sync.department.desk.documents.calls import MAX_HOURS, SignForm
from sync.department.ground.home import DepartmentHome
from sync.department.server.server import Department
from sync.department.store.tables import documents

hotlist = noun(
    "hotlist",
    "Sign a hot list and offer it to units; see what is out.",
    example="department hotlist push --id stolen --hours 24 stolen.csv",
)


@desk.desk_verb(
    hotlist,
    "push",
    example="department hotlist push --id stolen --hours 24 --why 'daily list of DOJ' --propose stolen.csv "
    "--user super",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "list_id", required=True, help="The list's name: letters, digits, . _ -")
@click.option(
    "--hours", type=click.IntRange(1, MAX_HOURS), default=24, show_default=True, help="How long it matches."
)
@click.option("--unit", default="", help="For this unit only (its id).")
@click.option("--why", default="hot list", show_default=True, help="The reason, for the second person.")
@desk.second_person
def push(
    terminal: desk.Terminal,
    *,
    file: Path,
    list_id: str,
    hours: int,
    unit: str,
    why: str,
    propose: bool,
    approval: int,
) -> int:
    """Sign a hot list with the command key and offer it to units, with a second person's approval.

    After its hours it no longer matches; push it again before that. FILE is the list as CSV.
    """
    form = SignForm(
        kind="hot-list",
        name=list_id,
        body=desk.read_bytes(file),
        unit=unit,
        hours=hours,
        reason=why,
        propose=propose,
        approval=approval,
    )
    return sign(terminal, form)


@hotlist.verb("list", example="department hotlist list")
def list_documents(common: Common) -> int:
    """List what is out."""
    department = Department(DepartmentHome.open(common.home))
    try:
        _show(department, as_json=common.json)
    finally:
        department.close()
    return DONE


def _show(department: Department, *, as_json: bool) -> None:
    with department.store.read() as connection:
        rows = connection.execute(
            select(documents.c.name, documents.c.unit_id, documents.c.version, documents.c.at_us).order_by(
                documents.c.name
            )
        ).all()
    for row in rows:
        since = utc_text(row.at_us, to="minute")
        if as_json:
            print(json.dumps({"name": row.name, "unit": row.unit_id, "version": row.version, "since": since}))
        else:
            print(f"{since}  {row.name}  version {row.version}  {row.unit_id or 'every unit'}")
