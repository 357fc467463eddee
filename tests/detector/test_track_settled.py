"""A settled text: what a look confirms, what is read again, and how little reading it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from detector_twins import box_at, reading
from tracker_twins import Replay, near, texts


def test_a_parked_car_is_one_pass_and_costs_hardly_any_reading() -> None:
    replay = Replay(fps=10)
    for step in range(900):
        jitter = (step % 3 - 1) * 2
        replay.look(near("7ABC123", 400 + jitter, 300))
    (one,) = replay.finish()
    assert one.direction == "parked"
    assert (one.frames_seen, one.frames_voted) == (900, replay.read)
    assert replay.read < 5
    assert 5 < replay.confirmed < 45


def test_a_settled_text_is_confirmed_by_a_look_and_another_one_there_is_read() -> None:
    replay = Replay(fps=10)
    for _ in range(20):
        replay.look(near("7ABC123", 400, 300))
    assert (replay.read, replay.confirmed) == (3, 2)
    for _ in range(20):
        replay.look(near("4XYZ999", 400, 300))
    assert texts(replay.finish()) == ["4XYZ999", "7ABC123"]


def test_a_look_that_confirms_a_text_may_give_a_better_picture() -> None:
    replay = Replay(fps=10)
    for _ in range(6):
        replay.look(near("7ABC123", 400, 300))
    for step in range(1, 9):
        replay.look(near("7ABC123", 400 + 50 * step, 300, 100 + 3 * step))
    (one,) = replay.finish()
    assert (one.frames_voted, replay.read) == (3, 3)
    assert one.best_box.width_px > 110


def test_a_settled_text_in_doubt_is_read_again_and_not_just_confirmed() -> None:
    replay = Replay(fps=10)
    for _ in range(20):
        plate = near("7ABC123", 400, 300)
        replay.look(replace(plate, evidence=replace(plate.evidence, trust=0.7)))
    assert (replay.read, replay.confirmed) == (5, 0)


@pytest.mark.parametrize(("width", "read"), [(120, 3), (133, 4)])
def test_a_settled_plate_that_has_grown_is_read_in_full(width: float, read: int) -> None:
    replay = Replay(fps=10)
    for _ in range(4):
        replay.look(near("7ABC123", 400, 300))
    replay.look(near("7ABC123", 400, 300, width))
    assert replay.read == read


def test_a_settled_text_that_a_look_contradicts_is_read_until_a_look_confirms_it() -> None:
    """The vote settled while a post hid a character; what comes out from behind the post is read."""
    replay = Replay(fps=10)
    for _ in range(20):
        replay.look(near("8KL1472", 400, 300))
    before = replay.read
    for _ in range(12):
        replay.look(near("8KLM472", 400, 300))
    assert replay.read - before >= 6
    for _ in range(30):
        replay.look(near("8KL1472", 400, 300))
    before = replay.read
    for _ in range(10):
        replay.look(near("8KL1472", 400, 300))
    assert replay.read - before <= 3


@pytest.mark.parametrize(("right", "wrong"), [(20, 6), (20, 12), (60, 20)])
def test_a_few_frames_of_another_text_do_not_outvote_the_many_that_looks_confirmed(
    right: int, wrong: int
) -> None:
    """Looks cast no vote, and a settled plate is not read in every frame."""
    replay = Replay(fps=10)
    for number in range(right + wrong):
        replay.look(near("8KLM472" if number < right else "8KL1472", 400, 300))
    assert texts(replay.finish()) == ["8KLM472"]


def test_a_box_beside_a_settled_car_is_read() -> None:
    replay = Replay(fps=10)
    for _ in range(20):
        replay.look(near("7ABC123", 400, 300))
    for _ in range(5):
        replay.look(near("7ABC123", 400, 300), near("4XYZ999", 470, 360))
    assert texts(replay.finish()) == ["4XYZ999", "7ABC123"]


def test_a_settled_car_driving_past_clutter_is_hardly_read_again() -> None:
    replay = Replay(fps=10)
    looks = 0
    for step in range(24):
        car = near("7ABC123", 100 + 40 * step, 300)
        clutter = reading("4XYZ999", box_at(560, 330, 90, 0.4), sure=0.4, noise=1.0, seed=step)
        looks += bool(replay.tracker.wants_text(car.box))
        replay.look(car, clutter)
    passes = replay.finish()
    one = next(one for one in passes if one.text.text == "7ABC123")
    assert one.frames_seen == 24
    assert looks < 12


def test_a_car_in_the_place_of_a_settled_one_that_was_gone_for_half_a_second_is_read_at_once() -> None:
    replay = Replay(fps=10)
    for _ in range(8):
        replay.look(near("7ABC123", 400, 300))
    assert not replay.tracker.wants_text(box_at(400, 300))
    for _ in range(5):
        replay.look()
    assert replay.tracker.wants_text(box_at(400, 300))
    for _ in range(2):
        replay.look(near("4XYZ999", 400, 300))
    assert texts(replay.finish()) == ["4XYZ999", "7ABC123"]


def test_a_plate_left_unread_stays_with_the_pass_that_it_was_left_for() -> None:
    replay = Replay(fps=10)
    for step in range(12):
        car = near("7ABC123", 100 + 40 * step, 300)
        replay.look(*([car, near("4XYZ999", 560, 330)] if step < 2 else [car]))
    first, second = sorted(replay.finish(), key=lambda one: one.text.text)
    assert (first.frames_seen, second.frames_seen) == (2, 12)
