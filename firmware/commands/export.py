"""`reader export`: an evidence package on portable media, which a stranger verifies (463.8)."""

from __future__ import annotations

from pathlib import Path

import click

from firmware.commands.person import FILE, Requester, person_options
from firmware.custody.asking import asking, signed
from firmware.errors import UsageError
from storage.counts import counted
from storage.errors import PackageError
from storage.evidence import ELEMENTS, export_subject
from storage.portable import write_package
from sync.command_frame import Common, verb
from sync.errors import DONE


@verb(
    "export",
    example="reader export --hold 57 --number E-2026-118 --to /media/usb/E-2026-118 "
    "--user demo-admin --role administrator --purpose investigation --case 26-0815",
)
@click.argument("records", nargs=-1, type=int, metavar="[RECORD...]")
@click.option("--hold", type=int, metavar="HOLD", help="Export the records of this hold.")
@click.option("--number", required=True, help="Case or evidence number for the cover sheet.")
@click.option("--to", required=True, type=FILE, metavar="FOLDER", help="A folder that does not exist yet.")
@click.option("--withhold", multiple=True, type=click.Choice(ELEMENTS), help="Leave this out.")
@person_options
def export(
    common: Common,
    *,
    records: tuple[int, ...],
    hold: int | None,
    number: str,
    to: Path,
    withhold: tuple[str, ...],
    person: Requester,
) -> int:
    """Write an evidence package: content, images, signatures, proofs, cover sheet, every access (463.8).

    Name record numbers, or a hold. Check the package anywhere with: reader verify PACKAGE --key LOG.PUB
    """
    if bool(records) == (hold is not None):
        raise UsageError("give either record numbers or --hold")
    if to.exists():
        raise UsageError(f"--to {to}: already exists")
    if not to.parent.is_dir():  # otherwise plain content would go to this machine's own disk
        raise UsageError(f"--to {to}: {to.parent} is not there; is the medium plugged in and mounted?")
    without = tuple(sorted(set(withhold)))
    order = {"records": list(records), "hold": hold, "number": number, "withhold": list(without)}
    with asking(common.home) as ask:
        request = person.request("export", export_subject(records, hold, number, without))
        answer = ask("export", signed(ask, common.home, request, person.credential) | order)
    try:
        write_package(to, answer["files"])
    except PackageError as error:
        cure = f"{error.cure}; the log keeps this export, entry {answer['entry']}: it opened the records"
        raise PackageError(error.what, where=error.where, cure=cure) from None
    print(f"{to}: {counted(len(answer['files']), 'file')}; verify with: reader verify {to} --key LOG.PUB")
    return DONE
