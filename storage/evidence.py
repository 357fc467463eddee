"""Evidence packages: one or more records, provable offline to anyone. Builds bytes by file name; no I/O.

package.cose              signed by the log key: format, number, and the SHA-256 of every other file
SHA256SUMS                the same list for `sha256sum -c`
log.pub, checkpoint       the log's key and the signed tree head
anchor, anchor.proof      (if the department has co-signed) its newest co-signed checkpoint, which ties the
                          log key to the department, and the proof that `checkpoint` continues it
records/<n>/leaf.cose     the signed leaf;  record.tlog-proof  its place in the log (C2SP tlog-proof)
records/<n>/elements.cbor the shown elements with their salts;  text.json, patch.jpg, ...  the same, plain
accesses/<n>/             every logged access to these records, in the same form
cover.txt, cover.html     for people
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from storage import codec, cover_sheet, holds, misreads, tlog_proof
from storage.audit_records import Decision, Export, Hold, Release, UnitAccess, UnitAccessEnded
from storage.errors import KeyLostError, LedgerError
from storage.leaf import ENTRY, IMAGES, Leaf
from storage.picture_format import picture_format
from storage.read_records import Alert, ReadPlace, ReadText
from storage.records import RECORDS
from storage.sealing import Opened
from storage.store import UnitStore
from storage.times import utc_text

FORMAT = 1
ELEMENTS = ("text", "place", "patch", "overview")  # of a read, which an export may withhold
CONTEXT = b"alpr-reader/package/v1"
SENTENCE = (
    "The signature proves what this unit recorded and that it was not changed since; "
    "it does not prove that the plate was read right. Look at the image."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownElement:
    """An element in clear with its salt, from which the leaf's commitment can be recomputed."""

    name: str
    salt: bytes
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The elements of one record that the package shows."""

    elements: tuple[ShownElement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPackageHead:
    """What the log key signs for a package. `sheet`: the version of the cover sheet's wording; 0 in packages
    from before it had one.
    """

    format: int
    log_id: bytes
    number: str
    hold: int | None
    created_us: int
    records: tuple[int, ...]
    accesses: tuple[int, ...]
    withheld: tuple[str, ...]
    demo: bool
    sentence: str
    facts: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, bytes], ...]
    sheet: int = codec.later(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOrder:
    """What to export: records, which elements to withhold, the case or evidence number."""

    records: tuple[int, ...]
    withhold: tuple[str, ...]
    number: str
    hold: int | None
    user: str
    demo: bool


def is_line(text: str) -> bool:
    """Whether a cover sheet can show this text unchanged in one line: it has no control characters, no line
    ends, and nothing that reverses text. All kinds of spaces are allowed.
    """
    return all(sign.isprintable() or unicodedata.category(sign) == "Zs" for sign in text)


def hidden(withheld: Iterable[str]) -> set[str]:
    """The elements that a package does not show: with the text also the entry, which names the plate."""
    names = set(withheld)
    return names | {ENTRY} if "text" in names else names


def export_subject(records: tuple[int, ...], hold: int | None, number: str, withhold: tuple[str, ...]) -> str:
    """The subject that an exporting person signs, and that the export's entry names."""
    what = f"records={','.join(map(str, records))}" if hold is None else f"hold={hold}"
    return f"export {what} number={number} withhold={','.join(withhold) or 'nothing'}"


def extension(name: str, content: bytes) -> str:
    """The file name of an element in a package."""
    if name in IMAGES:
        return f"{name}.png" if picture_format(content) == "png" else f"{name}.jpg"
    return f"{name}.json"


def plain_view(kind: str, name: str, content: bytes) -> bytes:
    """An element for people: an image as it is, a record as JSON."""
    if name in IMAGES:
        return content
    cls: type[object] = {"text": ReadText, "place": ReadPlace}.get(name, RECORDS[kind])
    return cover_sheet.as_json(codec.from_bytes(cls, content))


