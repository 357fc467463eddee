"""The default policy, and how a purpose and a case number are parsed."""

from __future__ import annotations

import dataclasses

import pytest

from storage import envelope
from storage.alert_terms import DEFAULT_ALERTS
from storage.errors import RecordError
from storage.policy import ROLES, CustodyPolicy, parse_custody_policy

POLICY = CustodyPolicy()


def test_the_default_is_what_section_463_says() -> None:
    """A year for reads, three for entries about them, yearly training, no lookups at enrolled units."""
    assert (POLICY.keep_days, POLICY.audit_keep_days, POLICY.training_days) == (365, 3 * 365, 365)
    assert (POLICY.epoch_hours, POLICY.keep_hours_after_receipt, POLICY.version) == (24, 24, 0)
    assert (POLICY.local_query, POLICY.escrow, POLICY.memory_only) == (False, False, ())


def test_every_role_but_the_vendors_may_be_given_a_right() -> None:
    dataclasses.replace(POLICY, inquiry_roles=tuple(set(ROLES) - {"vendor"})).check()


def test_terms_of_alerts_are_checked_with_the_policy() -> None:
    never_stale = dataclasses.replace(DEFAULT_ALERTS, stale_hours=1000)
    with pytest.raises(RecordError, match="stale_hours"):
        dataclasses.replace(POLICY, alerts=never_stale).check()


def test_a_pattern_that_lets_no_word_pass_needs_no_list_of_refused_ones() -> None:
    dataclasses.replace(POLICY, case_pattern="[0-9]{2}-[0-9]{4}", case_refused="x").check()


@pytest.mark.parametrize(
    ("text", "number"),
    [("26-0815", True), ("A10", True), ("ABC-1", False), ("CASE", False), ("000-000", False), ("2", False)],
)
def test_a_case_number_has_two_digits_and_is_not_all_zeros(text: str, number: bool) -> None:
    assert POLICY.is_case_number(text) is number


@pytest.mark.parametrize(
    ("typed", "purpose"),
    [
        ("1", "investigation"), (" 6 ", "investigatory-lead"), ("0", "0"), ("7", "7"), ("\u0661", "\u0661"),
        ("wanted-person", "wanted-person"), ("Wanted_Person", "wanted-person"),
        ("Crime Analysis", "crime-analysis"),
        ("Crime prevention/general law enforcement purposes", "crime-prevention"),
        ("Lunch Break", "lunch-break"),
    ],
)  # fmt: skip
def test_a_purpose_is_its_id_its_number_or_its_sentence_and_else_what_was_typed(
    typed: str, purpose: str
) -> None:
    assert POLICY.purpose(typed) == purpose


@pytest.mark.parametrize("value", [7, [], "policy"])
def test_a_policy_that_is_not_a_map_is_refused(value: object) -> None:
    with pytest.raises(RecordError, match="CustodyPolicy: is not a map"):
        parse_custody_policy(envelope.encode(value), limit=100)
