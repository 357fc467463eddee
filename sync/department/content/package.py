"""The department's evidence package: reads that anyone can verify with one public key.

I/O only for the authority of the images' manifests.

A ZIP (stored, fixed times) of:

    package.cose                 signed by the department log key: number, units' log keys, SHA-256 of
    each file
    SHA256SUMS                   the same list for `sha256sum -c`
    cover.html, cover.txt        for people;  sheet.cbor: what they say beside the reads
    c2pa-ca.pem                  the department's authority for the manifests beside the images
    reads/<n>/leaf.cose          the unit's signed leaf;  record.tlog-proof: its place in the unit's
    log, under
                                 the tree head that the unit signed and the department co-signed
    reads/<n>/elements.cbor      the elements shown, with their salts;  text.json, patch.jpg, ...: the
    same, plain
    reads/<n>/patch.c2pa, ...    C2PA manifests of the images, where the c2pa library is installed
    entries/<n>.cose, ...        the entries of the access log under which they left (package_entries.py)
    hold.cose, ...               the entry of the hold that an export rests on

It contains nothing else: a file that no signed record or entry accounts for is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from itertools import zip_longest
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import codec, envelope, merkle, tlog_proof
from storage import leaf as leaves
from storage.checkpoint import TYPE_COSIGNATURE, NoteKey, open_checkpoint, open_cosignatures
from storage.cosigners import Witnesses
from storage.counts import counted
from storage.errors import EnvelopeError, PackageError, StorageError
from storage.evidence import SENTENCE, Shown, ShownElement, extension, is_line, plain_view, sums
from storage.leaf import IMAGES
from storage.sealing import Opened, commitment
from sync.department.content import cover_sheet, package_entries, package_words
from sync.department.content.key_door import Cover, read_name
from sync.department.content.package_entries import LeftUnder
from sync.department.content.provenance import (
    AUTHORITY_FILE,
    ManifestAuthority,
    ManifestChecker,
    ManifestMaker,
    MissingManifestsError,
)
from sync.department.content.reads import OpenedRead
from sync.department.content.zipped import demand_plain, printable, read_zip, verdict, write_zip
from sync.department.ground.local_time import zone_of
from sync.department.store.closed_records import MOST_BESIDE, beside_name
from sync.messages import department_origin

FORMAT = 5
NO_NAMES = 4  # the format before the full names of people and the days of receipt
NO_HOLD = 3  # the format before the entry of the hold, which the words of an export are checked against
NO_SHEET = 2  # the format before sheet.cbor
NO_ENTRIES = 1  # the format before the entries
CONTEXT = b"alpr-department/package/v1"
MAX_FILES = 20_000
MAX_BYTES = 4 << 30
HEAD = "package.cose"
SHEET = "sheet.cbor"
SECOND_PERSON = 2  # the first version of a sheet that names a second person's approval
WORDS = "the words of cover.html and cover.txt"
OWN_WORDS = "ground, authority, medium, or for whom and what for, in cover.html and cover.txt"
UPDATE = "update the program `department`, and check it again with that one"
LOCAL_TIMES = "the local times in brackets in cover.html and cover.txt"
LOCAL = re.compile(rb"(?<= UTC) \((?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d [-+:\w]{1,9}\)")  # as both_text
CLOSED = "closed-log.txt"  # in place of the proof, if the read came after its log was closed


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedRead:
    """One read: its folder, its unit's log key (32 bytes) and its number in that log."""

    folder: str
    unit: str
    public: bytes
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageHead:
    """What the department log key signs."""

    format: int
    department: str
    number: str
    created_us: int
    reads: tuple[PackagedRead, ...]
    sentence: str
    files: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOrder:
    """The order for a package.

    Its number, the entries under which it leaves, the entry of the hold behind an export, and (label, value)
    for its cover sheet: why and by whom (`package_words.py`).
    """

    number: str
    entries: tuple[Cover, ...]
    facts: tuple[tuple[str, str], ...] = ()
    hold: Cover | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """A package's maker: the department, its log key, its manifest authority's folder, time and zone."""

    department: str
    key: Ed25519PrivateKey
    authority: Path
    created_us: int
    zone: tzinfo


