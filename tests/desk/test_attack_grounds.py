"""A lookup without the ground that the policy demands, at root's own desk, signed by an accomplice.

463.2 and 463.5 (a): the key service opens nothing, and `department verify` names the entry.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from desk_root import VICTIM, Root, access_of, demand_named, problems, reasons
from desk_twins import CAD, GROUND, HOLD, Department

from storage.times import DAY_US, HOUR_US
from sync.department.desk.break_glass.calls import GlassForm
from sync.department.desk.inquiry.forms import InquiryDecideForm, ProposeForm, RunForm
from sync.department.journal.change_entries import GlassBroken
from sync.department.journal.entries import BY_OWN_HAND, JUDGED_WHOLE, SHOWN_WHOLE
from sync.department.journal.hold_entries import HoldPlaced
from sync.department.journal.inquiry_entries import Area, SearchApproved, SearchProposed
from sync.department.journal.statements import sign_call

WIDE = "8XYZ*"
NO_REASON = "its justification says less than the policy asks for"
TOO_LONG = "it asks for more days at once than the policy allows"
NO_DANGER = "it does not say whose life is in danger"
NO_PURPOSE, NO_NUMBER = (
    "its purpose is not one of the policy's",
    "it has no number that the policy accepts for it",
)
GROUNDS = {
    NO_PURPOSE: replace(GROUND, purpose=""),
    "its purpose does not fit its basis": replace(GROUND, basis="curiosity"),
    NO_NUMBER: replace(GROUND, number="TEST"),
    NO_REASON: replace(GROUND, justification="because"),
}


@pytest.mark.parametrize("words", GROUNDS)
def test_a_search_without_purpose_basis_or_number_opens_nothing(department: Department, words: str) -> None:
    """463.2, 463.5 (a): root's own desk does not ask for them, and the accomplice signs without them."""

    def searched(root: Root) -> int:
        key, session = root.accomplice(VICTIM)
        query = root.query()
        form = RunForm(query=query, ground=GROUNDS[words])
        signed = sign_call(key, root.log.log_id, VICTIM, "inquiry/run", form, root.stamp().at_us)
        access = replace(access_of(query), ground=GROUNDS[words])
        return root.write(access, root.stamp(session=session), signed)

    demand_named(department, searched, words=words)


def test_a_search_without_a_full_plate_has_a_case_number_and_an_emergency_one_of_cad(
    department: Department,
) -> None:
    root, ground = Root(department), replace(GROUND, number_kind="cad", number="CAD-2611-0042")
    wide = replace(root.query(WIDE), since_us=department.clock.us)
    stamp, signed = root.signed(VICTIM, "inquiry/propose", ProposeForm(query=wide, ground=ground))
    number = root.write(SearchProposed(query=wide, ground=ground, request=-1), stamp, signed)
    yes = InquiryDecideForm(proposal=number, granted=True, reason="known to me")
    stamp, signed = root.signed("super", "inquiry/approve", yes)
    root.write(SearchApproved(proposal=number, granted=True, reason=yes.reason), stamp, signed)
    stamp, signed = root.signed(VICTIM, "inquiry/run", RunForm(query=wide, ground=ground, proposal=number))
    entry = root.write(replace(access_of(wide), ground=ground, approval=number), stamp, signed)
    glass = GlassForm(query=wide, ground=GROUND, danger="child in the car")
    stamp, signed = root.signed("disp1", "inquiry/break-glass", glass)
    emergency = root.write(access_of(wide), stamp, signed)
    found = problems(department)
    for one in (entry, emergency):
        assert any(what.startswith(f"entry {one}: access") and NO_NUMBER in what for what in found), found


def test_a_hold_has_a_ground_of_the_policy(department: Department) -> None:
    """463.8 has five grounds: root enters a hold with a sixth, which the accomplice signs."""
    root, form = Root(department), replace(HOLD, reads=department.reads[:1], hold_ground="curiosity")
    stamp, signed = root.signed("super", "hold/place", form)
    access = replace(access_of(root.query()), action="hold", plate="", elements="hold", reads=form.reads)
    held = root.write(access, stamp, signed)
    note = HoldPlaced(
        access=held, reads=form.reads, ground=form.hold_ground, authority=form.authority, number=form.number
    )
    entry = root.write(note, stamp, signed)
    named = "hold in the name of super: that is not one of the policy's grounds to hold"
    assert f"entry {entry}: {named}" in problems(department)


@pytest.mark.parametrize(("more_us", "words"), [(0, ""), (HOUR_US, TOO_LONG)])
def test_a_search_is_for_the_policy_s_days_whatever_the_local_clock_did(
    department: Department, more_us: int, words: str
) -> None:
    """The extra hour of the day on which summer time ends does not count."""
    root, days = Root(department), department.desk.policy.inquiry.days_max
    query = replace(root.query(), since_us=department.clock.us - days * DAY_US - more_us)
    stamp, signed = root.signed(VICTIM, "inquiry/run", RunForm(query=query, ground=GROUND))
    entry = root.write(access_of(query), stamp, signed)
    named = [one for one in problems(department) if one.startswith(f"entry {entry}: ")]
    assert len(named) == bool(words)
    assert all(words in one for one in named)


