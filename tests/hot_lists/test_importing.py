"""Lists as their sources write them: every layout, bad lines by number, what the policy refuses."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from storage.alert_terms import DEFAULT_ALERTS
from storage.barred_words import barred_in
from storage.errors import RecordError
from sync.hot_lists import importing
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.importing import ImportedList, ListRefusedError, import_list
from sync.hot_lists.layout import Layout, find_layout, parse_layout, shipped

NOW_US = 1_795_000_000_000_000  # 2026-11-18
FORBIDDEN = ("immigration", "ice", "civil immigration", "", "parking", "Stolen; immigration")


def taken(
    layout: str | Layout, data: bytes | str, *, category: str | None = None, now_us: int = NOW_US
) -> ImportedList:
    plan = find_layout(layout) if isinstance(layout, str) else layout
    raw = data.encode() if isinstance(data, str) else data
    return import_list(
        io.BytesIO(raw), plan, DEFAULT_ALERTS, name="day.csv", category=category, now_us=now_us
    )


NCIC = """LIC,LIS,LIY,LIT,VIN,VYR,VMA,VMO,VST,VCO,ORI,OCA,NIC
7XKR219,CA,2026,PC,1FAFP34N55W123456,2005,FORD,FOC,4D,SIL,CA0194100,26-001234,V123456789
MC 12-34,CA,2027,MC,,1998,HD,,,BLK,CA0194100,26-001235,V123456790
ABC123,ON,,,,,,,,,ON1234567,,V123456791
"""


def test_ncic_field_codes_become_entries() -> None:
    made = taken("ncic", NCIC, category="stolen-vehicle")
    assert not made.bad
    car, motorcycle, ontario = made.entries
    assert (car.plate, car.state, car.plate_class, car.year) == ("7XKR219", "US-CA", "car", 2005)
    assert (car.make, car.color, car.vin_tail) == ("FORD", "silver", "5W123456")
    assert (car.agency, car.case, car.reference) == ("CA0194100", "26-001234", "V123456789")
    assert (motorcycle.plate, motorcycle.plate_class, motorcycle.color) == ("MC1234", "motorcycle", "black")
    assert (ontario.state, ontario.plate_class) == ("CA-ON", "")


class PulledStick(io.BytesIO):
    """Fails after its content, as a file does whose medium is pulled."""

    def readline(self, size: int | None = -1, /) -> bytes:
        if line := super().readline(size):
            return line
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("rest", [b"", b"x" * 200_000])
def test_a_stick_that_is_pulled_refuses_the_list_and_names_file_and_line(rest: bytes) -> None:
    stick, layout = PulledStick(NCIC.encode() + rest), find_layout("ncic")
    with pytest.raises(ListRefusedError, match=r"day.csv, line 5: cannot be read: Input/output error"):
        import_list(stick, layout, DEFAULT_ALERTS, name="day.csv", category="stolen-vehicle", now_us=NOW_US)


def test_a_vehicle_without_a_plate_is_not_an_entry_that_stops_a_plate_of_that_word() -> None:
    words = ("NONE", "UNK", "no plate", "XXXXXXX", "0000000")
    lines = "".join(f"{one},CA,,PC,,2001,FORD,,,CRM,CA0194100,26-1,V1\n" for one in words)
    made = taken("ncic", f"{NCIC}{lines}N0NE1,CA,,PC,,,,,,CRM,,,\n", category="stolen-vehicle")
    assert [one.plate for one in made.entries] == ["7XKR219", "MC1234", "ABC123", "N0NE1"]
    assert (made.plateless, made.bad, made.entries[3].color) == ([5, 6, 7, 8, 9], [], "cream")
    assert "5 lines without a plate, or NONE, UNKNOWN, XXXX (lines 5, 6, 7, 8, 9)" in made.summary()


def test_vehicles_that_ncic_knows_by_their_vin_alone_are_counted_and_make_no_list_bad() -> None:
    """LIC is no mandatory field of a vehicle's entry: here nine in ten have none."""
    lines = "".join(
        f"{'' if number % 10 else f'7ABC{number:03}'},CA,,PC,1FAFP34N55W1{number:05},2005,FORD,,4D,SIL,,,\n"
        for number in range(100)
    )
    made = taken("ncic", NCIC + lines, category="stolen-vehicle")
    assert (len(made.entries), len(made.plateless), made.bad) == (13, 90, [])
    assert "90 lines without a plate, or NONE, UNKNOWN, XXXX (lines 6, 7, " in made.summary()
    assert " and 70 more)" in made.summary()
    assert {one.reason for one in made.entries} == {""}, "4D is the vehicle's style"
    shifted = NCIC + lines.replace(",CA,,PC,1FA", ",CA,,PC,,1FA")
    with pytest.raises(ListRefusedError, match=r"90 of 103 lines are bad .* is empty, and no VIN names"):
        taken("ncic", shifted, category="stolen-vehicle")
    with pytest.raises(ListRefusedError, match=r"^day.csv: no line has a plate"):
        taken("ncic", "LIC,VIN\n,1FAFP34N55W123456\n", category="stolen-vehicle")


