"""Cutting out a plate reverses the perspective in which it was drawn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from detector.card import PatchRules
from detector.errors import DegenerateCornersError
from detector.rectify import corners_in_frame, cut_patch, mapped, normalized, projection

SIZE = (48, 144)
OUTLINE = np.array([[0.0, 0.0], [144.0, 0.0], [144.0, 48.0], [0.0, 48.0]])
shift = st.floats(-0.18, 0.18)


def plate_picture() -> NDArray[np.uint8]:
    """A smooth 48x144 picture in which each place has its own luma."""
    y, x = np.mgrid[:48, :144]
    wave = 128 + 60 * np.sin(x / 7.0 + y / 19.0) + 50 * np.cos(y / 6.0 - x / 23.0)
    made: npt.NDArray[np.uint8] = np.clip(wave, 0, 255).astype(np.uint8)
    return made


def in_frame(quad: NDArray[np.float64], frame: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture drawn into a gray frame inside a quad."""
    back = projection(quad, OUTLINE)
    picture = Image.fromarray(plate_picture())
    drawn = picture.transform(
        (frame[1], frame[0]),
        Image.Transform.PERSPECTIVE,
        (back / back[2, 2]).reshape(9)[:8].tolist(),
        Image.Resampling.BICUBIC,
    )
    return np.asarray(drawn)


@st.composite
def quads(draw: st.DrawFn) -> NDArray[np.float64]:
    width = draw(st.floats(150, 420))
    height = width / draw(st.floats(2, 4))
    center = np.array([draw(st.floats(240, 400)), draw(st.floats(180, 300))])
    unit = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    unit = unit + np.array([[draw(shift), draw(shift)] for _ in range(4)]) * 0.6
    angle = draw(st.floats(-0.35, 0.35))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    made: npt.NDArray[np.float64] = (unit * (width, height)) @ turn + center
    return made


@settings(max_examples=40, deadline=None)
@given(quads())
def test_a_plate_in_perspective_comes_out_as_it_went_in(quad: NDArray[np.float64]) -> None:
    frame = in_frame(quad, (480, 640))
    try:
        patch = cut_patch(frame, quad, SIZE, (0.0, 0.0))
    except DegenerateCornersError:
        assume(False)
        return
    inner = (slice(4, -4), slice(4, -4))
    error = np.abs(patch.luma[inner].astype(int) - plate_picture()[inner].astype(int))
    # the picture's steepest slope is 13 gray levels per px: a shift of one px would differ by more
    assert np.quantile(error, 0.9) <= 10
    assert mapped(OUTLINE, patch.to_frame) == pytest.approx(quad, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(quads())
def test_projection_takes_each_corner_to_its_own(quad: NDArray[np.float64]) -> None:
    there, back = projection(OUTLINE, quad), projection(quad, OUTLINE)
    assert mapped(OUTLINE, there) == pytest.approx(quad, abs=1e-6)
    middle = np.array([[72.0, 24.0], [10.0, 40.0]])
    assert mapped(mapped(middle, there), back) == pytest.approx(middle, abs=1e-6)


def test_margin_shows_half_of_its_share_on_either_side() -> None:
    luma = np.zeros((200, 400), np.uint8)
    luma[80:120, 100:220] = 255
    corners = ((100.0, 80.0), (220.0, 80.0), (220.0, 120.0), (100.0, 120.0))
    patch = cut_patch(luma, corners, (50, 150), (0.25, 0.25)).luma
    assert patch[25, 20] > 200
    assert patch[25, 10] < 60
    assert patch[8, 75] > 200
    assert patch[2, 75] < 60


def test_a_plate_much_larger_than_the_patch_does_not_alias() -> None:
    luma = np.zeros((800, 1600), np.uint8)
    luma[:, ::2] = 255
    corners = ((100.0, 100.0), (1500.0, 100.0), (1500.0, 560.0), (100.0, 560.0))
    patch = cut_patch(luma, corners, SIZE, (0.0, 0.0)).luma
    assert patch.astype(int).std() < 8
    assert abs(patch.astype(int).mean() - 127) < 4


def test_corners_seen_in_the_patch_are_found_again_in_the_frame() -> None:
    quad = np.array([[100.0, 90.0], [300.0, 110.0], [296.0, 180.0], [104.0, 150.0]])
    patch = cut_patch(np.zeros((400, 500), np.uint8), quad, SIZE, (0.1, 0.2))
    side_x, side_y = 0.5 / 1.1, 0.5 / 1.2
    offsets = np.array([-side_x, -side_y, side_x, -side_y, side_x, side_y, -side_x, side_y], np.float32)
    assert corners_in_frame(offsets, patch) == pytest.approx(quad, abs=1e-3)


@pytest.mark.parametrize(
    "corners",
    [
        pytest.param(((10, 10), (10, 10), (10, 10), (10, 10)), id="one point"),
        pytest.param(((10, 10), (50, 10), (90, 10), (10, 30)), id="three on a line"),
        pytest.param(((10, 10), (90, 40), (90, 10), (10, 40)), id="crossed"),
        pytest.param(((10, 10), (10, 40), (90, 40), (90, 10)), id="anticlockwise"),
        pytest.param(((10, 10), (90, 10), (90, 11), (10, 11)), id="a pixel high"),
        pytest.param(((float("nan"), 10), (90, 10), (90, 40), (10, 40)), id="not a number"),
        pytest.param(((510, 410), (590, 410), (590, 440), (510, 440)), id="outside the frame"),
    ],
)
def test_corners_that_span_nothing_are_refused(corners: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(DegenerateCornersError):
        cut_patch(np.zeros((100, 200), np.uint8), np.array(corners, np.float64), SIZE, (0.1, 0.1))


def test_a_plate_half_outside_the_frame_is_still_cut_out() -> None:
    luma = np.full((100, 200), 200, np.uint8)
    patch = cut_patch(
        luma, ((150.0, 40.0), (250.0, 40.0), (250.0, 70.0), (150.0, 70.0)), SIZE, (0.0, 0.0)
    ).luma
    assert patch[:, :60].min() > 190
    assert patch[:, 90:].max() < 10


@settings(max_examples=50, deadline=None)
@given(st.floats(20, 200), st.floats(8, 50), st.integers(0, 1000))
def test_contrast_is_set_to_the_cards_mean_and_deviation(mean: float, spread: float, seed: int) -> None:
    rules = PatchRules()
    noise = np.random.default_rng(seed).normal(mean, spread, SIZE)
    patch = np.clip(noise, 0, 255).astype(np.uint8)
    out = normalized(patch, rules).astype(float)
    assert out.mean() == pytest.approx(rules.mean, abs=6)
    assert out.std() == pytest.approx(rules.deviation, rel=0.15)


def test_a_flat_patch_stays_flat() -> None:
    patch = np.full(SIZE, 90, np.uint8)
    patch[::2] = 91
    assert normalized(patch, PatchRules()).astype(float).std() < 10
