"""Vehicles of one fleet, whose plates differ in one character: one pass each, and none for a misreading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from detector_twins import Told, frame
from tracker_twins import FLEET, Replay, near, texts

from detector.likeness import SURE, TRUSTED
from detector.plates import PlateReading


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


def unsure(text: str, x: float, y: float, width: float) -> PlateReading:
    """Clearly another text, but not sure enough to prove another plate by itself."""
    seen = near(text, x, y, width)
    return replace(seen, judged=Told(text=replace(seen.text, confidence=(TRUSTED + SURE) / 2)))


@pytest.mark.parametrize(
    ("behind", "passes"),
    [((300, 320, 46), FLEET[:2]), ((70, 520, 50), FLEET[:1])],
)
def test_what_comes_out_behind_a_car_that_came_nearer_is_another(
    behind: tuple[float, float, float], passes: Sequence[str]
) -> None:
    """A queue at three frames a second: the vehicle that hides the plate makes it look smaller there, too."""
    replay = Replay(fps=3)
    for step in range(8):
        replay.show(frame(near(FLEET[0], 430 - 40 * step, 160 + 40 * step, 30 * 1.13**step)))
    replay.show()
    x, y, width = behind
    for step in range(3):
        replay.show(frame(unsure(FLEET[1], x - 45 * step, y + 45 * step, width * 1.15**step)))
    assert texts(replay.finish()) == sorted(passes)