def build(reads: Sequence[OpenedRead], order: PackageOrder, maker: Maker) -> bytes:
    """Make a package. Raises HomeError for an incomplete authority."""
    files: dict[str, bytes] = {}
    packaged = []
    for place, one in enumerate(reads):
        folder = f"reads/{place}"
        packaged.append(PackagedRead(folder=folder, unit=one.unit, public=one.public, sequence=one.sequence))
        shown = Shown(
            elements=tuple(
                ShownElement(name=name, salt=opened.salt, content=opened.content)
                for name, opened in sorted(one.elements.items())
            )
        )
        files[f"{folder}/leaf.cose"] = one.leaf
        if one.closed_log:
            files[f"{folder}/{CLOSED}"] = (cover_sheet.CLOSED_LOG + "\n").encode()
        else:
            files[f"{folder}/record.tlog-proof"] = one.proof.encode()
        files[f"{folder}/elements.cbor"] = codec.to_bytes(shown)
        kind = leaves.unchecked(one.leaf).kind
        for name, opened in one.elements.items():
            files[f"{folder}/{extension(name, opened.content)}"] = plain_view(kind, name, opened.content)
    sidecars, absent = manifests(reads, order, maker)
    files |= sidecars | package_entries.files_of(order.entries, order.hold)
    sheet = cover_sheet.SheetFacts(
        department=maker.department,
        number=order.number,
        created_us=maker.created_us,
        facts=order.facts,
        no_manifests=absent,
        zone=maker.zone,
    )
    files[SHEET] = codec.to_bytes(cover_sheet.words_of(sheet))
    files["cover.txt"] = cover_sheet.as_text(sheet, reads).encode()
    files["cover.html"] = cover_sheet.as_html(sheet, reads).encode()
    head = PackageHead(
        format=FORMAT,
        department=maker.department,
        number=order.number,
        created_us=maker.created_us,
        reads=tuple(packaged),
        sentence=SENTENCE,
        files=tuple((name, hashlib.sha256(files[name]).digest()) for name in sorted(files)),
    )
    files["SHA256SUMS"] = sums(head.files)
    files[HEAD] = envelope.sign(codec.to_bytes(head), maker.key, context=CONTEXT)
    return write_zip(files)


def manifests(reads: Sequence[OpenedRead], order: PackageOrder, maker: Maker) -> tuple[dict[str, bytes], str]:
    """The files of the images' manifests and their authority's certificate, and why there are none."""
    images = [(at, one, name) for at, one in enumerate(reads) for name in IMAGES if name in one.elements]
    if not images:
        return {}, "the package has no images"
    try:
        authority = ManifestAuthority.open(maker.authority, maker.department, maker.created_us)
        making = ManifestMaker(authority, maker.department, order.number, maker.created_us)
        made = {}
        for at, one, name in images:
            title = f"reads/{at}/{extension(name, one.elements[name].content)}"
            made[f"reads/{at}/{name}.c2pa"] = making.manifest(one, name, title)
    except MissingManifestsError as error:
        return {}, error.what  # the export continues, since its other proofs are complete
    return made | {AUTHORITY_FILE: making.certificate}, ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPackage:
    """A package that passed the checks.

    `loose`: folders of reads that came after their log was closed: signed by the unit, but in no tree.
    `entries`: the entries under which it left; none in the first format. `hold`: the entry of an export's
    hold. `is_earlier`: of a format with fewer checks than today's. `withheld`: by folder, what the unit
    recorded and the package does not show. `sheet_unchecked`: what of the cover sheet could not be checked,
    and why; else empty. `manifests_unchecked`: why the C2PA manifests were not checked; empty if they were or
    there are none.
    """

    head: PackageHead
    loose: tuple[str, ...]
    entries: tuple[LeftUnder, ...]
    hold: LeftUnder | None
    is_earlier: bool
    withheld: Mapping[str, tuple[str, ...]]
    sheet_unchecked: str
    manifests_unchecked: str

    @property
    def rests_on(self) -> tuple[LeftUnder, ...]:
        """All entries of the package: that of its hold, and those under which it left."""
        return self.entries if self.hold is None else (self.hold, *self.entries)


