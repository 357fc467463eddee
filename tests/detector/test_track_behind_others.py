"""Another vehicle in a plate's place: the plate is hidden and comes back, or it was misread for a frame."""

from __future__ import annotations

import pytest
from detector_twins import box_at, frame, reading
from tracker_twins import Replay, near, texts

CAR, OTHER = "8SN4697", "4XYZ999"


@pytest.mark.parametrize("again", [CAR, "BSN4697"])
def test_a_car_hidden_by_another_at_its_very_place_is_the_same_pass_when_it_is_seen_again(
    again: str,
) -> None:
    """It drove away, and another vehicle came between it and the camera without a gap."""
    replay = Replay(fps=20)
    for step in range(20):
        replay.show(frame(near(CAR, 500 - 4 * step, 400 - 6 * step, 80 * 0.97**step)))
    for step in range(8):
        replay.show(frame(near(OTHER, 420 - 3 * step, 280 + 2 * step, 43 + step)))
    for step in range(3):
        back = near(again, 392 - step, 255 - step, 38)
        replay.show(frame(near(OTHER, 396 - 12 * step, 300 + 6 * step, 52 + 2 * step), back))
    found = replay.finish()
    assert texts(found) == sorted([OTHER, CAR])
    car = next(one for one in found if one.text.text == CAR)
    assert car.last_us == replay.now_us


def test_a_car_that_gave_way_and_is_not_seen_again_is_reported_after_a_while() -> None:
    replay = Replay(fps=10)
    for _ in range(10):
        replay.look(near(CAR, 400, 300))
    for _ in range(50):
        replay.look(near(OTHER, 400, 300))
    assert texts(replay.ended) == [CAR]
    assert replay.read < 12
    assert texts(replay.finish()) == sorted([OTHER, CAR])


@pytest.mark.parametrize(("width", "frames", "passes"), [(31, 1, 1), (31, 2, 2), (60, 1, 2)])
def test_one_far_frame_misread_at_the_very_place_is_the_pass_that_begins_there(
    width: float, frames: int, passes: int
) -> None:
    replay = Replay(fps=15)
    for _ in range(frames):
        misread = reading("3MMH3BD", box_at(443, 148, width), sure=5.0, noise=0.5, seed=9)
        assert 0.76 < misread.confidence < 0.88
        replay.show(frame(misread))
    for step in range(6):
        replay.show(frame(near("3MWH380", 444 + step, 149 + step, width + step)))
    found = replay.finish()
    assert len(found) == passes
    assert found[-1].text.text == "3MWH380"


def test_one_far_frame_that_is_sure_but_for_its_distance_begins_the_pass_read_there() -> None:
    replay = Replay(fps=8)
    misread = reading("YZ11897", box_at(443, 148, 24), sure=6.0, noise=0.5, seed=9)
    assert 0.88 < misread.confidence < 0.97
    replay.show(frame(misread))
    for step in range(6):
        replay.show(frame(near("YZY5697", 444 + step, 149 + step, 24 + step)))
    (one,) = replay.finish()
    assert one.text.text == "YZY5697"


@pytest.mark.parametrize(("hidden", "passes"), [(38, 1), (4, 2)])
def test_a_far_plate_hidden_for_long_is_the_near_one_that_has_grown_meanwhile(
    hidden: int, passes: int
) -> None:
    """In a seventh of a second no plate doubles its width and moves so far."""
    replay = Replay(fps=30)
    for step in range(30):
        far = reading("QCT4486", box_at(396 + step / 10, 148, 18 + step / 10), sure=3.5, noise=0.5, seed=3)
        replay.show(frame(far))
    for _ in range(hidden):
        replay.show()
    for step in range(12):
        replay.show(frame(near("9CT4486", 232 - 6 * step, 266 + 6 * step, 44 + step)))
    assert len(replay.finish()) == passes


@pytest.mark.parametrize(("plate", "off_px", "passes"), [(OTHER, 0, 1), (OTHER, 8, 2), (CAR, 0, 2)])
def test_two_texts_of_one_view_of_a_plate_are_one_vehicle(plate: str, off_px: int, passes: int) -> None:
    """On the same px, without a gap, and with the same patch as before: it was misread at first."""
    replay = Replay(fps=20)
    replay.show(frame(reading(CAR, box_at(400, 300), plate=plate)))
    for _ in range(12):
        replay.show(frame(near(OTHER, 400 + off_px, 300)))
    found = replay.finish()
    assert OTHER in texts(found)
    assert len(found) == passes