KEYS = "LIC,LIS,MKE,MIS\n7ABC123,CA,EV,ARMED\n8ABC123,CA,Stolen Vehicle,\n9ABC123,CA,EW,\n6ABC123,CA,EN,\n"


def test_a_line_is_taken_as_what_its_message_key_says_and_as_nothing_else() -> None:
    """An extract of several files, sent out under one category, stops nobody for what it does not say."""
    made = taken("ncic", KEYS)
    assert [(one.category, one.reason) for one in made.entries] == [
        ("stolen-vehicle", "ARMED"),
        ("stolen-vehicle", ""),
        ("wanted-person", ""),
    ]
    assert made.refused == {"EN": 1}
    made = taken("ncic", KEYS, category="stolen-vehicle")
    assert [one.plate for one in made.entries] == ["7ABC123", "8ABC123"]
    assert made.refused == {"wanted person, not stolen-vehicle": 1, "EN": 1}


def test_a_message_key_with_a_caution_is_the_category_of_its_two_letters_and_shown() -> None:
    """The vehicles with armed occupants fell off the list."""
    keys = ("EV-P", "EVA", "ef-b", "EWJ", "EWJ-C", "EN-P", "EVENT")
    lines = "".join(f"{number}ABC123,CA,{key},\n" for number, key in enumerate(keys, start=1))
    made = taken("ncic", f"LIC,LIS,MKE,MIS\n{lines}8ABC123,CA,EV-A,RIFLE\n")
    said = {"felony-vehicle": ["EF-B"], "stolen-vehicle": ["EV-P", "EVA", "EV-A, RIFLE"]}
    for category, reasons in said.items():
        assert [one.reason for one in made.entries if one.category == category] == reasons
    assert [one.reason for one in made.entries if one.category == "wanted-person"] == ["EWJ", "EWJ-C"]
    assert made.refused == {"EN-P": 1, "EVENT": 1}


@pytest.mark.parametrize("code", ["SVR", "STOR", "SV-R"])
def test_a_code_of_another_source_is_not_a_message_key_of_ncic(code: str) -> None:
    """A vehicle that was recovered (SVR) was taken as stolen (SV)."""
    layout = parse_layout(f'{FIXED}[words.category]\nSV = "stolen vehicle"\nST = "stolen vehicle"\n'.encode())
    made = taken(layout, f"7XKR219 CA{code:10}\n8XKR219 CASV        \n")
    assert ([one.plate for one in made.entries], made.refused) == (["8XKR219"], {code: 1})


def test_a_list_without_categories_needs_one_of_the_policy() -> None:
    with pytest.raises(ListRefusedError, match="line 1: the first line names no column MKE: no line has"):
        taken("ncic", NCIC)
    with pytest.raises(ListRefusedError, match="has no category"):
        taken(parse_layout(b'id="x"\ntitle="t"\n[fields]\nplate={start=1,length=8}\n'), "7XKR219 \n")
    with pytest.raises(ListRefusedError, match="the policy allows stolen-vehicle"):
        taken("ncic", NCIC, category="immigration")


def test_genetec_lines_with_their_dates_become_entries() -> None:
    lines = "Stolen;QC;DEF228;2026-01-31;2026-12-31\r\nWanted;CA;7ABC123;2026-01-31;\r\n"
    made = taken("genetec", lines)
    first, second = made.entries
    assert (first.category, first.state, first.plate) == ("stolen-vehicle", "CA-QC", "DEF228")
    assert (second.category, second.state, second.until_us) == ("wanted-person", "US-CA", None)
    assert first.until_us is not None
    assert first.until_us == (1_798_675_200 + 86_400) * 1_000_000  # to the end of 2026-12-31