@verdict("package")
def check(data: bytes, public: Ed25519PublicKey, witnesses: Witnesses | None = None) -> CheckedPackage:
    """Check every signature, hash, proof and commitment. Raises PackageError, StorageError kinds.

    `witnesses`: those of the access log that must have co-signed the entries; None requires no co-signature.
    """
    files = read_zip(data, where="package", most_files=MAX_FILES, most_bytes=MAX_BYTES, stored=True)
    head = _head(files, public)
    _demand_listed(files, head)
    entries = package_entries.read_entries(files, public, witnesses)
    if (head.format == NO_ENTRIES) == bool(entries):
        raise PackageError("names no entry of the access log under which it left", where=HEAD)
    package_entries.demand_number(entries, head.number)
    known = {HEAD, "SHA256SUMS", "cover.txt", "cover.html", AUTHORITY_FILE}
    known |= package_entries.names(len(entries)) | {SHEET for _ in files if head.format >= NO_HOLD}
    hold = package_entries.read_hold(files, public, witnesses) if head.format > NO_HOLD else None
    known |= package_entries.hold_names() if hold else set()
    left, seen = package_entries.reads_of(entries), set[tuple[str, bytes]]()
    days = package_entries.days_of(entries, hold)
    named: dict[bytes, str] = {}
    here, withheld, opened = set[str](), {}, list[OpenedRead]()
    for place, one in enumerate(head.reads):
        folder = f"reads/{place}"
        try:
            if one.folder != folder:  # it would be unpacked elsewhere or over another read
                raise PackageError("the signed head names another folder for it")
            if named.setdefault(one.public, one.unit) != one.unit:
                raise PackageError("names its unit's log differently from an earlier read")
            with verdict(""):
                read = _check_read(files, one, public)
            if read.itself in seen:
                raise PackageError("is a read that the package names twice")
            seen.add(read.itself)
            if entries and not read.names & left:
                raise PackageError("none of the entries lets it leave")
        except StorageError as error:
            raise PackageError(str(error), where=folder) from None
        known |= read.files
        here |= read.names
        day = next((days[name] for name in sorted(read.names) if name in days), None)
        opened.append(replace(read.opened, day=day))
        if read.withheld:
            withheld[folder] = read.withheld
    for name in sorted(set(files) - known):
        raise PackageError("no signed record is about this file", where=printable(name))
    if left - here:
        lacking = f"{counted(len(left - here), 'read')} that its entries let leave"
        raise PackageError(f"lacks {lacking}", where="package")
    demand_plain(data, files, where="package")
    loose = tuple(one.folder for one in head.reads if f"{one.folder}/{CLOSED}" in files)
    return CheckedPackage(
        head=head,
        loose=loose,
        entries=entries,
        hold=hold,
        is_earlier=head.format != FORMAT,
        withheld=withheld,
        sheet_unchecked=_check_sheet(files, head, opened, entries, hold),
        manifests_unchecked=_check_manifests(files, head, opened),
    )


def _check_sheet(
    files: Mapping[str, bytes],
    head: PackageHead,
    reads: Sequence[OpenedRead],
    entries: Sequence[LeftUnder],
    hold: LeftUnder | None,
) -> str:
    """Reproduce the sheet; returns what of it cannot be checked here. Raises PackageError if it differs."""
    if head.format < NO_HOLD:
        return f"{WORDS} (a package of an earlier version)"
    if SHEET not in files:
        raise PackageError("is missing", where=SHEET)
    plain = envelope.decode(files[SHEET])
    version = plain.get("version") if isinstance(plain, dict) else None
    if isinstance(version, int) and version > cover_sheet.VERSION:  # of any fields
        raise PackageError("is worded by a later version of this program", where=SHEET, cure=UPDATE)
    words = codec.from_plain(cover_sheet.SheetWords, plain)
    if not 0 < words.version <= cover_sheet.VERSION:
        raise PackageError("no program writes such a sheet: its version does not exist", where=SHEET)
    said = [*(value for _, value in words.facts), words.no_manifests]
    if not {label for label, _ in words.facts} <= cover_sheet.LABELS or any(
        one.splitlines() not in ([one], []) for one in said
    ):
        raise PackageError("has a statement that no department's sheet has", where=SHEET)
    if bool(words.no_manifests) is any(name.endswith(".c2pa") for name in files):
        raise PackageError("contradicts the package on whether its images have manifests", where=SHEET)
    try:
        zone = zone_of(words.zone)
    except StorageError:
        zone = UTC  # then the local times are not checked
    named, own = words.version >= cover_sheet.NAMED, f"{OWN_WORDS} (a package of an earlier version)"
    if named is not (head.format > NO_NAMES):
        raise PackageError("no program writes such a sheet in a package of this format", where=SHEET)
    if head.format > NO_HOLD:
        again = words.facts, head.number, entries, hold, zone
        facts, own = package_words.made_again(*again, named=named)
        _demand_in_entries(words, facts)
    sheet = cover_sheet.SheetFacts(
        department=head.department,
        number=head.number,
        created_us=head.created_us,
        facts=words.facts,
        no_manifests=words.no_manifests,
        zone=zone,
        version=words.version,
    )
    unchecked = [own] if own else []
    for name, make in (("cover.txt", cover_sheet.as_text), ("cover.html", cover_sheet.as_html)):
        signed, made = files.get(name, b""), make(sheet, reads).encode()
        if LOCAL.sub(b"", signed) != LOCAL.sub(b"", made):
            raise PackageError("does not match the reads", where=name)
        if signed != made:  # rules of zones change: the maker's machine may have had others
            unchecked += [f"{LOCAL_TIMES} (this machine's time zone data are not those of the department)"]
    return "; ".join(dict.fromkeys(unchecked))


