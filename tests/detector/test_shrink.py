"""A frame is scaled to the same bytes whichever way it goes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from detector.shrink import scaled

frames = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda sides: hnp.arrays(np.uint8, (5 * sides[0], 5 * sides[1]))
)


def by_pillow(luma: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(luma).resize(size[::-1], Image.Resampling.BOX, reducing_gap=1.0))


@settings(max_examples=200)
@given(frames)
def test_five_to_three_gives_pillows_bytes(luma: NDArray[np.uint8]) -> None:
    size = luma.shape[0] // 5 * 3, luma.shape[1] // 5 * 3
    assert (scaled(luma, size) == by_pillow(luma, size)).all()


def test_a_tall_frame_gives_pillows_bytes() -> None:
    for seed in range(20):
        luma = np.random.default_rng(seed).integers(0, 4, (75, 25), np.uint8)
        assert (scaled(luma, (45, 15)) == by_pillow(luma, (45, 15))).all()


def test_a_camera_frame_and_a_slice_of_a_larger_one_give_pillows_bytes() -> None:
    large = np.random.default_rng(1).integers(0, 256, (720, 1300), np.uint8)
    for luma in (large[:, :1280], np.ascontiguousarray(large[:, 20:])):
        assert (scaled(luma, (432, 768)) == by_pillow(luma, (432, 768))).all()


@pytest.mark.parametrize("size", [(432, 768), (400, 711), (1440, 2560), (1, 1)])
def test_other_sizes_are_scaled_too(size: tuple[int, int]) -> None:
    luma = np.random.default_rng(2).integers(100, 140, (1080, 1920), np.uint8)
    out = scaled(luma, size)
    assert out.shape == size
    assert abs(float(out.mean()) - float(luma.mean())) < 2
