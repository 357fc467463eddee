"""Visits: how long a vehicle is the same one, and how many are remembered."""

from __future__ import annotations

from firmware.alerts import episodes
from firmware.alerts.episodes import EPISODE_US, Episodes


def test_a_visit_goes_on_with_every_sighting_and_ends_unseen() -> None:
    made = Episodes()
    assert made.ongoing("7XKR219", b"e", 0) is None
    made.begin("7XKR219", b"e", 5, 0)
    assert made.ongoing("7XKR219", b"e", EPISODE_US) == 5
    assert made.ongoing("7XKR219", b"e", 2 * EPISODE_US) == 5
    assert made.ongoing("7XKR219", b"e", 3 * EPISODE_US + 1) is None
    assert made.ongoing("7XKR218", b"e", 0) is None
    assert made.ongoing("7XKR219", b"f", 0) is None


def test_a_clock_set_back_by_hours_begins_a_new_visit() -> None:
    made = Episodes()
    made.begin("7XKR219", b"e", 5, 10 * EPISODE_US)
    assert made.ongoing("7XKR219", b"e", 0) is None


def test_memory_is_bounded() -> None:
    made = Episodes()
    for number in range(episodes.MOST + 5):
        made.begin(str(number), b"e", number, 0)
    assert made.ongoing("4", b"e", 0) is None
    assert made.ongoing("5", b"e", 0) == 5
