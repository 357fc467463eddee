"""Where a plate will be, for a car at constant speed that is seen a few times a second."""

from __future__ import annotations

import math

import pytest
from detector_twins import box_at, frame
from tracker_twins import Replay, near, texts

from detector.motion import Motion
from detector.plates import PlateBox


def seen_at(distance_m: float) -> PlateBox:
    """The plate, in central projection, of a car in a lane beside the camera's line of sight."""
    return box_at(600 + 1600 / distance_m, 40 + 2400 / distance_m, 520 / distance_m)


@pytest.mark.parametrize(("start_m", "speed_ms"), [(6.0, 14.0), (9.0, 8.0), (20.0, -12.0), (17.0, -8.0)])
@pytest.mark.parametrize("fps", [2, 3, 5])
def test_a_car_at_one_speed_is_expected_where_it_will_be(start_m: float, speed_ms: float, fps: float) -> None:
    motion = Motion(0, seen_at(start_m))
    motion.take(int(1e6 / fps), seen_at(start_m + speed_ms / fps))
    there = seen_at(start_m + 2 * speed_ms / fps)
    x, y, _ = motion.predicted(int(2e6 / fps))
    assert math.dist((x, y), there.center) < 0.25 * there.width_px


def test_a_car_that_passes_the_camera_is_expected_at_a_place_that_is_a_number() -> None:
    motion = Motion(0, seen_at(12.0))
    motion.take(500_000, seen_at(4.0))
    for seconds in (0.5, 1.0, 3.0, 60.0):
        assert all(math.isfinite(value) for value in motion.predicted(500_000 + int(seconds * 1e6)))
    x, y, _ = motion.predicted(1_000_000)
    assert not 0 < y < 720 or not 0 < x < 1280
    assert motion.leaves(1_000_000, (720, 1280))


def test_a_plate_that_comes_out_from_behind_something_is_not_expected_far_away() -> None:
    """Its box grows only to the side, which is not a change of distance."""
    motion = Motion(0, PlateBox(corners=((0, 300), (36, 300), (36, 330), (0, 330)), confidence=0.8))
    motion.take(333_333, PlateBox(corners=((126, 300), (183, 300), (183, 335), (126, 335)), confidence=0.8))
    x, _, _ = motion.predicted(666_666)
    assert x == pytest.approx(154.5 + 136.5, abs=1.0)


def test_a_fast_car_whose_far_plate_looks_otherwise_is_one_pass() -> None:
    """At 11 m/s and two frames a second, its last look, at 31 px, reads two 8s as B."""
    replay = Replay(fps=2)
    for step, text in enumerate(("4JH8826", "4JH8826", "4JHBB26")):
        box = seen_at(6.2 + 5.4 * step)
        replay.show(frame(near(text, *box.center, box.width_px)))
    for _ in range(8):
        replay.show()
    assert texts(replay.finish()) == ["4JH8826"]
