"""`reader hotlist import` and `list`: hot lists on this unit. Neither verb shows a plate."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from firmware.alerts.list_ops import list_operations
from firmware.custody.asking import asking
from firmware.errors import UsageError
from storage.errors import StorageError
from storage.times import utc_text
from sync.command_frame import Common, noun
from sync.errors import DONE
from sync.hot_lists.document import LONGEST_HOURS
from sync.hot_lists.layout import find_layout

LARGE_BYTES = 4 << 20  # a larger file takes long enough to show progress
LIST_ID = re.compile(r"[A-Za-z0-9-]{1,24}")

hotlist = noun(
    "hotlist",
    "Hot lists on this unit: list them, or import one if the unit is not enrolled.",
    example="reader hotlist list",
)


def _name(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Check a list's name. Raises BadParameter."""
    if value is not None and not LIST_ID.fullmatch(value):
        raise click.BadParameter("is 1 to 24 letters, digits and -")
    return value


@hotlist.verb("import", example="reader hotlist import stolen.csv --layout ncic --category stolen-vehicle")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--layout", required=True, help="ncic, genetec, genetec-permit, vigilant, uk-16, or a TOML file."
)
@click.option(
    "--category",
    help="Category of every entry, if the file has no column for it. Lines of another category are left out.",
)
@click.option("--id", "list_id", callback=_name, help="The list's name. Default: the file's name.")
@click.option(
    "--hours",
    type=click.IntRange(1, LONGEST_HOURS),
    default=24,
    show_default=True,
    help="How long the list matches.",
)
def import_file(
    common: Common, *, file: Path, layout: str, category: str | None, list_id: str | None, hours: int
) -> int:
    """Import a list from a file. The command skips bad lines and prints their numbers. An enrolled unit
    takes lists only from the department.
    """
    name = list_id or "".join(one if one.isalnum() else "-" for one in file.stem)[:24].strip("-")
    body = {
        "file": str(file.resolve()),
        "layout": layout,
        "category": category,
        "id": name,
        "hours": hours,
    }
    if file.stat().st_size > LARGE_BYTES:
        print(f"reader: reading {file.name}: about a minute for a million entries", file=sys.stderr)
    try:
        find_layout(layout)
    except StorageError as error:
        raise UsageError(f"--layout {error}") from None
    try:
        with asking(common.home, more=lambda ledger: list_operations(common.home, ledger)) as ask:
            answer = ask("hotlist-import", body)
    except StorageError as error:
        if error.where.startswith("--"):
            raise UsageError(str(error)) from None
        raise
    if common.json:
        print(json.dumps(answer | {"id": name}))
    else:
        print(f"{name} version {answer['version']}: {answer['said']}")
    return DONE


@hotlist.verb("list", example="reader hotlist list --json")
def list_lists(common: Common) -> int:
    """List the hot lists: version, entries, age, and whether they match; of the department's own list only
    whether it matches.
    """
    with asking(common.home, more=lambda ledger: list_operations(common.home, ledger)) as ask:
        answer = ask("hotlists", {})
    lists, missing = answer["lists"], answer["missing"]
    for one in missing:
        print(json.dumps({"id": one, "missing": True}) if common.json else missing_line(one))
    for one in lists:
        if common.json:
            print(json.dumps(one))
        else:
            print(list_line(one))
    if not common.json and not lists and not missing:
        print("this unit has no hot list")
    return DONE


def missing_line(list_id: str) -> str:
    """A line of text for a list that the department sent but that is missing here."""
    return f"{list_id:24} MISSING: the department sent it, and it is gone or unreadable (reader sync now)"


def list_line(one: Mapping[str, Any]) -> str:
    """A line of text for one list: version, entries and age, if it has them, and whether it matches."""
    off = [
        word
        for word, holds in (
            ("expired: matches nothing (reader sync now)", one["expired"]),
            ("switched off by the policy", not one["switched_on"]),
        )
        if holds
    ]
    in_doubt = one.get("in_doubt") and not one["expired"]
    stale = ["stale: its extract is old"] if one["stale"] and not in_doubt else []
    stale += ["alerts marked stale: the clock is not set (reader sync now)"] if in_doubt else []
    line = f"{one['id']:24} entries of the department's own"
    if "version" in one:
        times = f"of {utc_text(one['extracted_us'])}  until {utc_text(one['expires_us'])}"
        line = f"{one['id']:24} version {one['version']:<5} {one['entries']:>8} entries  {times}"
    return f"{line}  {', '.join((off or ['active']) + stale)}"
