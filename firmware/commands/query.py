"""`reader query`: look up reads. The access entry is in the log before the command shows anything."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from firmware.commands.person import FILE, Requester, period_options, person_options
from firmware.custody.asking import asking, signed
from storage import files
from storage.codec import to_plain
from storage.counts import counted
from storage.door import MAX_ANSWERS, subject_of
from storage.evidence import extension
from storage.plate_text import normal_plate
from storage.search import UnitQuery
from storage.times import utc_text
from sync.command_frame import Common, verb
from sync.errors import DONE
from sync.plate_option import HELP, PLATE


@verb(
    "query",
    example="reader query --user demo-supervisor --role ccat-supervisor --purpose investigation "
    "--case 26-0815 --plate 7XKR219 --since 3d",
)
@person_options
@click.option("--plate", type=PLATE, help=f"Plate text; ? matches any one character. {HELP}")
@period_options
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_ANSWERS),
    default=200,
    show_default=True,
    metavar="N",
    help=f"At most N reads, 1 to {MAX_ANSWERS}.",
)
@click.option("--images", type=FILE, metavar="DIR", help="Write plate patches and overviews to this folder.")
def query(
    common: Common,
    *,
    plate: str | None,
    since_us: int,
    until_us: int,
    limit: int,
    images: Path | None,
    person: Requester,
) -> int:
    """Show stored reads to a person on the roster, for a purpose of 463.2 and a case.

    The log records every request before the answer, including refused ones. On an enrolled unit this is off
    unless the signed policy enables it.
    """
    wanted = UnitQuery(plate=normal_plate(plate) if plate else None, since_us=since_us, until_us=until_us)
    wanted.check()
    with_images = images is not None
    with asking(common.home) as ask:
        request = person.request("query", subject_of(wanted, images=with_images))
        body = signed(ask, common.home, request, person.credential)
        answer = ask("query", body | {"query": to_plain(wanted), "limit": limit, "images": with_images})
    for read in answer["reads"]:
        pictures = read.pop("images", {})
        if images is not None:
            files.make_dirs(images)
            for name, data in pictures.items():
                files.replace(images / f"{read['sequence']}-{extension(name, data)}", data, lasts=False)
        print(json.dumps(_plain(read)) if common.json else _line(read))
    if common.json and answer["more"]:
        print("more were found: narrow the time range", file=sys.stderr)
    if not common.json:
        more = ", more were found: narrow the time range" if answer["more"] else ""
        demo = " (demo home)" if answer["demo"] else ""
        print(f"{counted(len(answer['reads']), 'read')}{more}; logged as record {answer['entry']}{demo}")
    return DONE


def _plain(read: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in read.items() if name != "slots"}
    shown["models"] = [[name, digest.hex()] for name, digest in read["models"]]
    return shown


def _line(read: dict[str, Any]) -> str:
    where = read["position"]
    at = f"  {where['latitude']:.5f},{where['longitude']:.5f}" if where else ""
    sure = "" if read["exact"] else "  (unreadable slots)"
    return (
        f"{read['sequence']:>8}  {utc_text(read['first_us'])}  {read['text']:<10} {read['confidence']:.2f}  "
        f"{read['jurisdiction'] or '-':<6} {read['direction']:<8} {read['camera']}{at}{sure}"
    )
