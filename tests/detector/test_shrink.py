"""Each px of a scaled frame is the mean of what falls into it, whatever the method."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from detector.shrink import scale_into

F64 = NDArray[np.float64]

frames = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda sides: hnp.arrays(np.uint8, (5 * sides[0], 5 * sides[1]))
)
# the weights of five px in each px of the result
FIVE_TO_THREE = np.array([[0.5, 0.5, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0.5, 0.5]])


def scaled(luma: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scales into a part of a larger picture, whose other px must stay as they are."""
    canvas = np.full((size[0] + 2, size[1] + 3), 7, np.uint8)
    out = canvas[1:-1, 1:-2]
    scale_into(out, luma)
    around = np.ones(canvas.shape, bool)
    around[1:-1, 1:-2] = False
    assert (canvas[around] == 7).all()
    return out


def by_pillow(luma: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(luma).resize(size[::-1], Image.Resampling.BOX, reducing_gap=1.0))


def by_weights(luma: NDArray[np.uint8], weights: F64) -> F64:
    down, across = (np.kron(np.eye(side // 5), weights) for side in luma.shape)
    return np.asarray(down @ luma.astype(np.float64) @ across.T)


def size_of(luma: NDArray[np.uint8], part: int) -> tuple[int, int]:
    return luma.shape[0] // 5 * part, luma.shape[1] // 5 * part


@settings(max_examples=200)
@given(frames)
def test_five_to_three_is_pillows_box_but_for_rounding(luma: NDArray[np.uint8]) -> None:
    out = scaled(luma, size_of(luma, 3)).astype(np.int16)
    assert abs(out - by_pillow(luma, size_of(luma, 3))).max() <= 1
    assert abs(out - by_weights(luma, FIVE_TO_THREE)).max() <= 1


@settings(max_examples=60)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
        lambda sides: hnp.arrays(np.uint8, (10 * sides[0], 10 * sides[1]))
    )
)
def test_five_to_two_is_pillows_box_but_for_rounding(luma: NDArray[np.uint8]) -> None:
    out = scaled(luma, size_of(luma, 2)).astype(np.int16)
    assert abs(out - by_pillow(luma, size_of(luma, 2))).max() <= 1


def test_five_to_two_is_the_mean_of_four_then_five_to_four() -> None:
    luma = np.random.default_rng(3).integers(0, 256, (1090, 40), np.uint8)  # higher than one strip
    four = luma.astype(np.int16).reshape(545, 2, 20, 2)
    halved = (four.sum(axis=(1, 3)) + 2) // 4
    for axis in (1, 0):
        a, b, c, d, e = np.moveaxis(np.moveaxis(halved, axis, 0).reshape(-1, 5, halved.shape[1 - axis]), 1, 0)
        parts = np.stack([a, (b + c + 1) // 2, d, e], axis=1)
        halved = np.moveaxis(parts.reshape(-1, parts.shape[2]), 0, axis)
    assert (scaled(luma, (436, 16)) == halved).all()


@pytest.mark.parametrize(("large", "part"), [((720, 1280), 3), ((1080, 1920), 2), ((1920, 1080), 2)])
def test_a_camera_frame_keeps_its_light(large: tuple[int, int], part: int) -> None:
    luma = np.random.default_rng(part).integers(0, 256, large, np.uint8)
    out = scaled(luma, size_of(luma, part))
    assert out.shape == size_of(luma, part)
    assert abs(float(out.mean()) - float(luma.mean())) < 1.5


def test_a_flat_frame_stays_as_it_is() -> None:
    for tone in (0, 1, 127, 254, 255):
        for part in (2, 3):
            assert (scaled(np.full((10, 15), tone, np.uint8), (2 * part, 3 * part)) == tone).all()


def test_a_slice_of_a_larger_frame_gives_the_same_bytes_as_its_copy() -> None:
    large = np.random.default_rng(1).integers(0, 256, (720, 1300), np.uint8)
    for luma in (large[:, :1280], large[:, 20:]):
        assert (scaled(luma, (432, 768)) == scaled(np.ascontiguousarray(luma), (432, 768))).all()


@pytest.mark.parametrize("size", [(432, 768), (400, 711), (1440, 2560), (1, 1)])
def test_other_sizes_are_scaled_too(size: tuple[int, int]) -> None:
    luma = np.random.default_rng(2).integers(100, 140, (1080, 1920), np.uint8)
    out = scaled(luma, size)
    assert out.shape == size
    assert abs(float(out.mean()) - float(luma.mean())) < 2
