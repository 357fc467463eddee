"""Real scenes through the whole reader: one read per vehicle, with the right text if a person can read it.

Every third of the 31 clips of passing cars; with ALPR_FAULTS=full (make faults), all.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from detector.reader import PlateReader
from firmware.run import app
from firmware.run.run_result import RunOptions

pytestmark = pytest.mark.slow
CLIP = Path(__file__).resolve().parent.parent / "replay" / "drive_by"


STRIDE = 1 if os.environ.get("ALPR_FAULTS") == "full" else 3


@dataclass(frozen=True)
class Told:
    """What a run printed about a read."""

    plate: str
    confidence: float
    direction: str
    frames_voted: int


def replay(home: Path, source: Path) -> list[Told]:
    """All reads of a run over a folder, as `reader run --once --plates --json` prints them."""
    out = io.StringIO()
    options = RunOptions(source=str(source), once=True, plates=True, as_json=True)
    result = app.run(home, options, out=out, err=io.StringIO())
    facts = [json.loads(line) for line in out.getvalue().splitlines()]
    assert result.stored == len(facts)
    assert result.lost == result.dropped == result.broken == 0
    return [Told(*(one[name] for name in Told.__dataclass_fields__)) for one in facts]


@pytest.fixture(scope="module")
def sure_from() -> float:
    """The confidence above which the reader's card calls a text sure."""
    return PlateReader.from_models().report_from


def sure(reads: list[Told], sure_from: float) -> list[str]:
    return [read.plate for read in reads if read.confidence >= sure_from]


@pytest.fixture(scope="module")
def drive_by(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    return replay(tmp_path_factory.mktemp("drive"), CLIP)


def test_drive_by_gives_one_read_a_vehicle_with_its_text(drive_by: list[Told]) -> None:
    truth = json.loads((CLIP / "truth.json").read_text())
    assert Counter(read.plate for read in drive_by) == Counter(one["text"] for one in truth["vehicles"])


def test_drive_by_shows_the_way_each_vehicle_went(drive_by: list[Told]) -> None:
    truth = {one["text"]: one for one in json.loads((CLIP / "truth.json").read_text())["vehicles"]}
    ways = {read.plate: read.direction for read in drive_by if read.plate in truth}
    assert ways == {text: truth[text]["direction"] for text in ways}


@pytest.mark.thorough
def test_one_car_over_47_frames_is_one_read(shared_data: Path, tmp_path: Path, sure_from: float) -> None:
    reads = replay(tmp_path / "home", shared_data / "uk-single-seq")
    assert sure(reads, sure_from) == ["LS15EBC"]
    assert sum(read.plate == "LS15EBC" for read in reads) == 1


@pytest.mark.thorough
def test_three_vehicles_at_a_toll_gate_are_three_reads(
    shared_data: Path, tmp_path: Path, sure_from: float
) -> None:
    reads = replay(tmp_path / "home", shared_data / "vn-toll-seq")
    told = Counter(read.plate for read in reads)
    labeled = {row["text"] for row in labels(shared_data / "vn-toll-seq")}
    assert {text: told[text] for text in labeled} == dict.fromkeys(labeled, 1)


@pytest.mark.thorough
def test_every_vehicle_on_the_motorway_is_read_at_most_once(
    shared_data: Path, tmp_path: Path, sure_from: float
) -> None:
    reads = sure(replay(tmp_path / "home", shared_data / "uk-motorway-seq"), sure_from)
    labeled = {row["text"] for row in labels(shared_data / "uk-motorway-seq")}
    assert [text for text, count in Counter(reads).items() if count > 1] == []
    assert len(labeled & set(reads)) >= len(labeled) // 2


@pytest.fixture(scope="module")
def clips(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, list[str]]]:
    """For clips of four frames: the car's text as read by a person, and what the reader printed."""
    folder, work = shared_data / "nl-clips", tmp_path_factory.mktemp("clips")
    texts = {row["image"].rpartition("_f")[0]: row["text"] for row in labels(folder)}
    told = {}
    for name, text in list(texts.items())[::STRIDE]:
        pictures = work / name
        pictures.mkdir()
        for image in (folder / "images").glob(f"{name}_f*.jpg"):
            (pictures / image.name).symlink_to(image.resolve())
        told[name] = (text, [read.plate for read in replay(work / "home", pictures)])
    return told


@pytest.mark.thorough
def test_each_clip_of_a_passing_car_is_one_read(clips: dict[str, tuple[str, list[str]]]) -> None:
    assert {name: len(reads) for name, (_, reads) in clips.items()} == dict.fromkeys(clips, 1)


def test_nine_cars_in_ten_are_read_right_to_the_last_character(
    clips: dict[str, tuple[str, list[str]]],
) -> None:
    wrong = [name for name, (text, reads) in clips.items() if reads != [text]]
    assert len(wrong) <= len(clips) // 10, wrong


def labels(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