def _check_manifests(files: Mapping[str, bytes], head: PackageHead, reads: Sequence[OpenedRead]) -> str:
    """Check that C2PA manifests say what their reads say; returns why it cannot. Raises PackageError."""
    named = [
        (at, one, image, f"reads/{at}/{image}.c2pa")
        for at, one in enumerate(reads)
        for image in IMAGES
        if f"reads/{at}/{image}.c2pa" in files
    ]
    if not named:
        return ""
    if AUTHORITY_FILE not in files:
        raise PackageError("is missing", where=AUTHORITY_FILE)
    try:
        checker = ManifestChecker(files[AUTHORITY_FILE], head.department, head.number)
    except MissingManifestsError as error:
        return f"{error.what}: {error.cure}"
    for at, one, image, name in named:
        title = f"reads/{at}/{extension(image, one.elements[image].content)}"
        try:
            checker.check(one, image, title, files[name])
        except PackageError as error:
            raise PackageError(error.what, where=name) from None
    return checker.unchecked


def _demand_in_entries(words: cover_sheet.SheetWords, made: package_words.Facts) -> None:
    """Raises PackageError unless the department's own words, except local times, are in its entries."""
    if words.version < SECOND_PERSON:
        made = tuple(one for one in made if one[0] != package_words.SECOND)

    def plain(facts: package_words.Facts) -> list[tuple[str, bytes]]:
        return [(label, LOCAL.sub(b"", value.encode())) for label, value in facts]

    for one, other in zip_longest(plain(words.facts), plain(made)):
        if one != other:
            label = (other or one or ("",))[0]
            raise PackageError(f"its {label!r} is not what the entries say", where=SHEET)


def _head(files: Mapping[str, bytes], public: Ed25519PublicKey) -> PackageHead:
    """Open the signed head. Raises PackageError, RecordError."""
    if HEAD not in files:
        raise PackageError("lacks its signed head", where=HEAD)
    try:
        signed = envelope.open_signed(files[HEAD], public, context=CONTEXT, limit=16 << 20)
    except EnvelopeError as error:
        raise PackageError(error.what, where=HEAD) from None
    plain = envelope.decode(signed, limit=16 << 20)
    if codec.is_later(plain, FORMAT):
        raise PackageError("has a later format than this program knows", where=HEAD, cure=UPDATE)
    head = codec.from_plain(PackageHead, plain)
    if head.format not in range(NO_ENTRIES, FORMAT + 1):
        raise PackageError("of another format", where=HEAD)
    shown = (head.department, head.number, *(one.unit for one in head.reads))  # to people, in single lines
    if not is_line("".join(shown)):
        raise PackageError("a name or number in it has characters that cannot be printed", where=HEAD)
    return head


def _demand_listed(files: Mapping[str, bytes], head: PackageHead) -> None:
    """Raises PackageError unless the files are exactly those that the head lists, unaltered."""
    listed = {HEAD, "SHA256SUMS", *(name for name, _ in head.files)}
    for name in sorted(listed ^ set(files)):
        what = "is missing" if name in listed else "does not belong to the package"
        raise PackageError(what, where=printable(name))
    for name, digest in head.files:
        if not hmac.compare_digest(hashlib.sha256(files[name]).digest(), digest):
            raise PackageError("was altered: its SHA-256 is not the signed one", where=printable(name))
    if files["SHA256SUMS"] != sums(head.files):
        raise PackageError("differs from the signed list", where="SHA256SUMS")


