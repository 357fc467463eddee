"""`reader hold`: keep records past their retention, on one of the five grounds of 463.8."""

from __future__ import annotations

import json

import click

from firmware.commands.person import Requester, person_options
from firmware.custody.asking import asking, signed
from storage.counts import counted
from storage.door import hold_subject
from storage.policy import GROUNDS
from sync.command_frame import Common, verb
from sync.errors import DONE


@verb(
    "hold",
    example="reader hold 41 42 --user demo-admin --role administrator --purpose investigation "
    '--case 26-0815 --ground discovery --authority "Superior Court" --number BC-77123',
)
@click.argument("records", nargs=-1, required=True, type=int, metavar="RECORD...")
@person_options
@click.option("--ground", required=True, help="; ".join(f"{name}: {why}" for name, why in GROUNDS.items()))
@click.option("--authority", required=True, help="The authority that orders it.")
@click.option("--number", required=True, help="The authority's number for it.")
def hold(
    common: Common, *, records: tuple[int, ...], ground: str, authority: str, number: str, person: Requester
) -> int:
    """Keep the content of reads past their retention, under a separate key (463.8).

    RECORD is a record number that a query printed.
    """
    order = {"records": list(records), "ground": ground, "authority": authority, "number": number}
    with asking(common.home) as ask:
        request = person.request("hold", hold_subject(records, ground, authority, number))
        answer = ask("hold", signed(ask, common.home, request, person.credential) | order)
    held = answer["hold"]
    words = f"held: {counted(len(records), 'record')}, hold {held}"
    print(json.dumps({"hold": held}) if common.json else words)
    return DONE
