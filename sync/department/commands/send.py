"""`department send`: sign a configuration or an update bundle, and offer it to units with their next sync."""

from __future__ import annotations

from pathlib import Path

import click

from sync.command_frame import Common, verb
from sync.department.commands import desk_access, given_files
from sync.department.commands.signing import sign
from sync.department.desk.documents.calls import SignForm
from sync.department.desk.inquiry.forms import NothingForm
from sync.errors import InvalidInputError

HEADINGS = {
    "name": "NAME",
    "version": "VERSION",
    "unit_name": "UNIT",
    "size": "BYTES",
    "offered_us": "OFFERED",
}


@verb("send", example="department send configuration reader.toml --why 'new camera angle' --propose")
@click.argument("kind", type=click.Choice(("configuration", "update")), required=False)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--list", "wants_list", is_flag=True, help="List what units are offered.")
@click.option("--id", "update_id", default="", help="An update's name: letters, digits, . _ -")
@click.option("--unit", default="", help="Only for this unit (its id).")
@click.option("--why", default="maintenance", show_default=True, help="The reason.")
@desk_access.second_person
@desk_access.as_user
def send(
    common: Common,
    *,
    kind: str | None,
    file: Path | None,
    wants_list: bool,
    update_id: str,
    unit: str,
    why: str,
    propose: bool,
    approval: int,
    as_user: str | None,
) -> int:
    """Sign a configuration (TOML) or an update bundle, and offer it to units; list what they are offered.

    Both need a second person here, who sees everything that a configuration sets. Units fetch it with their
    next sync and check it. A configuration changes the settings that it names, at once; an update waits until
    a person installs it at the console. An update over 67 MB, as one of the whole image is, goes to each unit
    on a stick instead (update /PATH at its console); with DEPARTMENT_URL, the limit is 12 MB. The desk
    refuses what no unit takes: a file that is no update, a damaged one, another board's bundle. With copies
    of an image's /usr/share/alpr/release-keys.txt and /etc/rauc/keyring.pem (as bundle-keyring.pem) in HOME,
    it checks the signatures too.
    """
    terminal = desk_access.Terminal(common, as_user)
    if wants_list:
        return terminal.table(terminal.call("document/list", NothingForm()), HEADINGS)
    if kind is None or file is None:
        what = "name the kind and the file, or --list"
        raise InvalidInputError(what, where="send", cure="department send configuration FILE")
    if kind == "update" and not update_id:
        raise InvalidInputError(
            "an update needs a name", where="--id", cure="department send update --id 0.2.0 FILE"
        )
    form = SignForm(
        kind=kind,
        name=update_id,
        body=given_files.read_bytes(file),
        unit=unit,
        reason=why,
        propose=propose,
        approval=approval,
    )
    return sign(terminal, form)
