"""`department init`: make a department's home."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sync.department.ground.settings import Settings
from sync.department.server.founding import found

KEEPERS = ("the administrator", "an office outside the department", "a third office")


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parser = subparsers.add_parser(
        "init",
        help="make a department's home: keys, authority, store, policy",
        description="Make a department's home: its keys, its certificate authority, its store (SQLite unless "
        "--database names PostgreSQL) and the first root file, signed by three keys that belong offline.",
        epilog="example: department init --home /srv/alpr --host alpr.example.gov",
    )
    usual = Settings()
    parser.add_argument("--name", default=usual.name, help="the department's name")
    parser.add_argument("--host", default=usual.host, help="name or address by which units reach it")
    parser.add_argument("--listen", default=usual.listen, help="address to listen on")
    parser.add_argument("--unit-port", type=int, default=usual.unit_port, help="port for units")
    parser.add_argument("--desk-port", type=int, default=usual.desk_port, help="port for enrolment, desk")
    parser.add_argument("--database", default="", help="postgresql+psycopg://user@host/name (else SQLite)")
    parser.add_argument("--blobs", default="", help="folder of sealed images, or s3://BUCKET/PREFIX")
    parser.add_argument("--blobs-endpoint", default="", help="with s3: the store's URL (else AWS)")
    parser.add_argument("--keys-folder", default="", help="where the key service's keys lie (else HOME/keys)")
    parser.add_argument("--fips", action="store_true", help="a policy file with approved algorithms only")
    parser.add_argument("--demo", action="store_true", help="mark the root file as a demo's, for good")


def run(args: argparse.Namespace) -> int:
    """Make it and say where the three keys must go."""
    settings = Settings(
        name=args.name,
        host=args.host,
        listen=args.listen,
        unit_port=args.unit_port,
        desk_port=args.desk_port,
        database=args.database,
        blobs_folder=args.blobs,
        blobs_endpoint=args.blobs_endpoint,
        keys_folder=args.keys_folder,
    )
    made = found(args.home, settings, demo=args.demo, fips=args.fips)
    if args.json:
        facts = {
            "home": str(made.home.path),
            "root": made.root_digest.hex(),
            "root_keys": [str(path) for path in made.root_keys],
        }
        print(json.dumps(facts))
        return 0
    print(f"a department lives in {made.home.path}; its settings: {made.home.path / 'department.toml'}")
    print(f"root file, SHA-256 {made.root_digest.hex()}")
    print(
        "three keys set policy, witness and every other key, two of them together. Move each to its office:"
    )
    for path, office in zip(made.root_keys, KEEPERS, strict=True):
        print(f"  {path}  ->  {office}, on a medium of its own; then delete it here")
    print(
        "next: department user first USER, then a witness outside the department (department witness --help);"
    )
    print("      until two offices sign a root file that names it, no answer leaves the desk")
    print("      department serve runs the server")
    return 0
