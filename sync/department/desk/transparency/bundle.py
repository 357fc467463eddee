"""An auditor's bundle: the access log's tree and the public counts, checked offline, without any plate.

A ZIP of:

    bundle.cose      signed by the log key: whose it is, how many entries, SHA-256 of each file
    leaves.bin       every signed leaf, each after its length (4 bytes, big endian): kind and place in clear
    checkpoint       the newest co-signed tree head
    openings.bin     salt and content of each entry that the machine made and that names no plate: root files
                     with their policies, days counted, purges with their receipts' digests, absent witnesses
    facts.json       what each other counted entry adds to the counts: the department's word, signed here
    counts.json      the public counts

It proves that no entry was added, changed or removed since the witnesses saw it, how many there are of each
kind, and what the opened ones say. How the others divide, for instance by purpose, is the department's signed
claim. The auditor names entries, and a reviewer shows exactly those on the spot (`audit list`).
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import codec, envelope
from storage.checkpoint import open_checkpoint
from storage.cosigners import Witnesses
from storage.errors import CheckpointError, PackageError, RecordError, StorageError
from storage.leaf import log_id_of
from storage.merkle import leaf_hash
from storage.sealing import commitment
from sync.department.content.zipped import names_in, read_zip, verdict, write_zip
from sync.department.desk.json_forms import read_form, to_json
from sync.department.desk.state import DeskState
from sync.department.desk.transparency import rules
from sync.department.desk.transparency.facts import KINDS, Fact, facts_of
from sync.department.desk.transparency.rules import Seen, Transparency
from sync.department.journal.access_log import CONTEXT, ELEMENT, entry_from, parse_leaf
from sync.department.journal.change_entries import DayCounted
from sync.department.journal.check_log import Tree, note_key_of
from sync.department.journal.entries import AccessLogOpened, Entry, RootSet, WitnessAway
from sync.department.journal.entry_base import SYSTEM
from sync.department.journal.hold_entries import Purged
from sync.department.policy.refusals import DeskRefusal

FORMAT = 1
HEAD = "bundle.cose"
BUNDLE_CONTEXT = b"alpr-department/audit-bundle/v1"
OPENED = frozenset(one.KIND for one in (AccessLogOpened, RootSet, DayCounted, Purged, WitnessAway))
FILES = ("checkpoint", "counts.json", "facts.json", "leaves.bin", "openings.bin")
MAX_BYTES = 2 << 30
MOST_FILES = 100  # a bundle with more is not read
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleHead:
    """What the department log key signs."""

    format: int
    department: str
    entries: int
    files: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleOpening:
    """One entry that the bundle opens."""

    entry: int
    salt: bytes
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleReport:
    """The result of a check.

    `opened`: how many entries the bundle opens; `claimed`: how many count only by the department's claim.
    """

    department: str
    entries: int
    witnessed: int
    opened: int
    claimed: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The content of a bundle before it is packed."""

    leaves: Iterable[bytes]
    openings: Iterable[BundleOpening]
    facts: Iterable[Fact]
    counts: Transparency


def build(content: Content, sign: Callable[[bytes], bytes]) -> bytes:
    """Build the bundle's bytes. `sign`: signs with the log's key, for BUNDLE_CONTEXT."""
    files = {
        "checkpoint": content.counts.checkpoint.encode(),
        "counts.json": _json(to_json(content.counts)),
        "facts.json": _json([to_json(one) for one in content.facts]),
        "leaves.bin": _framed(content.leaves),
        "openings.bin": _framed(codec.to_bytes(one) for one in content.openings),
    }
    head = BundleHead(
        format=FORMAT,
        department=content.counts.department,
        entries=content.counts.entries,
        files=tuple((name, hashlib.sha256(files[name]).digest()) for name in FILES),
    )
    files[HEAD] = sign(codec.to_bytes(head))
    return write_zip(files, method=zipfile.ZIP_DEFLATED)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def _framed(parts: Iterable[bytes]) -> bytes:
    out = io.BytesIO()
    for part in parts:
        out.write(_LENGTH.pack(len(part)) + part)
    return out.getvalue()


