"""The evaluation reports what was read and what was not, and names a set that it cannot use."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.reader import MODELS
from detector.training import evaluate
from detector.training.measure import Measured, angle_of
from detector.training.metrics import PlateOutcome
from detector.training.report import comparison, coverage_table, summary, table

CLIP = Path(__file__).resolve().parent.parent / "replay" / "drive_by"
HEADER = "image,x,y,w,h,text,region,split\n"


def outcome(truth: str, read: str | None, confidence: float, **other: float) -> PlateOutcome:
    return PlateOutcome(
        image="a.jpg",
        dataset="scenes",
        region="US-CA",
        truth=truth,
        read=read,
        confidence=confidence,
        overlap=other.get("overlap", 0.8 if read is not None else 0.0),
        plate_width_px=other.get("width", 80.0),
        mean_luma=100.0,
        angle_deg=other.get("angle", math.nan),
    )


@pytest.fixture(scope="module")
def drive_by(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of the drive-by clip as a data set in the documented format, and one plate-free picture."""
    folder = tmp_path_factory.mktemp("sets") / "drive-by"
    (folder / "images").mkdir(parents=True)
    truth = json.loads((CLIP / "truth.json").read_text())
    rows = []
    for frame in (1, 4, 30):
        name = f"frame_{frame:04d}.jpg"
        shutil.copyfile(CLIP / name, folder / "images" / name)
        for vehicle in truth["vehicles"]:
            if str(frame) in vehicle["corners"]:
                corners = np.array(vehicle["corners"][str(frame)])
                (x, y), (w, h) = corners.min(axis=0), np.ptp(corners, axis=0)
                rows.append(f"{name},{x},{y},{w},{h},{vehicle['text']},{vehicle['jurisdiction']},dev\n")
    Image.new("L", (640, 360), 90).save(folder / "images" / "empty.png")
    rows.append("empty.png,,,,,,none,dev\n")
    (folder / "labels.csv").write_text(HEADER + "".join(rows))
    return folder


@pytest.mark.thorough
def test_a_folder_of_the_format_is_measured_and_reported(
    drive_by: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main([str(drive_by), "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    figures = json.loads((tmp_path / "figures.json").read_text())
    (row,) = figures["int8"]["sets"].values()
    assert row["plates"] >= 4
    assert row["recall_50"] == 1
    assert 0 < row["box_precision"] <= 1
    assert row["exact"] <= row["exact_folded"]
    assert figures["int8"]["plate_free"] == {"pictures": 1, "false_boxes_a_picture": 0.0}
    assert set(figures["int8"]["conditions"]) == {"plate width px", "mean luma", "angle deg"}
    assert set(figures["models"]) == {path.name for path in MODELS.glob("*.tflite")}
    assert "precision against coverage" in told
    assert "drive-by" in told
    with Image.open(tmp_path / "mistakes.png") as sheet:
        assert sheet.width > 0


def test_plots_are_written_where_matplotlib_is(drive_by: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra train is not installed")
    assert evaluate.main([str(drive_by), "--out", str(tmp_path)]) == 0
    for name in ("coverage.png", "reliability.png", "conditions.png"):
        with Image.open(tmp_path / name) as plot:
            assert plot.width > 100


def test_the_same_nets_beside_themselves_differ_in_nothing(
    drive_by: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for net in ("plate-detector", "plate-reader"):
        shutil.copyfile(MODELS / f"{net}.tflite", tmp_path / f"{net}-float.tflite")
    assert evaluate.main([str(drive_by), "--float", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert "float / int8" in capsys.readouterr().out
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert figures["float"]["sets"] == figures["int8"]["sets"]


def test_what_cannot_be_measured_is_a_usage_error_that_names_it(
    drive_by: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad"
    (bad / "images").mkdir(parents=True)
    (bad / "labels.csv").write_text(HEADER + "a.jpg,1,2,3,4,AB,US,dev\n")
    asked: list[tuple[list[str], str]] = [
        (["nowhere", "--data", str(tmp_path)], "nowhere"),
        (["--data", str(drive_by / "images")], "no folder with a labels.csv"),
        ([str(drive_by), "--split", "train"], "no picture of split train"),
        ([str(bad)], "a.jpg not found"),
        ([str(drive_by), "--float", str(tmp_path)], "plate-reader-float.tflite"),
    ]
    for words, named in asked:
        assert evaluate.main(words) == 2
        assert named in capsys.readouterr().err
    (bad / "images" / "a.jpg").write_text("no picture")
    assert evaluate.main([str(bad)]) == 2
    assert "a.jpg" in capsys.readouterr().err
    assert evaluate.main([str(drive_by), "--models", str(tmp_path)]) == 3
    assert "plate-detector.toml" in capsys.readouterr().err


def test_precision_at_the_default_threshold_counts_only_the_sure() -> None:
    outcomes = (
        outcome("7ABC123", "7ABC123", 0.9),
        outcome("7ABC123", "7ABC128", 0.8),
        outcome("7ABC123", "7ABC123", 0.4),
        outcome("7ABC123", None, 0.0),
    )
    measured = Measured(outcomes=outcomes, boxes={"scenes": (5, 3)}, false_boxes=(), ms={})
    result = summary(measured, 0.7)
    row = result["sets"]["scenes"]
    assert (row["default_precision"], row["default_kept"]) == (0.5, 0.5)
    assert row["box_precision"] == 0.6
    assert coverage_table(outcomes)[-1] == {"kept": 0.75, "precision": 2 / 3, "threshold": 0.4}
    assert "scenes" in table(result)
    assert "scenes" in comparison(result, result)


def test_conditions_part_the_plates_by_width_light_and_angle() -> None:
    outcomes = tuple(
        outcome("AB12", "AB12", 0.9, width=width, angle=angle)
        for width, angle in ((30, 2), (50, 7), (200, 30), (200, math.nan))
    )
    parts = summary(Measured(outcomes=outcomes, boxes={}, false_boxes=(), ms={}), 0.5)["conditions"]
    assert [row["plates"] for row in parts["plate width px"].values()] == [1, 1, 2]
    assert [row["plates"] for row in parts["angle deg"].values()] == [1, 1, 1]


@pytest.mark.parametrize(
    ("corners", "degrees"),
    [
        (((0, 0), (100, 0), (100, 50), (0, 50)), 0),
        (((0, 0), (100, 0), (150, 50), (50, 50)), 45),
        (((0, 0), (100, 100), (50, 150), (-50, 50)), 45),
    ],
)
def test_angle_is_the_larger_of_tilt_and_slant(
    corners: tuple[tuple[float, float], ...], degrees: float
) -> None:
    a, b, c, d = corners
    assert angle_of((a, b, c, d)) == pytest.approx(degrees)
