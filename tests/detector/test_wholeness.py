"""A text of which something hides a part is seldom sure; whole plates stay as sure as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector.errors import CardError, MissingModelError
from detector.lettering import SIZE, TextSigns
from detector.plates import CLASSES, PlateBox
from detector.reader import MODELS, WHOLENESS, PlateReader
from detector.training.render.obstacles import hidden_behind
from detector.training.render.patches import photograph
from detector.training.render.plates import render_plate
from detector.wholeness import SIGNS, Wholeness, signs_of_whole

SEED = 9753
BOX = PlateBox(corners=((0.0, 0.0), (100.0, 0.0), (100.0, 50.0), (0.0, 50.0)), confidence=0.9)


@pytest.mark.slow
def test_what_is_behind_something_is_seldom_sure(shipped: PlateReader) -> None:
    trusting = PlateReader.from_models(doubt=False)
    sure = {(hidden, trusted): 0 for hidden in (False, True) for trusted in (False, True)}
    for number in range(60):
        rng = np.random.default_rng([SEED, number])
        plate = render_plate(rng, jurisdiction="US" if number % 2 else "EU")
        picture, quad = photograph(rng, plate, infrared=False, width=float(rng.uniform(100, 160)))
        kind = ("first", "last", "middle", "hook", "hand")[number % 5]
        for hidden in (False, True):
            shown = hidden_behind(rng, picture, quad, kind) if hidden else picture
            for trusted, reader in ((False, shipped), (True, trusting)):
                seen = reader.read(shown).readings
                right = any(one.leader == plate.text for one in seen)
                told = any(one.confidence >= reader.report_from for one in seen)
                sure[hidden, trusted] += told and right != hidden
    assert sure[True, True] >= 15, "without the doubt such texts are sure"
    assert sure[True, False] <= 0.65 * sure[True, True]
    assert sure[False, False] >= sure[False, True] - 4
    assert sure[False, True] >= 30


@pytest.mark.parametrize("places", [0, 1, 9])
def test_the_signs_are_finite_whatever_the_patch_shows(places: int) -> None:
    columns = np.full((36, CLASSES), 1e-12)
    columns[:, -1] = 1.0
    columns[2 : 2 + 3 * places : 3] = columns[2 : 2 + 3 * places : 3, ::-1]
    noise = np.random.default_rng(1).integers(0, 255, SIZE).astype(np.uint8)
    told = TextSigns(text="A" * places, fits=0.0, box=BOX)
    for wide in (np.zeros(SIZE, np.uint8), np.full(SIZE, 255, np.uint8), noise):
        signs = signs_of_whole(wide, columns, told)
        assert signs.shape == (SIGNS,)
        assert np.isfinite(signs).all()


def tree(bias: float) -> Wholeness:
    """One tree that asks whether sign 2 is 5 or more, then, only if it is, whether sign 0 is 1 or more."""
    limits = [[5.0, 1e9, 1.0, 1e9, 1e9, 1e9, 1e9]]
    leaves = [[-2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 3.0, 0.0]]
    signs = np.array([[2, 0, 0, 0, 0, 0, 0]], np.intp)
    return Wholeness(bias, 0.0, signs, np.array(limits), np.array(leaves))


def test_a_tree_is_asked_from_its_root_on() -> None:
    model = tree(0.5)
    told = [model.odds(np.array(signs)) for signs in ([9.0, 0.0, 4.9], [0.9, 0.0, 5.0], [1.0, 0.0, 5.0])]
    assert told == [-1.5, 1.5, 3.5]


def test_trust_grows_with_the_odds_and_is_whole_from_the_limit_on() -> None:
    signs = np.zeros(3)
    assert 0.0 < tree(-1.0).trust(signs) < tree(1.0).trust(signs) < 1.0
    assert tree(2.0).trust(signs) == 1.0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param(("[wholeness]", "[other]"), "wholeness", id="no section"),
        pytest.param(("bias = ", 'bias = "a"\nwas = '), "wholeness", id="a word for a number"),
        pytest.param(("bias = ", "bias = nan\nwas = "), "finite", id="no number"),
        pytest.param(("signs = [", "signs = [0, 0, 0, 0, 0, 0, 0, "), "as many", id="more signs than limits"),
        pytest.param(("signs = [", "signs = [1, "), "trees", id="half a tree"),
    ],
)
def test_a_damaged_model_is_refused(tmp_path: Path, change: tuple[str, str], named: str) -> None:
    text = (MODELS / WHOLENESS).read_text()
    assert change[0] in text
    path = tmp_path / WHOLENESS
    path.write_text(text.replace(*change))
    with pytest.raises(CardError, match=named):
        Wholeness.load(path)


def test_a_sign_that_there_is_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / WHOLENESS
    numbers = {"signs": [SIGNS] * 7, "limits": [0.0] * 7, "leaves": [0.0] * 8}
    lines = ["[wholeness]", "bias = 0.0", "trusted_from = 0.0", *(f"{k} = {v}" for k, v in numbers.items())]
    path.write_text("\n".join(lines))
    with pytest.raises(CardError, match=r"wholeness\.signs"):
        Wholeness.load(path)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match="wholeness"):
        Wholeness.load(tmp_path / WHOLENESS)
