"""`reader release`: end a hold, with its evidence item number and a second person (463.8)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from firmware.commands.person import FILE, Requester, person_options
from firmware.custody.asking import asking, signed
from sync.command_frame import Common, verb
from sync.errors import DONE


@verb(
    "release",
    example="reader release 57 --item E-2026-118 --user demo-admin --role administrator "
    "--purpose investigation --case 26-0815 --second demo-designee --second-role designee",
)
@click.argument("hold", type=int)
@click.option("--item", required=True, help="Evidence item number.")
@person_options
@click.option("--second", required=True, metavar="USER", help="The second person.")
@click.option("--second-role", required=True, metavar="ROLE", help="The second person's role.")
@click.option("--second-credential", type=FILE, metavar="KEYFILE", help="As --credential.")
def release(
    common: Common,
    *,
    hold: int,
    item: str,
    second: str,
    second_role: str,
    second_credential: Path | None,
    person: Requester,
) -> int:
    """End an exported hold (463.8). The next purge destroys its content."""
    other = dataclasses.replace(person, user=second, role=second_role, credential=second_credential)
    subject = f"release hold={hold} item={item}"
    with asking(common.home) as ask:
        body, proof = (
            signed(ask, common.home, one.request("release", subject), one.credential)
            for one in (person, other)
        )
        answer = ask("release", body | {"hold": hold, "evidence_item": item, "second": proof})
    done = json.dumps({"release": answer["release"]})
    print(done if common.json else f"hold {hold} released; purged next")
    return DONE
