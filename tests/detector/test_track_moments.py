"""A moment of a pass under another text: a misreading while the pass was missed, whichever ends first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest
from detector_twins import DECODING, Told, box_at, frame, reading
from tracker_twins import FLEET, Replay, near, texts

from detector.likeness import SURE
from detector.motion import Motion
from detector.place_fit import between, shared_end
from detector.plates import PlateBox, PlateReading
from detector.vote import Vote

MATE = "7ABC128"


def drive_by(
    replay: Replay,
    mate_in: Collection[int],
    *,
    frames: int = 30,
    drift: float = 0.0,
    jump: float = 90.0,
    wider: float = 1.0,
) -> list[str]:
    """A vehicle drives out of the picture; in some frames another text shows beside its place."""
    for step in range(frames):
        x, y, width = 640 - 4 * step, 200 + 18 * step, 34 * 1.03**step
        other = near(MATE, x + jump + drift * step, y - jump / 3, width * wider)
        replay.show(frame(other if step in mate_in else near(FLEET[0], x, y, width)))
    for _ in range(50):
        replay.show()
    return texts(replay.finish())


@pytest.mark.parametrize("moments", [(12,), (12, 13), (12, 13, 16), (12, 13, 16, 19, 20)])
def test_a_burst_of_sure_misreadings_of_a_shaken_pass_is_that_pass(moments: tuple[int, ...]) -> None:
    assert drive_by(Replay(fps=10), moments) == [FLEET[0]]


@pytest.mark.parametrize("moments", [range(12, 16), (12, 13, 16, 17, 20, 21)])
def test_a_fleet_mate_seen_longer_than_a_burst_stays_a_pass(moments: Collection[int]) -> None:
    assert drive_by(Replay(fps=10), moments) == [FLEET[0], MATE]


@pytest.mark.parametrize(("wider", "passes"), [(1.2, 1), (1.4, 2), (0.7, 2)])
def test_a_burst_as_far_away_as_the_pass_is_it_and_one_in_another_lane_is_not(
    wider: float, passes: int
) -> None:
    assert len(drive_by(Replay(fps=10), (12, 13, 16, 19), wider=wider)) == passes


def test_a_fleet_mate_seen_in_a_frame_with_the_pass_stays_a_pass() -> None:
    replay = Replay(fps=10)
    for step in range(12):
        replay.show(frame(near(FLEET[0], 300 + 9 * step, 300)))
    replay.show(frame(near(FLEET[0], 410, 300), near(MATE, 500, 300)))
    replay.show(frame(near(MATE, 505, 300)))
    replay.show(frame(near(FLEET[0], 430, 300)))
    assert texts(replay.finish()) == [FLEET[0], MATE]


def test_a_far_plate_whose_letters_looked_like_digits_is_the_car_that_has_left_since() -> None:
    """The nearer pass drives out of the picture, and ends before the far one."""
    replay = Replay(fps=3)
    for x, y, width in ((476, 152, 22), (436, 169, 25), (391, 206, 29)):
        replay.show(frame(near("488AZ8", x, y, width)))
    for x, y, width in ((425, 226, 38), (325, 280, 46), (230, 420, 59), (30, 640, 83)):
        replay.show(frame(near("488AZB", x, y, width)))
    for _ in range(12):
        replay.show()
    (one,) = replay.finish()
    assert (one.text.text, one.first_us) == ("488AZB", replay.step_us)


def test_a_far_misreading_seen_once_more_after_the_near_pass_began_is_that_pass() -> None:
    """The picture shakes, and the near pass drives away and ends first."""
    replay = Replay(fps=20)
    for step in range(10):
        replay.show(frame(near("7AQC123", 400 + step, 200 + step, 25)))
    for step in range(3):
        replay.show(frame(near("7ADC123", 440 + step, 215 + 2 * step, 28)))
    replay.show(frame(near("7AQC123", 413, 213, 26)))
    for step in range(25):
        replay.show(frame(near("7ADC123", 444 + 2 * step, 224 + 20 * step, 29 * 1.05**step)))
    for _ in range(60):
        replay.show()
    (one,) = replay.finish()
    assert (one.text.text, one.first_us) == ("7ADC123", replay.step_us)


@pytest.mark.parametrize(("far", "passes"), [("7A8C123", 1), ("7ADC123", 2)])
def test_a_digit_surely_read_for_a_letter_makes_no_second_vehicle(far: str, passes: int) -> None:
    """No plate of that series has a digit there, but another letter may be a fleet mate's."""
    replay = Replay(fps=2)
    for x, y, width in ((443, 148, 25), (399, 185, 35)):
        replay.show(frame(near(far, x, y, width)))
    for x, y, width in ((331, 245, 42), (197, 363, 59)):
        replay.show(frame(near("7ABC123", x, y, width)))
    found = replay.finish()
    assert len(found) == passes
    assert "7ABC123" in texts(found)