def test_an_entry_that_has_ended_is_left_out_and_counted() -> None:
    made = taken("genetec", "Stolen;CA;DEF228;2025-01-31;2025-12-31\n")
    assert (made.entries, made.ended) == ([], 1)


def test_the_genetec_permit_line_keeps_the_permits_number() -> None:
    made = taken("genetec-permit", "BOLO;QC;DEF228;2026-01-31;2027-05-31;PermitID_1\n")
    assert [(one.reference, one.category) for one in made.entries] == [("PermitID_1", "department")]


def test_a_csv_with_headers_in_any_order_becomes_entries() -> None:
    made = taken(
        "vigilant",
        "State,Alert,Plate,Notes,Make,Color,Expires\n"
        'CA,Stolen Vehicle,7xkr-219,"seen, twice",KIA,Red,12/31/2026\n',
    )
    (one,) = made.entries
    assert (one.plate, one.reason, one.make, one.color) == ("7XKR219", "seen, twice", "KIA", "red")


def test_the_16_british_fields_become_entries() -> None:
    vehicle = "AB12CDE,FORD,FOCUS,BLUE,STOLEN,,TAKEN FROM DRIVE"
    line = f"{vehicle},E41,STOP,42AB,31/12/2026,26/1234A,R,CAD 99,NONE,42/7\r\n"
    (one,) = taken("uk-16", line.encode("cp1252")).entries
    assert (one.plate, one.state, one.category) == ("AB12CDE", "GB", "stolen-vehicle")
    assert (one.make, one.color, one.reason, one.case) == ("FORD", "blue", "TAKEN FROM DRIVE", "CAD 99")


FIXED = """
id = "fixed"
title = "fixed columns"
[fields]
plate = {start = 1, length = 8}
state = {start = 9, length = 2}
category = {start = 11, length = 10}
"""


def test_fixed_columns_become_entries() -> None:
    (one,) = taken(parse_layout(FIXED.encode()), "7XKR219 CASTOLEN    \n").entries
    assert (one.plate, one.state, one.category) == ("7XKR219", "US-CA", "stolen-vehicle")


def test_a_new_layout_takes_fifteen_lines() -> None:
    assert len(FIXED.strip().splitlines()) <= 15
    for layout in shipped().values():
        layout.check()
    assert set(shipped()) == {"ncic", "genetec", "genetec-permit", "vigilant", "uk-16"}


GOOD = [
    b"Stolen;CA;7XKR219;;",
    b"Stolen;;8ABC123;;2027-01-31",
    b"Wanted;NV;9LMN456;;",
    b"Parking;CA;5PQR678;;",
]
LINES = [
    pytest.param(b"Stolen;CA;\xd0\x9007XKR;;", "not Latin", id="a Cyrillic letter"),
    pytest.param("Stolen;CA;７XKR219;;".encode(), "not Latin", id="full-width digits"),
    pytest.param("Stolen;CA;7XKR\u200b219;;".encode(), "not Latin", id="zero-width space"),
    pytest.param(b"Stolen;CA;7XKR219\x00;;", "NUL", id="a NUL"),
    pytest.param(b";;;;", "is empty, and no VIN names the vehicle", id="nothing"),
    pytest.param(b"Stolen;CA;=CMD|' /C calc'!A0;;", "is not a plate", id="a formula for a plate"),
    pytest.param(b"Stolen;CA;7XKR219;;31.12.2026", "is not a date", id="another date form"),
    pytest.param(b'Stolen;CA;"7XKR219;;', "separated line", id="a quote that never ends"),
    pytest.param(b"Stolen;CA;7XKR\x1b[2J;;", "is not a plate", id="an escape"),
    pytest.param(b"Stolen;CA;\xff\xfe7;;", "not utf-8", id="another encoding"),
    pytest.param(b"Stolen;CA;" + b"A" * 5000, "is over 4096 bytes", id="a line without end"),
]


@pytest.mark.parametrize(("line", "why"), LINES)
def test_a_bad_line_is_skipped_and_named_by_its_number(line: bytes, why: str) -> None:
    good = b"Stolen;CA;7XKR219;;\n"
    made = taken("genetec", good + line + b"\n" + good.replace(b"7XKR219", b"8ABC123"))
    assert [one.plate for one in made.entries] == ["7XKR219", "8ABC123"]
    ((number, said),) = [(one.number, one.why) for one in made.bad]
    assert number == 2
    assert why in said
    assert "7XKR" not in said
    assert f"(line 2: {said})" in made.summary()


