"""The benchmark of passes counts what it claims and resumes after a cut; its clips match their truth."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from detector_twins import box_at

from detector.plates import NO_CHARACTER, PlateText, VehiclePass
from detector.training import evaluate_passes as passes
from detector.training.evaluate_passes import (
    ClipOutcome,
    VehicleOutcome,
    compare,
    counted,
    interval,
    load_outcomes,
)
from detector.training.render.passes import KINDS, VIEW, Clip, Ride, draw_clip, plate_texts, still
from detector.training.render.passes_picture import ClipPictures, SeenPlate, seen_without_picture


def test_the_interval_holds_the_share_and_shrinks_with_more() -> None:
    for count, total in ((0, 10), (5, 10), (10, 10), (985, 1000)):
        low, high = interval(count, total)
        assert 0.0 <= low <= count / total <= high <= 1.0
    assert interval(0, 1000)[1] == pytest.approx(0.00383, abs=1e-4)  # Wilson 1927: z^2 / (n + z^2)
    assert interval(0, 0) == (0.0, 1.0)


def vehicle(**how: object) -> VehicleOutcome:
    facts: dict[str, object] = {"truth": "7ABC123", "countable": True, "passes": 1} | how
    return VehicleOutcome(**facts)  # type: ignore[arg-type]


def test_each_fate_of_a_vehicle_is_counted_once() -> None:
    fates = (
        vehicle(text="7ABC123", confidence=0.9, right=True),
        vehicle(text="7ABC128", confidence=0.9),
        vehicle(text="7AB?123", confidence=0.2),
        vehicle(passes=0),
        vehicle(passes=2, text="7ABC123", confidence=0.9, right=True),
        vehicle(countable=False, passes=0),
    )
    strays = (("EXIT", 0.7), ("A", 0.1))
    clip = ClipOutcome(
        seed=0,
        kind="passing",
        fps=10,
        fleet=False,
        frames=9,
        vehicles=fates,
        strays=strays,
    )
    figures = counted([clip], 0.5)
    assert (figures["passes"], figures["right"], figures["wrong and sure"]) == (5, 1, 1)
    assert (figures["wrong, not sure"], figures["missed or merged"], figures["counted twice"]) == (1, 1, 1)
    assert figures["no plate, sure"] == 1


def test_outcomes_survive_a_run_that_was_cut_off(tmp_path: Path) -> None:
    clip = ClipOutcome(seed=3, kind="convoy", fps=5, fleet=True, frames=9, vehicles=(vehicle(),), strays=())
    path = tmp_path / "passes.jsonl"
    path.write_text(json.dumps(asdict(clip)) + "\n" + json.dumps(asdict(clip))[:40])
    assert load_outcomes(path) == [clip]
    assert load_outcomes(tmp_path / "none.jsonl") == []


def test_a_folder_that_is_not_there_yet_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run" / "passes.jsonl"
    assert passes.main(["--passes", "0", "--out", str(path)]) == 0
    assert path.is_file()
    assert "0" in capsys.readouterr().out


def told(text: str, x: float, sequence: int) -> VehiclePass:
    slots = np.full((len(text), NO_CHARACTER + 1), 1 / 37, np.float32)
    box = box_at(x, 300, 80)
    return VehiclePass(
        pass_id=sequence + 1,
        text=PlateText(text=text, confidence=0.9, slots=slots, candidates=((text, 0.9),)),
        frames_voted=3,
        frames_seen=3,
        first_us=0,
        last_us=1,
        direction="parked",
        first_box=box,
        last_box=box,
        best_sequence=sequence,
        best_box=box,
        best_patch=np.zeros((4, 12), np.uint8),
    )


def parked(x: float, ride: int) -> SeenPlate:
    corners = np.array([(x - 40, 280), (x + 40, 280), (x + 40, 320), (x - 40, 320)], np.float64)
    return SeenPlate(ride=ride, corners=corners, shows=1.0)


def test_a_pass_belongs_to_the_vehicle_whose_plate_its_picture_shows() -> None:
    rides = tuple(
        Ride(text=text, vehicle=n, rear=False, direction="parked", way=still(0.0, 10.0))
        for n, text in enumerate(("7ABC123", "7ABC124", "7ABC125"))
    )
    clip = Clip(kind="parked", seed=0, fps=10, frames=3, rides=rides)
    shown = [(parked(200, 0), parked(400, 1), parked(600, 2))] * 3
    outcome = compare(clip, [told("7ABC123", 203, 0), told("7ABC123", 398, 1), told("TAXI", 800, 1)], shown)
    assert [(one.passes, one.right) for one in outcome.vehicles] == [(1, True), (1, False), (0, False)]
    assert outcome.strays == (("TAXI", 0.9),)
    assert all(one.countable for one in outcome.vehicles)


def test_fleet_mates_differ_in_one_character() -> None:
    for seed in range(20):
        first, second = plate_texts(np.random.default_rng(seed), 2, fleet=True)
        assert sum(a != b for a, b in zip(first, second, strict=True)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_clips_of_every_kind_are_the_same_again_and_show_each_vehicle(kind: str) -> None:
    seed = list(KINDS).index(kind)
    clip, again = draw_clip(seed), draw_clip(seed)
    assert clip.kind == kind
    assert (clip.fps, clip.frames, [one.text for one in clip.rides]) == (
        again.fps,
        again.frames,
        [one.text for one in again.rides],
    )
    seen = {
        plate.ride
        for number in range(clip.frames)
        for plate in seen_without_picture(clip, number, np.zeros(2))
        if plate.shows > 0.99
    }
    assert 0 in seen


def test_pictures_show_the_plates_where_the_truth_says() -> None:
    clip = draw_clip(list(KINDS).index("parked"))
    first = next(iter(ClipPictures(clip)))
    assert first.luma.shape == (VIEW.height_px, VIEW.width_px)
    assert first.plates
    for plate in first.plates:
        low, high = plate.corners.min(axis=0).astype(int), plate.corners.max(axis=0).astype(int)
        inside = first.luma[low[1] : high[1], low[0] : high[0]]
        assert inside.std() > 15  # characters on a sheet


def test_the_command_names_a_folder_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "no").touch()
    assert passes.main(["--out", str(tmp_path / "no" / "folder.jsonl"), "--passes", "1"]) == 2
    assert "choose another file" in capsys.readouterr().err