@pytest.mark.parametrize("fps", [1, 3, 10])
@pytest.mark.parametrize("after", ["7A8C123", "7ADC123"])
def test_two_near_plates_that_differ_in_a_look_alike_are_two_vehicles(after: str, fps: float) -> None:
    """Of two series: each was read surely from near, one after the other in the same place."""
    replay = Replay(fps)
    for text in ("7ABC123", after):
        for frames in range(round(4 * fps)):
            replay.look(near(text, 600, 200 + 110 * frames / fps, 60 + 15 * frames / fps))
        for _ in range(round(0.5 * fps)):
            replay.look()
    assert texts(replay.finish()) == sorted(["7ABC123", after])


@pytest.mark.parametrize(("width", "passes"), [(25.0, 1), (44.0, 2)])
def test_one_far_frame_that_is_not_sure_for_its_distance_begins_the_pass_that_comes_of_it(
    width: float, passes: int
) -> None:
    replay = Replay(fps=3)
    far = reading("8PJN383", box_at(446, 152, width), sure=4.2, noise=0.5, seed=3)
    assert far.confidence > 0.8
    replay.show(frame(far))
    for step in range(4):
        replay.show(frame(near("6PJ4383", 415 - 50 * step, 180 + 60 * step, width * 1.2 ** (step + 1))))
    found = replay.finish()
    assert len(found) == passes
    assert "6PJ4383" in texts(found)


@pytest.mark.parametrize("frames_after", [0, 90])
def test_of_two_moments_that_may_be_one_vehicles_one_is_reported(frames_after: int) -> None:
    """A pass that is dropped as a moment must not take the other with it."""
    replay = Replay(fps=15)
    replay.show(frame(near("7ABC123", 300, 300)))
    replay.show()
    replay.show(frame(near("7ABC124", 520, 420)))
    for _ in range(frames_after):
        replay.show()
    assert len(replay.finish()) == 1


def test_one_far_frame_gives_way_to_no_other_vehicle_that_crosses_as_far_away() -> None:
    replay = Replay(fps=2)
    first, second = (
        reading(text, box_at(x, 300, 27.0), sure=4.2, noise=0.5, seed=3)
        for text, x in (("8PJN383", 660), ("5ANM238", 638))
    )
    assert min(first.confidence, second.confidence) > 0.75
    replay.show(frame(first))
    replay.show()
    replay.show(frame(second))
    assert texts(replay.finish()) == ["5ANM238", "8PJN383"]


@pytest.mark.parametrize(("aside", "passes"), [(0.0, 1), (40.0, 2)])
def test_one_far_frame_of_a_slow_clip_is_the_pass_on_whose_way_it_is(aside: float, passes: int) -> None:
    replay = Replay(fps=2)
    for step in range(6):
        x, y, width = 443 - 18 * step, 108 + 13 * step, 20 * 1.1**step
        far = near("120XYK", x + aside, y, width)
        replay.show(frame(far if step == 1 else near("329PLG", x, y, width)))
    found = replay.finish()
    assert len(found) == passes
    assert "329PLG" in texts(found)


def hidden(text: str, left: float, right: float) -> PlateReading:
    return reading(text, box_between(left, 350.0, right, 379.0))


def box_between(left: float, top: float, right: float, bottom: float) -> PlateBox:
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return PlateBox(corners=corners, confidence=0.9)


@pytest.mark.parametrize(
    ("part", "left", "right", "passes"),
    [
        ("ADA5977", 468, 509, ["UMP5977"]), ("UMP59AA", 450, 491, ["UMP5977"]),
        ("ADA5977", 450, 491, ["ADA5977", "UMP5977"]),  # the equal ends are in different places
        ("ADA5177", 468, 509, ["ADA5177", "UMP5977"]), ("ADA5977", 450, 508, ["ADA5977", "UMP5977"]),
    ],
)  # fmt: skip
def test_a_parked_plate_half_hidden_and_misread_in_a_slow_clip_is_one_pass_once_it_is_whole(
    part: str, left: float, right: float, passes: list[str]
) -> None:
    replay = Replay(fps=2)
    for _ in range(3):
        replay.show(frame(hidden(part, left, right)))
    for _ in range(4):
        replay.show(frame(hidden("UMP5977", 450, 509)))
    assert texts(replay.finish()) == passes


