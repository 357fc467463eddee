"""`department verify` for the access log and packages, here and with strangers. Not a command."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage.checkpoint import NoteKey
from storage.cosigners import CosignerKey, Witnesses
from storage.counts import counted
from storage.errors import LedgerError, StorageError
from storage.evidence import SENTENCE
from storage.leaf import log_id_of
from storage.times import SECOND_US, iso_text
from sync.command_frame import Common
from sync.department.commands.given_files import key_of, key_text, read_bytes, read_package
from sync.department.commands.verify_input import VerifyInput
from sync.department.commands.verify_words import report_hours, say, shown
from sync.department.content import package
from sync.department.content.opened_list import GrowingCheck, OpenedCheck, parse_list
from sync.department.content.package import CheckedPackage, PackageHead
from sync.department.content.vault import HOLDS, FolderVault
from sync.department.content.zipped import printable
from sync.department.desk import snapshot
from sync.department.desk.json_forms import to_json
from sync.department.desk.log_state import FOLDER
from sync.department.desk.transparency import bundle
from sync.department.ground.home import DepartmentHome
from sync.department.journal import check_log
from sync.department.journal.access_log import DATABASE, KEYS, AccessLog, AuditKeys
from sync.department.journal.check_hours import check_hours
from sync.department.journal.check_log import LogReport
from sync.department.journal.credential_key import demand_credential_key
from sync.department.journal.entries import CredentialSet
from sync.department.journal.hold_entries import HoldReleased
from sync.department.journal.hourly_heads import hourly_origin
from sync.department.journal.reading import reading
from sync.department.journal.witness_link import link_of
from sync.department.policy.named_files import root_in, signed_policy
from sync.department.server.asked_keys import AskedKeys
from sync.department.server.ceremony import witness_of
from sync.department.server.desk_keys import opened_of
from sync.department.server.desk_traces import log_is_here, trace_of_desk
from sync.department.server.drawn_samples import DrawnSamples
from sync.department.server.folded_log import FoldedLog, Snapshot
from sync.department.server.root_adopted import CURE, demand_named, unlike
from sync.department.server.unit_reports import CoveredByEntries, Reported, UnitsNow
from sync.department.store import joined_units
from sync.department.store.database import Store
from sync.errors import (
    DONE,
    FOUND_WRONG,
    PART_LACKING,
    HomeError,
    InvalidInputError,
    KeyServiceAwayError,
    KeyServiceError,
    LackingError,
    LinkError,
    StoreError,
)
from sync.root_file import Root

SHEET = "cover.html and cover.txt say what the reads and the entries say"
EARLIER = (
    "of an earlier format, by which less is checked: a person with the department log's key can choose it; "
    "a department of this version makes format {}: ask for one"
)
UNNAMED = "not in this package: the people's full names, the second person's name, the days of receipt"
SIGNATURE = (
    "not checked: the signature with which the person who exported signed the entry; "
    "`department verify` at the department checks it"
)
UNCHECKED_SHEET = (
    "not checked: {}, which are the department's; "
    "what a unit signed is in the text, the place and the pictures beside each leaf.cose"
)
UNCHECKED_NAMES = "not checked: the names of units, which are the department's: {}"
UNCHECKED_MANIFESTS = "not checked: the C2PA manifests (*.c2pa), which are the department's: {}"


def worst(*statuses: int) -> int:
    """The status of several checks: "wrong" takes precedence over "could not be checked"."""
    return FOUND_WRONG if FOUND_WRONG in statuses else max(statuses)


def check_given(common: Common, given: VerifyInput) -> int:
    """Check a package or a copied log with the given keys."""
    if not given.key:
        raise InvalidInputError("needs the department log's key, from elsewhere", where="--key")
    key = key_of(given.key, "--key")
    if given.package is not None and not given.witness_key:
        return _check_package(common, read_package(given.package), key.public, None)
    if (given.log is None and given.package is None) or not given.witness_key:
        raise InvalidInputError("needs the witness's key, from the witness", where="--witness-key")
    keys = _keys_of(given.witness_key, "--witness-key")
    witnesses = Witnesses(keys, given.quorum or len(keys))
    if given.log is None:
        data = read_package(_package_of(given))
        check = _check_bundle if bundle.is_bundle(data) else _check_package
        return check(common, data, key.public, witnesses)
    report = check_log.check(
        given.log,
        key.public,
        witnesses=witnesses,
        checkpoints=_newest(given.witness_url, key.name, given.checkpoint),
        opened=_opened_file(given),
        at_home=False,
    )
    return worst(_report(common, report), _check_given_hours(common, given, given.log, key.public))


def _keys_of(texts: Sequence[str], option: str) -> tuple[tuple[CosignerKey, ...], ...]:
    """The keys of each witness that an option names. Raises InvalidInputError."""
    named = [witness_of(key_text(text, option), "", option) for text in texts]
    keys = tuple(tuple(CosignerKey.parse(text) for text in one.keys) for one in named)
    raw = [key.raw for one in keys for key in one]
    if len(set(raw)) != len(raw):  # it would count twice towards the quorum
        raise InvalidInputError("names one witness twice", where=option, cure="give each witness's key once")
    return keys


def _check_given_hours(common: Common, given: VerifyInput, folder: Path, public: Ed25519PublicKey) -> int:
    """Compare the hourly heads of a copy with its access log, and with public witnesses whose keys were
    given."""
    keys = _keys_of(given.public_witness_key, "--public-witness-key")
    log_id = log_id_of(public)
    origin = NoteKey(hourly_origin(log_id), public)
    notes = _newest(given.public_witness_url, origin.name, given.public_checkpoint)
    tree = partial(check_log.tree_of, folder, at_home=False)
    witnesses = Witnesses(keys, 1) if keys else None
    return report_hours(common, check_hours(folder, log_id, origin, tree, witnesses, notes, at_home=False))


def _opened_file(given: VerifyInput) -> OpenedCheck | None:
    """Read the key service's list from a file, with its key. Raises InvalidInputError."""
    if given.opened is None:
        return None
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(given.opened_key))
    except ValueError:
        raise InvalidInputError(
            "needs the key of the key service's list, in hex", where="--opened-key"
        ) from None
    return OpenedCheck.of(parse_list(read_bytes(given.opened)), public)


