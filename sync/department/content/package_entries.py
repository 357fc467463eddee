"""The part of a package with the access log's entries under which its reads left. No I/O.

    entries/<n>.cose         the entry's leaf, signed by the department log key
    entries/<n>.cbor         its opening
    entries/<n>.tlog-proof   its place in the access log, under the head that the witnesses co-signed
    hold.cose, ...           the same of the hold that an export rests on

Anyone with the log key can sign a package. But a package that bypassed the log has no entry to show, or one
that the witness keeps for all who check the log.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage import codec, envelope, merkle, tlog_proof
from storage.checkpoint import Cosignature, NoteKey, open_checkpoint
from storage.cosigners import Witnesses
from storage.errors import PackageError, StorageError
from storage.leaf import log_id_of
from storage.sealing import commitment
from sync.department.content.key_door import Cover
from sync.department.content.zipped import verdict
from sync.department.journal.access_log import (
    CONTEXT,
    ELEMENT,
    EntryOpening,
    entry_from,
    origin_of,
    parse_leaf,
)
from sync.department.journal.entry_base import Stamp
from sync.department.journal.hold_entries import HoldPlaced, held_words
from sync.department.journal.inquiry_entries import Access, AccessEnded

FOLDER = "entries"
HOLD = "hold"
LEAVES = frozenset({"export", "delivery"})  # the actions under which content leaves the desk
PARTS = (".cose", ".cbor", ".tlog-proof")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftUnder:
    """An entry that let reads leave, or the entry of the hold behind an export.

    An export names the reads; a delivery names them in the entry of what it found. `witnessed`: when the
    witnesses' quorum was complete; `signed`: its person's signed call.
    """

    sequence: int
    stamp: Stamp
    note: Access | AccessEnded | HoldPlaced
    signed: bytes = field(repr=False)
    witnessed: Cosignature | None


def demand_number(entries: Sequence[LeftUnder], number: str) -> None:
    """Raises PackageError if an export left under another number."""
    for one in entries:
        note = one.note
        if not isinstance(note, Access) or note.action != "export":
            continue
        if note.elements != held_words("export", number, len(note.reads)):
            raise PackageError("left under a different number", where=f"entry {one.sequence}")


def reads_of(entries: Sequence[LeftUnder]) -> frozenset[str]:
    """The names of the reads that these entries let leave.

    Raises PackageError for a delivery without the entry of what it found.
    """
    deliveries = {
        one.sequence for one in entries if isinstance(one.note, Access) and one.note.action == "delivery"
    }
    for lacking in sorted(deliveries - {getattr(one.note, "access", -1) for one in entries}):
        raise PackageError("the entry of what this delivery found is missing", where=f"entry {lacking}")
    return frozenset(
        name
        for one in entries
        if not isinstance(one.note, HoldPlaced)
        if isinstance(one.note, Access) or one.note.access in deliveries
        for name in one.note.reads
    )


def days_of(entries: Sequence[LeftUnder], hold: LeftUnder | None) -> dict[str, int]:
    """The day of receipt of each read by name, according to the entries."""
    notes = [one.note for one in (*entries, *([hold] if hold else ())) if not isinstance(one.note, Access)]
    return {name: day for note in notes for name, day in zip(note.reads, note.received, strict=False)}


def files_of(covers: Sequence[Cover], hold: Cover | None = None) -> dict[str, bytes]:
    """The files of these entries and of the hold's entry."""
    files = {}
    named = {f"{FOLDER}/{at}": cover for at, cover in enumerate(covers)}
    for name, cover in (named if hold is None else named | {HOLD: hold}).items():
        opening = EntryOpening(sequence=cover.sequence, salt=cover.salt, content=cover.content)
        proof = tlog_proof.write(cover.sequence, cover.inclusion, cover.checkpoint)
        for part, data in zip(PARTS, (cover.leaf, codec.to_bytes(opening), proof.encode()), strict=True):
            files[f"{name}{part}"] = data
    return files


def names(count: int) -> set[str]:
    """The names of the files of this many entries."""
    return {f"{FOLDER}/{at}{part}" for at in range(count) for part in PARTS}


def hold_names() -> set[str]:
    """The names of the files of a hold's entry."""
    return {f"{HOLD}{part}" for part in PARTS}


def read_entries(
    files: Mapping[str, bytes], public: Ed25519PublicKey, witnesses: Witnesses | None
) -> tuple[LeftUnder, ...]:
    """Read a package's entries and check their places in the log of `public`. Raises StorageError."""
    count = sum(name.startswith(f"{FOLDER}/") and name.endswith(PARTS[0]) for name in files)
    if not names(count) <= set(files):
        raise PackageError("files of an entry are missing", where=FOLDER)
    found = []
    for at in range(count):
        one = _entry(files, f"{FOLDER}/{at}", public, witnesses)
        if not isinstance(one.note, AccessEnded) and not (
            isinstance(one.note, Access) and one.note.action in LEAVES
        ):
            raise PackageError("lets nothing leave the desk", where=f"{FOLDER}/{at}")
        found.append(one)
    return tuple(found)


def read_hold(
    files: Mapping[str, bytes], public: Ed25519PublicKey, witnesses: Witnesses | None
) -> LeftUnder | None:
    """Read the entry of the hold behind an export; None without one. Raises StorageError."""
    if hold_names().isdisjoint(files):
        return None
    if not hold_names() <= set(files):
        raise PackageError("files of the hold's entry are missing", where=HOLD)
    return _entry(files, HOLD, public, witnesses)


def _entry(
    files: Mapping[str, bytes], name: str, public: Ed25519PublicKey, witnesses: Witnesses | None
) -> LeftUnder:
    try:
        with verdict(""):
            return _opened(files, name, public, witnesses)
    except StorageError as error:
        raise PackageError(str(error), where=name) from None


def _opened(
    files: Mapping[str, bytes], name: str, public: Ed25519PublicKey, witnesses: Witnesses | None
) -> LeftUnder:
    data, opening, proof = (files[f"{name}{part}"] for part in PARTS)
    payload = envelope.open_signed(data, public, context=CONTEXT, limit=4096)
    log_id, kind, sequence, _, mark = parse_leaf(payload)
    shown = codec.from_bytes(EntryOpening, opening, limit=1 << 20)
    good = hmac.compare_digest(commitment(ELEMENT, shown.salt, shown.content), mark.commitment)
    said = tlog_proof.parse(proof.decode())
    if log_id != log_id_of(public) or not good or said.index != sequence:
        raise PackageError("is not the entry of its proof")
    head = open_checkpoint(said.checkpoint, NoteKey(origin_of(log_id), public))
    merkle.verify_inclusion(sequence, head.size, merkle.leaf_hash(data), list(said.path), head.root)
    entry = entry_from(kind, sequence, shown.content)
    if not isinstance(entry.note, Access | AccessEnded | HoldPlaced):
        raise PackageError("lets nothing leave the desk")
    seen = None if witnesses is None else witnesses.witnessed(said.checkpoint)
    return LeftUnder(
        sequence=sequence, stamp=entry.stamp, note=entry.note, signed=entry.signed, witnessed=seen
    )
