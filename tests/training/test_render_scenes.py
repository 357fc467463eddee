"""Scenes and the drive-by: plates are where the truth says, and the seed determines the clip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.training.render import camera, render_plate
from detector.training.render import drive_by as clip
from detector.training.render.clutter import draw_clutter
from detector.training.render.scenes import render_scene
from detector.training.render.vehicles import DAYLIGHT, draw_vehicle, park
from detector.training.render.viewpoint import Viewpoint

CLIP = Path(__file__).resolve().parent.parent / "replay" / "drive_by"


def likeness(one: camera.Luma, other: camera.Luma) -> float:
    return float(np.corrcoef(one.astype(float).ravel(), other.astype(float).ravel())[0, 1])


@pytest.mark.thorough
def test_scene_corners_enclose_the_plates_that_were_asked_for() -> None:
    rng = np.random.default_rng(0)
    likenesses = []
    for _ in range(12):
        plate = render_plate(rng, jurisdiction="US")
        scene = render_scene(
            rng, np.full((360, 640), 120, np.uint8), [plate], widths=(60, 160), infrared=False
        )
        for quad, text in zip(scene.corners, scene.texts, strict=True):
            assert text == plate.text
            assert quad.min() >= 0
            assert np.all(quad.max(axis=0) <= (640, 360))
            seen = camera.cut_out(scene.luma, quad, (40, 80))
            flat = camera.defocus(camera.cut_out(plate.luma, plate.corners, (40, 80)), 2.0)
            likenesses.append(likeness(camera.defocus(seen, 1.0), flat))
    assert len(likenesses) >= 10
    assert np.median(likenesses) > 0.6


def test_a_scene_without_plates_has_clutter_and_no_corners() -> None:
    background = np.full((360, 640), 120, np.uint8)
    scene = render_scene(np.random.default_rng(1), background, [], clutter=4, infrared=False)
    assert scene.corners == []
    assert scene.texts == []
    assert scene.luma.std() > 3


def test_plates_of_one_scene_do_not_cover_each_other() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        corners = render_scene(rng, np.full((360, 640), 90, np.uint8)).corners
        for index, one in enumerate(corners):
            for other in corners[index + 1 :]:
                apart = np.any(one.max(axis=0) < other.min(axis=0)) or np.any(
                    other.max(axis=0) < one.min(axis=0)
                )
                assert apart


def test_the_same_seed_gives_the_same_scene() -> None:
    background = np.full((180, 320), 100, np.uint8)
    first, again = (render_scene(np.random.default_rng(4), background) for _ in range(2))
    assert np.array_equal(first.luma, again.luma)
    assert first.texts == again.texts


def test_clutter_of_every_kind_is_drawn() -> None:
    rng = np.random.default_rng(3)
    things = [draw_clutter(rng) for _ in range(200)]
    assert len({thing.what for thing in things}) == 9
    assert all(thing.luma.shape == thing.alpha.shape for thing in things)


@pytest.mark.parametrize("rear", [False, True])
@pytest.mark.parametrize("x", [-2.0, 0.0, 2.0])
def test_a_parked_vehicle_shows_its_plate_at_the_returned_corners(rear: bool, x: float) -> None:
    rng = np.random.default_rng(5)
    view = Viewpoint(width_px=1280, height_px=720, focal_px=1500, height_m=2.2, yaw=0.0, pitch=0.16)
    plate = render_plate(rng, jurisdiction="US-CA")
    vehicle = draw_vehicle(rng, plate, rear=rear)
    picture, quad = park(np.full((720, 1280), 100, np.uint8), view, vehicle, (x, 7.0), DAYLIGHT)
    straight = camera.cut_out(picture, quad, (36, 72))
    flat = camera.defocus(camera.cut_out(plate.luma, plate.corners, (36, 72)), 1.5)
    assert likeness(camera.defocus(straight, 0.8), flat) > 0.8


def test_a_vehicle_behind_the_camera_is_refused() -> None:
    rng = np.random.default_rng(6)
    view = Viewpoint(width_px=640, height_px=360, focal_px=900, height_m=2.0, yaw=0.0, pitch=0.1)
    vehicle = draw_vehicle(rng, render_plate(rng, jurisdiction="US"), rear=True)
    with pytest.raises(ValueError, match="behind the camera"):
        park(np.zeros((360, 640), np.uint8), view, vehicle, (0.0, -3.0), DAYLIGHT)


def test_a_viewpoint_puts_nearer_things_lower_and_larger() -> None:
    view = Viewpoint(width_px=1280, height_px=720, focal_px=2000, height_m=2.5, yaw=0.0, pitch=0.12)
    near, far = view.project(np.array([(0.0, 8.0, 0.0), (0.0, 20.0, 0.0)]))
    assert near[1] > far[1]
    assert view.px_per_meter(8.0) > 2 * view.px_per_meter(20.0)


def test_a_stopping_vehicle_stops_where_it_should_and_stays() -> None:
    way = next(one for one in clip.DAY if one.stops)
    places = [way.y_m(frame) for frame in range(clip.DAY_FRAMES)]
    there = [place for place in places if place is not None]
    assert there == sorted(there, reverse=True)
    assert there[-1] == pytest.approx(8.4)
    assert there[-5] == pytest.approx(there[-1])


def truth() -> dict[str, list[dict[str, object]]]:
    page = json.loads((CLIP / "truth.json").read_text(encoding="utf-8"))
    assert isinstance(page, dict)
    return page


def test_the_clip_in_the_repository_shows_what_was_asked_of_it() -> None:
    vehicles = truth()["vehicles"]
    assert len(vehicles) >= 5
    assert len({vehicle["text"] for vehicle in vehicles}) == len(vehicles)
    assert {vehicle["direction"] for vehicle in vehicles} == {"towards", "away"}
    assert any(vehicle["stops"] for vehicle in vehicles)
    assert {vehicle["night"] for vehicle in vehicles} == {False, True}
    frames = sorted(CLIP.glob("frame_*.jpg"))
    assert len(frames) == clip.DAY_FRAMES + clip.NIGHT_FRAMES
    assert sum(path.stat().st_size for path in frames) < 3_000_000


def test_the_clips_truth_encloses_a_plate_in_its_frames() -> None:
    """Inside the corners there is the contrast of characters on a sheet."""
    for vehicle in truth()["vehicles"]:
        corners = vehicle["corners"]
        assert isinstance(corners, dict)
        for frame, points in list(corners.items())[::4]:
            quad = np.array(points)
            luma = np.asarray(Image.open(CLIP / f"frame_{int(frame):04d}.jpg"))
            inside = camera.cut_out(luma, quad, (24, 48)).astype(float)
            assert np.percentile(inside, 90) - np.percentile(inside, 5) > 40


def test_the_clip_follows_from_its_seed(tmp_path: Path) -> None:
    """The first frames of both parts, drawn twice, have the same bytes."""
    first, again = tmp_path / "first", tmp_path / "again"
    for folder in (first, again):
        clip.render_clip(folder, seed=3, day_frames=1, night_frames=2)
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert all((first / name).read_bytes() == (again / name).read_bytes() for name in names)


def test_a_folder_that_cannot_be_written_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    assert clip.main([str(blocked)]) == 2
    assert "choose another folder" in capsys.readouterr().err