def _unframed(data: bytes, where: str) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        (length,) = _LENGTH.unpack(data[at : at + 4].ljust(4, b"\xff"))
        part = data[at + 4 : at + 4 + length]
        if len(part) != length:
            raise PackageError("is cut off", where=where)
        yield part
        at += 4 + length


def is_bundle(data: bytes) -> bool:
    """Whether these bytes are a ZIP with a bundle's head."""
    return HEAD in names_in(data)


@verdict("bundle")
def check(data: bytes, log_key: Ed25519PublicKey, witnesses: Witnesses) -> BundleReport:
    """Check a bundle with keys from another source. The report names what is wrong with it.

    Raises PackageError or a StorageError for bytes that are not a bundle of that log.
    """
    files = _files(data)
    signed = envelope.open_signed(files[HEAD], log_key, context=BUNDLE_CONTEXT, limit=1 << 16)
    head = codec.from_bytes(BundleHead, signed)
    if head.format != FORMAT or tuple(name for name, _ in head.files) != FILES:
        raise PackageError("of another format", where=HEAD)
    for name, digest in head.files:
        if not hmac.compare_digest(hashlib.sha256(files[name]).digest(), digest):
            raise PackageError("was altered: its SHA-256 is not the signed one", where=name)
    problems: list[str] = []
    kinds, marks, hashes = _leaves(files["leaves.bin"], log_key)
    with verdict("checkpoint"):
        checkpoint = files["checkpoint"].decode()
    witnessed = _witnessed(checkpoint, log_key, Tree(hashes), witnesses, problems)
    entries = _opened(files["openings.bin"], kinds, marks)
    claims = _claims(files["facts.json"])
    facts = sorted([*facts_of(entries), *claims], key=lambda one: one.entry)
    _check_facts(facts, claims, kinds, problems)
    counts = _counts(files["counts.json"])
    if not problems:
        _recount(counts, facts, entries, checkpoint, len(hashes), problems)
    return BundleReport(
        department=head.department,
        entries=len(hashes),
        witnessed=witnessed,
        opened=len(entries),
        claimed=len(claims),
        problems=tuple(problems),
    )


def _files(data: bytes) -> Mapping[str, bytes]:
    files = read_zip(data, where="bundle", most_files=MOST_FILES, most_bytes=MAX_BYTES)
    if files.keys() != {HEAD, *FILES}:
        raise PackageError("files are missing, or do not belong to it", where="bundle")
    return files


def _leaves(data: bytes, log_key: Ed25519PublicKey) -> tuple[list[str], list[bytes], list[bytes]]:
    """(kinds, commitments, leaf hashes) of the entries, as three lists. Raises a StorageError."""
    log_id = log_id_of(log_key)
    kinds, marks, hashes = [], [], []
    for place, leaf in enumerate(_unframed(data, "leaves.bin")):
        payload = envelope.open_signed(leaf, log_key, context=CONTEXT, limit=4096)
        named, kind, sequence, _year, mark = parse_leaf(payload)
        if named != log_id or sequence != place:
            raise PackageError("a leaf belongs to another log or place", where=f"leaf {place}")
        kinds.append(kind)
        marks.append(mark.commitment)
        hashes.append(leaf_hash(leaf))
    return kinds, marks, hashes


def _witnessed(
    note: str, log_key: Ed25519PublicKey, tree: Tree, witnesses: Witnesses, problems: list[str]
) -> int:
    """The size that the witnesses co-signed; 0 after adding a problem."""
    try:
        head = open_checkpoint(note, note_key_of(log_key))
        enough = witnesses.witnessed(note)
    except CheckpointError as error:
        problems.append(f"checkpoint: {error}")
        return 0
    if enough is None:
        names = ", ".join(witnesses.names())
        problems.append(f"checkpoint: is not co-signed by {witnesses.quorum} of {names}")
    if head.size != len(tree):
        problems.append(f"checkpoint: covers {head.size} entries, {len(tree)} are here")
    elif head.size and tree.root(head.size) != head.root:
        problems.append("checkpoint: its root is not that of these leaves")
    return head.size if not problems else 0


