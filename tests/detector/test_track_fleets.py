"""Vehicles of one fleet, whose plates differ in one character: a pass each, and no pass for a misreading."""

from __future__ import annotations

import pytest
from detector_twins import frame
from tracker_twins import FLEET, Replay, near, texts


def test_fleet_mates_parked_side_by_side_are_two_passes() -> None:
    replay = Replay(fps=10)
    for _ in range(12):
        replay.look(near(FLEET[0], 400, 300), near(FLEET[1], 640, 300))
    assert texts(replay.finish()) == sorted(FLEET[:2])


@pytest.mark.parametrize("fps", [2.0, 5.0, 10.0, 20.0])
def test_fleet_mates_in_adjoining_lanes_are_two_passes(fps: float) -> None:
    replay = Replay(fps)
    for step in range(int(3 * fps)):
        seconds = step / fps
        size = 60 * 1.4**seconds
        replay.look(
            near(FLEET[0], 500 - 60 * seconds, 200 + 90 * seconds, size),
            near(FLEET[1], 500 + 2.6 * size, 205 + 90 * seconds, size),
        )
    assert texts(replay.finish()) == sorted(FLEET[:2])


@pytest.mark.parametrize("fps", [2.0, 5.0, 10.0, 20.0])
def test_fleet_mates_that_meet_are_two_passes(fps: float) -> None:
    replay = Replay(fps)
    for step in range(int(2.4 * fps)):
        seconds = step / fps
        replay.look(
            near(FLEET[0], 150 + 400 * seconds, 300, 80 * 1.1**seconds),
            near(FLEET[1], 1130 - 400 * seconds, 340, 90 * 0.92**seconds),
        )
    assert texts(replay.finish()) == sorted(FLEET[:2])


@pytest.mark.parametrize("fps", [2.0, 5.0, 10.0, 20.0])
@pytest.mark.parametrize("gap_s", [1.5, 2.5])
def test_a_convoy_of_one_fleet_is_a_pass_a_vehicle(fps: float, gap_s: float) -> None:
    replay = Replay(fps)
    for step in range(int((2.5 + 2 * gap_s) * fps)):
        shown = []
        for number, text in enumerate(FLEET):
            seconds = step / fps - number * gap_s
            distance_m = 24.0 - 8.0 * seconds
            if seconds >= 0 and distance_m > 5.0:
                scale = 1100 / distance_m
                shown.append(near(text, 640 - 1.5 * scale, 80 + 2.4 * scale, 0.3 * scale))
        replay.look(*shown)
    assert texts(replay.finish()) == sorted(FLEET)


def test_a_fleet_mate_that_takes_a_hidden_ones_place_is_a_pass_of_its_own() -> None:
    replay = Replay(fps=10)
    for step in range(90):
        text = FLEET[0] if step < 40 else FLEET[1]
        replay.look(*([] if 40 <= step < 60 else [near(text, 400, 300)]))
    assert texts(replay.finish()) == sorted(FLEET[:2])


def test_a_misread_character_makes_no_second_pass() -> None:
    replay = Replay(fps=10)
    for step in range(20):
        text = FLEET[1] if step % 5 == 1 else FLEET[0]
        replay.show(frame(near(text, 300 + 30 * step, 300 + 4 * step, 90 * 1.02**step)))
    assert texts(replay.finish()) == [FLEET[0]]
