"""The cover sheet shows what the records contain, names what they lack, and escapes their texts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct

import pytest

from storage import codec, cover_sheet
from storage.read_records import Position, ReadPlace, ReadText
from storage.record_base import ClockState
from storage.sealing import Opened

FULL_TEXT = ReadText(
    text="7XKR219",
    confidence=0.93456,
    jurisdiction="US-CA",
    slots=b"",
    candidates=(("7XKR219", 0.9), ("7XKR2I9", 0.05), ("A", 0.04), ("B", 0.03), ("C", 0.02), ("D", 0.01)),
    frames_voted=9,
    plate_box=(0.0, 0.0, 1.0, 1.0),
    corners=(),
    models=(("reader", b"\x01\xff"), ("vote", b"\x02")),
    software="0.2.0",
    demo=False,
)
FULL_PLACE = ReadPlace(
    first_us=0,
    last_us=1_500_000,
    time_error_us=900,
    clock_state=ClockState.DISCIPLINED,
    position=Position(latitude=34.1425, longitude=-118.001, error_m=4.6),
    direction="towards",
    lane=0,
    camera="north",
)
EMPTY_TEXT = dataclasses.replace(FULL_TEXT, jurisdiction=None, candidates=(), models=(), software="")
EMPTY_PLACE = dataclasses.replace(FULL_PLACE, position=None, lane=None)
STORY = cover_sheet.Story(
    unit="unit",
    number="26-1 <b>",
    sentence="Look & see.",
    demo=False,
    created_us=0,
    withheld=(),
    facts={"misread rate": "none"},
    records={},
    accesses=[],
)


def slots(*rows: dict[str, float]) -> bytes:
    """Slot probabilities by character; "" means no character."""
    order = ["ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[at : at + 1] for at in range(37)]
    return b"".join(struct.pack("<37f", *(row.get(name, 0.0) for name in order)) for row in rows)


def opened(**parts: object) -> dict[str, Opened]:
    return {
        name: Opened(name, bytes(32), part if isinstance(part, bytes) else codec.to_bytes(part))
        for name, part in parts.items()
    }


def test_a_sheet_says_all_that_a_read_holds() -> None:
    text = dataclasses.replace(
        FULL_TEXT, slots=slots({"7": 0.9, "": 0.0625, "Z": 0.03, "1": 0.002}, {"X": 1.0})
    )
    assert cover_sheet.rows_of(opened(text=text, place=FULL_PLACE)) == [
        ("plate as read", "7XKR219"),
        ("confidence that all of it is right", "0.935"),
        ("other readings", "7XKR2I9 (0.050), A (0.040), B (0.030), C (0.020), D (0.010)"),
        ("slot probabilities", "7 0.900 (none 0.062, Z 0.030); X 1.000"),
        ("jurisdiction", "US-CA"),
        ("frames voted", "9"),
        ("models (SHA-256)", "reader 01ff; vote 02"),
        ("software", "0.2.0"),
        ("first seen", "1970-01-01 00:00:00.000 UTC"),
        ("last seen", "1970-01-01 00:00:01.500 UTC"),
        ("clock error", "within 0.9 ms, clock disciplined"),
        ("position", "34.142500, -118.001000 (within 5 m)"),
        ("direction, lane", "towards, 0"),
        ("camera", "north"),
    ]


def test_what_a_read_does_not_hold_is_named_as_not_known() -> None:
    rows = dict(cover_sheet.rows_of(opened(text=EMPTY_TEXT, place=EMPTY_PLACE)))
    assert [rows[name] for name in ("other readings", "slot probabilities", "jurisdiction")] == [
        "none",
        "not recorded",
        "not known",
    ]
    assert [rows[name] for name in ("models (SHA-256)", "software", "position", "direction, lane")] == [
        "none",
        "not known",
        "not known",
        "towards, not known",
    ]
    assert cover_sheet.rows_of(opened(entry=b"", patch=b"")) == []


def test_slots_are_given_likeliest_first_down_to_a_thousandth() -> None:
    table = slots({"A": 0.3, "B": 0.6, "": 0.0009, "C": 0.0010001})
    assert cover_sheet.slot_chances(table + b"cut off") == [{"B": 0.6, "A": 0.3, "C": 0.001}]
    assert cover_sheet.slot_chances(b"") == []
    assert list(cover_sheet.slot_chances(slots({"A": 0.25, "B": 0.5}, {"": 1.0}))[0]) == ["B", "A"]


def test_json_shows_bytes_as_hexadecimal_and_slots_as_a_table() -> None:
    shown = json.loads(cover_sheet.as_json(dataclasses.replace(FULL_TEXT, slots=slots({"A": 1.0}))))
    assert (shown["slots"], shown["models"]) == ([{"A": 1.0}], [["reader", "01ff"], ["vote", "02"]])
    assert json.loads(cover_sheet.as_json(FULL_PLACE))["position"]["error_m"] == 4.6
    assert cover_sheet.as_json(EMPTY_PLACE).startswith(b'{\n "first_us": 0,')


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "withheld: nothing"),
        ({"withheld": ("patch", "place")}, "withheld: patch, place"),
        (
            {"demo": True},
            "DEMO: this unit belongs to no department; its people and keys are for demonstration",
        ),
        ({}, "misread rate: none"),
        ({}, "EVERY LOGGED ACCESS TO THESE RECORDS\n  none"),
        (
            {"accesses": ["record 3", "record 4"]},
            "EVERY LOGGED ACCESS TO THESE RECORDS\n  record 3\n  record 4",
        ),
        ({"records": {7: opened(place=FULL_PLACE)}}, "RECORD 7\n  first seen: 1970-01-01 00:00:00.000 UTC"),
        (
            {"records": {7: opened(patch=b"", overview=b"")}},
            "records/7/overview.*\n  image: records/7/patch.*",
        ),
    ],
)
def test_the_sheet_as_text_has_its_line(changes: dict[str, object], line: str) -> None:
    text = cover_sheet.as_text(dataclasses.replace(STORY, **changes))  # type: ignore[arg-type]
    assert f"{line}\n" in text
    assert text.startswith("EVIDENCE FROM A LICENSE PLATE READER\n\nLook & see.\n\nnumber: 26-1 <b>\n")
    assert ("DEMO" in text) is ("demo" in changes)


def test_the_sheet_as_a_page_escapes_what_it_shows_and_holds_its_images() -> None:
    images = opened(
        patch=b"\x89PNG1", overview=b"\xff\xd8", place=dataclasses.replace(FULL_PLACE, camera="<i>")
    )
    page = cover_sheet.as_html(dataclasses.replace(STORY, records={7: images}, accesses=["<u>"]))
    for shown in (
        "<strong>Look &amp; see.</strong>",
        "<td>26-1 &lt;b&gt;</td>",
        "<h2>Record 7</h2>",
        "<td>&lt;i&gt;</td>",
        '<p>patch</p><img alt="patch" src="data:image/png;base64,iVBORzE=">',
        '<p>overview</p><img alt="overview" src="data:image/jpeg;base64,/9g=">',
        "<ul><li>&lt;u&gt;</li></ul>",
    ):
        assert shown in page
    assert "<ul><li>none</li></ul>" in cover_sheet.as_html(STORY)


WORDS_DIGEST = "a964a7239455e4e652cc57fc4ed9ddb30d085a7d96122790c1455b771be8cda0"


def test_a_sheet_with_other_words_is_of_another_version() -> None:
    """`reader verify` makes each sheet again, and packages are checked for decades. If this fails, words
    changed: give the sheet another VERSION, then this test the new digest.
    """
    records = {
        7: opened(text=FULL_TEXT, place=FULL_PLACE, patch=b"\x89PNG1", overview=b"\xff\xd8"),
        8: opened(text=EMPTY_TEXT, place=dataclasses.replace(EMPTY_PLACE, clock_state=ClockState.UNKNOWN)),
    }
    whole = dataclasses.replace(STORY, records=records, accesses=["record 9"], withheld=("patch",), demo=True)
    digest = hashlib.sha256()
    for story in (STORY, whole):
        digest.update(cover_sheet.as_text(story).encode() + cover_sheet.as_html(story).encode())
    assert (cover_sheet.VERSION, digest.hexdigest()) == (2, WORDS_DIGEST)
