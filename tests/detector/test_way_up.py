"""Many vehicles reveal a camera that hangs upside down; until it is turned, its passes are not sure."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_eyes import plate_text

from detector.plates import PlateBox, VehiclePass
from detector.way_up import WayUp

BOX = PlateBox(corners=((0.0, 0.0), (90.0, 0.0), (90.0, 30.0), (0.0, 30.0)), confidence=0.9)


def vehicle(number: int, says: int) -> VehiclePass:
    """A pass whose patch says how the plate is shown: its first px is `says` + 1."""
    return VehiclePass(
        pass_id=number,
        text=plate_text(f"ABC{number}"),
        frames_voted=3,
        frames_seen=3,
        first_us=0,
        last_us=1,
        direction="away",
        first_box=BOX,
        last_box=BOX,
        best_sequence=0,
        best_box=BOX,
        best_patch=np.full((48, 144), says + 1, np.uint8),
    )


def count(camera: WayUp, says: int, vehicles: int, first: int = 0) -> None:
    for number in range(first, first + vehicles):
        camera.count(vehicle(number, says))


@pytest.fixture
def camera() -> WayUp:
    return WayUp(lambda patch: int(patch[0, 0]) - 1)


def test_eight_turned_vehicles_more_than_upright_ones_decide_and_eight_upright_ones_decide_again(
    camera: WayUp,
) -> None:
    count(camera, 1, 7)
    count(camera, 0, 100, first=100)  # these say nothing
    assert not camera.upside_down
    count(camera, -1, 3, first=200)
    count(camera, 1, 4, first=300)
    assert camera.upside_down
    assert camera.doubted(vehicle(1, 1)).text.confidence == pytest.approx(0.4 * 0.95)
    assert camera.doubted(vehicle(1, 1)).text.text == "ABC1"
    count(camera, -1, 7, first=400)
    assert camera.upside_down
    count(camera, -1, 1, first=500)
    assert not camera.upside_down
    assert camera.doubted(vehicle(1, 1)).text.confidence == pytest.approx(0.95)


def test_upright_traffic_with_a_turned_plate_now_and_then_decides_nothing(camera: WayUp) -> None:
    for hour in range(100):
        count(camera, 1, 5, first=1000 * hour)
        count(camera, -1, 6, first=1000 * hour + 500)
        assert not camera.upside_down


def test_one_vehicle_that_comes_again_and_again_is_one(camera: WayUp) -> None:
    for _ in range(100):
        count(camera, 1, 2)
    assert not camera.upside_down


def test_a_camera_whose_settings_changed_is_judged_from_the_start(camera: WayUp) -> None:
    count(camera, 1, 8)
    assert camera.upside_down
    camera.reset()
    assert not camera.upside_down
    count(camera, 1, 7)
    assert not camera.upside_down
    count(camera, 1, 1, first=8)
    assert camera.upside_down


def test_what_was_decided_before_holds_and_each_other_decision_is_made_once() -> None:
    said: list[bool] = []
    camera = WayUp(lambda patch: int(patch[0, 0]) - 1, upside_down=True, decided=said.append)
    count(camera, 1, 20)
    assert (camera.upside_down, said) == (True, [])
    count(camera, -1, 8, first=100)
    assert (camera.upside_down, said) == (False, [False])
    count(camera, 1, 8, first=200)
    camera.reset()
    camera.reset()
    assert said == [False, True, False]
