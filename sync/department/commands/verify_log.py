"""`department verify` for the access log and packages, for the department and for strangers. Not a
command."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import merkle
from storage.checkpoint import NoteKey
from storage.cosigners import CosignerKey, Witnesses
from storage.errors import StorageError
from storage.leaf import log_id_of
from sync.command_frame import DONE, FOUND_WRONG, Common, collected
from sync.department.commands.desk_access import FILE, key_of, read_bytes
from sync.department.content import package
from sync.department.content.opened_list import OpenedCheck, parse_list, read_lines
from sync.department.desk import snapshot
from sync.department.desk.json_forms import to_json
from sync.department.desk.log_state import FOLDER
from sync.department.desk.state import Book
from sync.department.desk.transparency import bundle
from sync.department.ground.home import DepartmentHome
from sync.department.journal import check_log
from sync.department.journal.access_log import DATABASE, KEYS, AccessLog, AuditKeys
from sync.department.journal.check_log import LogReport, Tree
from sync.department.journal.entries import STATE_KINDS
from sync.department.journal.hourly_heads import check_hours, hourly_origin
from sync.department.server.ceremony import witness_of
from sync.department.server.open_desk import link_of, opened_of, root_in
from sync.errors import ConfigError, LinkError
from sync.root_file import Root


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The input of a stranger: the file to check, and keys from elsewhere."""

    package: Path | None
    key: str | None
    log: Path | None
    witness_key: tuple[str, ...]
    witness_url: tuple[str, ...]
    checkpoint: tuple[Path, ...]
    quorum: int | None
    opened: Path | None
    opened_key: str


stranger_options = collected(
    "given",
    Given,
    click.argument("package", type=FILE, required=False),
    click.option("--key", metavar="KEY", help="The department log's key (`department witness log-key`)."),
    click.option("--log", type=FILE, metavar="FOLDER", help="The copy of the access log to check."),
    click.option(
        "--witness-key", multiple=True, metavar="KEYS", help="A witness's keys, obtained from the witness."
    ),
    click.option("--witness-url", multiple=True, metavar="URL", help="Address of its newest checkpoint."),
    click.option(
        "--checkpoint",
        type=FILE,
        multiple=True,
        metavar="FILE",
        help="Instead: a checkpoint file from a witness.",
    ),
    click.option("--quorum", type=int, help="How many witnesses must agree; default: all given."),
    click.option("--opened", type=FILE, metavar="FILE", help="The key service's own list."),
    click.option(
        "--opened-key",
        default="",
        metavar="KEY",
        help="The key of that list, from the office that runs the service.",
    ),
)


def check_given(common: Common, given: Given) -> int:
    """Check a package or a copied log with the keys given."""
    if not given.key:
        raise ConfigError("needs the department log's key, from elsewhere", where="--key")
    key = key_of(given.key, "--key")
    if given.package is not None and not given.witness_key:
        return _check_package(common, given.package, key.public)
    if (given.log is None and given.package is None) or not given.witness_key:
        raise ConfigError("needs the witness's key, from the witness", where="--witness-key")
    named = [witness_of(text, "", "--witness-key") for text in given.witness_key]
    keys = tuple(tuple(CosignerKey.parse(text) for text in one.keys) for one in named)
    witnesses = Witnesses(keys, given.quorum or len(keys))
    if given.log is None:
        return _check_bundle(common, read_bytes(_package_of(given)), key.public, witnesses)
    report = check_log.check(
        given.log,
        key.public,
        witnesses=witnesses,
        checkpoints=_newest(given.witness_url, key.name, given.checkpoint),
        opened=_opened_file(given),
    )
    return _report(common, report)


def _opened_file(given: Given) -> OpenedCheck | None:
    """The key service's list from a file, with its key. Raises ConfigError."""
    if given.opened is None:
        return None
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(given.opened_key))
    except ValueError:
        raise ConfigError("needs the key of the key service's list, in hex", where="--opened-key") from None
    return OpenedCheck(read_lines(parse_list(read_bytes(given.opened)), public))


def _package_of(given: Given) -> Path:
    """Raises ConfigError."""
    if given.package is None:
        raise ConfigError("needs the file to check", where="PACKAGE")
    return given.package


