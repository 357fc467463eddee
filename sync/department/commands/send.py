"""`department send`: sign a configuration or an update bundle, and offer it to units with their next sync."""

from __future__ import annotations

import argparse
import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

from sync.department.ground.home import DepartmentHome
from sync.department.ground.local_time import now_us
from sync.department.server.server import Department
from sync.department.units import documents as down
from sync.errors import ConfigError

MAX_CONFIGURATION_BYTES = 256 * 1024


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parser = subparsers.add_parser(
        "send",
        help="sign a configuration or an update bundle, and offer it to units",
        description="Sign a file with the command key and offer it to units, or to one. Units fetch it with "
        "their next sync and check it. A configuration changes the keys that it names, at once; an update "
        "waits until a person installs it at the console. What is out: `department hotlist list`.",
        epilog="example: department send configuration reader.toml",
    )
    parser.add_argument("kind", choices=("configuration", "update"), help="what the file is")
    parser.add_argument("file", type=Path, help="a reader's configuration (TOML), or a bundle")
    parser.add_argument("--id", default="", help="an update's name: letters, digits, . _ -")
    parser.add_argument("--unit", default="", help="for this unit alone (its id)")


def run(args: argparse.Namespace) -> int:
    """Sign and offer."""
    home = DepartmentHome.open(args.home)
    try:
        body = args.file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(args.file)) from None
    if args.kind == "configuration":
        name = "configuration"
        _check_configuration(body, str(args.file))
    elif not args.id:
        raise ConfigError("an update has a name", where="--id", cure="department send update --id 0.2.0 FILE")
    else:
        name = f"update/{args.id}"
    department = Department(home)
    try:
        version = down.send(home, department.store, name, body, now_us(), args.unit)
    finally:
        department.close()
    digest = hashlib.sha256(body).hexdigest()
    if args.json:
        print(json.dumps({"name": name, "version": version, "sha256": digest}))
    else:
        print(f"out: {name}, version {version}, SHA-256 {digest}")
    return 0


def _check_configuration(body: bytes, where: str) -> None:
    if len(body) > MAX_CONFIGURATION_BYTES:
        raise ConfigError(f"a configuration has at most {MAX_CONFIGURATION_BYTES} bytes", where=where)
    try:
        tomllib.loads(body.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not TOML: {error}", where=where) from None
