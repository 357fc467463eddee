"""Boxes are found in the maps where they were drawn, and mapped back to frame px."""

from __future__ import annotations

import numpy as np
import pytest
from detector_twins import FIND, DrawnDetector, detector_maps
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import PictureError
from detector.find import decode, find_plates, letterbox, plan_letterbox, suppress

NET = (432, 768)
Corner = tuple[float, float]
Quad = tuple[Corner, Corner, Corner, Corner]


def quad(x: float, y: float, width: float, height: float, slant: float = 0.0) -> Quad:
    """Corners around a center, with the upper edge shifted sideways by ``slant``."""
    w, h = width / 2, height / 2
    return ((x - w + slant, y - h), (x + w + slant, y - h), (x + w - slant, y + h), (x - w - slant, y + h))


@st.composite
def scenes(draw: st.DrawFn) -> list[tuple[Quad, float]]:
    """Up to four plates, each in its own part of the net's picture."""
    cells = draw(st.lists(st.integers(0, 5), max_size=4, unique=True))
    plates = []
    for cell in cells:
        width = draw(st.floats(16, 190))
        height = width / draw(st.floats(1.6, 5))
        x = 128 + 256 * (cell % 3) + draw(st.floats(-20, 20))
        y = 108 + 216 * (cell // 3) + draw(st.floats(-15, 15))
        plates.append((quad(x, y, width, height, draw(st.floats(-3, 3))), draw(st.floats(0.5, 0.95))))
    return plates


@pytest.mark.one_python
@settings(max_examples=60, deadline=None)
@given(scenes())
def test_every_drawn_plate_is_found_once_at_its_place(plates: list[tuple[Quad, float]]) -> None:
    found = decode(detector_maps(plates, NET), FIND)
    assert len(found.scores) == len(plates)
    for corners, score in plates:
        truth = np.array(corners)
        width = np.ptp(truth[:, 0])
        errors = np.abs(found.corners - truth).max(axis=(1, 2))
        best = int(np.argmin(errors))
        # one int8 step of log w is 3 % of the width, and so is one of dx
        assert errors[best] <= 0.05 * width + 0.5
        assert found.scores[best] == pytest.approx(score, abs=0.12)
    assert list(found.scores) == sorted(found.scores, reverse=True)


def test_an_empty_picture_gives_no_boxes() -> None:
    found = decode(detector_maps([], NET), FIND)
    assert found.scores.shape == (0,)
    assert found.corners.shape == (0, 4, 2)


def test_a_plate_under_the_threshold_is_not_given() -> None:
    assert not len(decode(detector_maps([(quad(300, 200, 80, 30), 0.2)], NET), FIND).scores)


def test_no_more_boxes_are_given_than_the_card_allows() -> None:
    plates = [(quad(40 + 60 * (i % 12), 40 + 60 * (i // 12), 30, 12), 0.9) for i in range(60)]
    assert len(decode(detector_maps(plates, NET), FIND).scores) == FIND.most


def test_half_a_plate_inside_a_better_box_is_suppressed() -> None:
    boxes = np.array([[0, 0, 100, 40], [5, 2, 45, 38], [200, 0, 300, 40]], np.float32)
    scores = np.array([0.9, 0.6, 0.7], np.float32)
    assert suppress(boxes, scores, 0.35).tolist() == [0, 2]


frames = st.tuples(st.integers(40, 2000), st.integers(40, 2600))


@settings(max_examples=100, deadline=None)
@given(frames, st.floats(0, 1), st.floats(0, 1))
def test_a_point_goes_into_the_net_and_back(frame: tuple[int, int], x: float, y: float) -> None:
    place = plan_letterbox(frame, NET)
    assert place.width <= NET[1]
    assert place.height <= NET[0]
    point = np.array([x * frame[1], y * frame[0]])
    inside = point * (place.scale_x, place.scale_y)
    assert (inside <= (place.width + 1e-6, place.height + 1e-6)).all()
    assert place.to_frame(inside) == pytest.approx(point)


@pytest.mark.parametrize("shape", [(720, 1280), (1080, 1920), (480, 640), (1200, 900), (90, 160), (432, 768)])
def test_the_frame_fills_its_place_and_padding_the_rest(shape: tuple[int, int]) -> None:
    luma = np.full(shape, 200, np.uint8)
    picture, place = letterbox(luma, NET, 114)
    assert picture.shape == NET
    assert (picture[: place.height, : place.width] == 200).all()
    assert (picture[place.height :] == 114).all()
    assert (picture[:, place.width :] == 114).all()


def test_a_small_stream_of_the_nets_size_is_used_without_a_copy() -> None:
    luma, lores = np.zeros((1080, 1920), np.uint8), np.full(NET, 77, np.uint8)
    assert letterbox(luma, NET, 114, lores)[0] is lores


@pytest.mark.parametrize(
    "lores",
    [
        pytest.param((432, 576), id="another field of view"),
        pytest.param((216, 384), id="smaller than the net's picture"),
    ],
)
def test_a_small_stream_that_does_not_fit_is_left_aside(lores: tuple[int, int]) -> None:
    luma = np.full((1080, 1920), 9, np.uint8)
    picture, _ = letterbox(luma, NET, 114, np.full(lores, 77, np.uint8))
    assert (picture == 9).all()


def test_boxes_are_in_px_of_the_full_frame() -> None:
    net = DrawnDetector(NET, [(quad(384, 216, 80, 30), 0.9)])
    (box,) = find_plates(net, FIND, np.zeros((1080, 1920), np.uint8))
    x, y, w, h = box.box
    assert (x + w / 2, y + h / 2) == pytest.approx((960, 540), abs=4)
    assert (w, h) == pytest.approx((200, 75), rel=0.06)


@pytest.mark.parametrize("bad", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4)), np.zeros((0, 4), np.uint8)])
def test_an_array_that_is_not_luma_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(PictureError, match="luma"):
        letterbox(bad, NET, 114)
