"""Visits: how long a vehicle counts as the same one, and how many visits are remembered."""

from __future__ import annotations

from firmware.alerts import episodes
from firmware.alerts.episodes import EPISODE_US, Episodes, Wish


def wish(plate: str, words: bytes = b"as listed") -> Wish:
    return Wish("doj", (plate, "US-CA"), words)


E, F = wish("7XKR219"), wish("8ABC123")


def test_a_visit_continues_with_every_sighting_and_ends_unseen() -> None:
    made = Episodes()
    assert made.ongoing(E, 0, sounds=True) is None
    made.begin(E, 5, 0, sounds=True)
    assert made.ongoing(E, EPISODE_US, sounds=True) == 5
    assert made.ongoing(E, 2 * EPISODE_US, sounds=False) == 5
    assert made.ongoing(E, 3 * EPISODE_US + 1, sounds=False) is None
    assert made.ongoing(F, 0, sounds=True) is None


def test_a_match_that_sounds_is_not_a_sighting_of_a_silent_alert() -> None:
    made = Episodes()
    made.begin(E, 5, 0, sounds=False)
    assert made.ongoing(E, 1, sounds=False) == 5
    assert made.ongoing(E, 2, sounds=True) is None
    made.begin(E, 6, 2, sounds=True)
    assert made.ongoing(E, 3, sounds=True) == 6
    assert made.ongoing(E, 4, sounds=False) == 6


def test_a_visit_that_is_ended_is_no_more() -> None:
    made = Episodes()
    made.begin(E, 5, 0, sounds=True)
    made.end(E)
    made.end(E)
    assert made.ongoing(E, 1, sounds=True) is None
    assert not made.settled(E, 1)


def test_a_vehicle_that_was_just_checked_is_known_for_one_visit_at_most() -> None:
    made = Episodes()
    made.begin(E, 5, 0, sounds=True)
    made.settle(E, 7)
    assert made.ongoing(E, 8, sounds=False) is None
    assert made.settled(E, 7 + EPISODE_US)
    assert not made.settled(E, 8 + EPISODE_US)
    assert not made.settled(F, 8)


def test_a_clock_set_back_by_hours_begins_a_new_visit() -> None:
    made = Episodes()
    made.begin(E, 5, 10 * EPISODE_US, sounds=True)
    assert made.ongoing(E, 0, sounds=True) is None


def test_memory_is_bounded() -> None:
    made = Episodes()
    for number in range(episodes.MOST + 5):
        made.begin(wish(str(number)), number, 0, sounds=True)
    assert made.ongoing(wish("4"), 0, sounds=True) is None
    assert made.ongoing(wish("5"), 0, sounds=True) == 5


def test_an_entry_in_other_words_continues_its_visit_if_the_old_one_is_gone() -> None:
    made = Episodes()
    newer = wish("7XKR219", b"in other words")
    made.begin(E, 5, 0, sounds=True)
    made.begin(F, 6, 0, sounds=True)
    assert made.reworded(newer, {newer.entry_digest, E.entry_digest}) is None, "both are listed: two entries"
    assert made.reworded(newer._replace(list_id="own"), {newer.entry_digest}) is None
    assert made.reworded(E, set()) is None, "known by itself"
    assert made.reworded(newer, {newer.entry_digest}) == E
    made.rename(E, newer)
    assert (made.ongoing(newer, 1, sounds=True), made.ongoing(E, 1, sounds=True)) == (5, None)
    made.settle(newer, 2)
    made.rename(newer, E)
    assert (made.settled(E, 3), made.settled(newer, 3)) == (True, False)
    assert made.reworded(newer, {newer.entry_digest}) == E, "checked a moment ago, under its old words"
