"""A plate that an obstacle or the edge of the picture partly hides: one complete pass."""

from __future__ import annotations

from dataclasses import replace

import pytest
from detector_twins import frame, reading
from tracker_twins import Replay, near, texts

from detector.plates import PlateBox, PlateReading


@pytest.mark.parametrize("away", [0, 3])
@pytest.mark.parametrize("then", ["waits", "leaves", "stays"])
def test_what_an_obstacle_left_of_a_plate_is_part_of_its_pass(away: int, then: str) -> None:
    """A post across the plate splits it into two boxes, read separately, before the whole plate shows."""
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
def test_the_next_vehicle_behind_an_obstacle_is_not_a_part_of_the_one_before(gap: int) -> None:
    """Both begin with the part of the first that a post left visible, as two plates of one series do."""
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


def from_behind_a_post(
    text: str, shown: int, x: float, width: float = 100.0, *, half: str = ""
) -> PlateReading:
    """The last characters of a plate, in a box of that width; `half`: the misread first one of them."""
    share = shown / len(text)
    left, right = x + width / 2 - width * share, x + width / 2
    box = PlateBox(
        corners=((left, 280.0), (right, 280.0), (right, 320.0), (left, 320.0)),
        confidence=0.8,
    )
    seen = reading(half + text[-shown + len(half) :], box)
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


@pytest.mark.parametrize("fps", [2, 5])
@pytest.mark.parametrize(
    ("hidden", "missed"),
    [({6, 8, 9}, {7}), ({7, 8, 9, 10}, {6, 11}), ({14, 15}, {12, 13}), ({0, 1}, {2})],
    ids=["in turn", "in the middle", "at last", "at first"],
)
def test_a_plate_whose_half_hidden_character_is_misread_is_one_whole_pass(
    fps: float, hidden: set[int], missed: set[int]
) -> None:
    replay = Replay(fps)
    for step in range(16):
        part = step in hidden
        seen = from_behind_a_post("7ABC123", 4 if part else 7, 400 + 4 * step, half="X" if part else "")
        replay.look(*([] if step in missed else [seen]))
    (one,) = replay.finish()
    assert (one.text.text, one.first_us) == ("7ABC123", replay.step_us)
    assert one.text.confidence > 0.9
    assert one.best_sequence not in hidden


def test_two_whole_looks_outvote_ten_of_a_cut_and_misread_character_but_are_not_sure() -> None:
    replay = Replay(fps=5)
    for step in range(12):
        replay.look(from_behind_a_post("7ABC123", 7 if step < 2 else 6, 400, half="" if step < 2 else "X"))
    (one,) = replay.finish()
    assert (one.text.text, one.best_sequence) == ("7ABC123", 0)
    assert 0.5 < one.text.confidence < 0.7


def as_wide_as(text: str) -> PlateReading:
    """A plate whose box is as wide as its text is long, about one center."""
    half = 7.2 * len(text)
    corners = ((400 - half, 280.0), (400 + half, 280.0), (400 + half, 320.0), (400 - half, 320.0))
    seen = reading(text, PlateBox(corners=corners, confidence=0.8))
    return replace(seen, evidence=replace(seen.evidence, aspect=seen.box.aspect))


@pytest.mark.parametrize("longer", ["1XABC123", "7ABC12B1"])
@pytest.mark.parametrize(("wide", "agreed"), [(2, 5), (2, 10), (2, 20), (2, 40), (4, 40)], ids=str)
@pytest.mark.parametrize("order", ["first", "last", "spread"])
def test_a_few_looks_that_read_a_bolt_as_a_character_are_never_sure_against_those_that_agree(
    longer: str, wide: int, agreed: int, order: str
) -> None:
    """In these looks the box takes in the bolt too, so that it is wider."""
    replay = Replay(fps=5)
    looks = wide + agreed
    bolt = {
        "first": range(wide),
        "last": range(agreed, looks),
        "spread": range(looks // wide // 2, looks, looks // wide),
    }[order]
    for step in range(looks):
        replay.look(as_wide_as(longer if step in bolt else "7ABC123"))
    (one,) = replay.finish()
    assert one.text.text == "7ABC123" or (one.text.text == longer and one.text.confidence < 0.7)
    if agreed >= 20 and order != "last":
        assert one.text.text == "7ABC123"
        assert one.text.confidence > 0.9


@pytest.mark.parametrize("fps", [5, 20])
def test_a_settled_plate_whose_cut_character_is_misread_for_half_as_long_stays_sure(fps: float) -> None:
    replay = Replay(fps)
    for step in range(60):
        part = step >= 40
        replay.look(from_behind_a_post("7ABC123", 6 if part else 7, 400, half="X" if part else ""))
    (one,) = replay.finish()
    assert one.text.text == "7ABC123"
    assert one.text.confidence > 0.9


def test_an_end_is_of_its_plate_only_if_two_frames_gave_the_whole_text() -> None:
    end = from_behind_a_post("7ABC123", 4, 400, half="X")
    alike = {}
    for other in ("7ABC123", "7ABC1"):
        replay = Replay(fps=5)
        for text in ("7ABC123", other):
            replay.look(reading(text, from_behind_a_post("7ABC123", 7, 400).box))
        (track,) = replay.tracker._tracks
        assert track.vote.leader == "7ABC123"
        alike[other] = track.likeness(end) == "unclear"
    assert alike == {"7ABC123": True, "7ABC1": False}


def test_two_looks_that_read_a_sticker_as_a_character_do_not_outvote_the_plate_in_as_wide_a_box() -> None:
    replay = Replay(fps=5)
    box = from_behind_a_post("7ABC123", 7, 400).box
    for step in range(12):
        replay.look(reading("1XABC123" if step < 2 else "7ABC123", box))
    assert "7ABC123" in texts(replay.finish())


def test_a_whole_plate_that_resembles_the_end_of_another_is_another_vehicle() -> None:
    replay = Replay(fps=5)
    for step in range(16):
        whole = from_behind_a_post("7ABC123", 7, 400)
        replay.look(reading("X123", whole.box) if step > 6 else whole)
    assert texts(replay.finish()) == ["7ABC123", "X123"]


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