@dataclass(frozen=True, slots=True, kw_only=True)
class _CheckedRead:
    """One checked read.

    `names`: its possible names in the log; `files`: all files about it; `itself`: its proof and its leaf;
    `withheld`: elements of the leaf that the package does not show; `opened`: the read as shown.
    """

    names: frozenset[str]
    files: frozenset[str]
    itself: tuple[str, bytes]
    withheld: tuple[str, ...]
    opened: OpenedRead


def demand_place(data: bytes, public: Ed25519PublicKey, sequence: int, proof: str) -> leaves.Leaf:
    """Check a read's leaf: that it is this record of the log of `public`, in its place by `proof`.

    proof: a C2SP tlog-proof; empty for a read that came after its log was closed. Raises StorageError.
    """
    leaf, log_id = leaves.open_leaf(data, public), leaves.log_id_of(public)
    if leaf.log_id != log_id or leaf.sequence != sequence:
        raise PackageError("the leaf belongs to another record", where="leaf")
    if proof:
        said = tlog_proof.parse(proof)
        head = open_checkpoint(said.checkpoint, NoteKey(leaves.origin_of(log_id), public))
        merkle.verify_inclusion(sequence, head.size, merkle.leaf_hash(data), said.path, head.root)
        if said.index != sequence:
            raise PackageError("the proof belongs to another record", where="proof")
    return leaf


def _demand_cosigned(proof: str, department: Ed25519PublicKey) -> None:
    """Raises PackageError unless the department co-signed the unit's tree head, so that it had the log."""
    signer = NoteKey(department_origin(department), department, TYPE_COSIGNATURE)
    if not open_cosignatures(tlog_proof.parse(proof).checkpoint, [signer]):
        raise PackageError("the unit's tree head is not co-signed by the department", where="proof")


def _check_read(files: Mapping[str, bytes], one: PackagedRead, department: Ed25519PublicKey) -> _CheckedRead:
    public = Ed25519PublicKey.from_public_bytes(one.public)
    closed = f"{one.folder}/{CLOSED}" in files
    proof = "" if closed else files.get(f"{one.folder}/record.tlog-proof", b"").decode()
    if not closed and not proof:
        raise PackageError("has no proof of its place")
    about = {f"{one.folder}/{name}" for name in ("leaf.cose", "elements.cbor")}
    if not about <= set(files):
        raise PackageError("its leaf or its elements are missing")
    data = files[f"{one.folder}/leaf.cose"]
    leaf = demand_place(data, public, one.sequence, proof)
    if proof:
        _demand_cosigned(proof, department)
    about.add(f"{one.folder}/{CLOSED if closed else 'record.tlog-proof'}")
    shown = codec.from_bytes(Shown, files[f"{one.folder}/elements.cbor"], limit=64 << 20)
    for element in shown.elements:
        mark = leaf.elements.get(element.name)
        made = commitment(element.name, element.salt, element.content)
        if mark is None or not hmac.compare_digest(mark.commitment, made):
            raise PackageError("does not match the unit's commitment", where=printable(element.name))
        name = f"{one.folder}/{extension(element.name, element.content)}"
        if files.get(name) != plain_view(leaf.kind, element.name, element.content):
            raise PackageError("the plain file is not what was committed", where=element.name)
        about.add(name)
        if element.name in IMAGES:
            about.add(f"{one.folder}/{element.name}.c2pa")
    ids = (
        [leaf.log_id, *(beside_name(leaf.log_id, at) for at in range(MOST_BESIDE))]
        if closed
        else [leaf.log_id]
    )
    known_by = frozenset(read_name(log_id, one.sequence) for log_id in ids)
    itself = (CLOSED if closed else "", data)
    withheld = tuple(sorted(set(leaf.elements) - {element.name for element in shown.elements}))
    opened = OpenedRead(
        read=read_name(leaf.log_id, one.sequence),
        unit=one.unit,
        log_id=leaf.log_id,
        sequence=one.sequence,
        leaf=data,
        public=one.public,
        proof=proof,
        elements={each.name: Opened(each.name, each.salt, each.content) for each in shown.elements},
        closed_log=closed,
    )
    return _CheckedRead(
        names=known_by, files=frozenset(about), itself=itself, withheld=withheld, opened=opened
    )