def _check_bundle(common: Common, data: bytes, public: Ed25519PublicKey, witnesses: Witnesses) -> int:
    try:
        report = bundle.check(data, public, witnesses)
    except StorageError as error:
        print(json.dumps({"problems": [str(error)]}) if common.json else f"WRONG {error}")
        return FOUND_WRONG
    if common.json:
        print(json.dumps({"bundle": to_json(report)}))
        return FOUND_WRONG if report.problems else DONE
    print(f"auditor's bundle of {report.department}: {report.entries} entries, {report.witnessed} witnessed")
    print(
        f"proven from opened entries: {report.opened}; by the department's signature alone: {report.claimed}"
    )
    for problem in report.problems[:100]:
        print(f"WRONG {problem}")
    print("the counts match the log" if not report.problems else "the bundle does not verify")
    return FOUND_WRONG if report.problems else DONE


def _check_package(common: Common, path: Path, public: Ed25519PublicKey) -> int:
    data = read_bytes(path)
    if bundle.is_bundle(data):
        raise ConfigError("an auditor's bundle needs the witnesses' keys too", where="--witness-key")
    try:
        head = package.check(data, public)
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


def _newest(urls: Sequence[str], origin: str, files: Sequence[Path]) -> list[str]:
    """The checkpoints of the files, and the newest of each witness that can be reached."""
    found = [read_bytes(one).decode(errors="replace") for one in files]
    for url in urls:
        try:
            with closing(link_of(url)) as link:
                found.append(link.newest(origin))
        except LinkError as error:
            print(f"department: {error}", file=sys.stderr)
    return found


def check_home(common: Common, home: DepartmentHome, checkpoints: Sequence[Path]) -> bool:
    """Check a home's access log against its witnesses and its key service; True if there is a problem.
    No desk: nothing to check."""
    folder = home.path / FOLDER
    if not (folder / DATABASE).is_file():
        return False
    root, public = root_in(home), home.log_key().public_key()
    urls = [] if checkpoints else [one.url for one in root.witnesses]
    report = check_log.check(
        folder,
        public,
        witnesses=root.witnessing(),
        checkpoints=_newest(urls, check_log.note_key_of(public).name, checkpoints),
        keys=AuditKeys(folder / KEYS),
        opened=opened_of(home, root),
    )
    wrong = bool(_report(common, report))
    wrong |= _check_hours(common, home, root)
    return _check_snapshot(folder, home) or wrong


def _check_hours(common: Common, home: DepartmentHome, root: Root) -> bool:
    """Match the hourly heads to the access log and to the public witnesses; True if there is a problem."""
    named = root.public_witnessing()
    if named is None:
        return False
    log_id = log_id_of(home.log_key().public_key())
    key = NoteKey(hourly_origin(log_id), home.log_key().public_key())
    problems: list[str] = []
    notes = _newest([one.url for one in root.public_witnesses], key.name, [])
    log = AccessLog(home.path / FOLDER, home.log_key())
    try:
        leaves = [merkle.leaf_hash(leaf) for leaf in log.leaves(log.size())]
    finally:
        log.close()
    hours = check_hours(home.path / FOLDER, log_id, key, Tree(leaves), named, notes, problems)
    if common.json:
        print(json.dumps({"hourly_heads": {"hours": hours, "problems": problems}}))
        return bool(problems)
    print(f"hourly heads: {hours} hours co-signed by public witnesses")
    for problem in problems[:100]:
        print(f"WRONG {problem}")
    return bool(problems)


def _check_snapshot(folder: Path, home: DepartmentHome) -> bool:
    """Fold the entries from the first and compare the desk's snapshot of them; True if it differs."""
    log = AccessLog(folder, home.log_key())
    try:
        kept = snapshot.read(log)
        if kept is None:
            return False
        book = Book()
        for entry in log.entries(0, kept.seen, STATE_KINDS):
            book.apply(entry)
        book.seen = kept.seen
        if not snapshot.differs(log, book):
            return False
    except StorageError:
        return False  # said above
    finally:
        log.close()
    print("WRONG the desk's snapshot differs from the log's entries: remove desk/book.snapshot")
    return True


def _report(common: Common, report: LogReport) -> int:
    if common.json:
        print(json.dumps({"access_log": to_json(report)}))
        return DONE if report.sound else FOUND_WRONG
    proof = f"{report.witnessed} witnessed" if report.proven else "no witness asked"
    print(f"access log: {report.entries} entries, {proof}, {report.opened} opened")
    for problem in report.problems[:100]:
        print(f"WRONG {problem}")
    print("the access log verifies" if report.sound else f"{len(report.problems)} problems found")
    return DONE if report.sound else FOUND_WRONG