def test_a_wide_search_of_root_s_own_request_is_for_the_policy_s_days(department: Department) -> None:
    """A second person approved it, and the call gives only its number."""
    root, days = Root(department), department.desk.policy.inquiry.days_max
    wide = replace(root.query(WIDE), since_us=department.clock.us - (days + 1) * DAY_US)
    stamp, signed = root.signed(VICTIM, "inquiry/propose", ProposeForm(query=wide, ground=GROUND))
    number = root.write(SearchProposed(query=wide, ground=GROUND, request=-1), stamp, signed)
    yes = InquiryDecideForm(proposal=number, granted=True, reason="known to me")
    stamp, signed = root.signed("super", "inquiry/approve", yes)
    root.write(SearchApproved(proposal=number, granted=True, reason=yes.reason), stamp, signed)
    stamp, signed = root.signed(VICTIM, "inquiry/run", RunForm(query=None, ground=None, proposal=number))
    entry = root.write(replace(access_of(wide), approval=number), stamp, signed)
    assert any(one.startswith(f"entry {entry}: ") and TOO_LONG in one for one in problems(department))


def test_an_emergency_search_says_whose_life_is_in_danger(department: Department) -> None:
    root = Root(department)
    query = replace(root.query(WIDE), since_us=department.clock.us)
    glass = GlassForm(query=query, ground=CAD, danger="danger")
    stamp, signed = root.signed("disp1", "inquiry/break-glass", glass)
    entry = root.write(replace(access_of(query), ground=CAD), stamp, signed)
    assert any(one.startswith(f"entry {entry}: ") and NO_DANGER in one for one in problems(department))


SHAPES: dict[str, dict[str, Any]] = {
    "a plate of only wildcards asks for everything": {"plate": "??*"},
    "a plate is 1 to 16 of A-Z, 0-9": {"plate": "8" * 17},
    "name a plate, an area or a unit": {"plate": ""},
    "the time asked for ends before it begins": {"until_us": 0},
    "this asks for a time that has not come yet": {"since_us": 1 << 52, "until_us": (1 << 52) + 1},
}
NEARNESS: dict[str, dict[str, Any]] = {
    "an emergency search names 2 characters of the plate": {"plate": "8*"},
    "or a place within 2 km": {
        "plate": "",
        "area": Area(latitude=34.1, longitude=-118.0, radius_m=2001.0),
    },
}


@pytest.mark.parametrize(("words", "change"), [*SHAPES.items(), *NEARNESS.items()])
def test_a_search_keeps_to_the_limits_of_the_desk(
    department: Department, words: str, change: dict[str, Any]
) -> None:
    root = Root(department)
    query = replace(root.query(WIDE), **({"since_us": department.clock.us - HOUR_US} | change))
    glass = GlassForm(query=query, ground=CAD, danger="a child is in the car")
    stamp, signed = root.signed("disp1", "inquiry/break-glass", glass)
    entry = root.write(replace(access_of(query), ground=CAD), stamp, signed)
    assert any(one.startswith(f"entry {entry}: access") and words in one for one in problems(department))
    assert [words in one for one in reasons(department, BY_OWN_HAND, entry)] == []
    assert [words in one for one in reasons(department, JUDGED_WHOLE, entry)] == [True]


def test_emergency_searches_that_wait_for_a_second_person_end_further_ones(department: Department) -> None:
    root, terms = Root(department), department.desk.policy.break_glass
    made = []
    for wait in (*(0 for _ in range(terms.open_max)), 1):
        department.clock.step(wait * terms.second_word_hours * HOUR_US)
        query = replace(root.query(WIDE), since_us=department.clock.us - HOUR_US)
        glass = GlassForm(query=query, ground=CAD, danger="a child is in the car")
        stamp, signed = root.signed("disp1", "inquiry/break-glass", glass)
        made.append(root.write(replace(access_of(query), ground=CAD), stamp, signed))
        due_us = department.clock.us + terms.second_word_hours * HOUR_US
        root.write(GlassBroken(access=made[-1], danger=glass.danger, due_us=due_us), stamp, signed)
    words = f"{terms.open_max} of your emergency searches wait for a second person, {terms.open_max} of them"
    named = [one for one in problems(department) if words in one]
    assert [one.split(":")[0] for one in named] == [f"entry {made[-1]}"]
    assert [words in one for one in reasons(department, BY_OWN_HAND, made[-1])] == []


@pytest.mark.parametrize("form", [SHOWN_WHOLE, BY_OWN_HAND])
def test_a_reason_counts_on_in_a_log_of_form_9(department: Department, form: int) -> None:
    root, ground = Root(department), replace(GROUND, justification="because")
    query = root.query()
    stamp, signed = root.signed(VICTIM, "inquiry/run", RunForm(query=query, ground=ground))
    entry = root.write(replace(access_of(query), ground=ground), stamp, signed)
    assert len(reasons(department, form, entry)) == (form >= BY_OWN_HAND)
