"""A plate of two lines is read line by line, or is not sure; a plate of one line is not affected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from detector_twins import FIND, DrawnDetector, ScriptedReader, reader_card
from hypothesis import given
from hypothesis import strategies as st

from detector.card import DetectorCard, ModelFile, NetInput
from detector.plates import ALPHABET, PlateReading
from detector.reader import PlateReader
from detector.training.render import camera
from detector.training.render.plates import render_plate
from detector.training.render.press import RenderedPlate
from detector.training.render.square_plates import square_plate
from detector.two_lines import (
    find_gap,
    has_two_lines,
    is_serial_line,
    join_columns,
    line_corners,
    may_have_two_lines,
    shows_one_line,
)

pytestmark = pytest.mark.slow

NET = (216, 384)


def printed(rows: list[tuple[int, int]]) -> np.ndarray:
    """A patch with upright strokes in these rows."""
    patch = np.full((48, 144), 200, np.uint8)
    for top, foot in rows:
        patch[top:foot, 14:130:6] = 30
    return patch


def test_the_gap_between_two_lines_is_found_where_it_is() -> None:
    gap = find_gap(printed([(8, 20), (28, 42)]), 0.12)
    assert 0.35 < gap.place < 0.65
    assert gap.depth > 2
    assert find_gap(printed([(14, 34)]), 0.12).depth < 1.2


def test_a_wide_plate_is_never_looked_at_line_by_line() -> None:
    gap = find_gap(printed([(8, 20), (28, 42)]), 0.12)
    assert may_have_two_lines(1.4, gap)
    assert not may_have_two_lines(3.0, gap)


def test_sure_lines_in_a_high_box_are_two_and_unsure_ones_in_a_wide_box_one() -> None:
    deep, shallow = find_gap(printed([(8, 20), (28, 42)]), 0.12), find_gap(printed([(14, 34)]), 0.12)
    assert has_two_lines(1.5, deep, 0.5, 0.95, 0.95)
    assert not has_two_lines(1.9, shallow, 0.95, 0.01, 0.5)


@given(st.floats(0.3, 0.7), st.floats(-0.05, 0.05))
def test_two_lines_cover_the_plate_and_no_more(place: float, overlap: float) -> None:
    corners = ((10.0, 10.0), (110.0, 14.0), (110.0, 74.0), (10.0, 70.0))
    upper, lower = line_corners(corners, place, overlap)
    assert upper[:2] == corners[:2]
    assert lower[2:] == corners[2:]
    assert upper[3][1] - lower[0][1] == pytest.approx(2 * overlap * 60)


@pytest.mark.parametrize(("line", "serial"), [("ARIZONA", False), ("TX", True), ("KS123", True), ("", False)])
def test_a_states_name_is_not_a_line_of_a_serial(line: str, *, serial: bool) -> None:
    assert is_serial_line(tuple(ALPHABET.index(sign) for sign in line)) == serial


def test_joined_columns_keep_equal_characters_on_both_sides_of_the_gap_apart() -> None:
    from detector.ctc import best_path

    one = np.full((3, 37), 1e-3, np.float32)
    one[:, 5] = 0.9
    assert best_path(join_columns(one, one).astype(np.float64)) == (5, 5)


def drawn(script: list[str], height: float, *, still: bool = False) -> PlateReading:
    """The reading of a drawn plate, 200 px wide in the frame, with a gap between the rows of its print."""
    frame = np.full((720, 1280), 200, np.uint8)
    top, foot = 333, 333 + round(height)
    middle = (top + foot) // 2
    frame[top + 8 : middle - 6, 340:530:8] = 30
    frame[middle + 6 : foot - 8, 340:530:8] = 30
    finding = DetectorCard(
        path=Path("plate-detector.toml"),
        model=ModelFile(kind="plate-detector", file="plate-detector.tflite", sha256="1" * 64),
        input=NetInput(height=NET[0], width=NET[1]),
        outputs={name: name for name in ("heat", "box", "corners")},
        find=FIND,
    )
    quad = ((100.0, 100.0), (160.0, 100.0), (160.0, 100.0 + height * 0.3), (100.0, 100.0 + height * 0.3))
    detector = DrawnDetector(NET, [(quad, 0.9)])
    reader = PlateReader(detector, finding, ScriptedReader(script), reader_card(second_look=False))
    (seen,) = reader.read(frame, wanted=None if still else lambda _box: True).readings
    return seen


def test_both_lines_are_one_text_upper_first() -> None:
    seen = drawn(["7W4", "12L", "7457", "12L", "7457"], 130)
    assert seen.text.text == "12L7457"
    assert seen.confidence > 0.6


def test_lines_that_look_otherwise_when_cut_otherwise_are_less_sure() -> None:
    agreed, not_agreed = (drawn(["7W4", "12L", "7457", "12L", lower], 130) for lower in ("7457", "1451"))
    assert not_agreed.confidence < agreed.confidence


def test_in_a_still_lines_are_parted_elsewhere_until_both_are_read() -> None:
    script = ["7W4", "", "7457", "12L", "7457", "12L", "7457", "", "7457", "12L", ""]
    assert drawn(script, 130).confidence < 0.5
    seen = drawn(script, 130, still=True)
    assert seen.text.text == "12L7457"
    assert len(seen.evidence.paths) == 3


def test_halves_of_characters_that_change_with_every_cut_are_not_lines() -> None:
    script = ["7W4", "12L", "7457", "1ZL", "7457", "J2L", "7457", "77I", "7457", "", "7457"]
    assert drawn(script, 130, still=True).text.text == "7W4"


def test_a_line_that_is_a_states_name_leaves_one_line_that_is_not_sure() -> None:
    seen = drawn(["7457", "ARIZONA", "7457"], 130)
    assert seen.text.text == "7457"
    assert seen.confidence < 0.5


def test_a_whole_text_surely_read_is_hardly_doubted_where_the_box_shows_signs_of_two_lines() -> None:
    seen = drawn(["7ABC124", "", "1451"], 130)
    assert seen.text.text == "7ABC124"
    assert 0.5 < seen.evidence.trust < 1.0
    assert drawn(["7457", "", "1451"], 130).evidence.trust < 0.5  # so short a text may be one of two lines


@pytest.mark.parametrize(
    ("whole", "upper", "lower", "one"),
    [
        pytest.param("7ABC124", "", "7ABC124", True, id="a name above that gives no text"),
        pytest.param("7ABC124", "7ABC128", "", True, id="a frame below, and a character otherwise"),
        pytest.param("159MML", "", "159ML", True, id="a character less where the cut is lower"),
        pytest.param("XHE350", "U", "XHE350", True, id="a bolt above"),
        pytest.param("XHE350", "U", "XHE850", False, id="a bolt above, and another text"),
        pytest.param("7W4", "", "7457", False, id="the whole gives neither line"),
        pytest.param("596", "SJP", "596", False, id="one line of two"),
        pytest.param("", "", "", False, id="nothing at all"),
        pytest.param("", "12L", "7457", False, id="two lines that give no text together"),
    ],
)
def test_the_texts_of_the_parts_distinguish_one_line_from_two(
    whole: str, upper: str, lower: str, *, one: bool
) -> None:
    assert shows_one_line(1.6, whole, upper, lower) == one
    assert not shows_one_line(1.0, whole, upper, lower)  # so high a box is never one line


@pytest.mark.parametrize("script", [["7ABC124", "", "7ABC124"], ["7ABC124", "7ABC124", ""]])
def test_a_plate_of_one_line_under_a_states_name_is_as_sure_as_any(script: list[str]) -> None:
    seen = drawn(script, 130)
    assert seen.text.text == "7ABC124"
    assert seen.confidence > 0.9


def test_a_plate_of_one_line_costs_no_look_more() -> None:
    assert drawn(["7ABC124", "XXX", "YYY"], 60).text.text == "7ABC124"


def on_a_wall(plate: RenderedPlate, width: int) -> np.ndarray:
    """A picture of a plate on a plain wall."""
    wall = np.full((540, 960), 110, np.uint8)
    height, wide = plate.luma.shape
    own = np.array([(0, 0), (wide, 0), (wide, height), (0, height)], np.float64)
    high = width * height / wide
    left, top = 430, 240
    quad = np.array([(left, top), (left + width, top), (left + width, top + high), (left, top + high)])
    return camera.defocus(camera.place(wall, plate.luma, plate.alpha, own, quad), 0.6)


def folded(text: str) -> str:
    return text.replace("O", "0").replace("I", "1")


@pytest.mark.thorough
def test_rendered_plates_of_two_lines_are_mostly_read_and_hardly_ever_surely_wrong(
    shipped: PlateReader,
) -> None:
    right = wrong = 0
    for seed in range(40):
        plate = square_plate(np.random.default_rng([seed, 77]))
        for seen in shipped.read(on_a_wall(plate, 110)).readings:
            right += folded(seen.text.text) == folded(plate.text)
            wrong += folded(seen.text.text) != folded(plate.text) and seen.confidence >= 0.7
    assert right >= 18
    assert wrong <= 3


@pytest.mark.thorough
def test_rendered_plates_of_one_line_are_read_as_before(shipped: PlateReader) -> None:
    right = 0
    for seed in range(30):
        plate = render_plate(np.random.default_rng([seed, 78]), jurisdiction="US")
        seen = shipped.read(on_a_wall(plate, 110)).readings
        right += any(folded(one.text.text) == folded(plate.text) and one.confidence > 0.5 for one in seen)
    assert right >= 24
