"""The data sets are dealt without a leak, and a bad label is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.training.datasets import DataSetError, Picture, Split, fold, read_all, read_set

HEADER = "image,x,y,w,h,text,region,split\n"


def _write(folder: Path, rows: str) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "labels.csv").write_text(HEADER + rows)
    return folder


def _texts(pictures: list[Picture]) -> set[str]:
    return {fold(plate.text) for picture in pictures for plate in picture.plates if plate.text}


def _hash(picture: Picture) -> int:
    """A 256-bit difference hash."""
    small = Image.fromarray(picture.luma()).resize((17, 16), Image.Resampling.BOX)
    values = np.asarray(small, np.int16)
    bits = (values[:, 1:] > values[:, :-1]).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


SPLITS: tuple[Split, ...] = ("train", "calibration", "dev")


def test_no_plate_text_lies_in_two_splits(shared_data: Path) -> None:
    texts = {split: _texts(list(read_all(shared_data, split))) for split in SPLITS}
    assert all(texts.values())
    assert not texts["train"] & texts["calibration"]
    assert not texts["train"] & texts["dev"]
    assert not texts["calibration"] & texts["dev"]


def test_no_near_duplicate_lies_in_train_and_dev(shared_data: Path) -> None:
    names = ["us-scenes", "eu-scenes", "br-scenes", "us-crops"]
    train = [_hash(picture) for picture in read_all(shared_data, "train", names)]
    dev = [_hash(picture) for picture in read_all(shared_data, "dev", names)]
    nearest = min((a ^ b).bit_count() for a in train for b in dev)
    assert nearest > 16


def test_every_picture_lies_in_exactly_one_split(shared_data: Path) -> None:
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
        pytest.param("a.jpg,1,2,3,x,AB,US,train\n", "a.jpg|:2", id="a box that is no number"),
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


def test_a_table_that_is_no_text_is_named(tmp_path: Path) -> None:
    folder = _write(tmp_path / "bad", "")
    (folder / "labels.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(DataSetError, match="no CSV in UTF-8"):
        read_set(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="nowhere"):
        read_set(tmp_path / "nowhere")
