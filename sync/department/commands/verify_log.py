"""The access log's and packages' part of `department verify`: for the department, and for strangers.
No command itself."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage.errors import CheckpointError, StorageError
from sync.department.commands.desk_access import key_of, read_bytes
from sync.department.content import package
from sync.department.desk.desk import FOLDER
from sync.department.desk.json_forms import to_json
from sync.department.ground.home import DepartmentHome
from sync.department.journal import check_log
from sync.department.journal.access_log import DATABASE, KEYS, AuditKeys
from sync.department.journal.check_log import LogReport
from sync.department.server.open_desk import link_of, root_in
from sync.errors import ConfigError, LinkError


def add_options(parser: argparse.ArgumentParser) -> None:
    """What a stranger gives: the thing to check and keys that came from elsewhere."""
    parser.add_argument(
        "package", nargs="?", type=Path, metavar="PACKAGE", help="an evidence package (ZIP), with --key"
    )
    parser.add_argument(
        "--key", metavar="KEY", help="the department log's key (as `department witness log-key` prints)"
    )
    parser.add_argument(
        "--log", type=Path, metavar="FOLDER", help="a copy of the access log, for a stranger to check"
    )
    parser.add_argument("--witness-key", metavar="KEY", help="the witness's key, obtained from the witness")
    parser.add_argument("--witness-url", metavar="URL", help="where to fetch the newest checkpoint")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="instead: a checkpoint got from the witness"
    )


def asked(args: argparse.Namespace) -> bool:
    """Whether a package or a copied log is to be checked, not a home."""
    return args.package is not None or args.log is not None


def run(args: argparse.Namespace) -> int:
    """Check a package or a copied log with the keys given."""
    if not args.key:
        raise ConfigError("needs the department log's key, from elsewhere", where="--key")
    key = key_of(args.key, "--key")
    if args.package is not None:
        return _package(args, key.public)
    if not args.witness_key:
        raise ConfigError("needs the witness's key, from the witness", where="--witness-key")
    witness = key_of(args.witness_key, "--witness-key")
    note = _newest(args.witness_url or "", key.name, args.checkpoint)
    return _told(args, check_log.check(args.log, key.public, witness=witness, checkpoint=note))


def _package(args: argparse.Namespace, public: Ed25519PublicKey) -> int:
    try:
        head = package.check(read_bytes(args.package), public)
    except StorageError as error:
        print(json.dumps({"problems": [str(error)]}) if args.json else f"WRONG {error}")
        return 1
    if args.json:
        facts = {"number": head.number, "department": head.department, "reads": len(head.reads)}
        print(json.dumps(facts | {"problems": []}))
        return 0
    print(f"the package verifies: {head.department}, {head.number}, {len(head.reads)} reads")
    print(head.sentence)
    return 0


def _newest(url: str, origin: str, file: Path | None) -> str | None:
    """The checkpoint of the file, else the witness's newest; None where the witness cannot be reached."""
    if file is not None:
        return read_bytes(file).decode(errors="replace")
    try:
        with closing(link_of(url)) as link:
            return link.newest(origin)
    except LinkError as error:
        print(f"department: {error}", file=sys.stderr)
        return None


def of_home(home: DepartmentHome, args: argparse.Namespace) -> bool:
    """Check a home's access log against its witness; True when something is wrong. No desk: nothing to
    check."""
    folder = home.path / FOLDER
    if not (folder / DATABASE).is_file():
        return False
    root, public = root_in(home), home.log_key().public_key()
    try:
        witness = root.witness_key()
    except CheckpointError:
        witness = None
    origin = check_log.note_key_of(public).name
    note = _newest(root.witness_url, origin, args.checkpoint) if witness else None
    keys = AuditKeys(folder / KEYS)
    return bool(_told(args, check_log.check(folder, public, witness=witness, checkpoint=note, keys=keys)))


def _told(args: argparse.Namespace, report: LogReport) -> int:
    if args.json:
        print(json.dumps({"access_log": to_json(report)}))
        return 0 if report.sound else 1
    proof = f"{report.witnessed} witnessed" if report.proven else "no witness asked"
    print(f"access log: {report.entries} entries, {proof}, {report.opened} opened")
    for problem in report.problems[:100]:
        print(f"WRONG {problem}")
    print("the access log verifies" if report.sound else f"{len(report.problems)} things are wrong")
    return 0 if report.sound else 1
