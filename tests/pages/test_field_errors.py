"""A refused field is named as the page names it, and marked."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable

import pytest
from page_reader import Reader

from sync.department.desk.calling import Said
from sync.department.desk.field_help import words_of
from sync.department.desk.operations import OPERATIONS
from sync.department.journal.inquiry_entries import Ground
from sync.department.pages.wording import in_page_words


def told(what: str, code: str = "form") -> Said:
    return in_page_words(Said(status=422, code=code, what=what, clause="463.5"))


@pytest.mark.parametrize(
    ("what", "words", "code"),
    [
        ("AccountForm.name: is missing", "Name: is missing", "name"),
        ("463.5: AccountForm.name: is missing", "Name: is missing", "name"),
        ("463.5: 463.5: AccountForm.name: is missing", "Name: is missing", "name"),
        ("InquiryForm.query.area.radius_m: is out of range", "Radius in meters: is out of range", "radius_m"),
        ("latitude: is no number, such as 34.15", "Latitude: is no number, such as 34.15", "latitude"),
    ],
)
def test_a_field_has_the_label_of_the_page(what: str, words: str, code: str) -> None:
    said = told(what)
    assert (said.what.casefold(), said.code, said.clause) == (words.casefold(), code, "463.5")


@pytest.mark.parametrize(
    "what", ["this needs a second person", "it is closed: see entry 41", "12:30 is past", "no: never"]
)
def test_a_sentence_stays_as_it_is(what: str) -> None:
    assert told(what).what == what
    assert told(what, "closed").code == "closed"


def test_no_field_of_any_call_is_named_by_its_form() -> None:
    """Each field of each form in the table, as the reader of JSON refuses it."""
    seen = 0
    for operation in OPERATIONS.values():
        hints = typing.get_type_hints(operation.form)
        for one in dataclasses.fields(operation.form):
            if hints[one.name] is Ground:
                continue
            said = told(f"{operation.form.__name__}.{one.name}: is missing")
            assert said.what == f"{words_of(operation.form, one.name).label}: is missing"
            assert said.code == one.name
            seen += 1
    assert seen > 150


def test_a_form_of_the_page_comes_back_with_its_field_marked(reader: Callable[[], Reader]) -> None:
    one = reader()
    one.logon("super")
    wrong = {"act": "training/record", "user": "disp1", "policy_version": "two", "course": "ALPR-463"}
    sheet = one.send(one.get("/training"), "/training", **wrong, do="make")
    assert sheet.status == 422
    assert "policy_version:" not in sheet.text
    assert f"{words_of('TrainingForm', 'policy_version').label}: is not a whole number" in sheet.text
    marked = [given["name"] for tag, given in sheet.tags if "aria-invalid" in given]
    assert marked == ["policy_version"]
