"""`department witness`: a small witness, to be run by an office outside the department (C2SP
tlog-witness)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import uvicorn

from sync.department.commands import desk_access as desk
from sync.department.ground.home import DepartmentHome
from sync.department.ground.ports import demand_free
from sync.department.ground.tls import tls_context
from sync.department.journal.witness_server import WitnessFolder, witness_app
from sync.department.server.open_desk import open_desk
from sync.errors import ConfigError


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parent = desk.verbs(
        subparsers,
        "witness",
        "a witness outside the department",
        "department witness serve --folder /srv/witness",
    )
    one = desk.verb(
        parent,
        "init",
        "make a witness; prints its key",
        "department witness init --name w.example/1 --folder /srv/witness",
        asks=False,
    )
    one.add_argument("--name", required=True, help="its name in notes, e.g. attorney.example.gov/witness")
    one.add_argument("--folder", type=Path, required=True)
    one = desk.verb(
        parent,
        "add-log",
        "watch a log from now on",
        "department witness add-log KEY --folder /srv/witness",
        asks=False,
    )
    one.add_argument("key", help="the log's key: department witness log-key")
    one.add_argument("--folder", type=Path, required=True)
    desk.verb(parent, "log-key", "print this department's log key", "department witness log-key", asks=False)
    one = desk.verb(
        parent,
        "serve",
        "answer add-checkpoint",
        "department witness serve --folder /srv/witness --port 8465",
        asks=False,
    )
    one.add_argument("--folder", type=Path, required=True)
    one.add_argument("--host", default="127.0.0.1")
    one.add_argument("--port", type=int, default=8465)
    one.add_argument("--certificate", type=Path, help="PEM chain; with --key: HTTPS")
    one.add_argument("--key", type=Path, dest="tls_key", help="PEM key")
    one.add_argument("--fips", action="store_true", help="approved algorithms only in TLS")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    if args.verb == "log-key":
        home_desk = open_desk(DepartmentHome.open(args.home))
        print(home_desk.log.note_key.text())
        home_desk.close()
        return 0
    if args.verb == "init":
        folder = WitnessFolder.create(args.folder, args.name)
        print(folder.key.text())
        folder.close()
        return 0
    folder = WitnessFolder(args.folder)
    try:
        if args.verb == "add-log":
            key = desk.key_of(args.key, "KEY")
            folder.add_log(key)
            print(f"watching {key.name}")
            return 0
        if (args.certificate is None) != (args.tls_key is None) or (args.fips and args.certificate is None):
            raise ConfigError("belongs with --key; --fips needs both", where="--certificate")
        demand_free(args.host, args.port, "--port")
        print(f"witness {folder.name} on {args.host}:{args.port}; Ctrl-C ends", file=sys.stderr, flush=True)
        uvicorn.run(
            witness_app(folder),
            host=args.host,
            port=args.port,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            ssl_context_factory=_context_of(args),
        )
    finally:
        folder.close()
    return 0


def _context_of(args: argparse.Namespace) -> Any:
    """What uvicorn makes its TLS context with, or None for plain HTTP (a co-signature needs no secrecy)."""
    if args.certificate is None:
        return None
    context = tls_context(args.certificate, args.tls_key, approved=args.fips)
    return lambda _config, _default: context
