"""Looks at one plate that differ: which of them count, and what confidence is left."""

from __future__ import annotations

import pytest
from detector_twins import box_at, frame, reading
from tracker_twins import Replay, near, texts

from detector.look_history import RIVAL_TRUST, LookHistory
from detector.plates import PlateReading


def looked(*given: tuple[str, float, int]) -> LookHistory:
    """A LookHistory of (text, width, count)."""
    looks = LookHistory()
    for text, width, count in given:
        for _ in range(count):
            looks.add(text, width)
    return looks


@pytest.mark.parametrize(
    ("given", "doubted"),
    [
        ([("VHK664", 60, 4), ("YHK664", 60, 2)], True),
        ([("VHK664", 60, 5), ("YHK664", 60, 2)], False),  # fewer than a third
        ([("VHK664", 60, 1), ("YHK664", 60, 1)], False),  # one look proves nothing
        ([("VHK664", 60, 4), ("YHK664", 60, 1), ("VRK664", 60, 1)], False),  # misread in two ways
        ([("VHK664", 60, 4), ("YHK664", 35, 4)], False),  # from a distance
        ([("VHK664", 35, 9), ("YHK664", 60, 2)], True),  # the looks that gave the text are the far ones
        ([("VHK664", 60, 4), ("VHK66", 60, 4)], False),  # the part that an obstacle leaves
        ([("VHK600", 60, 4), ("VHK6OO", 60, 4)], False),  # plates use one die for both
        ([("VHK664", 60, 200), ("YHK664", 60, 40)], True),  # only the newest 64 count
    ],
)
def test_a_text_is_doubted_that_another_rivals_in_near_looks(
    given: list[tuple[str, float, int]], doubted: bool
) -> None:
    assert looked(*given).trust(given[0][0]) == (RIVAL_TRUST if doubted else 1.0)


def test_no_looks_doubt_nothing_and_those_of_two_passes_count_together() -> None:
    one, other = looked(("VHK664", 60, 3)), looked(("YHK664", 60, 2))
    assert LookHistory().trust("VHK664") == one.trust("VHK664") == 1.0
    one.join(other)
    assert one.trust("VHK664") == RIVAL_TRUST


@pytest.mark.parametrize(
    ("given", "often"),
    [
        ([("132MTO", 30, 9), ("132MTD", 30, 3)], True),
        ([("132MTO", 30, 10), ("132MTD", 30, 3)], False),
        ([("132MTO", 30, 2), ("132MTD", 30, 2)], False),
    ],
)
def test_a_plate_is_often_read_in_another_way_that_a_quarter_of_its_looks_gave(
    given: list[tuple[str, float, int]], often: bool
) -> None:
    assert looked(*given).often("132MTD") is often


@pytest.mark.parametrize(("width", "passes"), [(34.0, 1), (60.0, 2)])
def test_a_far_plate_read_in_two_ways_is_one_pass_when_the_picture_jumps(width: float, passes: int) -> None:
    """The second text is not another vehicle's: frames of the pass itself gave it as often."""
    replay = Replay(fps=20)
    for step in range(24):
        replay.show(frame(near("132MTD" if step % 3 == 0 else "132MTO", 400, 300, width)))
    for step in range(6):
        replay.show(frame(near("132MTD", 400, 300 + 4 * width + step, width)))
    assert len(replay.finish()) == passes


def test_a_far_plate_read_in_two_ways_takes_no_fleet_mate_that_is_seen_beside_it() -> None:
    replay = Replay(fps=20)
    for step in range(24):
        replay.show(frame(near("132MTD" if step % 3 == 0 else "132MTO", 400, 300, 34)))
    for _ in range(6):
        replay.show(frame(near("132MTO", 400, 300, 34), near("132MTD", 400, 436, 34)))
    assert texts(replay.finish()) == ["132MTD", "132MTO"]


def parked(text: str) -> PlateReading:
    return reading(text, box_at(400, 300, 80), sure=6.0)


@pytest.mark.parametrize(("others", "sure"), [(1, True), (6, False)])
def test_a_pass_whose_looks_differ_is_not_sure(others: int, *, sure: bool) -> None:
    replay = Replay(fps=10)
    for number in range(12):
        replay.look(parked("YHK664" if number in range(6, 6 + others) else "VHK664"))
    (one,) = replay.finish()
    assert (one.text.text, one.text.confidence >= 0.76) == ("VHK664", sure)


def test_the_near_looks_decide_though_the_vote_was_settled_from_afar() -> None:
    """Looks from far away outweigh no other text that looks from near gave."""
    replay = Replay(fps=20)
    for step in range(30):
        replay.look(near("JLPU61", 400 + 4 * step, 200 + 2 * step, 30 + 0.7 * step))
    for step in range(5):
        replay.look(near("JLP461", 520 + 5 * step, 260 + 4 * step, 54 + 3 * step))
    assert texts(replay.finish()) == ["JLP461"]


@pytest.mark.parametrize(("width", "passes"), [(42.0, 1), (50.0, 2)])
def test_a_letter_read_for_a_digit_as_a_car_drives_away_makes_no_second_pass(
    width: float, passes: int
) -> None:
    replay = Replay(fps=5)
    for step in range(4):
        replay.show(frame(near("797BBY", 600, 400 - 30 * step, 88 * (width / 88) ** (step / 4))))
    for step in range(3):
        replay.show(frame(near("7978BY", 640, 280 - 20 * step, width * 0.93**step)))
    assert len(replay.finish()) == passes


@pytest.mark.parametrize(("step_px", "surer"), [(0.0, False), (0.8, False), (5.0, True)])
def test_an_unmoved_plate_is_as_sure_as_one_of_its_frames_and_one_that_moved_may_be_surer(
    step_px: float, surer: bool
) -> None:
    """Frames of one view make the same error, however many agree."""
    replay = Replay(fps=2.0)
    looks = [reading("7ABC123", box_at(600 + step_px * n, 400), sure=2.0, seed=n) for n in range(6)]
    alone = sorted(one.confidence for one in looks)[3]
    for look in looks:
        replay.show(frame(look))
    (one,) = replay.finish()
    assert one.text.text == "7ABC123"
    assert (one.text.confidence > alone) is surer
