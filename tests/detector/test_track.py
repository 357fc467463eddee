"""One pass per vehicle: none lost, none twice, whatever the frame rate, the crossing or the wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from detector_twins import box_at, frame, reading
from tracker_twins import SHAPE, TEXTS, Replay, near, texts


def test_a_car_that_drives_by_is_one_pass_with_its_frames_counted() -> None:
    replay = Replay()
    for step in range(12):
        replay.look(near("7ABC123", 200 + 40 * step, 300 + 10 * step, 80 * 1.05**step))
    for _ in range(60):
        replay.show()
    (one,) = replay.ended
    assert one.text.text == "7ABC123"
    assert one.frames_seen == 12
    assert 3 <= one.frames_voted <= 12
    assert one.direction == "towards"
    assert one.last_us - one.first_us == 11 * replay.step_us
    assert one.best_patch.shape == (12, 36)


@pytest.mark.parametrize(("growth", "direction"), [(1.06, "towards"), (0.94, "away"), (1.0, "unknown")])
def test_direction_follows_the_plates_size(growth: float, direction: str) -> None:
    replay = Replay()
    for step in range(10):
        replay.look(near("7ABC123", 200 + 50 * step, 300, 100 * growth**step))
    assert replay.finish()[0].direction == direction


def test_a_parked_car_that_is_hidden_for_seconds_stays_one_pass() -> None:
    replay = Replay(fps=10)
    for step in range(100):
        replay.look(*([] if 40 <= step < 80 else [near("7ABC123", 400, 300)]))
    assert texts(replay.finish()) == ["7ABC123"]


def test_a_car_that_takes_a_parked_ones_place_is_a_pass_of_its_own() -> None:
    replay = Replay(fps=10)
    for _ in range(60):
        replay.look(near("7ABC123", 400, 300))
    for _ in range(200):
        replay.look(near("4XYZ999", 404, 302))
    assert texts(replay.finish()) == ["4XYZ999", "7ABC123"]


def test_a_single_glint_makes_no_second_pass() -> None:
    replay = Replay()
    for step in range(9):
        text = "4XYZ999" if step == 4 else "7ABC123"
        replay.show(frame(near(text, 300 + 10 * step, 300)))
    (one,) = replay.finish()
    assert one.text.text == "7ABC123"


def test_two_cars_that_cross_are_two_passes_with_their_own_texts() -> None:
    replay = Replay()
    for step in range(25):
        left, right = 200 + 30 * step, 920 - 30 * step
        replay.look(near("7ABC123", left, 300), near("4XYZ999", right, 330))
    passes = replay.finish()
    assert texts(passes) == ["4XYZ999", "7ABC123"]
    for one in passes:
        moved = one.last_box.box[0] - one.first_box.box[0]
        assert (moved > 600) == (one.text.text == "7ABC123")


def test_cars_three_seconds_apart_at_one_place_are_different_passes() -> None:
    replay = Replay()
    for text in TEXTS:
        replay.show(frame(near(text, 500, 400)), after_s=3.4)
    assert texts(replay.finish()) == sorted(TEXTS)


def test_one_car_in_stills_three_seconds_apart_is_one_pass() -> None:
    replay = Replay()
    for step in range(4):
        replay.show(frame(near("7ABC123", 300 + 200 * step, 400 - 40 * step)), after_s=3.4)
    assert texts(replay.finish()) == ["7ABC123"]


@pytest.mark.parametrize("fps", [1.2, 4.0, 30.0])
def test_a_shaken_camera_keeps_one_pass_at_any_rate(fps: float) -> None:
    replay = Replay(fps)
    for step in range(6):
        replay.look(near("XSNB23", 300 + (-1) ** step * 90, 320 + 30 * (step % 3), 220))
    assert texts(replay.finish()) == ["XSNB23"]


def shaken(replay: Replay) -> None:
    for step in range(6):
        replay.look(near("XSNB23", 300 + (-1) ** step * 90, 320 + 30 * (step % 3), 220))


def thrown(replay: Replay) -> None:
    for step in range(8):
        replay.show(frame(near("XSNB23", 200 + 700 * (step // 4), 300)))


def glint(replay: Replay) -> None:
    for step in range(9):
        replay.show(frame(near("4XYZ999" if step == 4 else "7ABC123", 300 + 10 * step, 300)))


def replaced(replay: Replay) -> None:
    for step in range(40):
        replay.look(near("7ABC123" if step < 20 else "4XYZ999", 400 + step // 20 * 4, 300))


@pytest.mark.parametrize("scene", [shaken, thrown, glint, replaced])
def test_nothing_is_kept_for_passes_that_are_over(scene: Callable[[Replay], None]) -> None:
    replay = Replay()
    scene(replay)
    for _ in range(40):
        replay.show(after_s=30)
    assert replay.ended
    assert replay.kept == {}
    assert replay.tracker.flush() == ()


def test_the_best_frame_of_a_car_that_takes_anothers_place_may_be_the_one_that_shows_it() -> None:
    replay = Replay(fps=10)
    for _ in range(20):
        replay.show(frame(near("7ABC123", 400, 300, 100)))
    for width in (100, 160, 60, 60, 60):
        replay.show(frame(near("4XYZ999", 404, 302, width)))
    assert texts(replay.finish()) == ["4XYZ999", "7ABC123"]


def test_a_plate_boxed_twice_is_still_one_pass() -> None:
    replay = Replay()
    for step in range(6):
        replay.look(near("7ABC123", 300 + 9 * step, 300), near("7ABC123", 330 + 9 * step, 420))
    assert texts(replay.finish()) == ["7ABC123"]


@pytest.mark.parametrize(("one", "other"), [("7ABC123", "7ABC123"), ("7ABC101", "7ABCI01")])
@pytest.mark.parametrize("fps", [2, 10, 30])
def test_a_plate_and_its_copy_on_another_vehicle_are_two_passes(one: str, other: str, fps: int) -> None:
    """Side by side, with one of the two missed in some frames."""
    replay = Replay(fps=fps)
    for step in range(12):
        both = [near(one, 250, 330, 110), near(other, 690, 330, 110)]
        replay.look(*(both[:1] if step in {4, 7} else both))
    assert texts(replay.finish()) == [one, other]


def test_two_plates_whose_boxes_overlap_are_two_passes_where_their_texts_are_two() -> None:
    replay = Replay()
    for step in range(6):
        replay.look(near("7ABC123", 300 + 9 * step, 300), near("4XYZ999", 320 + 9 * step, 310))
    assert texts(replay.finish()) == ["4XYZ999", "7ABC123"]


def test_unreadable_clutter_is_dropped() -> None:
    replay = Replay()
    replay.show(frame(reading("", box_at(300, 300, 60, 0.4))))
    replay.show(frame(reading("4XYZ999", box_at(700, 300, 60, 0.4), sure=0.4, noise=1.0, seed=1)))
    for _ in range(60):
        replay.show()
    assert replay.finish() == []


def test_a_doubtful_text_is_reported_only_where_the_look_itself_saw_a_plate() -> None:
    for plateness, told in ((0.5, 0), (0.99, 1)):
        replay = Replay()
        for step in range(3):
            seen = reading("4XYZ999", box_at(500 + 5 * step, 300, 80), sure=3.5, noise=1.0, seed=1)
            assert seen.text.readable >= 2
            assert seen.text.confidence < 0.4
            replay.show(frame(replace(seen, plateness=plateness)))
        assert len(replay.finish()) == told


def test_time_that_falls_is_refused() -> None:
    replay = Replay()
    replay.show()
    with pytest.raises(ValueError, match="falls"):
        replay.tracker.update(9, replay.now_us - 1, SHAPE, frame())


def test_a_live_pass_is_reported_with_its_text_so_far() -> None:
    replay = Replay()
    for step in range(4):
        told = replay.look(near("7ABC123", 300 + 9 * step, 300))
    (live,) = told.live
    seen = replay.tracker.so_far(live.pass_id)
    assert seen is not None
    assert (seen.text.text, live.frames_seen) == ("7ABC123", 4)
    assert live.settled
    replay.finish()
    with pytest.raises(KeyError):
        replay.tracker.so_far(live.pass_id)


def test_a_car_too_far_to_be_read_is_one_pass_with_the_car_that_comes_near() -> None:
    replay = Replay()
    for step, noise in enumerate(("VB10684", "KXR5618", "IEUS91X", "N4ASW8P", "Z0ZU5T1", "HH3Q7DD")):
        replay.look(reading(noise, box_at(400 - step, 300, 18), sure=4.0, noise=1.1, seed=step))
    for step in range(14):
        replay.look(near("7ABC123", 394 - 4 * step, 300 + 2 * step, 18 * 1.09**step))
    (one,) = replay.finish()
    assert one.text.text == "7ABC123"
    assert one.text.confidence > 0.9  # what could not be read has no vote
    assert one.first_us == replay.step_us
    assert one.first_box.box[0] == pytest.approx(391, abs=1)
    assert one.frames_seen == 20
    assert one.direction == "towards"


def test_a_car_that_was_read_and_another_at_its_place_stay_two_passes() -> None:
    replay = Replay()
    for _ in range(6):
        replay.look(near("4XYZ999", 400, 300))
    for _ in range(6):
        replay.look(near("7ABC123", 400, 300))
    assert texts(replay.finish()) == ["4XYZ999", "7ABC123"]


def test_a_near_picture_with_an_o_is_kept_though_the_vote_says_zero() -> None:
    replay = Replay(fps=2)
    for text, x, y, width in (("OHU6543", 767, 314, 49), *[("0HU6543", 740, 280, 44)] * 4):
        replay.show(frame(near(text, x, y, width)))
    (one,) = replay.finish()
    assert one.text.leader == "0HU6543"
    assert one.best_sequence == 0