def test_a_fleet_mate_that_stops_nearer_at_a_gate_does_not_uncover_the_one_before_it() -> None:
    """The two boxes share one end, but neither is narrower for its height."""
    replay = Replay(fps=3)
    for _ in range(9):
        replay.show(frame(near("9BFP154", 640, 400, 100)))
    replay.show()
    for _ in range(9):
        replay.show(frame(near("9BFP970", 648, 402, 116)))
    assert texts(replay.finish()) == ["9BFP154", "9BFP970"]


def cut_off(seen: PlateReading) -> PlateReading:
    """The reading of the plate as the picture's edge cuts it off."""
    cut = replace(seen.evidence, cut=True, trust=0.4)
    return replace(seen, evidence=cut, judged=Vote(DECODING, [cut]))


@pytest.mark.parametrize("edge", ["2KSN899", "2KSN"])
def test_a_fleet_mate_that_comes_in_over_the_edge_after_another_drove_away_is_a_pass_of_its_own(
    edge: str,
) -> None:
    replay = Replay(fps=15)
    for step in range(17):
        replay.look(near("2KSN999", 1100 - 3 * step, 650 - 9 * step, 80 * 0.97**step))
    for _ in range(15):
        replay.look()
    for step in range(40):
        text = edge if step == 0 else "2KSN899"
        seen = near(text, 1103 - 3 * step, 665 - 9 * step, 80 * 0.97**step)
        replay.look(cut_off(seen) if step == 0 else seen)
    assert texts(replay.finish()) == ["2KSN899", "2KSN999"]


def test_a_plate_cut_by_the_edge_where_its_car_was_hidden_is_the_same_pass() -> None:
    replay = Replay(fps=15)
    for step in range(30):
        x, cut = 700 + 22 * step, step >= 26
        seen = reading("7ABC" if cut else FLEET[0], box_at(x, 300, 60 if cut else 100))
        replay.show(frame(*([] if 12 <= step < 26 else [cut_off(seen) if cut else seen])))
    assert texts(replay.finish()) == [FLEET[0]]


@pytest.mark.parametrize(
    ("x", "y", "width", "lies"),
    [
        (150, 100, 60, True), (150 + 35, 100, 60, True), (150 + 37, 100, 60, False), (150, 137, 60, False),
        (150, 100, 69, True), (150, 100, 71, False), (150, 100, 51, False),
    ],
)  # fmt: skip
def test_a_glimpse_on_a_way_is_at_its_place_and_size(x: float, y: float, width: float, lies: bool) -> None:
    motion = Motion(0, box_at(100, 100, 60))
    assert between(motion, Motion(500_000, box_at(x, y, width)), 1_000_000, box_at(200, 100, 60)) is lies


@pytest.mark.parametrize("passed", [0.25, 0.5, 0.75])
def test_the_way_of_a_plate_that_comes_nearer_is_that_of_a_car_at_one_speed(passed: float) -> None:
    """From 30 to 5 m away it moves slowly in the picture at first, and grows late. In both directions."""

    def seen(share: float) -> PlateBox:
        far_m = 30 - 25 * share
        return box_at(500 - 1500 / far_m, 100 + 1800 / far_m, 450 / far_m)

    glimpse = Motion(int(passed * 1e6), seen(passed))
    assert between(Motion(0, seen(0.0)), glimpse, 1_000_000, seen(1.0))
    back = Motion(int(passed * 1e6), seen(1 - passed))
    assert between(Motion(0, seen(1.0)), back, 1_000_000, seen(0.0))


def test_two_sightings_are_no_glimpse_on_a_way() -> None:
    two = Motion(400_000, box_at(140, 100, 60))
    two.take(500_000, box_at(150, 100, 60))
    motion = Motion(0, box_at(100, 100, 60))
    assert not between(motion, two, 1_000_000, box_at(200, 100, 60))


@pytest.mark.parametrize(
    ("left", "top", "right", "bottom", "end"),
    [
        (100, 50, 180, 100, "left"), (120, 50, 200, 100, "right"), (109, 59, 180, 100, "left"),
        (100, 50, 191, 100, None), (100, 61, 180, 100, None), (100, 50, 180, 89, None),
        (111, 50, 189, 100, None), (100, 52, 189, 97, None),
    ],
)  # fmt: skip
def test_a_part_of_a_plate_shares_an_end_with_it(
    left: float, top: float, right: float, bottom: float, end: str | None
) -> None:
    assert shared_end(box_between(left, top, right, bottom), box_between(100, 50, 200, 100)) == end