def _package_of(given: VerifyInput) -> Path:
    """Raises InvalidInputError."""
    if given.package is None:
        raise InvalidInputError("needs the file to check", where="PACKAGE")
    return given.package


def _check_bundle(common: Common, data: bytes, public: Ed25519PublicKey, witnesses: Witnesses) -> int:
    try:
        report = bundle.check(data, public, witnesses)
    except StorageError as error:
        print(json.dumps({"problems": [str(error)]}) if common.json else f"WRONG {shown(str(error))}")
        return FOUND_WRONG
    if common.json:
        print(json.dumps({"bundle": to_json(report)}))
        return FOUND_WRONG if report.problems else DONE
    entries = counted(report.entries, "entry")
    print(f"auditor's bundle of {report.department}: {entries}, {report.witnessed} witnessed")
    print(
        f"proven from opened entries: {report.opened}; by the department's signature alone: {report.claimed}"
    )
    say(report.problems, ())
    print("the counts match the log" if not report.problems else "the bundle does not verify")
    return FOUND_WRONG if report.problems else DONE


def _check_package(common: Common, data: bytes, public: Ed25519PublicKey, witnesses: Witnesses | None) -> int:
    if bundle.is_bundle(data):
        raise InvalidInputError("an auditor's bundle needs the witnesses' keys too", where="--witness-key")
    try:
        checked = package.check(data, public, witnesses)
    except StorageError as error:
        print(json.dumps({"problems": [str(error)]}) if common.json else f"WRONG {shown(str(error))}")
        return FOUND_WRONG
    head, loose = checked.head, checked.loose
    reads, left = len(head.reads), _how_it_left(checked, witnesses)
    unwitnessed = not all(one.witnessed for one in checked.rests_on)
    lacking = bool(loose) or not checked.entries or unwitnessed or checked.is_earlier
    status = PART_LACKING if lacking else DONE
    if common.json:
        facts = {"number": head.number, "department": head.department, "reads": reads}
        logged = {"entries": [one.sequence for one in checked.entries], "unwitnessed": unwitnessed}
        proven = {"proven_in_place": reads - len(loose), "withheld": checked.withheld, "problems": []}
        proven |= {"sheet_unchecked": checked.sheet_unchecked, "format": head.format}
        proven |= {"manifests_unchecked": checked.manifests_unchecked, "names_unchecked": _names_of(head)}
        print(json.dumps(facts | logged | proven))
        return status
    verdict = "the signatures hold" if lacking else "the package verifies"
    print(f"{verdict}: {head.department}, {head.number}, {counted(reads, 'read')}")
    if checked.is_earlier:
        print(EARLIER.format(package.FORMAT))
        print(UNNAMED)
    print(f"proven in place in the log of its unit: {reads - len(loose)} of {counted(reads, 'read')}")
    for folder in loose[:100]:
        print(f"not proven in place: {folder} came after its log was closed; its unit alone signed it")
    for line in left:
        print(line)
    for folder, names in list(checked.withheld.items())[:100]:
        print(f"not in this package: {folder} has {' and '.join(names)} too, as its unit signed")
    print(UNCHECKED_SHEET.format(checked.sheet_unchecked) if checked.sheet_unchecked else SHEET)
    print(UNCHECKED_NAMES.format(_names_of(head)))
    print(SIGNATURE)
    if checked.manifests_unchecked:
        print(UNCHECKED_MANIFESTS.format(checked.manifests_unchecked))
    print(SENTENCE)
    return status


