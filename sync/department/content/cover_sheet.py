"""The cover sheet of a department's evidence package: one HTML page for lawyers to read and print. No I/O.

It loads and runs nothing: plate patches are embedded, and overviews are beside it in the package. Every value
is escaped, whether it comes from a unit, a letter or a person.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial

from storage import codec
from storage.cover_sheet import rows_of
from storage.evidence import SENTENCE, extension
from storage.picture_format import picture_format
from storage.read_records import ReadText
from storage.times import day_text
from sync.department.content.reads import OpenedRead
from sync.department.ground.local_time import both_text

STYLE = """
body{font:16px/1.45 Georgia,serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}
h1,h2,th,caption{font-family:sans-serif}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}caption{text-align:left;font-weight:bold;padding:.3rem 0}
th,td{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-top:1px solid #999}
th{font-weight:normal;color:#444;width:14rem}td{overflow-wrap:anywhere}
img{max-width:100%;border:1px solid #444}figure{margin:1rem 0}code{overflow-wrap:anywhere}
.warn{border:2px solid #111;padding:.6rem 1rem}section{break-inside:avoid}
@page{margin:2cm}@media print{body{margin:0;max-width:none;font-size:11pt}section{break-before:page}}
""".strip()
CHECKS = (
    "Anyone can check this package without the department's help and without a network. It needs the "
    "department log's public key, which the department gives out, the keys of the witness of its access log, "
    "which the witness gives out, and the program “department” of the open ALPR reader:"
)
CHECK = "department verify THIS.zip --key KEY --witness-key WITNESS"
C2PA_THERE = (
    "Each image has a C2PA manifest beside it (the file of the same name that ends in .c2pa). Any C2PA tool "
    "shows it, with c2pa-ca.pem of this package as its trust anchor; that file is signed with the rest."
)
CLOSED_LOG = (
    "came to the department after its log was closed (a copied card, or a damaged one). The unit's signature "
    "and the commitments hold; that nothing was left out or put in between is not proven for it"
)
C2PA_NOT = "The images have no C2PA manifests: "


VERSION = 3  # of the sheet's wording; increased whenever a sheet of the same data would differ
NAMED = 3  # the first version that names people in full, and the day of receipt of each read
LABELS = frozenset({
    "ground", "authority", "held since", "exported by", "second person", "medium",
    "for", "intended purpose", "written request", "delivered by",
})  # fmt: skip
"""What a department says in words of its own; all else on the sheet is in the reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetWords:
    """sheet.cbor: everything that a sheet is made from, except the reads and the signed head.

    `zone`: as in the policy; `no_manifests`: see SheetFacts.
    """

    version: int
    zone: str
    facts: tuple[tuple[str, str], ...]
    no_manifests: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetFacts:
    """What the sheet says about the whole package. `facts`: (label, value), why and by whom it left.

    `no_manifests`: why the images have no C2PA manifests; empty if they have. `zone`: of the department's
    local time, shown beside UTC. `version`: of its wording; `verify` can reproduce older ones.
    """

    department: str
    number: str
    created_us: int
    facts: tuple[tuple[str, str], ...]
    no_manifests: str
    zone: tzinfo
    version: int = VERSION


def words_of(sheet: SheetFacts) -> SheetWords:
    """The data to pack with a sheet, so that anyone can reproduce it."""
    return SheetWords(
        version=sheet.version, zone=str(sheet.zone), facts=sheet.facts, no_manifests=sheet.no_manifests
    )


def head_rows(sheet: SheetFacts, reads: Sequence[OpenedRead]) -> list[tuple[str, str]]:
    """(label, value) rows about the package, for the sheet and the plain text."""
    rows = [
        ("department", sheet.department),
        ("number", sheet.number),
        ("made", both_text(sheet.created_us, sheet.zone)),
        ("reads", str(len(reads))),
        *sheet.facts,
    ]
    if any(_is_demo(one) for one in reads):
        rows.append(("DEMO", "a demonstration: its units, people and keys belong to no department"))
    if closed := sum(one.closed_log for one in reads):
        rows.append(("closed log", f"{closed} of the reads: {CLOSED_LOG}"))
    return rows


def _is_demo(read: OpenedRead) -> bool:
    text = read.elements.get("text")
    return text is not None and codec.from_bytes(ReadText, text.content).demo


def as_text(sheet: SheetFacts, reads: Sequence[OpenedRead]) -> str:
    """The sheet in plain text, without the reads' content."""
    lines = ["EVIDENCE FROM LICENSE PLATE READERS", "", SENTENCE, ""]
    lines += [f"{label}: {value}" for label, value in head_rows(sheet, reads)]
    lines += [""]
    lines += [
        f"reads/{place}: unit {one.unit}, record {one.sequence}"
        + f", received {_received(one)}" * (sheet.version >= NAMED)
        + ", from a closed log" * one.closed_log
        for place, one in enumerate(reads)
    ]
    lines += ["", C2PA_THERE if not sheet.no_manifests else C2PA_NOT + sheet.no_manifests]
    lines += [
        "",
        f"To check: {CHECK} (KEY: the log key, obtained from the department; WITNESS: the witness's keys, "
        "from the witness)",
    ]
    return "\n".join([*lines, ""])


def as_html(sheet: SheetFacts, reads: Sequence[OpenedRead]) -> str:
    """The sheet as one HTML page."""
    number = html.escape(sheet.number)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data: 'self' file:; style-src 'unsafe-inline'\">",
        f"<title>Evidence {number}</title><style>{STYLE}</style></head><body>",
        f"<h1>Evidence from license plate readers: {number}</h1>",
        f'<p class="warn"><strong>{html.escape(SENTENCE)}</strong></p>',
        _table("The package", head_rows(sheet, reads)),
        "<h2>What each part proves</h2><ul>",
        "<li>The unit signed each read when it was made: <code>leaf.cose</code>.</li>",
        "<li>The read was in the unit's log, under a tree head that unit and department signed: "
        "<code>record.tlog-proof</code>. A read that is added or changed later has no such proof.</li>",
        "<li>Text, place and images are those that the unit signed for: <code>elements.cbor</code>.</li>",
        "<li>The reads left the department under an entry of its access log, which a witness outside the "
        "department co-signed: <code>entries/</code>.</li>",
        "<li>The package is whole, and the department made it: <code>package.cose</code>.</li></ul>",
        f"<p>{html.escape(CHECKS)}</p><p><code>{CHECK}</code></p>",
        f"<p>{html.escape(C2PA_THERE if not sheet.no_manifests else C2PA_NOT + sheet.no_manifests)}</p>",
    ]
    for place, one in enumerate(reads):
        parts.append(_read(f"reads/{place}", one, sheet))
    return "".join(parts) + "</body></html>\n"


def _table(caption: str, rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{html.escape(label)}</th><td>{html.escape(value)}</td></tr>'
        for label, value in rows
    )
    return f"<table><caption>{html.escape(caption)}</caption>{cells}</table>"


def _received(one: OpenedRead) -> str:
    """The day of receipt according to the department's own entry."""
    return "on a day that no entry names" if one.day is None else f"on {day_text(one.day)} (UTC)"


def _read(folder: str, one: OpenedRead, sheet: SheetFacts) -> str:
    rows = [("unit", one.unit), ("record in the unit's log", str(one.sequence))]
    rows += rows_of(one.elements, partial(both_text, zone=sheet.zone), version=min(sheet.version, 2))
    if one.closed_log:
        rows.append(("closed log", CLOSED_LOG))
    title = html.escape(f"{folder}: unit {one.unit}, record {one.sequence}")
    parts = [f"<section><h2>{title}</h2>", _table("As the unit recorded it", rows)]
    if sheet.version >= NAMED:
        parts.append(f"<p>The department received this read {_received(one)}.</p>")
    parts += [_figure(folder, name, one.elements[name].content) for name in _images(one.elements)]
    return "".join(parts) + "</section>"


def _images(elements: Mapping[str, object]) -> list[str]:
    return [name for name in ("patch", "overview") if name in elements]


def _figure(folder: str, name: str, content: bytes) -> str:
    """The HTML of an image: the patch is embedded, so that it prints anywhere; the overview is a file."""
    source = f"{folder}/{extension(name, content)}"
    words = {"patch": "The plate, cut out and straightened", "overview": "The vehicle"}[name]
    if name == "patch":
        source = f"data:image/{picture_format(content)};base64,{base64.b64encode(content).decode()}"
    return (
        f'<figure><img src="{html.escape(source)}" alt="{words}, as this unit recorded it">'
        f"<figcaption>{words}: <code>{html.escape(f'{folder}/{extension(name, content)}')}</code>"
        "</figcaption></figure>"
    )