def in_turn(jump: float, start: float, *, frames: int = 24) -> list[str]:
    """A shaking picture shows two texts in turn, never both, for a plate of this width at the start."""
    replay = Replay(fps=20)
    for step in range(frames):
        mate = step % 4 in (1, 2)
        x, width = 500 + 2 * step + (jump if mate else 0.0), start * 1.01**step
        replay.show(frame(near(MATE if mate else FLEET[0], x, 300 + step, width)))
    for _ in range(70):
        replay.show()
    return texts(replay.finish())


@pytest.mark.parametrize(("start", "passes"), [(24.0, 1), (30.0, 1), (41.0, 2)])
def test_a_far_plate_read_in_two_ways_in_turn_is_one_and_a_near_one_two(start: float, passes: int) -> None:
    """However often and surely: two vehicles at that distance would soon be seen in one frame."""
    assert len(in_turn(60.0, start)) == passes


def test_a_mate_seen_twice_while_a_pass_was_missed_for_long_stays_a_pass() -> None:
    """The frame in which the edge cuts off the mate goes to the pass that left there before."""
    replay = Replay(fps=5)
    for x, y, width in ((700, 230, 35), (770, 265, 45), (811, 319, 51), (853, 395, 64)):
        replay.show(frame(near("2NLD853", x, y, width)))
    replay.show()
    for x, y, width in ((799, 302, 49), (841, 370, 63)):
        replay.show(frame(near("2NLD858", x, y, width)))
    replay.show(frame(near("2NLD853", 1101, 475, 73)))
    assert texts(replay.finish()) == ["2NLD853", "2NLD858"]


@pytest.mark.parametrize(("leaves", "passes"), [(True, 1), (False, 2)])
def test_a_text_that_was_seen_whole_is_found_again_where_the_edge_cuts_its_plate(
    leaves: bool, passes: int
) -> None:
    """Half a picture farther, at two frames a second. Alone, the reading says little: cut off or hidden."""
    replay = Replay(fps=2)
    replay.show(frame(near("FUU9736", 213, 414, 65)))
    there = near("FUU9736", 1240, 420, 76)
    doubt = Told(text=replace(there.judged.text, confidence=0.4))
    evidence = replace(there.evidence, trust=0.4, cut=leaves)
    replay.show(frame(replace(there, judged=doubt, evidence=evidence)))
    assert len(replay.finish()) == passes


@pytest.mark.parametrize(("width", "times", "passes"), [(21.0, 1, 0), (21.0, 2, 1), (29.0, 1, 1)])
def test_one_unsure_look_at_a_very_far_plate_is_not_a_pass(width: float, times: int, passes: int) -> None:
    replay = Replay(fps=2)
    for step in range(times):
        replay.show(frame(reading("MWE4308", box_at(408 - step, 146, width), sure=5.0, noise=1.0, seed=8)))
    assert len(replay.finish()) == passes


def test_a_far_plate_of_which_one_look_counts_is_not_a_pass_if_it_was_found_once_more() -> None:
    replay = Replay(fps=2)
    replay.show(frame(reading("MWE4308", box_at(408, 146, 21.0), sure=5.0, noise=1.0, seed=8)))
    replay.show(frame(unread=[box_at(407, 147, 21.0)]))
    assert replay.finish() == []


def test_a_far_pass_taken_over_does_not_hide_another_from_before_the_near_one() -> None:
    """At two frames a second, the distant frames are misread differently; the first is taken over first."""
    replay = Replay(fps=2)
    first = reading("6KT1J24", box_at(458, 157, 25), sure=4.5)
    assert first.confidence > SURE
    replay.show(frame(first))
    for text, x, y, width in (
        ("5KZ1724", 444, 172, 27),
        ("6KZ1724", 425, 190, 30),
        ("6KZ1724", 404, 212, 33),
    ):
        replay.show(frame(near(text, x, y, width)))
    for x, y, width in ((376, 241, 38), (335, 283, 44), (284, 336, 50), (209, 408, 60), (90, 520, 78)):
        replay.show(frame(near("6KZ1724", x, y, width)))
    for _ in range(8):
        replay.show()
    assert texts(replay.finish()) == ["6KZ1724"]


@pytest.mark.parametrize(("text", "passes"), [("C123", 1), ("X123", 1), ("XY23", 2)])
def test_what_glare_left_of_a_plate_in_one_frame_is_a_moment_of_its_pass(text: str, passes: int) -> None:
    replay = Replay(fps=5)
    for step in range(20):
        x, width = 300 + 20 * step, 34 * 1.04**step
        if not 10 <= step < 16:
            replay.show(frame(near(FLEET[0], x, 300, width)))
        else:  # washed out, except for one end in one frame
            replay.show(frame(near(text, x + 12, 300, 0.8 * width)) if step == 14 else frame())
    for _ in range(40):
        replay.show()
    assert len(replay.finish()) == passes
