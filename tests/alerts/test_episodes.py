"""Visits: how long a vehicle is the same one, and how many are remembered."""

from __future__ import annotations

from firmware.alerts import episodes
from firmware.alerts.episodes import EPISODE_US, Episodes


def test_a_visit_continues_with_every_sighting_and_ends_unseen() -> None:
    made = Episodes()
    assert made.ongoing("e", 0, sounds=True) is None
    made.begin("e", 5, 0, sounds=True)
    assert made.ongoing("e", EPISODE_US, sounds=True) == 5
    assert made.ongoing("e", 2 * EPISODE_US, sounds=False) == 5
    assert made.ongoing("e", 3 * EPISODE_US + 1, sounds=False) is None
    assert made.ongoing("f", 0, sounds=True) is None


def test_a_match_that_sounds_is_no_sighting_of_a_silent_alert() -> None:
    made = Episodes()
    made.begin("e", 5, 0, sounds=False)
    assert made.ongoing("e", 1, sounds=False) == 5
    assert made.ongoing("e", 2, sounds=True) is None
    made.begin("e", 6, 2, sounds=True)
    assert made.ongoing("e", 3, sounds=True) == 6
    assert made.ongoing("e", 4, sounds=False) == 6


def test_a_visit_that_is_ended_is_no_more() -> None:
    made = Episodes()
    made.begin("e", 5, 0, sounds=True)
    made.end("e")
    made.end("e")
    assert made.ongoing("e", 1, sounds=True) is None
    assert not made.settled("e", 1)


def test_a_vehicle_that_was_just_checked_is_known_for_one_visit_at_most() -> None:
    made = Episodes()
    made.begin("e", 5, 0, sounds=True)
    made.settle("e", 7)
    assert made.ongoing("e", 8, sounds=False) is None
    assert made.settled("e", 7 + EPISODE_US)
    assert not made.settled("e", 8 + EPISODE_US)
    assert not made.settled("f", 8)


def test_a_clock_set_back_by_hours_begins_a_new_visit() -> None:
    made = Episodes()
    made.begin("e", 5, 10 * EPISODE_US, sounds=True)
    assert made.ongoing("e", 0, sounds=True) is None


def test_memory_is_bounded() -> None:
    made = Episodes()
    for number in range(episodes.MOST + 5):
        made.begin(number, number, 0, sounds=True)
    assert made.ongoing(4, 0, sounds=True) is None
    assert made.ongoing(5, 0, sounds=True) == 5
