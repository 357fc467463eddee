"""The cover sheet of an evidence package, as text and as HTML that loads nothing. No I/O."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import string
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from storage import codec
from storage.leaf import IMAGES
from storage.picture_format import picture_format
from storage.read_records import ReadPlace, ReadText
from storage.record_base import ClockState
from storage.sealing import Opened
from storage.times import margin_text, utc_text

SLOT_CHARACTERS = (*string.ascii_uppercase, *string.digits, "")
LEAST_SHOWN = 0.001  # smaller probabilities are left out
VERSION = 2  # of the sheet's wording: increased whenever a sheet of the same data would differ
ACCESSES = "EVERY LOGGED ACCESS TO THESE RECORDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The content of the sheet. `version`: of its wording; a check also reproduces earlier ones."""

    unit: str
    number: str
    sentence: str
    demo: bool
    created_us: int
    withheld: tuple[str, ...]
    facts: Mapping[str, str]
    records: Mapping[int, Mapping[str, Opened]]
    accesses: list[str]
    version: int = VERSION


def slot_chances(slots: bytes) -> list[dict[str, float]]:
    """The possible characters of each slot, most probable first; "" means none. See ReadText.slots."""
    table = [struct.unpack(f"<{len(SLOT_CHARACTERS)}f", row) for row in _rows_of(slots)]
    ranked = [sorted(zip(SLOT_CHARACTERS, row, strict=True), key=lambda one: -one[1]) for row in table]
    return [{name: round(p, 4) for name, p in row if p >= LEAST_SHOWN} for row in ranked]


def _rows_of(slots: bytes) -> Iterator[bytes]:
    width = 4 * len(SLOT_CHARACTERS)
    return (slots[at : at + width] for at in range(0, len(slots) // width * width, width))


def _slots_line(slots: bytes) -> str:
    """Slot probabilities in one line: each slot's most probable character, then the others."""

    def slot_text(name: str, chance: float) -> str:
        return f"{name or 'none'} {chance:.3f}"

    rows = [[slot_text(*one) for one in list(row.items())[:3]] for row in slot_chances(slots)]
    return "; ".join(row[0] + (f" ({', '.join(row[1:])})" if row[1:] else "") for row in rows if row)


def as_json(record: object) -> bytes:
    """A record as JSON for people and other programs; byte strings in hexadecimal, slots as a table."""

    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.hex()
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
        if isinstance(value, tuple | list):
            return [plain(one) for one in value]
        return value

    value = plain(record)
    if isinstance(record, ReadText):
        value["slots"] = slot_chances(record.slots)
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


def rows_of(
    opened: Mapping[str, Opened], time_text: Callable[[int], str] = utc_text, *, version: int = VERSION
) -> list[tuple[str, str]]:
    """What a sheet says about one record: (label, value) in plain text. `time_text`: formats UTC
    microseconds. `version`: of the wording; in version 1 the other readings repeat the plate as read.
    """
    rows: list[tuple[str, str]] = []
    if "text" in opened:
        text = codec.from_bytes(ReadText, opened["text"].content)
        rows += [
            ("plate as read", text.text),
            ("confidence that all of it is right", f"{text.confidence:.3f}"),
            ("other readings", _others(text, version) or "none"),
            ("slot probabilities", _slots_line(text.slots) or "not recorded"),
            ("jurisdiction", text.jurisdiction or "not known"),
            ("frames voted", str(text.frames_voted)),
            (
                "models (SHA-256)",
                "; ".join(f"{name} {digest.hex()}" for name, digest in text.models) or "none",
            ),
            ("software", text.software or "not known"),
        ]
    if "place" in opened:
        place = codec.from_bytes(ReadPlace, opened["place"].content)
        where = "not known"
        if place.position is not None:
            at = place.position
            where = f"{at.latitude:.6f}, {at.longitude:.6f} (within {at.error_m:.0f} m)"
        rows += [
            ("first seen", time_text(place.first_us)),
            ("last seen", time_text(place.last_us)),
            ("clock error", _clock_error(place)),
            ("position", where),
            ("direction, lane", f"{place.direction}, {'not known' if place.lane is None else place.lane}"),
            ("camera", place.camera),
        ]
    return rows


def _others(text: ReadText, version: int) -> str:
    """The other readings of the plate, with their probabilities."""
    others = [f"{one} ({p:.3f})" for one, p in text.candidates if one != text.text or version == 1]
    return ", ".join(others[:5])


def _clock_error(place: ReadPlace) -> str:
    if place.clock_state is ClockState.UNKNOWN:
        return "not known: the unit's clock knew no time"
    return f"within {margin_text(place.time_error_us)}, clock {place.clock_state}"


def _head(story: Story) -> list[tuple[str, str]]:
    head = [
        ("number", story.number),
        ("unit's log", story.unit),
        ("made", utc_text(story.created_us)),
        ("withheld", ", ".join(story.withheld) or "nothing"),
    ]
    if story.demo:
        head.append(("DEMO", "this unit belongs to no department; its people and keys are for demonstration"))
    return head + list(story.facts.items())


def as_text(story: Story) -> str:
    """The sheet as plain text."""
    lines = ["EVIDENCE FROM A LICENSE PLATE READER", "", story.sentence, ""]
    lines += [f"{name}: {value}" for name, value in _head(story)]
    for sequence, opened in story.records.items():
        lines += ["", f"RECORD {sequence}"] + [
            f"  {name}: {value}" for name, value in rows_of(opened, version=story.version)
        ]
        lines += [f"  image: records/{sequence}/{name}.*" for name in IMAGES if name in opened]
    lines += ["", ACCESSES] + [f"  {line}" for line in story.accesses or ["none"]]
    lines += [
        "",
        "To check: reader verify THIS-FOLDER --key LOG.PUB (the key obtained from the department)",
        "",
    ]
    return "\n".join(lines)


def as_html(story: Story) -> str:
    """The sheet as one HTML page that contains its images."""

    def table(rows: list[tuple[str, str]]) -> str:
        cells = (f"<tr><th>{html.escape(a)}</th><td>{html.escape(b)}</td></tr>" for a, b in rows)
        return f"<table>{''.join(cells)}</table>"

    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Evidence</title><style>',
        "body{font:15px/1.4 sans-serif;max-width:60em;margin:2em auto}th{text-align:left;padding-right:2em;",
        "vertical-align:top}img{max-width:100%;border:1px solid #888;margin:.5em 0}</style></head><body>",
        f"<h1>Evidence from a license plate reader</h1><p><strong>{html.escape(story.sentence)}</strong></p>",
        table(_head(story)),
    ]
    for sequence, opened in story.records.items():
        parts += [f"<h2>Record {sequence}</h2>", table(rows_of(opened, version=story.version))]
        for name in ("patch", "overview"):
            if name in opened:
                data = base64.b64encode(opened[name].content).decode()
                kind = picture_format(opened[name].content)
                parts.append(f'<p>{name}</p><img alt="{name}" src="data:image/{kind};base64,{data}">')
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in story.accesses)
    parts += ["<h2>Every logged access to these records</h2>", f"<ul>{lines or '<li>none</li>'}</ul>"]
    return "".join(parts) + "</body></html>\n"