def _names_of(head: PackageHead) -> str:
    """The unit's name that the department gives to each log. A unit is known by its key, whatever its
    name."""
    logs = {
        log_id_of(Ed25519PublicKey.from_public_bytes(one.public)).hex()[:16]: one.unit for one in head.reads
    }
    named = [
        f"log {log} is {json.dumps(printable(name), ensure_ascii=False)}"
        for log, name in sorted(logs.items())
    ]
    return ", ".join(named[:20]) + (f" and {len(named) - 20:,} more" if len(named) > 20 else "")


def _how_it_left(checked: CheckedPackage, witnesses: Witnesses | None) -> list[str]:
    """What is known about the entries under which a package left."""
    if not checked.entries:
        return ["not proven: that it left by an entry of the access log (a package of an earlier version)"]
    lines = []
    if witnesses is None:
        lines.append(
            "a person with the department log's key can make such a package, and no log keeps its entry"
        )
    for one in checked.rests_on[:100]:
        said = f"{'rests on the hold of' if one is checked.hold else 'left under'} entry {one.sequence}"
        said += " of the access log"
        if witnesses is None:
            said += "; not proven without --witness-key: that a witness saw that entry"
        elif one.witnessed is None:
            said += ", which no quorum of these witnesses co-signed"
        else:
            said += f", co-signed at {iso_text(one.witnessed.time_s * SECOND_US, to='second')}"
        lines.append(said)
    return lines


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


