"""A scene in which nothing moves is not searched again; a vehicle that appears is never missed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from detector_twins import FIND, DrawnDetector, ScriptedReader, box_at, reader_card

from detector.card import DetectorCard, ModelFile, NetInput, PlateRules
from detector.plates import U8
from detector.reader import PlateReader
from detector.stillness import MOST_REUSED, RESTLESS, StillScene, means

SHAPE = (448, 768)
NET = (216, 384)
QUAD = ((100.0, 100.0), (160.0, 100.0), (160.0, 124.0), (100.0, 124.0))
FINDING = DetectorCard(
    path=Path("plate-detector.toml"),
    model=ModelFile(kind="plate-detector", file="plate-detector.tflite", sha256="1" * 64),
    input=NetInput(height=NET[0], width=NET[1]),
    outputs={name: name for name in ("heat", "box", "corners")},
    find=FIND,
)
BOXES = (box_at(300, 200),)


def street(seed: int = 0, noise: float = 4.0) -> U8:
    """A picture with some structure; each seed has its own noise."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    scene = 110 + 30 * np.sin(x / 40) + 20 * np.cos(y / 31)
    grain = np.random.default_rng(seed).normal(0, noise, SHAPE)
    return np.asarray(np.clip(scene + grain, 0, 255), np.uint8)


def looked_at(picture: U8) -> StillScene:
    scene = StillScene()
    assert scene.boxes_of(picture, SHAPE) is None
    scene.keep(BOXES)
    return scene


@pytest.mark.parametrize("noise", [0.0, 3.0, 8.0])
def test_noise_alone_moves_nothing(noise: float) -> None:
    scene = looked_at(street(0, noise))
    for seed in range(1, MOST_REUSED + 1):
        assert scene.boxes_of(street(seed, noise), SHAPE) == BOXES


def test_the_detector_looks_every_few_frames_anyhow() -> None:
    scene = looked_at(street())
    for _ in range(MOST_REUSED):
        assert scene.boxes_of(street(), SHAPE) == BOXES
    assert scene.boxes_of(street(), SHAPE) is None


@pytest.mark.parametrize("noise", [0.0, 4.0, 8.0])
@pytest.mark.parametrize("contrast", [30, -30, 90])
def test_a_small_far_vehicle_that_appears_is_a_change(noise: float, contrast: int) -> None:
    scene = looked_at(street(0, noise))
    there = street(1, noise).astype(np.int16)
    there[100:124, 300:328] += contrast  # a vehicle so far away that its plate is 7 px wide
    assert scene.boxes_of(np.clip(there, 0, 255).astype(np.uint8), SHAPE) is None


def test_a_slow_vehicle_is_seen_though_each_frame_changes_little() -> None:
    scene = looked_at(street(0, 0.0))
    moved = None
    for step in range(1, 12):
        there = street(0, 0.0).astype(np.int16)
        there[100:180, 300 : 300 + 2 * step] += 60
        if scene.boxes_of(np.clip(there, 0, 255).astype(np.uint8), SHAPE) is None:
            moved = step
            break
    assert moved is not None
    assert moved <= 3


def test_other_light_or_another_size_is_another_picture() -> None:
    assert (
        looked_at(street()).boxes_of(np.clip(street().astype(np.int16) + 9, 0, 255).astype(np.uint8), SHAPE)
        is None
    )
    assert looked_at(street()).boxes_of(street(), (1080, 1920)) is None


def test_a_box_that_was_refused_stays_so_until_something_moves_in_it() -> None:
    scene = looked_at(street())
    scene.refuse(BOXES[0])
    assert scene.refused(box_at(302, 201))
    assert not scene.refused(box_at(400, 200))
    elsewhere, inside = street(1), street(2)
    elsewhere[300:340, 500:600] = 250
    inside[180:220, 280:330] = 250
    assert scene.boxes_of(elsewhere, SHAPE) is None
    assert scene.refused(BOXES[0])
    assert scene.boxes_of(inside, SHAPE) is None
    assert not scene.refused(BOXES[0])
    assert scene.boxes_of(street(3), SHAPE) == BOXES
    assert not scene.refused(BOXES[0])  # it is looked at again


def test_clutter_is_remembered_up_to_a_number_of_boxes() -> None:
    scene = looked_at(street())
    for number in range(40):
        scene.refuse(box_at(20.0 * number, 200, 10))
    assert not scene.refused(box_at(0, 200, 10))
    assert scene.refused(box_at(20.0 * 39, 200, 10))


