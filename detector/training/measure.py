"""Runs a reader over labeled pictures and records the outcome for each plate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..plates import Corners, PlateReading
from ..reader import PlateReader
from .datasets import DataSetError, LabeledPlate, Picture
from .metrics import PlateOutcome, overlap

FOUND = 0.3  # least IoU of a plate's reading: low, so that a loose label does not lose a text


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All outcomes of one run.

    ``boxes``: for each set, how many boxes were reported in pictures with labeled plates, and how many of
    them match a plate (IoU 0.5). ``false_boxes``: the scores of the boxes in each plate-free picture.
    """

    outcomes: tuple[PlateOutcome, ...]
    boxes: dict[str, tuple[int, int]]
    false_boxes: tuple[tuple[float, ...], ...]
    ms: dict[str, float]


def measure(reader: PlateReader, pictures: Iterable[Picture]) -> Measured:
    """Runs the reader over pictures; whole-picture plates are read without a search for boxes."""
    outcomes: list[PlateOutcome] = []
    boxes: dict[str, tuple[int, int]] = {}
    false_boxes: list[tuple[float, ...]] = []
    spent: dict[str, list[float]] = {}
    for picture in pictures:
        luma = picture.luma()
        if picture.plates and picture.plates[0].box is None:
            outcomes.append(_crop_outcome(reader, picture, luma))
            continue
        seen = reader.read(luma)
        if not picture.plates:
            false_boxes.append(tuple(reading.box.confidence for reading in seen.readings))
            continue
        for stage, ms in seen.ms.items():
            spent.setdefault(stage, []).append(ms)
        outcomes += _scene_outcomes(reader, picture, luma, seen.readings)
        told, matched = boxes.get(picture.dataset, (0, 0))
        hits = sum(_hits(reading, picture) for reading in seen.readings)
        boxes[picture.dataset] = told + len(seen.readings), matched + hits
    return Measured(
        outcomes=tuple(outcomes),
        boxes=boxes,
        false_boxes=tuple(false_boxes),
        ms={stage: float(np.median(values)) for stage, values in spent.items()},
    )


def found_plates(
    reader: PlateReader, pictures: Iterable[Picture], wanted: Callable[[LabeledPlate], object]
) -> Iterator[tuple[LabeledPlate, PlateReading, NDArray[np.uint8]]]:
    """Reads each scene or crop once; yields each wanted plate found, its reading and the picture (H, W)."""
    for picture in pictures:
        plates = [plate for plate in picture.plates if wanted(plate)]
        if plates and plates[0].box is None:
            reading, luma = crop_reading(reader, picture.luma())
            yield plates[0], reading, luma
        elif plates:
            luma = picture.luma()
            readings = reader.read(luma).readings
            for plate in plates:
                shares = [overlap(one.box.box, plate.box) if plate.box else 0.0 for one in readings]
                if max(shares, default=0.0) >= FOUND:
                    yield plate, readings[int(np.argmax(shares))], luma


def angle_of(corners: Corners) -> float:
    """How far a plate is from level and rectangular, in degrees: the larger of its tilt and its slant."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners
    across = (bx - ax + cx - dx, by - ay + cy - dy)
    down = (dx - ax + cx - bx, dy - ay + cy - by)
    tilt = math.degrees(math.atan2(across[1], across[0]))
    between = math.degrees(math.atan2(down[1], down[0])) - tilt
    return max(abs(tilt), abs(between - 90.0))


def _hits(reading: PlateReading, picture: Picture) -> bool:
    return any(
        plate.box is not None and overlap(reading.box.box, plate.box) >= 0.5 for plate in picture.plates
    )


def _scene_outcomes(
    reader: PlateReader, picture: Picture, luma: NDArray[np.uint8], readings: Sequence[PlateReading]
) -> list[PlateOutcome]:
    outcomes = []
    for plate in picture.plates:
        if plate.box is None:
            raise DataSetError(f"{picture.path}: a plate without a box beside plates with one")
        shares = [overlap(reading.box.box, plate.box) for reading in readings]
        best = int(np.argmax(shares)) if shares else -1
        reading = readings[best] if best >= 0 and shares[best] >= FOUND else None
        angle = angle_of(reader.corners_at(luma, reading.box)) if reading is not None else math.nan
        share = shares[best] if best >= 0 else 0.0
        outcomes.append(_outcome(picture, plate, luma, reading, share=share, angle_deg=angle))
    return outcomes


def crop_reading(reader: PlateReader, luma: NDArray[np.uint8]) -> tuple[PlateReading, NDArray[np.uint8]]:
    """Reads a whole-picture plate after extending its edges for a margin; also returns that picture."""
    pad_y, pad_x = luma.shape[0] // 4, luma.shape[1] // 4
    wide = np.pad(luma, ((pad_y, pad_y), (pad_x, pad_x)), mode="edge")
    left, top = float(pad_x), float(pad_y)
    right, bottom = left + luma.shape[1], top + luma.shape[0]
    return reader.read_at(wide, ((left, top), (right, top), (right, bottom), (left, bottom))), wide


def _crop_outcome(reader: PlateReader, picture: Picture, luma: NDArray[np.uint8]) -> PlateOutcome:
    reading, wide = crop_reading(reader, luma)
    angle = angle_of(reader.corners_at(wide, reading.box))
    return _outcome(picture, picture.plates[0], luma, reading, share=math.nan, angle_deg=angle)


def _outcome(
    picture: Picture,
    plate: LabeledPlate,
    luma: NDArray[np.uint8],
    reading: PlateReading | None,
    *,
    share: float,
    angle_deg: float,
) -> PlateOutcome:
    x, y, w, h = plate.box or (0.0, 0.0, float(luma.shape[1]), float(luma.shape[0]))
    inside = luma[max(int(y), 0) : int(y + h) + 1, max(int(x), 0) : int(x + w) + 1]
    text = reading.text if reading is not None else None
    return PlateOutcome(
        image=picture.path.name,
        dataset=picture.dataset,
        region=plate.region,
        truth=plate.text,
        read=text.text if text is not None else None,
        confidence=text.confidence if text is not None else 0.0,
        overlap=share,
        plate_width_px=w,
        mean_luma=float(inside.mean()) if inside.size else math.nan,
        angle_deg=angle_deg,
        jurisdiction=text.jurisdiction[0][0] if text is not None and text.jurisdiction else None,
        jurisdiction_chance=text.jurisdiction[0][1] if text is not None and text.jurisdiction else 0.0,
    )
