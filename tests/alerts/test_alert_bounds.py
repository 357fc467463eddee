"""Contradictions, sounding, staleness, locks and remembered alerts, each at its limit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alert_twins import HEAD, KNOWN, NOW_US, Held, entry, plate_box, seen

from detector.plates import PlateBox
from firmware.alerts import cleared, episodes
from firmware.alerts.agreement import contradicts_class, contradicts_state, disagreement
from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.episodes import EPISODE_US, Episodes, Wish
from firmware.alerts.logon_guard import LogonGuard
from firmware.alerts.matching import match
from storage import access
from storage.alert_terms import DEFAULT_ALERTS
from storage.times import HOUR_US, MINUTE_US
from sync.hot_lists.document import digest_of


@pytest.mark.parametrize(
    ("named", "state", "contradicts"),
    [
        ((("US-CO", 0.5),), "US-CA", True), ((("US-CO", 0.49),), "US-CA", False), ((), "US-CA", False),
        ((("US-CO", 0.9), ("US-CA", 0.05)), "US-CA", False),
        ((("US-CO", 0.9), ("US-CA", 0.049)), "US-CA", True),
        ((("US-CA", 0.5), ("US-CO", 0.4)), "US-CA", False), ((("MX", 0.95),), "MX-BCN", False),
        ((("US-CA", 0.9),), "BR", True), ((("US-CA", 0.89),), "BR", False), ((), "BR", False),
        ((("US-CA", 0.95),), "CA-QC", False), ((("EU", 0.95),), "DE", False),
        ((("EU", 0.95),), "US-CA", True),
    ],
)  # fmt: skip
def test_a_state_contradicts_where_another_one_is_named_surely_enough(
    named: tuple[tuple[str, float], ...], state: str, contradicts: bool
) -> None:
    assert contradicts_state(named, state, KNOWN) is contradicts


@pytest.mark.parametrize(
    ("width", "height", "plate_class", "contradicts"),
    [
        (26, 10, "motorcycle", False), (26.1, 10, "motorcycle", True), (13.3, 10, "car", False),
        (13.1, 10, "car", True), (13.1, 10, "truck", True), (13.3, 10, "truck", False),
        (13.1, 10, "trailer", False), (3, 1, "motorcycle", True), (3, 0.99, "motorcycle", False),
    ],
)  # fmt: skip
def test_a_class_contradicts_by_the_proportions_of_its_plate(
    width: float, height: float, plate_class: str, contradicts: bool
) -> None:
    box = PlateBox(corners=((0, 0), (width, 0), (width, height), (0, height)), confidence=0.9)
    assert contradicts_class(box, plate_class) is contradicts


def test_state_and_class_are_compared_each_for_itself() -> None:
    text, long = seen("7XKR219", state="US-CO"), plate_box(4.6)
    found = [
        disagreement(text, long, state, plate_class, KNOWN).names
        for state, plate_class in (("US-CA", "motorcycle"), ("US-CA", ""), ("", "motorcycle"), ("", ""))
    ]
    assert found == [("state", "plate_class"), ("state",), ("plate_class",), ()]


SOUND = DEFAULT_ALERTS.sound_score


@pytest.mark.parametrize(
    ("score", "frames", "silent"),
    [
        (SOUND, 2, ()), (SOUND - 1e-6, 2, ("score",)), (SOUND, 1, ("one look",)),
        (0.99, 1, ()), (0.99 - 1e-6, 1, ("one look",)), (SOUND - 1e-6, 1, ("score",)),
    ],
)  # fmt: skip
def test_a_match_sounds_from_its_score_on(score: float, frames: int, silent: tuple[str, ...]) -> None:
    (found,) = match(
        seen("7XKR219", score), plate_box(), [Held([entry()])], DEFAULT_ALERTS, KNOWN, NOW_US, frames=frames
    )
    assert (found.silent, found.sounds) == (silent, not silent)


OLDEST = NOW_US - round(DEFAULT_ALERTS.stale_hours * HOUR_US)


@pytest.mark.parametrize(
    ("head", "fields", "sure_us", "stale"),
    [
        ({"extracted_us": OLDEST}, {}, NOW_US, False), ({"extracted_us": OLDEST - 1}, {}, NOW_US, True),
        ({"expires_us": NOW_US + 1}, {}, NOW_US, False), ({"expires_us": NOW_US}, {}, NOW_US - 1, True),
        ({"expires_us": NOW_US}, {}, NOW_US, None), ({}, {"until_us": NOW_US}, NOW_US, None),
        ({}, {"until_us": NOW_US}, NOW_US - 1, True), ({}, {"until_us": NOW_US + 1}, NOW_US, False),
    ],
)  # fmt: skip
def test_what_may_have_ended_is_stale_and_what_has_surely_ended_is_not_a_match(
    head: dict[str, Any], fields: dict[str, Any], sure_us: int, stale: bool | None
) -> None:
    held = Held([entry(**fields)], replace(HEAD, **head))
    found = match(seen("7XKR219"), plate_box(), [held], DEFAULT_ALERTS, KNOWN, NOW_US, sure_us=sure_us)
    assert [one.stale for one in found] == ([] if stale is None else [stale])


def test_an_entry_of_two_lists_is_one_match_of_the_first_with_all_that_it_lists() -> None:
    other = entry(reason="another")
    first, second = Held([entry(), other]), Held([entry()], replace(HEAD, list_id="own"))
    found = match(seen("7XKR219"), plate_box(), [first, second], DEFAULT_ALERTS, KNOWN, NOW_US)
    assert [one.head.list_id for one in found] == ["doj", "doj"]
    both = {digest_of(one.to_bytes()) for one in (entry(), other)}
    assert {one.entry_digest for one in found} == both
    assert all(one.listed == both for one in found)


# --- logins ---------------------------------------------------------------------------------------------


def asked(user: str = "nobody") -> access.Request:
    return access.Request(action="alerts", user=user, role="", purpose="alerts", case_number="", subject="")


def test_refusals_of_a_name_are_due_once_a_minute_with_the_newest_reason() -> None:
    guard = LogonGuard()

    def due(now_us: int) -> list[tuple[str, int]]:
        return [(one.why, one.count) for one in guard.take_due(now_us)]

    guard.note_refused("a", asked(), "first", 0)
    assert (due(0), due(0)) == ([("first", 1)], [])
    guard.note_refused("a", asked(), "second", 1)
    guard.note_refused("b", asked(), "of another", 1)
    guard.note_refused("a", asked(), "third", 2)
    assert due(2) == [("of another", 1)]
    assert due(MINUTE_US - 1) == []
    assert due(MINUTE_US) == [("third", 2)]
    assert due(9 * MINUTE_US) == []  # no new refusal


@pytest.mark.parametrize(("wrong", "locked"), [(4, False), (5, True), (7, True)])
def test_the_fifth_wrong_password_locks_for_a_quarter_of_an_hour(wrong: int, locked: bool) -> None:
    guard = LogonGuard()
    for at_us in range(wrong):
        guard.note_wrong_password("10.0.0.1", "a", at_us)
    end_us = wrong - 1 + 15 * MINUTE_US
    assert guard.is_locked("10.0.0.1", "a", end_us - 1) is locked
    assert not guard.is_locked("10.0.0.1", "a", end_us)
    assert not guard.is_locked("10.0.0.1", "b", 5)
    assert not guard.is_locked("10.0.0.2", "a", 5)


# --- what is remembered ---------------------------------------------------------------------------------


def wish(plate: str) -> Wish:
    return Wish("doj", plate, b"as listed")


def test_a_visit_that_continues_outlasts_one_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episodes, "MOST", 2)
    made = Episodes()
    for number, plate in enumerate("ab"):
        made.begin(wish(plate), number, 0, sounds=True)
    assert made.ongoing(wish("a"), 1, sounds=True) == 0
    made.begin(wish("c"), 2, 2, sounds=True)
    assert [made.ongoing(wish(plate), 3, sounds=True) for plate in "abc"] == [0, None, 2]
    made.begin(wish("a"), 3, 3, sounds=True)  # begun again, so it is the newest
    made.begin(wish("d"), 4, 4, sounds=True)
    assert [made.ongoing(wish(plate), 5, sounds=True) for plate in "acd"] == [3, None, 4]


def test_a_sighting_that_comes_late_sets_no_visit_back() -> None:
    made = Episodes()
    made.begin(wish("a"), 5, EPISODE_US, sounds=True)
    assert made.ongoing(wish("a"), 0, sounds=True) == 5
    assert made.ongoing(wish("a"), 2 * EPISODE_US, sounds=True) == 5
    assert made.ongoing(wish("a"), EPISODE_US - 1, sounds=True) is None


def test_a_plate_that_was_cleared_stays_so_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleared, "MOST", 2)
    made = ClearedPlates(tmp_path / "lists", bytes(32))
    for name in (b"b", b"a", b"b", b"c"):
        made.add(name)
    assert made.all == ClearedPlates(tmp_path / "lists", bytes(32)).all == {b"a", b"b"}
    assert ClearedPlates(tmp_path / "lists", bytes([1]) * 32).all == frozenset()