@pytest.mark.one_python
def test_many_bad_lines_are_named_each_with_its_reason_up_to_a_bound() -> None:
    good = "".join(f"Stolen;CA;7ABC{number:03};;\n" for number in range(8000))
    said = taken("genetec", "Stolen;CA;SECRET?PLATE;;\n" * 30 + good).summary()
    named = [f"line {number}: plate: is not a plate: 1 to 16 of A-Z and 0-9" for number in range(1, 21)]
    assert "; ".join(named) + "; and 10 more)" in said
    assert "SECRET" not in said


WHOLE = {
    "ncic": NCIC,
    "ncic, plate last": "OCA,LIS,LIC\n26-1,CA,7XKR219\n26-2,NV,8ABC123\n26-3,CA,9LMN456\n",
    "ncic, plates alone": "LIC\n7XKR219\n8ABC123\n9LMN456\n",
    "genetec": b"".join(one + b"\n" for one in GOOD).decode(),
    "genetec-permit": "BOLO;QC;DEF228;2026-01-31;2027-05-31;P1\nBOLO;QC;DEF229;2026-01-31;2027-05-31;P2\n",
    "vigilant": 'State,Alert,Notes,Plate\nCA,Stolen,"x, y",7XKR219\nCA,Stolen,,8ABC123\n',
    "uk-16": "AB12CDE,FORD,FOCUS,BLUE,STOLEN,,T,E41,S,42,31/12/2026,2,R,C,N,4\n" * 2,
    "fixed": "7XKR219 CASTOLEN    \n8ABC123 NVSTOLEN    \n",
    "fixed, plate last": "CA7XKR219 \nNV8ABC123 \n",
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_list_that_was_cut_anywhere_gives_no_stump_of_a_plate_and_says_so(name: str, end: str) -> None:
    layout, _, order = name.partition(", ")
    plan = parse_layout(FIXED.encode()) if layout == "fixed" else find_layout(layout)
    if layout == "fixed" and order:
        plan = parse_layout(
            b'id="x"\ntitle="t"\n[fields]\nplate={start=3,length=8}\nstate={start=1,length=2}\n'
        )
    category = "stolen-vehicle" if "category" not in plan.fields or layout == "ncic" else None
    whole = WHOLE[name].replace("\n", end).encode()
    plates = {one.plate for one in taken(plan, whole, category=category).entries}
    assert len(plates) >= 1
    for length in range(len(whole)):
        try:
            made = taken(plan, whole[:length], category=category)
        except ListRefusedError:
            continue
        assert {one.plate for one in made.entries} <= plates, whole[:length]
        assert made.open_end is not whole[:length].endswith(b"\n")
        assert ("is it whole?" in made.summary()) is made.open_end


def test_a_line_with_fewer_cells_than_the_others_is_bad() -> None:
    """Cut by a full disk, and followed by the next run of the program that writes the list."""
    made = taken("vigilant", "Plate,State,Alert\n7XKR219,CA,Stolen\n8AB\n9LMN456,CA,Stolen\n")
    assert [one.plate for one in made.entries] == ["7XKR219", "9LMN456"]
    assert [(one.number, one.why) for one in made.bad] == [(3, "has 1 of 3 cells: was it cut?")]
    made = taken("genetec", "Stolen;CA;7XKR219;;\nStolen;CA;8AB\nStolen;CA;9LMN456;;\n")
    assert [one.plate for one in made.entries] == ["7XKR219", "9LMN456"]
    assert made.bad[0].why == "has 3 of 5 cells: was it cut?"


def test_a_byte_order_mark_and_empty_lines_harm_nothing() -> None:
    made = taken("genetec", b"\xef\xbb\xbfStolen;CA;7XKR219;;\r\n\r\n   \nStolen;CA;8ABC123;;")
    assert [one.plate for one in made.entries] == ["7XKR219", "8ABC123"]
    assert not made.bad


def test_a_list_with_more_bad_lines_than_the_policy_allows_is_refused_whole() -> None:
    good = "".join(f"Stolen;CA;7ABC{number:03};;\n" for number in range(500))
    assert len(taken("genetec", good + "Stolen;CA;?;;\n" * 5).entries) == 500
    with pytest.raises(
        ListRefusedError, match=r"^day.csv: 6 of 506 lines are bad where the policy allows 5: line 50"
    ):
        taken("genetec", good + "Stolen;CA;?;;\n" * 6)


def test_a_file_in_another_layout_is_refused() -> None:
    with pytest.raises(ListRefusedError, match=r"^day.csv.*is this its layout"):
        taken("vigilant", "Stolen;CA;7XKR219;;\n" * 20)
    with pytest.raises(ListRefusedError, match=r"^day.csv: holds no line"):
        taken("genetec", "")


@pytest.mark.parametrize("word", FORBIDDEN)
def test_a_category_that_the_policy_does_not_name_is_refused_and_counted(word: str) -> None:
    layout = replace(find_layout("genetec"), delimiter="|")
    made = taken(layout, f"{word}|CA|7XKR219||\nStolen|CA|8ABC123||\n")
    assert [one.plate for one in made.entries] == ["8ABC123"]
    assert sum(made.refused.values()) == 1
    assert not made.bad


@pytest.mark.parametrize("word", ["stored", "IMPOUNDED", "lost", "Repossessed", "repo", "recovered", "towed"])
def test_a_stored_or_lost_vehicle_is_never_stolen(word: str) -> None:
    made = taken("vigilant", f"Plate,State,Alert,Notes\n7XKR219,CA,Stolen,vehicle {word} by agency\n")
    assert made.entries == []
    assert list(made.refused) == [f"stolen-vehicle that is {word.casefold()}"]


def accented(text: str) -> str:
    return unicodedata.normalize("NFC", "".join(f"{one}\u0301" if one in "aeiou" else one for one in text))


def leet(text: str) -> str:
    return text.translate(str.maketrans("oile", "0113"))


def wide(text: str) -> str:
    return "".join(chr(ord(one) + 0xFEE0) if one.isalpha() else one for one in text)


def cut(text: str) -> str:
    return f"{text[:2]}-{text[2:]}"


WRAPS = [
    "{}",
    "({})",
    "{}.",
    "'{}'",
    "/{}/",
    "is {}: lot 4",
    "_{}_",
    "{}s",
    "\u00a0{} \u2014 x",
]


@given(
    word=st.sampled_from([(one.id, word) for one in DEFAULT_ALERTS.categories for word in one.never]),
    wrap=st.sampled_from(WRAPS),
    dress=st.sampled_from([str.upper, str.title, accented, leet, wide, cut]),
)
@settings(max_examples=150)
def test_a_barred_word_is_found_however_it_is_dressed(
    word: tuple[str, str], wrap: str, dress: Callable[[str], str]
) -> None:
    category, barred = word
    text = wrap.replace("{}", dress(barred))
    found = DEFAULT_ALERTS.category(category)
    assert found is not None
    assert barred_in(found.never, text) is not None
    if dress is not leet:
        assert barred_in(found.never, f"26{text}7") is not None


@pytest.mark.parametrize("letter", ["\u0456", "\u03bf", "\u0430", "\uff41\u0435", "\u13a0"])
def test_a_letter_of_another_script_in_the_reason_is_a_bad_line(letter: str) -> None:
    text = (
        f"Plate,State,Alert,Notes\n7XKR219,CA,Stolen,c{letter}r of a neighbor\n8ABC123,CA,Stolen,caf\u00e9\n"
    )
    made = taken("vigilant", text)
    assert [one.plate for one in made.entries] == ["8ABC123"]
    assert "not Latin" in made.bad[0].why


def test_plain_reasons_pass() -> None:
    for reason in (
        "reported by owner", "civilian witness", "stores nearby", "closed lot", "restored car", "unlocated?",
        "Myrtle Ave 1100, 3rd floor", "se\u00f1or P\u00e9rez",
    ):  # fmt: skip
        assert barred_in(("stored", "lost", "repo", "civil", "located", "plate only"), reason) is None


def test_a_word_is_barred_as_a_word_and_not_within_another() -> None:
    made = taken("vigilant", "Plate,State,Alert,Notes\n7XKR219,CA,Stolen,from the lostine store\n")
    assert len(made.entries) == 1


def test_a_formula_in_a_note_loses_its_first_sign() -> None:
    made = taken("vigilant", "Plate,State,Alert,Notes\n7XKR219,CA,Stolen,=HYPERLINK(1)\n")
    assert made.entries[0].reason == "HYPERLINK(1)"


def test_a_state_that_is_not_known_is_reported_since_its_entry_matches_plates_of_any() -> None:
    made = taken("genetec", "Stolen;California;7XKR209;;\nStolen;CA;7XKR210;;\nStolen;;7XKR211;;\n")
    assert [one.state for one in made.entries] == ["", "US-CA", ""]
    assert "1 of an unknown state (write CA" in made.summary()


def test_entries_that_differ_by_o_and_zero_alone_are_counted() -> None:
    assert taken("genetec", "Stolen;CA;7XKR2O9;;\nStolen;CA;7XKR209;;\n").twins == 1


def test_a_line_that_says_again_what_another_says_is_not_an_entry_of_its_own() -> None:
    made = taken("genetec", "Stolen;CA;7XKR209;;\nStolen;ca;7xkr 209;;\nStolen;NV;7XKR209;;\n")
    assert [one.state for one in made.entries] == ["US-CA", "US-NV"]
    assert "2 entries of 3 lines; 1 line the same as another" in made.summary()


def test_a_first_line_that_lacks_a_column_of_states_or_ends_or_has_one_twice_is_named() -> None:
    made = taken("vigilant", "Plate,ST,Alert,Expiry\n7XKR209,CA,Stolen,01/31/2026\n")
    assert "the file has no column State and no Expires" in made.summary()
    with pytest.raises(ListRefusedError, match="names 2 columns Plate"):
        taken("vigilant", "Plate,State,plate\n7XKR209,CA,7XKR210\n")


def test_a_list_beyond_the_limit_is_refused_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_ENTRIES", 1000)
    read = 0

    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1, /) -> bytes:
            nonlocal read
            read += 1
            return f"Stolen;CA;A{read:06};;\n".encode()

    endless, plan = cast("BinaryIO", Endless()), find_layout("genetec")
    with pytest.raises(ListRefusedError, match=r"^day.csv, line \d+: more than 1000 entries"):
        import_list(endless, plan, DEFAULT_ALERTS, name="day.csv", category=None, now_us=NOW_US)
    assert read == 1001