def check_home(
    common: Common,
    home: DepartmentHome,
    checkpoints: Sequence[Path],
    reported: Reported,
    keys: AskedKeys | None,
    *,
    store: Store,
    until: int | None,
) -> int:
    """Check a home's access log and return the exit status. `store`: the home's; `until`: how many entries
    the log had when that was read (`entries_now`).

    The log is compared with its witnesses, its key service, what units reported, and, with `keys`, the
    content of open holds.

    A department that has no desk yet has nothing to check here.
    """
    folder = home.path / FOLDER
    root, public = root_in(home), home.log_key().public_key()
    if not log_is_here(home):  # SQLite would begin a log in an empty file
        return _without_log(common, home, root, _trace_in(home, store))
    urls = [] if checkpoints else [one.url for one in root.witnesses]
    names = {home.settings.name, root.department}
    samples = DrawnSamples(_salt_of(folder, home), check_log.heads_of(folder))
    covered = CoveredByEntries(FoldedLog(names, _snapshot_of(folder, home)), samples, until)
    listed, away, of_list = _opened_list(home, root)
    opened = None if listed is None else GrowingCheck(listed, partial(opened_of, home, root))
    report = check_log.check(
        folder,
        public,
        witnesses=root.witnessing(),
        checkpoints=_newest(urls, check_log.note_key_of(public).name, checkpoints),
        keys=AuditKeys(folder / KEYS),
        opened=opened,
        taken=covered,
    )
    if opened is not None and opened.unanswered:
        away.append(f"the key service's own list, once more: {opened.unanswered}")
    wrong, unchecked = covered.compare(reported, lambda: _units_now(store, reported))
    if keys is not None:
        vault, log_id = FolderVault(folder / HOLDS), log_id_of(public)
        read = report.entries
        wrong += covered.holds.problems(vault, keys, log_id, lambda: _released_since(folder, home, read))
        unchecked += keys.take_unchecked()
    report = replace(
        report,
        problems=(
            *report.problems,
            *of_list,
            *_wrong_with_files(home, root, covered.adopted),
            *_wrong_with_credentials(folder, home),
            *wrong,
        ),
        unchecked=(*report.unchecked, *away, *unchecked),
        claims=tuple(covered.claims),
    )
    lacking = PART_LACKING if away else DONE
    return worst(_report(common, report), _check_hours(common, home, root), lacking)


def _units_now(store: Store, reported: Reported) -> UnitsNow:
    """The store's units and logs as they are now; as they were read before, if the store is away."""
    try:
        with store.read() as connection:
            return joined_units.joined(connection), joined_units.unit_logs(connection)
    except StoreError:
        return reported.units, reported.logs


def _released_since(folder: Path, home: DepartmentHome, first: int) -> set[int]:
    """The holds that were released by entries from `first` on; the next check judges these entries."""
    try:
        with closing(AccessLog(folder, home.log_key())) as log:
            entries = log.entries(first, kinds=(HoldReleased.KIND,))
            return {one.note.hold for one in entries if isinstance(one.note, HoldReleased)}
    except (StorageError, HomeError, sqlite3.Error):
        return set()  # what is wrong with the log is reported with its entries


def entries_now(home: DepartmentHome) -> int | None:
    """How many entries a home's access log has. The store is compared with these, since a server may run
    meanwhile. None if there is no log, or it cannot be read, which the check reports."""
    if not log_is_here(home):
        return None
    try:
        with reading(home.path / FOLDER / DATABASE, at_home=True) as db:
            return int(db.execute("SELECT count(*) FROM entries").fetchone()[0])
    except (sqlite3.Error, StorageError, LackingError):
        return None


def _opened_list(home: DepartmentHome, root: Root) -> tuple[OpenedCheck | None, list[str], list[str]]:
    """The key service's own list; else that there is no answer, or what is wrong with the list."""
    try:
        return opened_of(home, root), [], []
    except KeyServiceAwayError as error:
        return None, [f"the key service's own list: {error}"], []
    except (KeyServiceError, LedgerError) as error:
        return None, [], [str(error)]


def _trace_in(home: DepartmentHome, store: Store) -> str:
    try:
        return trace_of_desk(home, store)
    except StoreError:
        return ""  # the malformed row is reported with the store


def _without_log(common: Common, home: DepartmentHome, root: Root, trace: str) -> int:
    """Report a removed log, which would hide everything: other traces show that there was a desk."""
    lost = f"the access log is not here, and this department had a desk: {trace}: restore "
    lost += f"{home.path / FOLDER / DATABASE} from its backup, with {FOLDER}/{KEYS}"
    problems = (*([lost] if trace else []), *_wrong_with_named(home, root))
    if not problems:
        return DONE
    return _report(
        common, LogReport(entries=0, witnessed=0, witnessed_at_s=0, opened=0, problems=problems, proven=False)
    )


