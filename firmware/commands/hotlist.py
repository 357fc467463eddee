"""`reader hotlist import` and `list`: hot lists on this unit. No verb shows a plate."""

from __future__ import annotations

import json
from pathlib import Path

import click

from firmware.alerts.ops import list_operations
from firmware.custody.asking import asking
from storage.times import utc_text
from sync.command_frame import DONE, Common, noun

hotlist = noun(
    "hotlist",
    "Hot lists on this unit: import one where no department has enrolled it, list those that are here.",
    example="reader hotlist list",
)


@hotlist.verb("import", example="reader hotlist import stolen.csv --layout ncic --category stolen-vehicle")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--layout", required=True, help="ncic, genetec, genetec-permit, vigilant, uk-16, or a TOML file."
)
@click.option("--category", help="Of every entry, where the layout has no column for it.")
@click.option("--id", "list_id", help="The list's name; the file's by default.")
@click.option("--hours", type=int, default=24, show_default=True, help="How long the list matches.")
def import_file(
    common: Common, *, file: Path, layout: str, category: str | None, list_id: str | None, hours: int
) -> int:
    """Import a list from a file. Bad lines are skipped and named by their numbers.

    On an enrolled unit lists come from the department alone.
    """
    name = list_id or "".join(one if one.isalnum() else "-" for one in file.stem)[:24].strip("-")
    body = {
        "file": str(file.resolve()),
        "layout": layout,
        "category": category,
        "id": name,
        "hours": hours,
    }
    with asking(common.home, more=lambda ledger: list_operations(common.home, ledger)) as ask:
        answer = ask("hotlist-import", body)
    if common.json:
        print(json.dumps(answer | {"id": name}))
    else:
        print(f"{name} version {answer['version']}: {answer['said']}")
    return DONE


@hotlist.verb("list", example="reader hotlist list --json")
def list_lists(common: Common) -> int:
    """List the hot lists: version, entries, age, and whether they match."""
    with asking(common.home, more=lambda ledger: list_operations(common.home, ledger)) as ask:
        lists = ask("hotlists", {})["lists"]
    for one in lists:
        if common.json:
            print(json.dumps(one))
            continue
        states = [
            word
            for word, holds in (
                ("expired", one["expired"]),
                ("stale", one["stale"]),
                ("switched off", not one["switched_on"]),
            )
            if holds
        ]
        times = f"of {utc_text(one['extracted_us'])}  until {utc_text(one['expires_us'])}"
        line = f"{one['id']:24} version {one['version']:<5} {one['entries']:>8} entries  {times}"
        print(f"{line}  {', '.join(states)}".rstrip())
    if not common.json and not lists:
        print("no hot list is here")
    return DONE