@pytest.mark.one_python
@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.binary(max_size=60) | st.sampled_from(GOOD), max_size=30), st.sampled_from(sorted(shipped()))
)
@example(GOOD, "genetec")
def test_no_file_raises_anything_but_a_refusal_or_lets_a_forbidden_entry_in(
    lines: list[bytes], layout: str
) -> None:
    plan = find_layout(layout)
    category = "stolen-vehicle" if "category" not in plan.fields or layout == "ncic" else None
    try:
        made = taken(layout, b"\n".join(lines), category=category)
    except ListRefusedError:
        return
    allowed = {one.id for one in DEFAULT_ALERTS.categories}
    assert all(one.category in allowed for one in made.entries)
    assert [ListEntry.from_bytes(one.to_bytes()) for one in made.entries] == made.entries


BAD_LAYOUTS = [
    ('id = "x"', 'id = "X y"', "layout.id"),
    ('title = "fixed columns"', 'title = "t"\nencoding = "klingon"', "layout.encoding"),
    ('title = "fixed columns"', 'title = "t"\ndelimiter = "||"', "layout.delimiter"),
    ("plate = {start = 1, length = 8}", "", "layout.fields"),
    ("plate = {start = 1, length = 8}", "plate = {start = 0, length = 8}", "layout.fields.plate"),
    ("plate = {start = 1, length = 8}", "plate = 1", "layout.fields.plate"),
    ("plate = {start = 1, length = 8}", "plate = true", "layout.fields.plate"),
    ("state =", "owner =", "layout.fields"),
    ('title = "fixed columns"', 'title = "t"\nspeed = 3', "layout"),
    ('title = "fixed columns"', "title = [", "layout"),
]


@pytest.mark.parametrize(("old", "new", "where"), BAD_LAYOUTS, ids=lambda value: ascii(value)[:24])
def test_an_impossible_layout_is_refused_by_its_field(old: str, new: str, where: str) -> None:
    text = FIXED.replace('id = "fixed"', 'id = "x"').replace(old, new, 1)
    with pytest.raises(RecordError) as refused:
        parse_layout(text.encode())
    assert refused.value.where.startswith(where)


def test_a_layout_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(RecordError, match="genetec"):
        find_layout("/nowhere/layout.toml")


@pytest.mark.parametrize("lines", ['"unclosed,CA\n', "!!!,CA\n", "!!!,CA\n???,CA\n"])
def test_a_list_of_bad_lines_alone_never_replaces_a_good_one(lines: str) -> None:
    with pytest.raises(ListRefusedError, match=r"^day.csv: every line is bad: line 2"):
        taken("ncic", "LIC,LIS\n" + lines, category="stolen-vehicle")
