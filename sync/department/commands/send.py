"""`department send`: sign a configuration or an update bundle, and offer it to units with their next sync."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import click

from storage.times import now_us
from sync.command_frame import DONE, Common, verb
from sync.department.commands.desk_access import read_bytes
from sync.department.ground.home import DepartmentHome
from sync.department.server.server import Department
from sync.department.units import documents as down
from sync.errors import ConfigError

MAX_CONFIGURATION_BYTES = 256 * 1024


@verb("send", example="department send configuration reader.toml")
@click.argument("kind", type=click.Choice(("configuration", "update")))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "update_id", default="", help="An update's name: letters, digits, . _ -")
@click.option("--unit", default="", help="For this unit only (its id).")
def send(common: Common, *, kind: str, file: Path, update_id: str, unit: str) -> int:
    """Sign a configuration (TOML) or an update bundle, and offer it to units.

    Units fetch it with their next sync and check it. A configuration changes the keys that it names, at once;
    an update waits until a person installs it at the console. What is out: `department hotlist list`.
    """
    home = DepartmentHome.open(common.home)
    body = read_bytes(file)
    if kind == "configuration":
        name = "configuration"
        _check_configuration(body, str(file))
    elif not update_id:
        raise ConfigError("an update has a name", where="--id", cure="department send update --id 0.2.0 FILE")
    else:
        name = f"update/{update_id}"
    department = Department(home)
    try:
        version = down.send(home, department.store, name, body, now_us(), unit)
    finally:
        department.close()
    digest = hashlib.sha256(body).hexdigest()
    facts = {"name": name, "version": version, "sha256": digest}
    print(json.dumps(facts) if common.json else f"out: {name}, version {version}, SHA-256 {digest}")
    return DONE


def _check_configuration(body: bytes, where: str) -> None:
    if len(body) > MAX_CONFIGURATION_BYTES:
        raise ConfigError(f"a configuration has at most {MAX_CONFIGURATION_BYTES} bytes", where=where)
    try:
        tomllib.loads(body.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not TOML: {error}", where=where) from None