def _opened(data: bytes, kinds: list[str], marks: list[bytes]) -> list[Entry]:
    """The opened entries, each matched to its leaf. Raises PackageError or a StorageError."""
    found: dict[int, Entry] = {}
    for part in _unframed(data, "openings.bin"):
        one = codec.from_bytes(BundleOpening, part, limit=8 << 20)
        where = f"opening of entry {one.entry}"
        if not 0 <= one.entry < len(kinds) or one.entry in found:
            raise PackageError("belongs to no entry here, or is here twice", where=where)
        if not hmac.compare_digest(commitment(ELEMENT, one.salt, one.content), marks[one.entry]):
            raise PackageError("is not what its leaf commits to", where=where)
        entry = entry_from(kinds[one.entry], one.entry, one.content)
        if kinds[one.entry] not in OPENED or entry.stamp.user != SYSTEM:
            raise PackageError("a bundle opens only what the machine entered", where=where)
        found[one.entry] = entry
    return [found[number] for number in sorted(found)]


def _claims(data: bytes) -> list[Fact]:
    try:
        rows = json.loads(data)
        return [read_form(Fact, one) for one in rows]
    except (ValueError, TypeError, RecursionError, DeskRefusal):
        raise PackageError("is not a list of facts", where="facts.json") from None


def _counts(data: bytes) -> Transparency:
    try:
        return read_form(Transparency, json.loads(data))
    except (ValueError, RecursionError, DeskRefusal):
        raise PackageError("is not one of the public counts", where="counts.json") from None


def _check_facts(facts: list[Fact], claims: list[Fact], kinds: list[str], problems: list[str]) -> None:
    """Check that each counted entry has one fact of its kind, and that none claims what can be opened."""
    times_listed = Counter(one.entry for one in facts)
    for entry, times in times_listed.items():
        if times > 1:
            problems.append(f"entry {entry}: is listed {times} times")
    for one in claims:
        if not 0 <= one.entry < len(kinds) or kinds[one.entry] != one.kind:
            problems.append(f"entry {one.entry}: is claimed as a kind that its leaf does not have")
        elif one.kind in OPENED:
            problems.append(f"entry {one.entry}: is claimed where it must be opened")
    counted = {at for at, kind in enumerate(kinds) if kind in KINDS or kind in OPENED}
    for entry in sorted(counted - set(times_listed))[:20]:
        problems.append(f"entry {entry} ({kinds[entry]}): is counted, but is not in the bundle")


def _recount(  # noqa: PLR0917 - what a recount rests on
    counts: Transparency,
    facts: list[Fact],
    entries: list[Entry],
    checkpoint: str,
    size: int,
    problems: list[str],
) -> None:
    """Count again and compare, field by field."""
    book = DeskState()
    try:
        for entry in entries:
            book.apply(entry)
        policy, root = book.policy, book.root
    except StorageError as error:
        problems.append(f"root file or policy: {error}")
        return
    if root is None:
        raise RecordError("no root file is in force", where="bundle")
    seen = Seen(
        department=policy.department,
        policy_version=policy.version,
        as_of_us=counts.as_of_us,  # the newest entry is sealed, and its time is the department's claim
        entries=size,
        witnesses=tuple(one.keys[0].partition("+")[0] for one in root.witnesses),
        quorum=root.quorum,
        checkpoint=checkpoint,
        alert_terms=policy.alerts,
    )
    try:
        known = [one for one in facts if one.kind in KINDS]
        again, before = to_json(rules.count(known, seen)), rules.silent_before(known, policy.alerts)
    except (IndexError, KeyError, ValueError) as error:
        problems.append(f"facts.json: does not add up ({type(error).__name__})")
        return
    said = to_json(counts)
    differ = [name for name in said if said[name] != again[name]]
    if counts.silent_sources == before:
        differ = [name for name in differ if name != "silent_sources"]  # made by an earlier version
    problems += [f"counts.json: {name} is not what the entries add up to" for name in differ]
