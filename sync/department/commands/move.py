"""`department move`: from SQLite to PostgreSQL, for a department that grew."""

from __future__ import annotations

import json
import sys

import click

from storage.counts import counted
from sync.command_frame import Common, verb
from sync.department.ground.home import DepartmentHome
from sync.department.store.move import move_store
from sync.errors import DONE

TO = "postgresql+psycopg://alpr@db.example.gov/alpr"


@verb("move", example=f"department move --database '{TO}'")
@click.option("--database", required=True, help="postgresql+psycopg://user@host/name: a new, empty database.")
def move(common: Common, *, database: str) -> int:
    """Move the store from SQLite to an empty PostgreSQL database. The server must be stopped.

    Every row is compared before the setting names the database. If the command is interrupted, run it again.
    """
    home = DepartmentHome.open(common.home)
    moved = move_store(home, database, lambda line: print(line, file=sys.stderr, flush=True))
    if common.json:
        print(json.dumps({"tables": moved.tables, "rows": moved.rows, "kept": str(moved.kept)}))
        return DONE
    print(f"moved: {counted(moved.tables, 'table')}, {counted(moved.rows, 'row')}, each the same in both")
    print("the setting database names PostgreSQL: from now on the store is there, and pg_dump backs it up")
    print("next: department verify, then department serve")
    print(f"      when verify finds nothing wrong, remove {moved.kept}, the store as it was,")
    print("      and its backups; the images stay where they are")
    return DONE