def _wrong_with_files(home: DepartmentHome, before: Root, adopted: tuple[int, bytes] | None) -> list[str]:
    """What is wrong with the root file, if it is not the adopted one, and with what it names: an older file
    names other keys and witnesses.

    `before`: the file as it was before the log was read. One that people adopt meanwhile is no fault.
    """
    try:
        root = root_in(home)
    except HomeError as error:
        return [str(error)]
    differs = [] if adopted is None else [unlike(one, *adopted) for one in (before, root)]
    wrong = [f"{differs[-1]}: {CURE}"] if differs and all(differs) else []
    return wrong + _wrong_with_named(home, root)


def _wrong_with_named(home: DepartmentHome, root: Root) -> list[str]:
    """What is wrong with the policy file and the keys that the root file names.

    With others, nothing is purged and nothing is signed.
    """
    wrong = []
    for check in (signed_policy, demand_named):
        try:
            check(home, root)
        except HomeError as error:
            wrong.append(str(error))
        except OSError as error:
            wrong.append(f"{error.filename}: cannot be read: {type(error).__name__}")
    return wrong


def _wrong_with_credentials(folder: Path, home: DepartmentHome) -> list[str]:
    """What is wrong with the key that seals the credentials, without which no one can log in.

    It is not a yearly key, and no entry is under it.
    """
    try:
        with closing(AccessLog(folder, home.log_key())) as log:
            demand_credential_key(log)
    except HomeError as error:
        return [str(error)]
    except (StorageError, sqlite3.Error):
        return []  # what is wrong with the log is reported with its entries
    return []


def _check_hours(common: Common, home: DepartmentHome, root: Root) -> int:
    """Compare the hourly heads with the access log and with the public witnesses."""
    named = root.public_witnessing()
    if named is None:
        return DONE
    log_id = log_id_of(home.log_key().public_key())
    key = NoteKey(hourly_origin(log_id), home.log_key().public_key())
    notes = _newest([one.url for one in root.public_witnesses], key.name, [])
    folder = home.path / FOLDER
    found = check_hours(folder, log_id, key, partial(check_log.tree_of, folder), named, notes)
    return report_hours(common, found)


def _snapshot_of(folder: Path, home: DepartmentHome) -> Snapshot | None:
    """How many entries the desk's snapshot has, and how to compare it with a state; None if there is none."""
    try:
        with closing(AccessLog(folder, home.log_key())) as log:
            kept = snapshot.read(log)
    except (StorageError, sqlite3.Error):
        return None  # what is wrong with the log is reported with its entries
    if kept is None:
        return None
    content = snapshot.to_bytes(kept)
    return kept.seen, lambda book: snapshot.to_bytes(book) != content


def _salt_of(folder: Path, home: DepartmentHome) -> bytes:
    """The salt that draws the samples of audits; b"" if it cannot be read."""
    try:
        with closing(AccessLog(folder, home.log_key())) as log:
            return log.first_salt(CredentialSet.KIND)
    except (StorageError, HomeError, sqlite3.Error):
        return b""  # what is wrong with the log is reported with its entries


def _report(common: Common, report: LogReport) -> int:
    if common.json:
        print(json.dumps({"access_log": to_json(report)}))
        return _status(report)
    proof = f"{report.witnessed} witnessed" if report.proven else "no witness asked"
    print(f"access log: {counted(report.entries, 'entry')}, {proof}, {report.opened} opened")
    say(report.problems, report.unchecked)
    for claim in report.claims:
        print(f"claimed by one witness, and not shown: {shown(claim)}")
    if not report.sound:
        print(f"{counted(len(report.problems), 'problem')} found")
    elif report.proven or not report.witnessable:
        print("the access log verifies")
    else:
        print("nothing is wrong with what is here; no witness's tree head proves that it is complete")
    return _status(report)


def _status(report: LogReport) -> int:
    """The exit status of a report. A log that no witness proves complete does not pass as verified."""
    if not report.sound:
        return FOUND_WRONG
    return DONE if report.proven or not report.witnessable else PART_LACKING
