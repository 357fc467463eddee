"""The rules of holds, each alone and at its limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from log_entries import GROUND, NOW_US, POLICY, code_of, entry, refused

from storage.times import DAY_US
from sync.department.content.key_door import read_name
from sync.department.desk.holds import rules as holds
from sync.department.desk.holds.rules import Holds
from sync.department.journal.change_entries import HoldRests
from sync.department.journal.entry_base import Note
from sync.department.journal.hold_entries import (
    ASKED_DAYS,
    HoldBooked,
    HoldExported,
    HoldPlaced,
    HoldReleased,
    ReleaseAsked,
)
from sync.department.journal.inquiry_entries import Ground
from sync.department.journal.second_hand_facts import SignedDecision
from sync.department.journal.second_hands import SecondHands
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call, Role

READS = tuple(read_name(bytes(32), at) for at in range(1001))  # one more than a hold may contain


@dataclass(frozen=True, kw_only=True)
class HoldForm:
    hold_ground: str = "discovery"
    authority: str = "DA"
    number: str = "26-001234"
    reads: tuple[str, ...] = READS[:1]
    ground: Ground = GROUND


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, ""),
        ({"reads": READS[:1000]}, ""),
        ({"reads": READS}, "reads"),
        ({"reads": ()}, "reads"),
        ({"reads": READS[:1] * 2}, "reads"),
        ({"reads": ("7XKR219",)}, "read-name"),
        ({"hold_ground": "curiosity"}, "ground"),
        ({"authority": "D."}, "authority"),
        ({"number": "none"}, "number"),
        ({"ground": replace(GROUND, purpose="x")}, "purpose"),
    ],
)
def test_a_hold_says_what_it_holds_on_which_ground_for_whom(form: dict[str, Any], code: str) -> None:
    assert code_of(holds.check_hold, POLICY, HoldForm(**form), NOW_US) == code


def held(*notes: tuple[str, Note]) -> Holds:
    """Hold 0, placed by ann after her access 7, and what followed."""
    made = Holds()
    placed = HoldPlaced(access=7, reads=READS[:2], ground="discovery", authority="DA", number="1")
    for at, (user, note) in enumerate((("ann", placed), *notes)):
        made.apply(entry(at, user, note))
    return made


RESTS = ("ann", HoldRests(access=7, searches=(3, 4), approval=-1))

EXPORTED = ("ann", HoldExported(hold=0, access=8, package=b"", medium="USB"))

BOOKED = ("ann", HoldBooked(hold=0, evidence_item="E-1"))

ASKED = ("ann", ReleaseAsked(hold=0, evidence_item="E-1"))

RELEASED = ("ben", HoldReleased(hold=0, access=9, evidence_item="E-1", asked_by="ann"))


def words(at_us: int, *roles: Role) -> SecondHands:
    """Ann's decision to release hold 0, given the roles that she has kept since."""
    word = SignedDecision(user="ann", at_us=at_us, roles=roles)
    return SecondHands(asked_release={0: word}, permits={Call.HOLD_RELEASE.value: (Role.CCAT_SUPERVISOR,)})


SAID = words(NOW_US, Role.CCAT_SUPERVISOR)

STEPS = (RESTS, EXPORTED, BOOKED, ASKED, RELEASED)


