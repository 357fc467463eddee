"""The whole path of a still: its rules over drawn nets, its figures over shipped nets on real pictures."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from detector_twins import FIND, DrawnDetector, ScriptedReader, reader_card
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector import ocr
from detector.card import DetectorCard, ModelFile, NetInput, PlateRules
from detector.confidence import log_odds
from detector.ctc import spelt
from detector.errors import DegenerateCornersError, MissingModelError, PictureError
from detector.halves import MARGINS
from detector.plates import PlateBox, as_corners
from detector.reader import PlateReader
from detector.still_cuts import CUTS, more_cuts
from tests.tools.detector_bench import bench_frame

NET = (216, 384)
FRAME = np.full((720, 1280), 90, np.uint8)
QUAD = ((100.0, 100.0), (160.0, 100.0), (160.0, 124.0), (100.0, 124.0))
ELSEWHERE = ((250.0, 40.0), (300.0, 40.0), (300.0, 60.0), (250.0, 60.0))


def finding_card() -> DetectorCard:
    return DetectorCard(
        path=Path("plate-detector.toml"),
        model=ModelFile(kind="plate-detector", file="plate-detector.tflite", sha256="1" * 64),
        input=NetInput(height=NET[0], width=NET[1]),
        outputs={name: name for name in ("heat", "box", "corners")},
        find=FIND,
    )


def drawn_reader(
    script: list[str], plates: list[tuple[tuple[tuple[float, float], ...], float]], **patch: float | bool
) -> tuple[PlateReader, ScriptedReader]:
    net = ScriptedReader(script)
    detector = DrawnDetector(NET, plates)  # type: ignore[arg-type]
    return PlateReader(detector, finding_card(), net, reader_card(**patch)), net


def test_a_plate_is_read_at_its_place_in_the_full_frame() -> None:
    reader, _ = drawn_reader(["7ABC124"], [(QUAD, 0.9)])
    (seen,) = reader.read(FRAME).readings
    assert seen.text.text == "7ABC124"
    assert seen.box.box == pytest.approx((333, 333, 200, 80), abs=6)
    assert seen.patch.shape == (48, 144)
    assert seen.text.jurisdiction[0][0] == "US-CA"


def test_stages_are_timed_in_milliseconds() -> None:
    reader, _ = drawn_reader(["7ABC124"], [(QUAD, 0.9)])
    seen = reader.read(FRAME)
    assert set(seen.ms) == {"shrink", "find", "decode", "rectify", "read", "text"}
    assert set(seen.readings[0].ms) == set(seen.ms)


def test_a_frame_without_a_plate_gives_no_readings() -> None:
    reader, net = drawn_reader(["7ABC124"], [])
    assert reader.read(FRAME).readings == ()
    assert net.looks == 0


def judging_reader(rules: PlateRules) -> PlateReader:
    """A reader that sees two plates: the detector is sure of one, but not of the other."""
    finding = replace(finding_card(), find=replace(FIND, threshold=0.4, doubtful_from=0.1))
    detector = DrawnDetector(NET, [(QUAD, 0.9), (ELSEWHERE, 0.2)])
    return PlateReader(detector, finding, ScriptedReader(["7ABC124"]), replace(reader_card(), plate=rules))


def test_a_box_in_doubt_is_a_plate_where_the_reader_sees_text_and_refused_where_not() -> None:
    by_score = judging_reader(PlateRules(score=1.0, least=0.5)).read(FRAME)
    assert (len(by_score.readings), len(by_score.refused)) == (1, 1)
    assert by_score.refused[0].confidence < 0.3
    by_text = judging_reader(PlateRules(score=1.0, legible=1.0, least=0.5)).read(FRAME)
    assert (len(by_text.readings), len(by_text.refused)) == (2, 0)


def test_a_refused_box_costs_one_look_and_known_corners_are_never_refused() -> None:
    net = ScriptedReader(["7ABC124"])
    card = replace(reader_card(second_look_below=1.01), plate=PlateRules(bias=-20.0, least=0.5))
    reader = PlateReader(DrawnDetector(NET, [(QUAD, 0.9)]), finding_card(), net, card)
    assert reader.read(FRAME).readings == ()
    assert net.looks == 1
    assert reader.read_at(FRAME, ((10.0, 10.0), (200.0, 10.0), (200.0, 80.0), (10.0, 80.0))).text.text


def test_looking_alone_finds_no_box_in_doubt() -> None:
    assert len(judging_reader(PlateRules(least=0.5)).find(FRAME)) == 1


def test_a_box_that_is_not_wanted_stays_unread() -> None:
    reader, net = drawn_reader(["7ABC124"], [(QUAD, 0.9), (ELSEWHERE, 0.8)])
    seen = reader.read(FRAME, wanted=lambda box: box.corners[0][0] > 500)
    assert (len(seen.readings), len(seen.unread)) == (1, 1)
    assert seen.unread[0].corners[0][0] < 500
    assert net.looks == 1


@pytest.mark.parametrize(("text", "looks", "confirmed"), [("7ABC124", 1, True), ("7ABC128", 2, False)])
def test_one_look_confirms_the_text_of_a_pass_and_any_other_is_read(
    text: str, looks: int, confirmed: bool
) -> None:
    reader, net = drawn_reader([text], [(QUAD, 0.9)], second_look_below=1.01)
    seen = reader.read(FRAME, wanted=lambda _box: "7ABC124")
    assert (len(seen.confirmed), len(seen.readings)) == (confirmed, not confirmed)
    assert net.looks == looks


def test_a_sure_first_look_is_not_repeated_and_a_doubtful_one_is() -> None:
    sure, sure_net = drawn_reader(["7ABC124"], [(QUAD, 0.9)], second_look_below=0.5, more_looks_below=0.5)
    sure.read(FRAME)
    assert sure_net.looks == 1
    doubtful, net = drawn_reader(["7ABC128", "7ABC124"], [(QUAD, 0.9)], second_look_below=1.01)
    (seen,) = doubtful.read(FRAME, wanted=lambda _box: True).readings
    assert net.looks == 2
    assert len(seen.evidence.paths) == 2
    assert {text for text, _ in seen.text.candidates} >= {"7ABC124", "7ABC128"}


def test_a_still_in_doubt_is_looked_at_in_more_cuts_and_a_frame_of_a_pass_is_not() -> None:
    texts = ["7ABC128", *["7ABC124"] * 9]
    still, net = drawn_reader(texts, [(QUAD, 0.9)], second_look_below=1.01)
    (seen,) = still.read(FRAME).readings
    assert len(seen.evidence.paths) == 2 + len(CUTS)
    assert net.looks == 2 + len(CUTS) + 2 * len(MARGINS)
    assert seen.leader == "7ABC124"
    of_a_pass, net = drawn_reader(texts, [(QUAD, 0.9)], second_look_below=1.01)
    of_a_pass.read(FRAME, wanted=lambda _box: True)
    assert net.looks == 2


def test_a_stills_halves_count_toward_its_text_and_not_toward_how_many_looks_agree() -> None:
    whole = ["7ABU123"] * (1 + len(CUTS)) + ["7ABW123"]
    same, other = (
        drawn_reader([*whole, *halves * len(MARGINS)], [(QUAD, 0.9)], second_look_below=1.01)[0]
        for halves in (["7ABU1", "BU123"], ["7ABV1", "BV123"])
    )
    (agreed,), (differed,) = same.read(FRAME).readings, other.read(FRAME).readings
    assert differed.evidence.columns.shape == (len(whole) + len(MARGINS), 73, 37)
    assert len(differed.evidence.paths) == len(whole)
    assert differed.confidence < agreed.confidence
    assert "7ABV123" in {spelt(text) for text in differed.evidence.candidates}


def test_halves_that_are_not_surely_read_count_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*["7ABU123"] * (1 + len(CUTS)), "7ABW123", "7ABV1", "BV123"]
    reader, net = drawn_reader(texts, [(QUAD, 0.9)], second_look_below=1.01)
    monkeypatch.setattr(ocr, "HALVES_SURE", 1.0)
    (seen,) = reader.read(FRAME).readings
    assert net.looks == 2 + len(CUTS) + 2 * len(MARGINS)
    assert seen.evidence.columns.shape == (2 + len(CUTS), 36, 37)


def test_a_still_of_which_every_look_gives_one_text_is_not_halved() -> None:
    reader, net = drawn_reader(["7ABU123"], [(QUAD, 0.9)], second_look_below=1.01)
    reader.read(FRAME)
    assert net.looks == 2 + len(CUTS)


@given(st.lists(st.floats(-5, 5), min_size=8, max_size=8), st.floats(0, 2 * math.pi))
def test_more_cuts_stay_with_the_plate_however_it_is_turned(shifts: list[float], angle: float) -> None:
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    quad = np.array([(0, 0), (200, 0), (200, 60), (0, 60)]) + np.array(shifts).reshape(4, 2)
    straight = more_cuts(as_corners(quad))
    turned = more_cuts(as_corners(quad @ turn.T))
    for cut, same in zip(straight, turned, strict=True):
        assert np.allclose(cut @ turn.T, same, atol=1e-6)
        assert np.abs(cut.mean(axis=0) - quad.mean(axis=0)).max() < 10
        assert cut[1, 0] - cut[0, 0] == pytest.approx(quad[1, 0] - quad[0, 0], rel=0.15)


def test_corners_that_span_nothing_make_no_cut_that_is_not_a_number() -> None:
    for cut in more_cuts(((5.0, 5.0),) * 4):
        assert np.isfinite(cut).all()


def test_corners_of_the_net_are_followed_only_where_the_card_trusts_them() -> None:
    for trusted, width in ((False, 200), (True, 200 * 1.08 * 0.92)):
        reader, _ = drawn_reader(["7ABC124"], [(QUAD, 0.9)], trust_corners=trusted, margin_x=0.08)
        (seen,) = reader.read(FRAME).readings
        assert seen.box.box[2] == pytest.approx(width, abs=5)


def test_corners_that_are_the_nets_fancy_are_not_followed() -> None:
    reader, net = drawn_reader(["7ABC124"], [(QUAD, 0.9)], trust_corners=True)
    net.corners = (0.1, 0.1, 0.2, 0.1, 0.2, 0.2, 0.1, 0.2)
    (seen,) = reader.read(FRAME).readings
    assert seen.box.box[2] == pytest.approx(200, abs=6)


def test_the_text_at_known_corners_is_read_without_finding() -> None:
    reader, _ = drawn_reader(["7ABC124"], [])
    corners = ((10.0, 10.0), (200.0, 10.0), (200.0, 80.0), (10.0, 80.0))
    assert reader.read_at(FRAME, corners).text.text == "7ABC124"
    with pytest.raises(DegenerateCornersError):
        reader.read_at(FRAME, ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)))
    with pytest.raises(PictureError):
        reader.read_at(np.zeros((4, 4, 3), np.uint8), corners)


def test_known_corners_say_nothing_of_a_detectors_score() -> None:
    reader, _ = drawn_reader(["7ABC124"], [])
    seen = reader.read_at(FRAME, ((10.0, 10.0), (200.0, 10.0), (200.0, 80.0), (10.0, 80.0)))
    assert seen.features["score"] == pytest.approx(log_odds(reader_card().confidence.usual_score))


@pytest.mark.parametrize(
    ("shown", "looks", "strokes"),
    [
        pytest.param([0], 1, 0, id="no stroke: the first look is enough"),
        pytest.param([1, 0], 2, 0, id="the plate's rim, which the closer look leaves out"),
        pytest.param([1, 2], 2, 1, id="a character that was left out"),
    ],
)
def test_a_stroke_without_a_character_is_looked_at_again(
    shown: list[int], looks: int, strokes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter(shown)
    reader, net = drawn_reader(["7ABC924"], [(QUAD, 0.9)], second_look_below=0.2, more_looks_below=0.2)
    monkeypatch.setattr(ocr, "count_thin", lambda _patch, _columns: next(counts))
    (seen,) = reader.read(FRAME).readings
    assert net.looks == looks
    assert seen.evidence.strokes == strokes


def test_the_hash_of_each_model_is_reported() -> None:
    reader, _ = drawn_reader(["7ABC124"], [])
    assert reader.model_hashes == {"plate-detector.tflite": "1" * 64, "plate-reader.tflite": "0" * 64}


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match="plate-detector"):
        PlateReader.from_models(tmp_path)


def test_a_bench_counts_plates_and_looks() -> None:
    reader, _ = drawn_reader(["7ABC124"], [(QUAD, 0.9)], second_look_below=0.5, more_looks_below=0.5)
    result = bench_frame(reader, FRAME, rounds=2)
    assert (result.plates, result.looks, result.width) == (1, 1, 1280)


@pytest.mark.parametrize(
    ("x0", "y0", "sure"),
    [
        pytest.param(100.0, 100.0, True, id="inside"),
        pytest.param(-12.0, 100.0, False, id="cut on the left"),
        pytest.param(336.0, 100.0, False, id="cut on the right"),
        pytest.param(100.0, -6.0, False, id="cut at the top"),
        pytest.param(100.0, 200.0, False, id="cut at the foot"),
    ],
)
def test_a_plate_that_runs_out_of_the_picture_is_not_sure(x0: float, y0: float, *, sure: bool) -> None:
    quad = ((x0, y0), (x0 + 60, y0), (x0 + 60, y0 + 24), (x0, y0 + 24))
    reader, _ = drawn_reader(["7ABC124"], [(quad, 0.9)])
    (seen,) = reader.read(FRAME).readings
    assert (seen.confidence > 0.9) == sure
    assert (seen.confidence < 0.5) != sure


def scenes(folder: Path, split: str, most: int) -> list[tuple[Path, tuple[float, ...], str]]:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split and row["text"]]
    step = max(len(rows) // most, 1)
    return [
        (folder / "images" / row["image"], tuple(float(row[k]) for k in "xywh"), row["text"])
        for row in rows[::step][:most]
    ]


def luma(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def overlaps(box: PlateBox, truth: tuple[float, ...]) -> bool:
    x, y, w, h = box.box
    middle = truth[0] + truth[2] / 2, truth[1] + truth[3] / 2
    return x <= middle[0] <= x + w and y <= middle[1] <= y + h


@pytest.mark.one_python
@pytest.mark.thorough_rows
@pytest.mark.parametrize("name", ["us-scenes", "eu-scenes", "br-scenes"])
def test_real_scenes_are_found_and_mostly_read(shipped: PlateReader, shared_data: Path, name: str) -> None:
    pictures = scenes(shared_data / name, "train", 12)
    found = right = 0
    for path, truth, text in pictures:
        hits = [one for one in shipped.read(luma(path)).readings if overlaps(one.box, truth)]
        found += bool(hits)
        right += any(one.text.text.replace("O", "0") == text.replace("O", "0") for one in hits)
    assert found >= len(pictures) - 1
    assert right >= len(pictures) / 2


def test_a_wall_without_a_plate_is_not_read(shipped: PlateReader) -> None:
    y, x = np.mgrid[:720, :1280]
    bricks = (((y // 24) % 2 * 30 + (x + (y // 24) % 2 * 40) // 80 % 2 * 20) + 100).astype(np.uint8)
    assert shipped.read(bricks).readings == ()
