"""Reads the sets of real images and splits them into train, calibration and dev.

A set is a folder with ``images/`` and ``labels.csv`` (columns image, x, y, w, h, text, region,
split). Rows marked ``dev`` never reach a training. A tenth of the plate texts and of the plate-free
pictures in the rows marked ``train`` is set aside as ``calibration``: no net trains on it; thresholds and
temperatures are fitted on it. Rows with the same text always go to the same split.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Split = Literal["train", "calibration", "dev"]

CALIBRATION_SHARE = 10  # one group in ten
_FOLD = str.maketrans("OQI", "001")
_COLUMNS = ["image", "x", "y", "w", "h", "text", "region", "split"]


class DataSetError(Exception):
    """A set's folder or a row of its ``labels.csv`` cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledPlate:
    """One plate in a picture. ``box``: x, y, w, h in px, None if the whole picture is the plate."""

    box: tuple[float, float, float, float] | None
    text: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image file with the plates labeled in it (none in a plate-free picture)."""

    path: Path
    dataset: str
    split: Split
    plates: tuple[LabeledPlate, ...]

    def luma(self) -> NDArray[np.uint8]:
        """The picture's luma, uint8 (H, W)."""
        with Image.open(self.path) as image:
            return np.asarray(image.convert("L"))


def fold(text: str) -> str:
    """Gives texts that differ only in O/0, Q/0 or I/1 the same spelling."""
    return text.upper().translate(_FOLD)


def _groups(rows: dict[str, list[str]]) -> dict[str, set[str]]:
    """What must stay in one split, by image: its texts, and all texts that share a picture with them."""
    of_text: dict[str, set[str]] = {}
    for image, texts in rows.items():
        joined = {fold(text) for text in texts if text} or {image}
        for name in list(joined):
            joined |= of_text.get(name, set())
        for name in joined:
            of_text[name] = joined
    return {
        image: of_text[next((fold(text) for text in texts if text), image)] for image, texts in rows.items()
    }


def _is_calibration(name: str) -> bool:
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:4], "big") % CALIBRATION_SHARE == 0


def _can_calibrate(plates: tuple[LabeledPlate, ...]) -> bool:
    """Whether a calibration can use a picture. It cannot use cut-out plates of unknown text.

    Without a text, copies of one such plate could also end up in both splits.
    """
    return not plates or any(plate.text or plate.box is not None for plate in plates)


def _plate(row: dict[str, str], where: str) -> LabeledPlate | None:
    if row["region"] == "none":
        return None
    corners = [row[name] for name in ("x", "y", "w", "h")]
    try:
        box = tuple(float(value) for value in corners) if any(corners) else None
    except ValueError as error:
        raise DataSetError(f"{where}: box is not four numbers: {corners}") from error
    if box is not None and not all(math.isfinite(value) for value in box):
        raise DataSetError(f"{where}: box is not four numbers: {corners}")
    if box is not None and (box[2] <= 0 or box[3] <= 0):
        raise DataSetError(f"{where}: box has no area: {corners}")
    return LabeledPlate(
        box=None if box is None else (box[0], box[1], box[2], box[3]),
        text=row["text"],
        region=row["region"],
    )


def _rows(labels: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a labels.csv, each with the place to name in an error."""
    try:
        with labels.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            if reader.fieldnames != _COLUMNS:
                raise DataSetError(f"{labels}: columns are {reader.fieldnames}, expected {_COLUMNS}")
            for row in reader:
                where = f"{labels}:{reader.line_num}"
                if None in row or None in row.values():
                    raise DataSetError(f"{where}: not as many values as columns ({len(_COLUMNS)})")
                yield where, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataSetError(f"{labels}: is no CSV in UTF-8 ({error})") from error


def read_set(folder: Path) -> list[Picture]:
    """All pictures of one set, in the order of its ``labels.csv``.

    Raises DataSetError if the folder, a column, a box or a split is not as the module describes.
    """
    labels = folder / "labels.csv"
    if not labels.is_file():
        raise DataSetError(
            f"{labels} not found: name the folder of the sets with --data, or a set's own folder"
        )
    rows: dict[str, list[tuple[LabeledPlate | None, str]]] = {}
    for where, row in _rows(labels):
        if row["split"] not in ("train", "dev"):
            raise DataSetError(f"{where}: split is {row['split']!r}, expected train or dev")
        rows.setdefault(row["image"], []).append((_plate(row, where), row["split"]))
    groups = _groups(
        {image: [plate.text for plate, _ in entries if plate] for image, entries in rows.items()}
    )
    pictures = []
    for image, entries in rows.items():
        splits = {split for _, split in entries}
        if len(splits) != 1:
            raise DataSetError(f"{labels}: {image} is in more than one split")
        plates = tuple(plate for plate, _ in entries if plate is not None)
        split: Split = "dev" if splits == {"dev"} else "train"
        if split == "train" and _can_calibrate(plates) and all(map(_is_calibration, groups[image])):
            split = "calibration"
        pictures.append(
            Picture(path=folder / "images" / image, dataset=folder.name, split=split, plates=plates)
        )
    return pictures


def read_all(
    root: Path, split: Split, names: Iterable[str] | None = None, *, without: Collection[str] = ()
) -> Iterator[Picture]:
    """Pictures of one split from every set below ``root``, or from the named sets.

    ``without``: sets to leave out completely, with every picture elsewhere that shows one of their
    plates, so that a net trained on the rest has never seen them. Raises DataSetError for a missing set.
    """
    left_out = _texts(root, without)
    folders = (
        [root / name for name in names]
        if names is not None
        else sorted(path.parent for path in root.glob("*/labels.csv"))
    )
    for folder in folders:
        if folder.name not in without:
            yield from (
                picture
                for picture in read_set(folder)
                if picture.split == split
                and left_out.isdisjoint(fold(plate.text) for plate in picture.plates if plate.text)
            )


def _texts(root: Path, names: Collection[str]) -> set[str]:
    return {
        fold(plate.text)
        for name in names
        for picture in read_set(root / name)
        for plate in picture.plates
        if plate.text
    }