@pytest.mark.parametrize(
    ("steps", "item", "booking", "asking", "releasing"),
    [
        (1, "E-1", "not-exported", "not-booked", "not-booked"),
        (2, "E-1", "", "not-booked", "not-booked"),
        (2, "E1", "item", "not-booked", "not-booked"),
        (2, "A" * 40, "", "not-booked", "not-booked"),
        (2, "A" * 41, "item", "not-booked", "not-booked"),
        (2, "e-1", "item", "not-booked", "not-booked"),
        (3, "E-1", "", "", "second-person"),
        (3, "E-2", "", "item", "item"),
        (4, "E-1", "asked", "asked", ""),
        (4, "E-2", "asked", "item", "item"),
        (5, "E-1", "released", "released", "released"),
    ],
)
def test_a_hold_goes_from_export_to_booking_to_release_and_not_back(
    steps: int, item: str, booking: str, asking: str, releasing: str
) -> None:
    made = held(*STEPS[:steps])
    asked = holds.asked_by(made, 0, SAID, NOW_US)
    assert code_of(holds.to_book, made, 0, item, asked) == booking
    assert code_of(holds.to_ask_release, made, 0, item, asked) == asking
    assert code_of(holds.to_release, made, 0, item, asked, "ben") == releasing
    for call in (holds.to_book, holds.to_ask_release):
        refused("no-hold", call, made, 1, item, "")
    over = steps == 5
    assert made.held_reads() == (set() if over else set(READS[:2]))
    assert len(made.open_holds()) == (0 if over else 1)


def test_a_hold_that_was_never_exported_ends_without_a_number_and_for_a_reason() -> None:
    made = held(RESTS)
    for reason, code in (("", "reason"), ("it was placed on another car", "")):
        assert code_of(holds.to_ask_release, made, 0, "", "", reason) == code
    made.apply(entry(5, "ann", ReleaseAsked(hold=0, evidence_item="", reason="of another car")))
    assert holds.asked_by(made, 0, SAID, NOW_US) == "ann"
    refused("second-person", holds.to_release, made, 0, "", "ann", "ann")
    assert code_of(holds.to_release, made, 0, "", "ann", "ben") == ""
    refused("not-booked", holds.to_release, made, 0, "E-1", "ann", "ben")
    made.apply(entry(6, *EXPORTED))  # this ends the decision
    assert holds.asked_by(made, 0, SAID, NOW_US) == ""
    refused("not-booked", holds.to_ask_release, made, 0, "", "", "of another car")
    refused("not-booked", holds.to_release, made, 0, "", "ann", "ben")


def test_a_hold_is_released_by_another_person_than_who_asked() -> None:
    made = held(*STEPS[:4])
    assert holds.asked_by(made, 0, SAID, NOW_US) == "ann"
    assert code_of(holds.to_release, made, 0, "E-1", "ann", "ben") == ""
    refused("second-person", holds.to_release, made, 0, "E-1", "ann", "ann")


def test_a_word_to_release_ends_after_a_week_with_the_account_or_its_role_and_is_given_again() -> None:
    made = held(*STEPS[:4])
    week_us = ASKED_DAYS * DAY_US
    gone, moved = words(NOW_US), words(NOW_US, Role.OFFICER)
    assert holds.asked_by(made, 0, SAID, NOW_US + week_us - 1) == "ann"
    for second, at_us in (
        *((SAID, NOW_US + week_us), (SAID, NOW_US - 1)),
        *((gone, NOW_US), (moved, NOW_US), (SecondHands(), NOW_US)),
    ):
        asked = holds.asked_by(made, 0, second, at_us)
        refused("second-person", holds.to_release, made, 0, "E-1", asked, "ben")
        assert code_of(holds.to_ask_release, made, 0, "E-1", asked) == ""
        assert code_of(holds.to_book, made, 0, "E-2", asked) == "", "the wrong hold was asked for"
    made.apply(entry(9, "ann", ASKED[1], at_us=NOW_US + week_us))
    assert holds.asked_by(made, 0, SAID, NOW_US + week_us) == "ann"


def test_the_searches_that_a_hold_rests_on_are_its_placers_alone() -> None:
    made = held(RESTS)
    assert holds.searches_of(made, 0, "ann") == (3, 4)
    assert holds.searches_of(made, 0, "ben") == ()
    assert holds.searches_of(made, 1, "ann") == ()
    assert holds.searches_of(held(), 0, "ann") == ()


def test_a_number_in_another_form_is_refused_with_one_in_the_policys() -> None:
    with pytest.raises(FormError) as found:
        holds.check_hold(POLICY, HoldForm(number="none"), NOW_US)
    assert (found.value.code, found.value.cure) == ("number", "e.g. 26-001234")
