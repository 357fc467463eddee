"""Lettering that is not on a plate is not sure; plates stay as sure as they were."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from detector.errors import CardError, MissingModelError
from detector.lettering import SIZE, Lettering, steps_around
from detector.plates import VehiclePass
from detector.reader import LETTERING, PlateReader
from detector.track import Tracker
from detector.training.render.lettered_scenes import lettered_scene
from detector.training.render.patches import photograph
from detector.training.render.plates import render_plate

pytestmark = pytest.mark.slow

SEED = 4321  # other words and faces than those that the model was fitted on

SCENES = 60 if os.environ.get("ALPR_FAULTS") == "full" else 20


@pytest.fixture(scope="module")
def trusting() -> PlateReader:
    """The same nets without the model of lettering."""
    return PlateReader.from_models(doubt=False)


def words(count: int) -> list[np.ndarray]:
    return [lettered_scene(np.random.default_rng([SEED, number])).luma for number in range(count)]


def sure(reader: PlateReader, luma: np.ndarray) -> bool:
    return any(one.confidence >= reader.report_from for one in reader.read(luma).readings)


@pytest.mark.thorough
def test_words_are_hardly_ever_sure(shipped: PlateReader, trusting: PlateReader) -> None:
    told, trusted = (sum(sure(reader, luma) for luma in words(SCENES)) for reader in (shipped, trusting))
    assert told <= trusted
    assert told <= SCENES / 20


@pytest.mark.thorough
def test_plates_are_as_sure_as_before(shipped: PlateReader, trusting: PlateReader) -> None:
    kept = lost = 0
    for number in range(SCENES):
        rng = np.random.default_rng([SEED, number, 1])
        plate = render_plate(rng, jurisdiction=("US", "US-CA", "EU")[number % 3])
        picture, _ = photograph(rng, plate, infrared=False, width=float(rng.uniform(70, 180)))
        canvas = np.full((540, 960), 110, np.uint8)
        canvas[100 : 100 + picture.shape[0], 200 : 200 + picture.shape[1]] = picture[:430, :750]
        if sure(trusting, canvas):
            kept, lost = kept + sure(shipped, canvas), lost + (not sure(shipped, canvas))
    assert kept >= SCENES / 2
    assert lost <= SCENES / 20


def test_a_badge_on_a_parked_car_is_not_a_vehicle(shipped: PlateReader) -> None:
    told = 0
    for luma in words(12):
        tracker = Tracker(shipped.decoding, shipped.see_together)
        passes: list[VehiclePass] = []
        for number in range(8):
            seen = shipped.read(luma, wanted=tracker.wants_text)
            passes += tracker.update(number, number * 100_000, (540, 960), seen).ended
        told += sum(one.text.confidence >= shipped.report_from for one in (*passes, *tracker.flush()))
    assert told <= 1


def test_the_inputs_are_finite_whatever_the_patch_shows() -> None:
    noise = np.random.default_rng(1).integers(0, 255, SIZE).astype(np.uint8)
    for wide in (np.zeros(SIZE, np.uint8), np.full(SIZE, 255, np.uint8), noise):
        assert np.isfinite(steps_around(wide)).all()


def test_a_models_trust_grows_with_its_probability() -> None:
    signs = np.array([1.0, 2.0])
    low, high = (Lettering(bias, np.array([0.5, 0.5])).trust(signs) for bias in (-6.0, 4.0))
    assert 0.0 <= low < 0.5
    assert high == 1.0


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("[lettering]\nbias = 1.0\n", id="no weights"),
        pytest.param("[lettering]\nbias = 1.0\nweights = [1.0, 2.0]\n", id="too few weights"),
        pytest.param('[lettering]\nbias = 1.0\nweights = ["a"]\n', id="a word for a weight"),
        pytest.param("[lettering", id="not TOML"),
    ],
)
def test_a_damaged_model_of_lettering_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / LETTERING
    path.write_text(text)
    with pytest.raises(CardError, match="lettering"):
        Lettering.load(path)


def test_a_missing_model_of_lettering_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match="lettering"):
        Lettering.load(tmp_path / LETTERING)
