"""The access log's and packages' part of `department verify`: for the department, and for strangers.
No command itself."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage.errors import CheckpointError, StorageError
from sync.command_frame import DONE, FOUND_WRONG, Common, collected
from sync.department.commands.desk_access import FILE, key_of, read_bytes
from sync.department.content import package
from sync.department.desk.desk import FOLDER
from sync.department.desk.json_forms import to_json
from sync.department.ground.home import DepartmentHome
from sync.department.journal import check_log
from sync.department.journal.access_log import DATABASE, KEYS, AuditKeys
from sync.department.journal.check_log import LogReport
from sync.department.server.open_desk import link_of, root_in
from sync.errors import ConfigError, LinkError


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a stranger gives: the thing to check, and keys that came from elsewhere."""

    package: Path | None
    key: str | None
    log: Path | None
    witness_key: str | None
    witness_url: str | None
    checkpoint: Path | None


stranger_options = collected(
    "given",
    Given,
    click.argument("package", type=FILE, required=False),
    click.option("--key", metavar="KEY", help="The department log's key (`department witness log-key`)."),
    click.option("--log", type=FILE, metavar="FOLDER", help="A copy of the access log, to check it."),
    click.option("--witness-key", metavar="KEY", help="The witness's key, obtained from the witness."),
    click.option("--witness-url", metavar="URL", help="Where to fetch the newest checkpoint."),
    click.option("--checkpoint", type=FILE, metavar="FILE", help="Instead: a checkpoint from the witness."),
)


def check_given(common: Common, given: Given) -> int:
    """Check a package or a copied log with the keys given."""
    if not given.key:
        raise ConfigError("needs the department log's key, from elsewhere", where="--key")
    key = key_of(given.key, "--key")
    if given.package is not None:
        return _check_package(common, given.package, key.public)
    if given.log is None or not given.witness_key:
        raise ConfigError("needs the witness's key, from the witness", where="--witness-key")
    witness = key_of(given.witness_key, "--witness-key")
    note = _newest(given.witness_url or "", key.name, given.checkpoint)
    return _report(common, check_log.check(given.log, key.public, witness=witness, checkpoint=note))


def _check_package(common: Common, path: Path, public: Ed25519PublicKey) -> int:
    try:
        head = package.check(read_bytes(path), public)
    except StorageError as error:
        print(json.dumps({"problems": [str(error)]}) if common.json else f"WRONG {error}")
        return FOUND_WRONG
    if common.json:
        facts = {"number": head.number, "department": head.department, "reads": len(head.reads)}
        print(json.dumps(facts | {"problems": []}))
        return DONE
    print(f"the package verifies: {head.department}, {head.number}, {len(head.reads)} reads")
    print(head.sentence)
    return DONE


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


def check_home(common: Common, home: DepartmentHome, checkpoint: Path | None) -> bool:
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
    note = _newest(root.witness_url, origin, checkpoint) if witness else None
    keys = AuditKeys(folder / KEYS)
    report = check_log.check(folder, public, witness=witness, checkpoint=note, keys=keys)
    return bool(_report(common, report))


def _report(common: Common, report: LogReport) -> int:
    if common.json:
        print(json.dumps({"access_log": to_json(report)}))
        return DONE if report.sound else FOUND_WRONG
    proof = f"{report.witnessed} witnessed" if report.proven else "no witness asked"
    print(f"access log: {report.entries} entries, {proof}, {report.opened} opened")
    for problem in report.problems[:100]:
        print(f"WRONG {problem}")
    print("the access log verifies" if report.sound else f"{len(report.problems)} things are wrong")
    return DONE if report.sound else FOUND_WRONG
