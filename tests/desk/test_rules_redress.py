"""The rules of redress, each alone and at its limits."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import pytest
from log_entries import NOW_US, code_of, entry, refused

from storage.times import DAY_US, HOUR_US
from sync.department.desk.redress import rules as redress
from sync.department.desk.redress.rules import (
    A_DAY,
    A_DAY_OF_AREA,
    AN_HOUR,
    OLDEST_US,
    REMEMBERED,
    AddressPace,
    Requests,
)
from sync.department.journal.redress_entries import RedressAnswered, RedressAsked
from sync.department.policy.refusals import TooManyError


def test_an_address_asks_so_often_an_hour_and_others_are_not_in_its_way() -> None:
    pace = AddressPace()
    for at in range(AN_HOUR):
        pace.demand("a", NOW_US + at)
    with pytest.raises(TooManyError) as raised:
        pace.demand("a", NOW_US + HOUR_US - 1)
    assert (raised.value.code, raised.value.cure) == ("too-many", "ask in an hour")
    pace.demand("b", NOW_US)
    pace.demand("a", NOW_US + HOUR_US)
    refused("too-many", pace.demand, "a", NOW_US + HOUR_US)
    pace.demand("a", NOW_US - 1)  # future times, from before a clock was set back, do not count


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        ("192.0.2.{}", "198.51.100.7"),
        ("2001:db8:7:{}::1", "2001:db8:8::1"),
        ("::ffff:192.0.2.{}", "192.0.3.1"),
    ],
)
def test_one_person_with_many_addresses_takes_no_other_place(mine: str, other: str) -> None:
    pace, taken = AddressPace(), 0
    for number in range(250):
        with contextlib.suppress(TooManyError):
            pace.demand(mine.format(number), NOW_US + number)
            taken += 1
    assert taken == A_DAY_OF_AREA
    with pytest.raises(TooManyError) as raised:
        pace.demand(mine.format(251), NOW_US + 251)
    assert raised.value.cure == "ask tomorrow, or by letter"
    pace.demand(other, NOW_US)
    for number in range(3):  # one IPv6 subscriber counts as one address
        pace.demand(f"2001:db8:9:9::{number}", NOW_US)
    refused("too-many", pace.demand, "2001:db8:9:9::4", NOW_US)


def test_the_limits_of_redress_are_what_its_pages_say() -> None:
    assert (A_DAY, AN_HOUR, A_DAY_OF_AREA, REMEMBERED) == (100, 3, 10, 10_000)
    assert OLDEST_US == 366 * DAY_US


def test_the_oldest_addresses_are_forgotten_first() -> None:
    pace = AddressPace()
    for _ in range(AN_HOUR):
        pace.demand("first", NOW_US)
    for at in range(REMEMBERED - 1):
        pace.demand(str(at), NOW_US)
    refused("too-many", pace.demand, "first", NOW_US)
    pace.demand("one more", NOW_US)
    pace.demand("first", NOW_US)


def asked(received_us: int = 0, at_us: int = NOW_US, sequence: int = 1) -> Any:
    return entry(
        sequence, "", RedressAsked(about="stop", contact="", words="", received_us=received_us), at_us
    )


def test_an_answer_is_due_thirty_days_after_the_request_came() -> None:
    assert redress.due_us(asked()) == NOW_US + 30 * DAY_US
    assert redress.due_us(asked(received_us=7)) == 7 + 30 * DAY_US
    assert (redress.is_paper(asked()), redress.is_paper(asked(received_us=1))) == (False, True)


@pytest.mark.parametrize(
    ("received_us", "code"),
    [
        (NOW_US, ""),
        (NOW_US + 1, "received_us"),
        (NOW_US - OLDEST_US, ""),
        (NOW_US - OLDEST_US - 1, "received_us"),
    ],
)
def test_a_paper_form_is_of_the_last_year(received_us: int, code: str) -> None:
    assert code_of(redress.check_received, received_us, NOW_US) == code


@pytest.mark.parametrize(
    ("today", "paper", "ago_us", "code"),
    [
        (A_DAY - 1, 9, 0, ""),
        (A_DAY, 0, 0, "too-many"),
        (A_DAY, 0, DAY_US - 1, "too-many"),
        (A_DAY, 0, DAY_US, ""),
    ],
)
def test_a_day_takes_so_many_requests_and_every_paper_form(
    today: int, paper: int, ago_us: int, code: str
) -> None:
    made = Requests()
    for at in range(today + paper):
        made.apply(asked(received_us=int(at >= today), at_us=NOW_US - ago_us, sequence=at))
    assert code_of(redress.demand_room, made, NOW_US) == code
    assert len(made.waiting()) == today + paper


@dataclass(frozen=True, kw_only=True)
class Told:
    about: str = "stop"
    contact: str = "a@b.example"
    words: str = "stopped last night"


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({}, ""),
        ({"about": "taxes"}, "about"),
        ({"contact": "a@b.c"}, "contact"),
        ({"contact": "5-5-5-5-5"}, ""),
        ({"words": "last night"}, "words"),
    ],
)
def test_a_request_for_redress_says_what_happened_and_how_to_answer(told: dict[str, str], code: str) -> None:
    assert code_of(redress.check_asked, Told(**told)) == code


@pytest.mark.parametrize(
    ("number", "outcome", "note", "code"),
    [
        (1, "corrected", "it was wrong", ""),
        (1, "won", "it was wrong", "outcome"),
        (1, "corrected", "was wrong", "note"),
        (2, "corrected", "it was wrong", "no-request"),
        (3, "corrected", "it was wrong", "answered"),
    ],
)
def test_an_open_request_is_answered_once_with_an_outcome(
    number: int, outcome: str, note: str, code: str
) -> None:
    made = Requests()
    for sequence in (1, 3):
        made.apply(asked(sequence=sequence))
    made.apply(entry(4, "chief", RedressAnswered(request=3, outcome="unclear", note="")))
    assert [one.sequence for one in made.waiting()] == [1]
    assert code_of(redress.check_answer, made, number, outcome, note) == code


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("stopped at gunpoint", True),
        ("stopped gunpoint", False),
        ("- . - ...", False),
        ("stopped . . .", False),
        ("in 2 days", True),
        ("我在杜阿尔特路被拦下", True),
        ("被拦", True),  # two ideographs, and a word
        ("拦", False),
        ("أوقفتني الشرطة هنا", True),
        ("D'Arcy été là", True),
    ],
)
def test_three_words_have_letters_and_may_have_no_blanks_between_them(*, text: str, holds: bool) -> None:
    requests = Requests()
    requests.apply(entry(3, "", RedressAsked(about="stop", contact="", words="", received_us=0)))
    form = Told(words=text)
    if holds:
        redress.check_asked(form)
        redress.check_answer(requests, 3, "unclear", text)
    else:
        refused("words", redress.check_asked, form)
        refused("note", redress.check_answer, requests, 3, "unclear", text)