@pytest.mark.parametrize(("shape", "side"), [((720, 1280), 13), ((45, 31), 8), ((5, 3), 8), ((9, 20), 1)])
def test_each_px_counts_in_the_mean_of_some_cell(shape: tuple[int, int], side: int) -> None:
    dark = np.zeros(shape, np.uint8)
    assert not means(dark, side).any()
    assert (means(dark + np.uint8(255), side) == 255).all()
    for row, column in [(0, 0), (0, -1), (-1, 0), (-1, -1), (shape[0] // 2, shape[1] // 2)]:
        spot = dark.copy()
        rows = slice(row, None) if row < 0 else slice(row, row + 1)
        columns = (
            slice(max(column - side // 2, -shape[1]), None) if column < 0 else slice(column, column + side)
        )
        spot[rows, columns] = 255
        assert means(spot, side).any()


def test_a_large_frame_is_compared_in_cells_of_the_nets_px() -> None:
    frame = np.full((1080, 1920), 90, np.uint8)
    scene = StillScene()
    assert scene.boxes_of(frame, frame.shape, 2.5) is None
    scene.keep(BOXES)
    assert scene.boxes_of(frame, frame.shape, 2.5) == BOXES
    there = frame.copy()
    there[-20:, -20:] += 4  # 8x8 px in the last corner of the net's picture
    assert scene.boxes_of(there, frame.shape, 2.5) is None


def test_a_picture_of_other_cells_is_another_one_even_after_a_search_that_failed() -> None:
    scene = looked_at(street())
    scene.refuse(BOXES[0])
    assert scene.boxes_of(street(), SHAPE, 2.0) is None  # no answer was kept
    assert not scene.refused(BOXES[0])
    assert scene.boxes_of(street(), SHAPE, 2.0) is None


class CountedDetector(DrawnDetector):
    """A drawn detector that counts how often it is asked."""

    asked = 0

    def invoke(self, luma: U8) -> object:  # type: ignore[override]
        """See DrawnDetector.invoke."""
        self.asked += 1
        return super().invoke(luma)


def test_frames_of_a_parked_scene_cost_neither_a_search_nor_a_look() -> None:
    detector = CountedDetector(NET, [(QUAD, 0.9)])
    net = ScriptedReader(["7ABC123"])
    card = replace(reader_card(), plate=PlateRules(bias=-20.0, least=0.5))
    reader = PlateReader(detector, FINDING, net, card)  # type: ignore[arg-type]
    frame = np.full((720, 1280), 90, np.uint8)
    for _ in range(8):
        seen = reader.read(frame, wanted=lambda box: True)
        assert (len(seen.readings), len(seen.refused)) == (0, 1)
    assert (detector.asked, net.looks) == (1, 1)
    frame[300:400, 300:600] = 200
    reader.read(frame, wanted=lambda box: True)
    assert (detector.asked, net.looks) == (2, 2)


def test_a_picture_that_comes_once_more_is_known_by_its_noise() -> None:
    scene = looked_at(street(0))
    told = []
    for picture in (street(0), street(1), street(1), street(1)[:-8], street(1)):
        scene.boxes_of(picture, picture.shape)
        told.append(scene.repeated)
    assert told == [True, False, True, False, False]


def test_a_picture_that_comes_once_more_is_not_read_once_more() -> None:
    net = ScriptedReader(["7ABC123"])
    card = replace(reader_card(), plate=PlateRules(bias=20.0, least=0.5))
    reader = PlateReader(DrawnDetector(NET, [(QUAD, 0.9)]), FINDING, net, card)
    frame = np.full((720, 1280), 90, np.uint8)
    first = reader.read(frame, wanted=lambda box: True)
    again = reader.read(frame, wanted=lambda box: True)
    assert (len(first.readings), first.repeats) == (1, False)
    assert (again.readings, len(again.unread), again.repeats) == ((), 1, True)
    assert len(reader.read(frame).readings) == 1  # this is a new picture


def test_a_scene_is_restless_once_something_moved_in_many_pictures_until_nothing_does() -> None:
    scene = looked_at(street())
    for step in range(RESTLESS):
        assert not scene.restless
        picture = street(step)
        picture[100:200, 60 * step : 60 * step + 90] = 250
        assert scene.boxes_of(picture, SHAPE) is None
        scene.keep(BOXES)
    assert scene.restless
    assert scene.boxes_of(picture, SHAPE) == BOXES
    assert not scene.restless


def test_a_restless_scene_that_comes_to_rest_is_searched_no_more() -> None:
    detector = CountedDetector(NET, [(QUAD, 0.9)])
    reader = PlateReader(detector, FINDING, ScriptedReader(["7ABC123"]), reader_card())  # type: ignore[arg-type]
    frame = np.full((720, 1280), 90, np.uint8)
    for step in range(RESTLESS + 3):
        frame[100:300] = 20 * step
        reader.read(frame, wanted=lambda box: True)
    assert detector.asked == RESTLESS + 3
    for _ in range(8):
        reader.read(frame, wanted=lambda box: True)
    assert detector.asked == RESTLESS + 4  # once more, because now the camera's picture is compared


def test_stills_without_a_tracker_are_each_searched() -> None:
    detector = CountedDetector(NET, [(QUAD, 0.9)])
    reader = PlateReader(detector, FINDING, ScriptedReader(["7ABC123"]), reader_card())  # type: ignore[arg-type]
    for _ in range(3):
        reader.read(np.full((720, 1280), 90, np.uint8))
    assert detector.asked == 3
