"""Obstacles hide what is behind them, and the finder's patches mark the hidden columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector.confidence import chance
from detector.lettering import SIZE
from detector.training.calibrate_obstacles import ReadPlates, clear_below
from detector.training.hidden_plates import HiddenPlate, HiddenPlates
from detector.training.obstacle_samples import BATCH, ObstacleBatches, patch_of
from detector.training.render.obstacles import OBSTACLES, cover

QUAD = np.array([(120.0, 80.0), (280.0, 80.0), (280.0, 160.0), (120.0, 160.0)])


def plate() -> np.ndarray:
    """A sheet with bars for characters in the middle of a dark picture."""
    picture = np.full((240, 400), 60, np.uint8)
    picture[80:160, 120:280] = 210
    picture[100:140, 130:270:20] = 20
    return picture


@pytest.mark.parametrize("kind", OBSTACLES)
def test_an_obstacle_hides_a_part_of_the_plate_and_not_the_rest(kind: str) -> None:
    picture, changed = plate(), []
    for number in range(8):
        shown, covered = cover(np.random.default_rng([5, number]), picture, QUAD, kind)
        assert shown.shape == covered.shape == picture.shape
        assert shown.dtype == covered.dtype == np.uint8
        assert (shown[covered == 0] == picture[covered == 0]).all()
        changed.append((np.abs(shown.astype(int) - picture)[80:160, 120:280] > 8).mean())
    assert max(changed) > 0.004
    assert np.median(changed) < 0.6


def hidden(columns: slice) -> HiddenPlate:
    """A plate of eight characters, with these px columns of the picture hidden."""
    covered = np.zeros((240, 400), np.uint8)
    covered[:, columns] = 255
    at = [np.array([(x, 100.0), (x + 14, 100.0), (x + 14, 140.0), (x, 140.0)]) for x in range(124, 270, 19)]
    return HiddenPlate(
        picture=plate(),
        quad=QUAD,
        kind="post",
        covered=covered,
        characters=np.array(at),
        text="ABCD1234",
        real=False,
    )


def columns_of(one: HiddenPlate, seed: int) -> np.ndarray:
    sample = patch_of(np.random.default_rng(seed), one)
    assert sample is not None
    patch, columns = sample
    assert patch.shape == SIZE
    assert columns.shape == (36,)
    return columns


@pytest.mark.parametrize(("middle", "column"), [(200, 18), (262, 27)])
def test_the_columns_of_a_hidden_character_are_marked_and_no_others(middle: int, column: int) -> None:
    for seed in range(6):
        columns = columns_of(hidden(slice(middle - 12, middle + 12)), seed)
        marked = np.flatnonzero(columns > 128)
        assert len(marked) >= 2
        assert abs(marked - column).max() <= 4


def test_a_gap_between_characters_and_a_plain_plate_are_not_marked() -> None:
    assert columns_of(hidden(slice(160, 162)), 1).max() < 128
    bare = hidden(slice(0, 0))
    assert columns_of(bare, 1).max() == 0


def test_a_hidden_end_is_marked_beside_the_box_that_ends_at_it() -> None:
    marked = [np.flatnonzero(columns_of(hidden(slice(0, 160)), seed) > 128) for seed in range(8)]
    assert sum(one.max() < 7 for one in marked) >= 4, "the box begins at column 6"


def test_a_plate_of_which_hardly_anything_shows_makes_no_sample() -> None:
    assert patch_of(np.random.default_rng(1), hidden(slice(100, 260))) is None


def test_batches_are_drawn_without_any_real_picture_too(tmp_path: Path) -> None:
    patches, columns = ObstacleBatches(HiddenPlates(tmp_path, "train"))(np.random.default_rng(6))
    assert patches.shape == (BATCH, *SIZE, 1)
    assert columns.shape == (BATCH, 36)
    shown = (columns.max(axis=1) < 30).mean()
    assert 0.3 < shown < 0.8


def test_the_limit_leaves_all_but_a_share_of_the_right_texts_sure() -> None:
    odds = np.random.default_rng(3).normal(-3.0, 2.0, 1000)
    plain = np.ones(1000, bool)
    limit = clear_below(ReadPlates(odds, plain, plain), lost=0.02)
    kept = np.array([min(1.0, chance(-one) / chance(-limit)) >= 0.76 for one in odds])
    assert 0.97 <= kept.mean() <= 0.985
