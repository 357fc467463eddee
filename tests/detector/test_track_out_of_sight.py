"""Out of sight for a moment, or split by a jump of the picture: one pass, and never another vehicle's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from detector_twins import DECODING, box_at, evidence, frame, reading
from tracker_twins import FLEET, Replay, near, texts

from detector.plates import Evidence, FrameReadings, PlateBox, PlateReading
from detector.vote import Vote


def doubtful(text: str, x: float, y: float, width: float, seed: int = 0) -> PlateReading:
    """A reading that no rule takes as sure."""
    return reading(text, box_at(x, y, width), sure=4.0, noise=1.1, seed=seed)


@pytest.mark.parametrize("hidden_s", [1.0, 2.0, 2.6])
def test_a_car_behind_a_van_for_seconds_is_one_pass(hidden_s: float) -> None:
    replay = Replay(fps=10)
    for step in range(int(10 * (2 + hidden_s))):
        shown = step < 10 or step >= 10 + 10 * hidden_s
        replay.look(*([near("7ABC123", 300 + 6 * step, 300 + step, 60 * 1.01**step)] if shown else []))
    assert texts(replay.finish()) == ["7ABC123"]


@pytest.mark.parametrize(("hidden", "passes"), [(5, 1), (6, 2)])
def test_of_a_few_frames_a_second_five_without_a_car_are_not_yet_three_seconds(
    hidden: int, passes: int
) -> None:
    replay = Replay(fps=2)
    for step in range(6 + hidden):
        shown = not 3 <= step < 3 + hidden
        replay.look(*([near("7ABC123", 300 + 6 * step, 300, 60)] if shown else []))
    assert len(replay.finish()) == passes


def test_a_car_that_is_not_seen_again_is_reported_after_three_seconds() -> None:
    replay = Replay(fps=10)
    for step in range(10):
        replay.look(near("7ABC123", 300 + 6 * step, 300))
    for _ in range(30):
        replay.look()
    assert texts(replay.ended) == ["7ABC123"]


@pytest.mark.parametrize(("width", "shrinks"), [(60.0, 0.92), (40.0, 0.95)])
def test_a_car_that_drove_away_is_reported_after_two(width: float, shrinks: float) -> None:
    replay = Replay(fps=10)
    for step in range(12):
        replay.look(near("7ABC123", 500, 300 - 3 * step, width * shrinks**step))
    for _ in range(21):
        replay.look()
    assert texts(replay.ended) == ["7ABC123"]


def test_a_fleet_mate_that_comes_out_where_another_was_hidden_is_a_pass_of_its_own() -> None:
    """A car drives behind a parked one of its fleet, and only the parked plate shows."""
    parked, drives = "LWU2646", "LWU2673"
    replay = Replay(fps=20)
    for step in range(16):
        replay.look(near(drives, 300 + 8 * step, 300 - 3 * step, 60 * 0.98**step))
    for _ in range(8):
        replay.look(near(parked, 300 + 8 * 16 - 30, 300 - 3 * 16 + 24, 44))
    for step in range(24, 40):
        replay.look(near(drives, 300 + 8 * step, 300 - 3 * step, 60 * 0.98**step))
    assert texts(replay.finish()) == [parked, drives]


def test_two_other_characters_are_another_car_where_both_are_sure() -> None:
    replay = Replay(fps=10)
    for step in range(24):
        text = "5YT7890" if step < 8 else "5YT7095"
        replay.look(*([] if 8 <= step < 15 else [near(text, 400, 300)]))
    assert texts(replay.finish()) == ["5YT7095", "5YT7890"]


def test_two_other_characters_in_doubt_are_a_misreading() -> None:
    replay = Replay(fps=10)
    for step in range(16):
        seen = (
            doubtful("5YT7095", 400 + 5 * step, 300, 60)
            if step % 4 == 1
            else near("5YT7890", 400 + 5 * step, 300, 60)
        )
        replay.show(frame(seen))
    assert texts(replay.finish()) == ["5YT7890"]


@pytest.mark.parametrize("hidden", [12, 25])
def test_what_was_too_far_to_be_read_and_then_hidden_is_part_of_the_car_that_comes_near(hidden: int) -> None:
    replay = Replay(fps=10)
    for step, noise in enumerate(("VB10684", "KXR5618", "IEUS91X", "N4ASW8P", "Z0ZU5T1", "HH3Q7DD")):
        replay.look(doubtful(noise, 400 - step, 200 + step, 21, step))
    for _ in range(hidden):
        replay.look()
    for step in range(12):
        replay.look(near("7ABC123", 390 - 5 * step, 215 + 3 * step, 28 * 1.06**step))
    (one,) = replay.finish()
    assert one.text.text == "7ABC123"
    assert one.first_us == replay.step_us


def test_a_far_plate_that_was_surely_read_is_not_given_up_for_another_near_its_place() -> None:
    replay = Replay(fps=10)
    for step in range(6):
        replay.look(near("4XYZ999", 400 - step, 200 + step, 24))
    for _ in range(15):
        replay.look()
    for step in range(12):
        replay.look(near("7ABC123", 390 - 5 * step, 215 + 3 * step, 28 * 1.06**step))
    assert texts(replay.finish()) == ["4XYZ999", "7ABC123"]


def test_two_far_plates_that_one_frame_shows_stay_two() -> None:
    replay = Replay(fps=10)
    for _ in range(5):
        replay.look(doubtful("KXR5618", 400, 200, 24, 1), near("4XYZ999", 470, 200, 26))
    for step in range(30):
        replay.look(near("4XYZ999", 470 + step, 200 + 2 * step, 26 * 1.04**step))
    passes = replay.finish()
    assert "4XYZ999" in texts(passes)
    assert all(one.frames_seen <= 35 for one in passes)


@pytest.mark.parametrize("jump", [(26.0, 10.0), (-30.0, 15.0)])
def test_a_jump_of_the_picture_with_a_misread_character_makes_no_second_pass(
    jump: tuple[float, float],
) -> None:
    replay = Replay(fps=20)
    for step in range(30):
        x, y, width = 700 - 4 * step, 160 + 3 * step, 25 * 1.03**step
        torn_off = near("7H62333", x + 2 * jump[0], y + 2 * jump[1], width)
        told = replay.show(frame(torn_off if step == 14 else near("7HE2333", x, y, width)))
    assert set(replay.kept) == {one.pass_id for one in told.live}  # nothing of the split-off part is kept
    assert texts(replay.finish()) == ["7HE2333"]


@pytest.mark.parametrize("jump", [600.0, -380.0])
def test_a_pass_that_a_jump_tore_in_two_is_one_again(jump: float) -> None:
    replay = Replay(fps=20)
    for step in range(30):
        x = 400 + 4 * step + (jump if step >= 15 else 0)
        told = replay.show(frame(near("7ABC123", x, 300)))
    assert set(replay.kept) == {one.pass_id for one in told.live}  # nothing of the dropped part is kept
    (one,) = replay.finish()
    assert (one.text.text, one.first_us) == ("7ABC123", replay.step_us)


def test_the_last_far_glimpse_of_a_car_that_drives_away_is_part_of_its_pass() -> None:
    replay = Replay(fps=20)
    for step in range(30):
        replay.show(frame(near("650VRC", 900 - 8 * step, 420 - 13 * step, 60 * 0.97**step)))
    replay.show(frame(near("658VRC", 672, 52, 24)))  # the camera shook, and a character was misread
    for _ in range(100):
        replay.show()
    (one,) = replay.finish()
    assert one.text.text == "650VRC"
    assert one.last_us == 31 * 50_000


def test_a_far_plate_still_in_view_when_another_of_its_fleet_has_gone_is_a_pass_of_its_own() -> None:
    replay = Replay(fps=10)
    for step in range(12):
        replay.look(near(FLEET[0], 600, 300 - 22 * step, 60 * 0.95**step))
    for step in range(40):
        replay.look(near(FLEET[1], 600, 60, 28 * 1.03**step))
    assert texts(replay.finish()) == sorted(FLEET[:2])


@pytest.mark.parametrize("fps", [2.0, 4.0])
def test_a_fleet_mate_seen_in_one_frame_in_a_slow_clip_stays_a_pass(fps: float) -> None:
    """At a few frames a second, a vehicle may be seen in only one frame."""
    replay = Replay(fps)
    for step in range(5):
        replay.show(frame(near(FLEET[0], 300 + 60 * step, 300, 80)))
    replay.show(frame(near(FLEET[1], 380, 300, 80)))
    assert texts(replay.finish()) == sorted(FLEET[:2])


@pytest.mark.parametrize(("width", "sure"), [(22.0, False), (60.0, True)])
def test_a_plate_that_never_came_near_is_less_sure_than_its_votes(width: float, *, sure: bool) -> None:
    replay = Replay(fps=10)
    for step in range(4):
        replay.show(frame(reading(FLEET[0], box_at(400 + 4 * step, 300, width), sure=4.5, noise=0.7, seed=3)))
    (going,) = replay.show().live
    told = replay.tracker.so_far(going.pass_id)
    (one,) = replay.finish()
    assert told is not None
    assert one.text.confidence == told.text.confidence
    assert (one.text.text, one.text.confidence >= 0.76) == (FLEET[0], sure)


def again(seen: PlateReading) -> FrameReadings:
    """What a reader says about a picture that repeats the previous one."""
    return replace(frame(unread=[seen.box]), repeats=True)


@pytest.mark.parametrize("stalled", [3, 9])
def test_a_stream_that_stalls_stops_no_vehicle_and_counts_no_look_twice(stalled: int) -> None:
    replay = Replay(fps=10)
    for step in range(24):
        misread = near("7ABC128", 300 + 40 * 7, 300)
        x = 300 + 40 * step
        if step == 7:
            replay.show(frame(misread))
        else:
            replay.show(again(misread) if 7 < step < 7 + stalled else frame(near("7ABC123", x, 300)))
    (one,) = replay.finish()
    assert one.text.text == "7ABC123"
    assert one.frames_seen == 24 - stalled + 1


def test_a_parked_plate_in_a_picture_without_noise_stays_in_view() -> None:
    replay = Replay(fps=2)
    parked = near("7ABC123", 300, 300)
    replay.show(frame(parked))
    for _ in range(40):
        told = replay.show(again(parked))
    assert [one.pass_id for one in told.live] == [1]
    replay.show(frame(parked))
    (one,) = replay.finish()
    assert one.last_us - one.first_us == 41 * replay.step_us


def at_width(text: str, width: float) -> Evidence:
    return reading(text, box_at(0, 0, width)).evidence


@pytest.mark.parametrize("far_first", [True, False])
def test_many_frames_from_far_do_not_outvote_three_from_near(*, far_first: bool) -> None:
    far, close = [at_width("2KW8237", 22)] * 25, [at_width("2KW6237", 45)] * 3
    vote = Vote(DECODING, [*far, *close] if far_first else [*close, *far])
    assert vote.text.text == "2KW6237"
    assert vote.frames_given == 28
    assert vote.frames == 3


def test_frames_from_near_enough_all_vote() -> None:
    vote = Vote(DECODING, [at_width("2KW6237", width) for width in (60, 90, 150, 300, 300, 300)])
    assert vote.frames == 6


def test_a_frame_in_which_a_doubt_was_seen_does_not_weigh_on_the_rest() -> None:
    sure = evidence("7ABC123")
    vote = Vote(DECODING, [sure, sure, sure, replace(sure, trust=0.4)])
    assert vote.confidence == pytest.approx(Vote(DECODING, [sure] * 4).confidence)
    doubted = Vote(DECODING, [sure, *[replace(sure, trust=0.4)] * 3])
    assert doubted.confidence < 0.5


def test_a_doubtful_plate_where_a_fleet_mate_drove_out_of_the_picture_is_a_pass_of_its_own() -> None:
    replay = Replay(fps=3)
    for step in range(5):
        replay.look(near("KJP092", 700 + 110 * step, 300 + 90 * step, 40 * 1.2**step))
    replay.look()
    for step in range(3):
        seen = near("KJP098", 1000 + 40 * step, 460 + 30 * step, 60)
        replay.show(frame(replace(seen, evidence=replace(seen.evidence, trust=0.4), judged=seen.judged)))
    assert texts(replay.finish()) == ["KJP092", "KJP098"]


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize(("fps", "misread"), [(2.0, "AV32384"), (4.0, "AV32384"), (3.0, "AVG2ZB4")])
def test_one_far_misread_frame_of_a_slow_clip_is_part_of_the_nearer_pass(
    fps: float, misread: str, *, away: bool
) -> None:
    replay = Replay(fps)
    shown = [near(misread, 707, 186, 29)]
    shown += [near("AVG2384", 728 + 30 * step, 230 + 70 * step, 36 * 1.35**step) for step in range(4)]
    for seen in reversed(shown) if away else shown:
        replay.show(frame(seen))
    for _ in range(int(4 * fps)):
        replay.show()
    (one,) = replay.finish()
    assert one.text.text == "AVG2384"
    assert one.last_us - one.first_us == 4 * replay.step_us


def test_a_fleet_mate_that_is_no_farther_away_stays_a_pass_in_a_slow_clip() -> None:
    replay = Replay(fps=2)
    replay.show(frame(near(FLEET[1], 700, 300, 60)))
    for step in range(4):
        replay.show(frame(near(FLEET[0], 720, 330 + 5 * step, 62)))
    assert texts(replay.finish()) == sorted(FLEET[:2])


def test_a_plate_whose_half_hidden_character_was_misread_is_one_pass_once_it_is_whole() -> None:
    replay = Replay(fps=15)
    part = PlateBox(corners=((471.0, 360.0), (508.0, 360.0), (508.0, 384.0), (471.0, 384.0)), confidence=0.9)
    for _ in range(10):
        replay.show(frame(reading("14420", part)))
    for _ in range(10):
        replay.show(frame(near("7UH4420", 480, 372, 57)))
    (one,) = replay.finish()
    assert (one.text.text, one.first_us) == ("7UH4420", replay.step_us)


def test_another_plate_that_ends_alike_in_a_box_as_wide_is_a_pass_of_its_own() -> None:
    replay = Replay(fps=15)
    for text in ("14420", "7UH4420"):
        for _ in range(10):
            replay.show(frame(near(text, 480, 372, 57)))
    assert texts(replay.finish()) == ["14420", "7UH4420"]


def test_two_frames_of_what_was_too_far_to_be_read_are_no_vehicle() -> None:
    replay = Replay(fps=2)
    for step in range(2):
        replay.show(frame(doubtful("43NE818", 453 - 20 * step, 122 + 18 * step, 20, 1)))
    assert replay.finish() == []


@pytest.mark.parametrize(("far", "passes"), [("540R88", ["540RBB"]), ("540R99", ["540R99", "540RBB"])])
def test_a_far_plate_whose_letters_looked_like_digits_and_then_hidden_is_the_car_that_comes_near(
    far: str, passes: list[str]
) -> None:
    replay = Replay(fps=10)
    for step in range(8):
        replay.look(near(far, 440 - 3 * step, 130 + 3 * step, 21))
    for _ in range(10):
        replay.look()
    for step in range(12):
        replay.look(near("540RBB", 385 - 8 * step, 190 + 8 * step, 33 * 1.06**step))
    assert texts(replay.finish()) == passes
