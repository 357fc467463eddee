"""At every door of the desk, texts must be visible and not empty, and numbers must be plausible."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desk_forms import forms
from desk_twins import CAD, GROUND, Department
from hypothesis import given
from hypothesis import strategies as st

from storage.evidence import is_line
from sync.department.desk.inquiry.filing import check_rms_number
from sync.department.desk.inquiry.forms import RunForm
from sync.department.desk.inquiry.rules import check_ground, is_number
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.words import LONGEST, demand_plain
from sync.department.journal.query_rules import plate_of
from sync.department.policy.desk_terms import weight
from sync.department.policy.policy_file import default_document, parse_policy
from sync.department.policy.refusals import DeskRefusal, FormError

Tokens = Callable[[str], str]
POLICY = parse_policy(default_document())
HIDDEN = [
    pytest.param("\x1b[2Jrow", id="escape"),
    pytest.param("a\nb", id="newline"),
    pytest.param("a\rb", id="return"),
    pytest.param("a\x00b", id="nul"),
    pytest.param("a\x7fb", id="delete"),
    pytest.param("a\x9bb", id="C1 control"),
    pytest.param("a\u202eb", id="right to left override"),
    pytest.param("a\u2066b", id="isolate"),
    pytest.param("a\u200bb", id="zero width"),
    pytest.param("a\ufeffb", id="byte order mark"),
    pytest.param("a\u2028b", id="line separator"),
    pytest.param("a\ud800b", id="lone surrogate"),
    pytest.param("a\ue000b", id="private use"),
]


def _with(form: Any, text: str) -> list[Any]:
    """Yield the form with each of its texts, at any depth, replaced by `text` in turn."""
    made = []
    for one in dataclasses.fields(form):
        value = getattr(form, one.name)
        if type(value) is str:
            made.append(replace(form, **{one.name: value + text}))
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            made += [replace(form, **{one.name: inner}) for inner in _with(value, text)]
        elif isinstance(value, tuple) and value and type(value[0]) is str:
            made.append(replace(form, **{one.name: (value[0] + text, *value[1:])}))
    return made


@pytest.mark.parametrize("text", HIDDEN)
def test_no_text_of_any_call_accepts_an_invisible_character(
    department: Department, tokens: Tokens, text: str
) -> None:
    tried = 0
    size = department.desk.log.size()
    token = tokens("super")
    size = department.desk.log.size()
    for name, form in forms(department).items():
        for forged in _with(form, text):
            with pytest.raises(FormError) as refused:
                OPERATIONS[name].run(department.front, token, forged)
            assert refused.value.code == "characters", name
            assert text not in str(refused.value)
            tried += 1
    assert tried > 120
    assert department.desk.log.size() == size


def test_no_text_of_any_call_is_longer_than_its_field(department: Department, tokens: Tokens) -> None:
    token, size, tried = tokens("super"), department.desk.log.size(), 0
    for name, form in forms(department).items():
        for forged in _with(form, "x" * 20_000):
            if name == "user/passkey" and len(forged.response) > 20_000:
                continue  # an authenticator's answer
            with pytest.raises(FormError) as refused:
                OPERATIONS[name].run(department.front, token, forged)
            assert re.search(r": has 20,\d{3} characters; (2,000|400|200) at most$", refused.value.what), name
            tried += 1
    assert tried > 120
    assert department.desk.log.size() == size
    demand_plain(("x" * LONGEST,), "where")


@given(st.text(max_size=40))
def test_plain_is_what_can_be_printed_on_one_line(text: str) -> None:
    if is_line(text):
        assert len(text.splitlines()) <= 1
        assert "\x1b" not in text
        demand_plain((text,), "where")
    else:
        with pytest.raises(FormError):
            demand_plain({"a": 1} and [text], "where")


@pytest.mark.parametrize(
    "number",
    [".", "..........", "N/A", "n/a", "NA", "none", "NONE", "null", "test", "TEST", "TEST-1", "TEST-001",
     "0", "00", "000", "0000", "00-0000", "1", "123", "1234", "12345678", "1234567890", "11-1111", "99-9999",
     "XXX", "XXXX-001", "CASE", "CASE-123", "PENDING", "TBD", "UNKNOWN-1", "DUMMY-26-001", "FAKE-001",
     "ASDF", "A-B-C", "", " ", "26 001234", "26-001234 ", "26-\u200b001234", "２６-001234", "26/001234",
     "-26-001", "A1", "CAD-0000"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["case", "cad", "action"])
def test_what_means_no_number_is_none(number: str, kind: str) -> None:
    assert not is_number(POLICY, number, kind)


@pytest.mark.parametrize(
    "number",
    ["26-001234", "26-1042", "26-0001", "CAD-2611-0042", "2611-0042", "IA-26-004", "A-26-17", "H-26-77",
     "26-CV-0815", "26-111111", "26001234"],
)  # fmt: skip
def test_numbers_as_departments_give_them_are_taken(number: str) -> None:
    assert is_number(POLICY, number, "case")


@pytest.mark.parametrize(
    ("number", "is_cad"),
    [("CAD-2611-0042", True), ("2611-0042", True), ("20261127-00421", True), ("26-001234", False),
     ("26001234", False), ("IA-26-004", False), ("A-26-17", False)],
)  # fmt: skip
def test_a_case_number_is_not_a_cad_number(number: str, is_cad: bool) -> None:
    assert is_number(POLICY, number, "cad") == is_cad


def test_a_department_binds_its_kinds_of_number_by_its_signed_policy() -> None:
    text = default_document().decode()
    case = 'kind = "case"\npattern = "[A-Z0-9][A-Z0-9-]{3,31}"'
    assert text.count(case) == 1
    strict = parse_policy(text.replace(case, 'kind = "case"\npattern = "[0-9]{2}-[0-9]{6}"').encode())
    assert is_number(strict, "26-001234", "case")
    assert not is_number(strict, "IA-26-004", "case")
    assert is_number(strict, "IA-26-004", "action")


@pytest.mark.parametrize(
    "why",
    ["............", "            ", "- - - - - - - -", "aaaaaaaaaaaaaaaa", "aa aa aa aa aa aa", "hit",
     "work work", "hitandrunonMyrtle", "!!!!!! !!!!!!! !!!"],
)  # fmt: skip
def test_what_says_nothing_is_not_a_justification(why: str) -> None:
    assert not POLICY.inquiry.says_why(why)
    with pytest.raises(FormError) as refused:
        check_ground(POLICY, replace(GROUND, justification=why))
    assert refused.value.code == "justification"


@pytest.mark.parametrize("why", ["hit and run on Myrtle Avenue", "vol à main armée", "robbery 3rd St"])
def test_what_says_why_is_taken(why: str) -> None:
    check_ground(POLICY, replace(GROUND, justification=why))
    assert weight(why) >= 12


@pytest.mark.parametrize(
    ("purpose", "basis", "taken"),
    [
        ("wanted-person", "civil-action", False),
        ("investigatory-lead", "administrative-action", False),
        ("wanted-person", "criminal-investigation", True),
        ("investigation", "administrative-action", True),
        ("crime-analysis", "civil-action", True),
    ],
)
def test_a_purpose_rests_on_the_bases_that_the_policy_gives_it(purpose: str, basis: str, taken: bool) -> None:
    ground = replace(GROUND, purpose=purpose, basis=basis)
    if taken:
        check_ground(POLICY, ground)
        return
    with pytest.raises(FormError) as refused:
        check_ground(POLICY, ground)
    assert refused.value.code == "basis"


@pytest.mark.parametrize("text", ["7abc 123", "7-ABC.123", "7·ABC123"])
def test_a_plate_has_one_normal_form(text: str) -> None:
    assert plate_of(text) == "7ABC123"


@pytest.mark.parametrize("number", ["", "ab", "none", "...", "x" * 50, "RMS\x1b77", "-----"])
def test_an_rms_number_has_a_digit_and_no_more_than_forty_plain_characters(number: str) -> None:
    with pytest.raises(FormError):
        check_rms_number(number)


def test_a_refused_number_is_an_entry_and_opens_nothing(department: Department, tokens: Tokens) -> None:
    for number in ("TEST", "N/A", "0000"):
        form = RunForm(query=department.plate("8XYZ123"), ground=replace(GROUND, number=number))
        with pytest.raises(DeskRefusal) as refused:
            department.call("inquiry/run", tokens("comm1"), form)
        assert refused.value.code == "number"
        last = department.desk.log.entry(department.desk.log.size() - 1)
        assert last.note.code == "number"  # type: ignore[attr-defined]
    assert CAD.number_kind == "cad"
