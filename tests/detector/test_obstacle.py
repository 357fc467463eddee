"""A partly hidden text is seldom sure; whole plates stay as sure as they were."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.card import ObstacleCard
from detector.errors import CardError, MissingModelError, NetAnswerError, SwappedModelError
from detector.lettering import SIZE
from detector.obstacle import ObstacleFinder
from detector.reader import MODELS, OBSTACLE_CARD, PlateReader
from detector.runtime import NetOutput, TfliteNet
from detector.training.render.obstacles import hidden_behind
from detector.training.render.patches import photograph
from detector.training.render.plates import render_plate

SEED = 9753
FULL = os.environ.get("ALPR_FAULTS") == "full"
PLATES = 60 if FULL else 16
CARD = ObstacleCard.load(MODELS / OBSTACLE_CARD)


@pytest.mark.slow
def test_what_is_behind_something_is_seldom_sure(shipped: PlateReader) -> None:
    trusting = PlateReader.from_models(doubt=False)
    sure = {(hidden, trusted): 0 for hidden in (False, True) for trusted in (False, True)}
    for number in range(PLATES):
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
    assert sure[True, True] >= PLATES / 4, "without the doubt such texts are sure"
    assert sure[True, False] <= 0.35 * sure[True, True]
    assert sure[False, False] >= sure[False, True] - PLATES / (15 if FULL else 8)
    assert sure[False, True] >= PLATES / 2


class ScriptedFinder:
    """A finder's net with one answer."""

    size = SIZE

    def __init__(self, *odds: float) -> None:
        self.odds = odds

    def invoke(self, luma: NDArray[np.uint8]) -> Mapping[str, NetOutput]:
        assert luma.shape == self.size
        return {"hidden": NetOutput(np.array(self.odds, np.float32))}


def trust(*odds: float) -> float:
    card = replace(CARD, hiding=replace(CARD.hiding, clear_below=1.0))
    return ObstacleFinder(ScriptedFinder(*odds), card).trust(np.zeros(SIZE, np.uint8))


def test_the_column_that_is_most_surely_hidden_decides_from_the_limit_on() -> None:
    assert trust(-9.0, -3.0, 0.9) == trust(-9.0, 1.0) == 1.0
    assert 1.0 > trust(-9.0, 1.2) > trust(-9.0, 3.0, -2.0) > 0.0
    assert trust(6.0) < 0.01


@pytest.mark.parametrize("tone", [0, 90, 255])
def test_a_patch_that_shows_nothing_has_an_answer(shipped: PlateReader, tone: int) -> None:
    finder = ObstacleFinder(TfliteNet(CARD), CARD)
    assert finder.log_odds(np.full(SIZE, tone, np.uint8)).shape == (36,)


def test_an_answer_that_is_not_a_number_is_refused_by_name() -> None:
    with pytest.raises(NetAnswerError, match=r"obstacle-finder\.tflite: .*no number"):
        trust(-3.0, float("nan"))


@pytest.mark.parametrize(
    ("key", "value"),
    [("patch.margin_x", 0.4), ("patch.margin_y", 0.4), ("input.height", 64), ("input.width", 96)],
)
def test_a_card_of_another_patch_is_refused(key: str, value: float) -> None:
    section, field = key.split(".")
    other = replace(CARD, **{section: replace(getattr(CARD, section), **{field: value})})
    with pytest.raises(CardError, match=rf"obstacle-finder\.toml: key '{section}\.{field}'"):
        ObstacleFinder(ScriptedFinder(0.0), other)


def test_a_swapped_and_a_missing_file_are_refused_and_a_card_with_an_unknown_key(tmp_path: Path) -> None:
    for name in (OBSTACLE_CARD, "obstacle-finder.tflite"):
        shutil.copyfile(MODELS / name, tmp_path / name)
    card = ObstacleCard.load(tmp_path / OBSTACLE_CARD)
    net = tmp_path / "obstacle-finder.tflite"
    net.write_bytes(net.read_bytes()[:-1] + b"x")
    with pytest.raises(SwappedModelError):
        TfliteNet(card)
    net.unlink()
    with pytest.raises(MissingModelError):
        TfliteNet(card)
    card.path.write_text(card.path.read_text().replace("[hiding]", "[hiding]\nclear_above = 1.0"))
    with pytest.raises(CardError, match=r"hiding\.clear_above"):
        ObstacleCard.load(card.path)


def test_the_shipped_finder_is_loaded_and_its_hash_listed() -> None:
    hashes = PlateReader.from_models().model_hashes
    assert hashes["obstacle-finder.tflite"] == CARD.model.sha256
