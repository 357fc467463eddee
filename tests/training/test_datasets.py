"""The splits of the data sets share no plate and no picture, and a bad label is named."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from detector.training.datasets import DataSetError, Picture, Split, fold, read_all, read_set

HEADER = "image,x,y,w,h,text,region,split\n"
NEAR_BITS = 24  # of 256: a rescaled or recompressed copy differs by less, two pictures of a place seldom
SPLITS: tuple[Split, ...] = ("train", "calibration", "dev")


def _write(folder: Path, rows: str) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "labels.csv").write_text(HEADER + rows)
    return folder


def _texts(pictures: list[Picture]) -> set[str]:
    return {fold(plate.text) for picture in pictures for plate in picture.plates if plate.text}


def _hashes(pictures: Iterable[Picture]) -> NDArray[np.uint64]:
    """A 256-bit difference hash of each picture, (N, 4)."""
    rows = []
    for picture in pictures:
        with Image.open(picture.path) as image:
            image.draft("L", (136, 128))
            small = image.convert("L").resize((17, 16), Image.Resampling.BOX)
        values = np.asarray(small, np.int16)
        rows.append(np.packbits(values[:, 1:] > values[:, :-1]).view(np.uint64))
    return np.stack(rows)


def _nearest(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> int:
    """The fewest bits by which a hash of the one list differs from a hash of the other."""
    return min(int(np.bitwise_count(first ^ row).sum(axis=1).min()) for row in second)


def test_no_plate_text_is_in_two_splits(shared_data: Path) -> None:
    texts = {split: _texts(list(read_all(shared_data, split))) for split in SPLITS}
    assert all(texts.values())
    assert not texts["train"] & texts["calibration"]
    assert not texts["train"] & texts["dev"]
    assert not texts["calibration"] & texts["dev"]


def test_a_set_left_out_takes_its_plates_with_it(tmp_path: Path) -> None:
    _write(tmp_path / "scenes", "s.jpg,1,1,9,4,QB10,EU,dev\n")
    _write(tmp_path / "crops", "a.jpg,,,,,0B1O,EU,train\nb.jpg,,,,,XY2,EU,train\n")
    rest = [picture.path.name for picture in read_all(tmp_path, "train", without=["scenes"])]
    whole = {split: [one.path.name for one in read_all(tmp_path, split)] for split in SPLITS}
    assert "a.jpg" in whole["train"] + whole["calibration"]
    assert "a.jpg" not in rest
    assert "b.jpg" in rest + [one.path.name for one in read_all(tmp_path, "calibration", without=["scenes"])]
    assert not list(read_all(tmp_path, "dev", without=["scenes"]))
    with pytest.raises(DataSetError, match="not found"):
        list(read_all(tmp_path, "train", without=["elsewhere"]))


def test_a_copy_of_a_picture_is_a_near_duplicate_and_another_is_not(shared_data: Path) -> None:
    one, other, *_ = read_all(shared_data, "dev", ["us-scenes"])
    mine, others = _hashes([one]), _hashes([other])
    assert _nearest(mine, mine) == 0
    assert _nearest(mine, others) > NEAR_BITS


@pytest.mark.thorough
@pytest.mark.slow
def test_no_near_duplicate_is_in_two_splits_of_any_sets(shared_data: Path) -> None:
    hashes = {split: _hashes(read_all(shared_data, split)) for split in SPLITS}
    for first, second in itertools.combinations(SPLITS, 2):
        assert _nearest(hashes[first], hashes[second]) > NEAR_BITS, (first, second)


def test_cut_out_plates_of_unknown_text_are_for_training_alone(tmp_path: Path) -> None:
    rows = "".join(f"f{i}.jpg,,,,,,US-CA,train\n" for i in range(200))
    folder = _write(tmp_path / "one", rows + "".join(f"n{i}.jpg,,,,,,none,train\n" for i in range(200)))
    by_split = {split: [p for p in read_set(folder) if p.split == split] for split in SPLITS}
    assert 5 < len(by_split["calibration"]) < 50
    assert not any(picture.plates for picture in by_split["calibration"])


def test_every_picture_is_in_exactly_one_split(shared_data: Path) -> None:
    paths = [picture.path for split in SPLITS for picture in read_all(shared_data, split)]
    assert len(paths) == len(set(paths))
    listed = sum(
        len({row.split(",")[0] for row in file.read_text().splitlines()[1:]})
        for file in shared_data.glob("*/labels.csv")
    )
    assert len(paths) == listed


def test_frames_of_one_plate_stay_together_when_a_slice_is_set_aside(tmp_path: Path) -> None:
    rows = "".join(f"f{i}.jpg,1,1,9,4,{text},US,train\n" for i, text in enumerate(["AB0", "ABO", "ABQ"] * 40))
    pictures = read_set(_write(tmp_path / "one", rows))
    assert len({picture.split for picture in pictures}) == 1


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        pytest.param("a.jpg,1,2,3,x,AB,US,train\n", "a.jpg|:2", id="a box that is not a number"),
        pytest.param("a.jpg,1,nan,3,4,AB,US,train\n", ":2: box", id="a box that is not finite"),
        pytest.param("a.jpg,1,2,3,4,AB\n", ":2: not as many", id="a row cut short"),
        pytest.param("a.jpg,1,2,3,4,AB,US,dev,x\n", ":2: not as many", id="a row too long"),
        pytest.param('a.jpg,1,2,3,4,"AB,US,dev\n', "no CSV", id="a quote left open"),
        pytest.param("a.jpg,1,2,0,5,AB,US,train\n", "no area", id="a box without area"),
        pytest.param("a.jpg,1,2,3,4,AB,US,test\n", "expected train or dev", id="an unknown split"),
        pytest.param(
            "a.jpg,1,2,3,4,AB,US,dev\na.jpg,1,2,3,4,AC,US,train\n", "more than one", id="a torn image"
        ),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, rows: str, word: str) -> None:
    folder = _write(tmp_path / "bad", rows)
    with pytest.raises(DataSetError, match=word):
        read_set(folder)


def test_a_table_that_is_not_a_text_is_named(tmp_path: Path) -> None:
    folder = _write(tmp_path / "bad", "")
    (folder / "labels.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(DataSetError, match="no CSV in UTF-8"):
        read_set(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="nowhere"):
        read_set(tmp_path / "nowhere")
