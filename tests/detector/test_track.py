"""One pass a vehicle: none lost, none twice, whatever the frame rate, the crossing or the wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from detector_twins import box_at, frame, reading
from hypothesis import given, settings
from hypothesis import strategies as st
from tracker_twins import FLEET, SHAPE, Replay, near, texts

from detector.plates import PlateBox, PlateReading

TEXTS = ("7ABC123", "4XYZ999", "KLM5678", "BRT20W4")


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
    assert one.best_patch.shape == (4, 12)


@pytest.mark.parametrize(("growth", "direction"), [(1.06, "towards"), (0.94, "away"), (1.0, "unknown")])
def test_direction_follows_the_plates_size(growth: float, direction: str) -> None:
    replay = Replay()
    for step in range(10):
        replay.look(near("7ABC123", 200 + 50 * step, 300, 100 * growth**step))
    assert replay.finish()[0].direction == direction


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


@pytest.mark.parametrize("away", [0, 3])
@pytest.mark.parametrize("then", ["waits", "leaves", "stays"])
def test_what_an_obstacle_left_of_a_plate_is_part_of_its_pass(away: int, then: str) -> None:
    """A post across the plate makes two boxes of it, read apart, before the whole plate shows."""
    replay = Replay(fps=10)
    for step in range(14):
        x = 480 + away * step
        parts = [near("6XYZ", x, 330, 62), near("348", x + 70, 331, 50)]
        replay.look(*(parts if step < 6 else [near("6XYZ348", x + 32, 330, 126)]))
    for step in range(60):
        if then == "leaves" and step < 8:
            replay.look(near("6XYZ348", 512 + 13 * away + 100 * step, 330, 126))
        elif then == "stays":
            replay.look(near("6XYZ348", 512 + 13 * away, 330, 126))
        else:
            replay.show()
    (seen,) = replay.finish()
    assert (seen.text.text, seen.first_us) == ("6XYZ348", replay.step_us)


@pytest.mark.parametrize("gap", [1, 3, 5])
def test_the_next_vehicle_behind_an_obstacle_is_no_part_of_the_one_before(gap: int) -> None:
    """Both begin with what a post left of the first, as two cars of one series do."""
    replay = Replay(fps=10)
    for step in range(14):
        parts = [near("8K", 480, 330, 40), near("LM472", 540, 331, 62)]
        replay.look(*(parts if step < 6 else [near("8KLM472", 524, 330, 126)]))
    for step in range(6):
        replay.look(near("8KLM472", 524 + 150 * (step + 1), 330, 126))
    for _ in range(gap):
        replay.show()
    for step in range(30):
        replay.look(near("8KBD113", 480, 330, min(45 + 5 * step, 126)))
    for _ in range(60):
        replay.show()
    assert texts(replay.finish()) == ["8KBD113", "8KLM472"]


@pytest.mark.parametrize(("one", "other"), [("7ABC123", "7ABC123"), ("7ABC101", "7ABCI01")])
@pytest.mark.parametrize("fps", [2, 10, 30])
def test_a_plate_and_its_copy_on_another_vehicle_are_two_passes(one: str, other: str, fps: int) -> None:
    """Side by side, and one of the two missed in some frames."""
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


def test_a_settled_text_that_a_look_contradicts_is_read_until_a_look_confirms_it() -> None:
    """A post over one character settled the vote; what comes out from behind it is not left unread."""
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
    """Those have no vote of their own, and a settled plate is not read at each frame."""
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


@dataclass(frozen=True)
class Drive:
    """One car: when it comes in, how long it is seen, where and how it moves, which frames miss it."""

    text: str
    enters: int
    frames: int
    x: float
    y: float
    speed_x: float
    growth: float
    missed: frozenset[int]

    def at(self, step: int) -> PlateReading | None:
        age = step - self.enters
        if not 0 <= age < self.frames or age in self.missed:
            return None
        return near(self.text, self.x + age * self.speed_x, self.y, 70 * self.growth**age)


@st.composite
def traffic(draw: st.DrawFn) -> list[Drive]:
    """Up to four cars with plates of their own, each in a lane, overtaking and crossing as they like."""
    drives = []
    for lane, text in enumerate(TEXTS[: draw(st.integers(1, 4))]):
        frames = draw(st.integers(3, 14))
        missed = draw(st.frozensets(st.integers(1, 12), max_size=frames // 3))
        drives.append(
            Drive(
                text=text,
                enters=draw(st.integers(0, 30)),
                frames=frames,
                x=draw(st.floats(150, 1000)),
                y=150 + 130 * lane + draw(st.floats(-30, 30)),
                speed_x=draw(st.floats(-45, 45)),
                growth=draw(st.floats(0.97, 1.05)),
                missed=missed,
            )
        )
    return drives


@settings(max_examples=40, deadline=None)
@given(traffic(), st.sampled_from([8.0, 15.0, 30.0]))
def test_in_any_traffic_no_pass_is_lost_and_none_reported_twice(drives: list[Drive], fps: float) -> None:
    replay = Replay(fps)
    for step in range(48):
        replay.look(*[seen for drive in drives if (seen := drive.at(step)) is not None])
    passes = replay.finish()
    assert texts(passes) == sorted(drive.text for drive in drives)
    assert len({one.pass_id for one in passes}) == len(passes)
    for one in passes:
        drive = next(drive for drive in drives if drive.text == one.text.text)
        assert one.frames_seen == sum(drive.at(step) is not None for step in range(48))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(
            st.builds(box_at, st.floats(0, 1280), st.floats(0, 720), st.floats(5, 400), st.floats(0.3, 0.99)),
            max_size=4,
        ),
        max_size=12,
    ),
    st.lists(st.integers(0, 4_000_000), min_size=12, max_size=12),
)
def test_any_boxes_at_any_times_give_each_kept_frame_back(
    frames: list[list[PlateBox]], steps_us: list[int]
) -> None:
    replay = Replay()
    for boxes, step_us in zip(frames, steps_us, strict=False):
        plates = [reading(TEXTS[index], box) for index, box in enumerate(boxes)]
        replay.show(frame(*plates[:2], unread=boxes[2:]), after_s=step_us / 1e6)
    seen = sum(min(len(boxes), 2) for boxes in frames)
    assert len(replay.finish()) <= seen


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


def test_a_car_too_far_to_be_read_is_one_pass_with_the_car_that_comes_near() -> None:
    replay = Replay()
    for step, noise in enumerate(("VB10684", "KXR5618", "IEUS91X", "N4ASW8P", "Z0ZU5T1", "HH3Q7DD")):
        replay.look(reading(noise, box_at(400 - step, 300, 18), sure=4.0, noise=1.1, seed=step))
    for step in range(14):
        replay.look(near("7ABC123", 394 - 4 * step, 300 + 2 * step, 18 * 1.09**step))
    (one,) = replay.finish()
    assert one.text.text == "7ABC123"
    assert one.text.confidence > 0.9  # what could not be read has no voice
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


def from_behind_a_post(text: str, shown: int, x: float, width: float = 100.0) -> PlateReading:
    """The last characters of a plate, in a box as wide as what is shown of it."""
    share = shown / len(text)
    left, right = x + width / 2 - width * share, x + width / 2
    box = PlateBox(
        corners=((left, 280.0), (right, 280.0), (right, 320.0), (left, 320.0)),
        confidence=0.8,
    )
    seen = reading(text[-shown:], box)
    return replace(seen, evidence=replace(seen.evidence, aspect=box.aspect))


def test_a_plate_that_was_hidden_at_first_is_reported_whole_with_a_picture_that_shows_it() -> None:
    replay = Replay(fps=20)
    for step in range(40):
        replay.look(from_behind_a_post("7ABC123", 6 if step < 4 else 7, 400))
    (one,) = replay.finish()
    assert one.text.text == "7ABC123"
    assert one.text.confidence > 0.9
    assert one.best_sequence >= 4
    assert replay.read <= 12


@pytest.mark.parametrize("frames_a_character", [1, 2, 5, 10])
def test_a_plate_that_comes_slowly_out_of_hiding_is_one_whole_pass(frames_a_character: int) -> None:
    replay = Replay(fps=20)
    hidden = 5 * frames_a_character
    for step in range(hidden + 30):
        shown = min(2 + step // frames_a_character, 7)
        replay.look(from_behind_a_post("4UGZ590", shown, 400 + step))
    (one,) = replay.finish()
    assert one.text.text == "4UGZ590"
    assert one.text.confidence > 0.9
    assert one.best_sequence >= hidden
    assert one.direction in ("unknown", "parked")


def test_a_plate_that_something_passes_in_front_of_keeps_its_text_and_its_picture() -> None:
    replay = Replay(fps=20)
    for step in range(60):
        replay.show(frame(from_behind_a_post("7ABC123", 5 if 20 <= step < 50 else 7, 400)))
    (one,) = replay.finish()
    assert one.text.text == "7ABC123"
    assert not 20 <= one.best_sequence < 50


def test_what_was_read_at_the_edge_is_read_again_inside_and_not_counted_there() -> None:
    replay = Replay(fps=10)
    for step in range(6):
        left = -20.0 + 10 * step
        box = PlateBox(
            corners=((left, 280.0), (left + 80, 280.0), (left + 80, 320.0), (left, 320.0)), confidence=0.8
        )
        seen = reading("ABC123" if step < 4 else "7ABC123", box)
        cut = replace(seen.evidence, cut=step < 4, trust=0.4 if step < 4 else 1.0, aspect=2.0)
        replay.look(replace(seen, evidence=cut))
    (one,) = replay.finish()
    assert one.text.text == "7ABC123"
    assert one.best_sequence >= 4