def build(store: UnitStore, order: ExportOrder) -> dict[str, bytes]:
    """All files of a package. The caller logs the access before and the export after. Raises KeyLostError."""
    holds.demand_reads(store, order.records)
    with store.lock:
        checkpoint = store.log.head_note() or ""
        size = store.log.frontier.size
        accesses = accesses_to(store, order.records)
        files: dict[str, bytes] = {}
        shown: dict[int, dict[str, Opened]] = {}
        for sequence in (*order.records, *accesses):
            leaf = store.leaf(sequence)
            folder = "records" if sequence in order.records else "accesses"
            names = [name for name in leaf.elements if name not in hidden(order.withhold)]
            opened = {name: store.open_element(leaf, name) for name in names}
            shown[sequence] = opened
            proof = tlog_proof.write(sequence, store.log.inclusion(sequence, size), checkpoint)
            files |= _record_files(f"{folder}/{sequence}", leaf, store.log.leaf(sequence), opened, proof)
        files["log.pub"] = store.log.key_of_notes.text().encode() + b"\n"
        files["checkpoint"] = checkpoint.encode()
        files |= _anchor(store, size)
        facts = misreads.of(store).facts()
        story = cover_sheet.Story(
            unit=store.log.key_of_notes.name,
            number=order.number,
            sentence=SENTENCE,
            demo=order.demo,
            created_us=store.time.now().us,
            withheld=order.withhold,
            facts=facts,
            records={n: shown[n] for n in order.records},
            accesses=[access_line(n, store.record(n)) for n in accesses],
        )
        files["cover.txt"] = cover_sheet.as_text(story).encode()
        files["cover.html"] = cover_sheet.as_html(story).encode()
        head = UnitPackageHead(
            format=FORMAT,
            log_id=store.log_id,
            number=order.number,
            hold=order.hold,
            created_us=story.created_us,
            records=order.records,
            accesses=tuple(accesses),
            withheld=order.withhold,
            demo=order.demo,
            sentence=SENTENCE,
            facts=tuple(facts.items()),
            files=tuple((name, hashlib.sha256(files[name]).digest()) for name in sorted(files)),
            sheet=cover_sheet.VERSION,
        )
        files["SHA256SUMS"] = sums(head.files)
        files["package.cose"] = store.log.sign_bytes(codec.to_bytes(head), CONTEXT)
    return files


def _anchor(store: UnitStore, size: int) -> dict[str, bytes]:
    """The newest co-signed checkpoint, with the proof that the package's own continues it."""
    row = store.db.execute("SELECT size, note FROM anchors ORDER BY size DESC LIMIT 1").fetchone()
    if row is None:
        return {}
    proof = "".join(base64.b64encode(one).decode() + "\n" for one in store.log.consistency(int(row[0]), size))
    return {"anchor": str(row[1]).encode(), "anchor.proof": proof.encode()}


def sums(files: Iterable[tuple[str, bytes]]) -> bytes:
    """The list in sha256sum's format."""
    return "".join(f"{digest.hex()}  {name}\n" for name, digest in files).encode()


def _record_files(
    folder: str, leaf: Leaf, data: bytes, opened: Mapping[str, Opened], proof: str
) -> dict[str, bytes]:
    shown = Shown(
        elements=tuple(
            ShownElement(name=one.name, salt=one.salt, content=one.content) for one in opened.values()
        )
    )
    files = {
        f"{folder}/leaf.cose": data,
        f"{folder}/record.tlog-proof": proof.encode(),
        f"{folder}/elements.cbor": codec.to_bytes(shown),
    }
    for name, one in opened.items():
        files[f"{folder}/{extension(name, one.content)}"] = plain_view(leaf.kind, name, one.content)
    return files


def accesses_to(store: UnitStore, records: Iterable[int]) -> list[int]:
    """The numbers of all entries about access to these records: lookups, holds, exports, alert decisions."""
    wanted, found = set(records), set()
    held: set[int] = set()
    for sequence in holds.audit_sequences(store, min(wanted)):
        record = store.record(sequence)
        match record:
            case UnitAccess() | Hold() | Export():
                touches = bool(wanted & set(record.records))
            case UnitAccessEnded():
                touches = bool(wanted & set(record.records))
                found |= {record.access} if touches else set()
            case Release():
                touches = record.hold in held
            case Decision():
                touches = _alerted(store, record.alert) in wanted
            case _:
                touches = False
        if touches:
            found.add(sequence)
            held |= {sequence} if isinstance(record, Hold) else set()
    return sorted(found)


def _alerted(store: UnitStore, alert: int) -> int | None:
    """The read that an alert names; None if it can no longer be opened."""
    try:
        record = store.record(alert)
    except (KeyLostError, LedgerError):
        return None
    return record.read if isinstance(record, Alert) else None


def access_line(sequence: int, record: object) -> str:
    """The cover sheet's line about an access entry or another record."""
    user = getattr(record, "user", "")
    what = getattr(record, "action", getattr(record, "KIND", ""))
    purpose = next(
        (str(getattr(record, name)) for name in ("purpose", "ground", "verdict") if hasattr(record, name)), ""
    )
    at_us = int(getattr(record, "at_us", 0))
    return f"record {sequence}: {utc_text(at_us)}  {what}  {user}  {purpose}".rstrip()


def digest_of(files: Mapping[str, bytes]) -> bytes:
    """The package's digest for the export record: the SHA-256 of its signed head."""
    return hashlib.sha256(files["package.cose"]).digest()
