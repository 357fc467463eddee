"""Real sequences through reader and tracker: one pass per vehicle, with the text that a person can read."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.plates import VehiclePass
from detector.reader import PlateReader
from detector.track import Tracker

pytestmark = pytest.mark.slow


def labeled(folder: Path, split: str) -> dict[Path, str]:
    """The pictures, in order, with the texts of their plates."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    return {folder / "images" / row["image"]: row["text"] for row in rows}


def replay(reader: PlateReader, pictures: list[Path], fps: float) -> list[VehiclePass]:
    tracker = Tracker(reader.decoding, reader.see_together)
    passes: list[VehiclePass] = []
    for number, path in enumerate(pictures):
        with Image.open(path) as image:
            luma = np.asarray(image.convert("L"))
        seen = reader.read(luma, wanted=tracker.wants_text)
        step = tracker.update(number, int(number * 1e6 / fps), (luma.shape[0], luma.shape[1]), seen)
        passes += step.ended
    return [*passes, *tracker.flush()]


@pytest.mark.thorough
def test_one_approaching_car_is_one_pass_read_right(shipped: PlateReader, shared_data: Path) -> None:
    pictures = labeled(shared_data / "uk-single-seq", "dev")
    (one,) = replay(shipped, list(pictures), fps=10)
    assert one.text.text == "LS15EBC"
    assert one.direction == "towards"
    assert one.frames_seen >= 40
    assert one.frames_voted < one.frames_seen


@pytest.mark.thorough
def test_three_vehicles_at_a_toll_booth_are_three_passes(shipped: PlateReader, shared_data: Path) -> None:
    pictures = labeled(shared_data / "vn-toll-seq", "dev")
    passes = replay(shipped, list(pictures), fps=7.5)
    assert len(passes) == 3


@pytest.mark.thorough
def test_hand_held_clips_one_after_another_are_one_pass_a_plate(
    shipped: PlateReader, shared_data: Path
) -> None:
    pictures = labeled(shared_data / "nl-clips", "train")
    texts = set(pictures.values())
    passes = replay(shipped, list(pictures), fps=1.2)
    read = [one.text.text for one in passes]
    assert len(passes) == len(texts)
    assert len(texts & set(read)) >= 0.85 * len(texts)
    assert len(set(read)) == len(read)
