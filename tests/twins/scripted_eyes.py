"""Eyes that read what a picture's pixels encode, for tests of the stages after them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from detector_twins import Told
from numpy.typing import NDArray
from PIL import Image

from detector.card import ConfidenceRules, TextRules
from detector.errors import NetAnswerError
from detector.jurisdictions import FormatPrior
from detector.plates import (
    ALPHABET,
    CLASSES,
    Evidence,
    FrameReadings,
    PlateBox,
    PlateReading,
    PlateText,
)
from detector.vote import Decoding

JURISDICTIONS = ("US-CA", "GB")
DECODING = Decoding(
    TextRules(jurisdictions=JURISDICTIONS), ConfidenceRules(bias=2.0), FormatPrior(JURISDICTIONS)
)
SIZE = (320, 240)
PLATE = (60, 18)


def plate_text(text: str) -> PlateText:
    """A text read with near certainty."""
    slots = np.full((len(text), CLASSES), 0.01 / (CLASSES - 1), dtype=np.float32)
    for row, character in zip(slots, text, strict=True):
        row[ALPHABET.index(character)] = 0.99
    return PlateText(text=text, confidence=0.95, slots=slots, candidates=((text, 0.95),))


def write_drive(folder: Path, passes: list[tuple[str, int]], *, empty: int = 30) -> dict[int, str]:
    """Write pictures of gray blocks that drive through, one vehicle at a time, with empty road between them.

    passes: (text, frames). Each picture's first pixel is the vehicle's number (0: none). Returns the names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    names: dict[int, str] = {}
    for index, (text, frames) in enumerate(passes, 1):
        names[index] = text
        for step in range(frames):
            picture = np.full((SIZE[1], SIZE[0]), 30, dtype=np.uint8)
            x, y = 40 + step * 4, 60 + step * 4
            picture[y : y + PLATE[1], x : x + PLATE[0]] = 200
            picture[0, :4] = (index, x, y, 1)
            Image.fromarray(picture).save(folder / f"{number:05d}.png")
            number += 1
        for _ in range(empty):
            picture = np.full((SIZE[1], SIZE[0]), 30, dtype=np.uint8)
            picture[0, :4] = 0
            Image.fromarray(picture).save(folder / f"{number:05d}.png")
            number += 1
    return names


class ScriptedEyes:
    """Reads the vehicle that a picture of `write_drive` shows. before: called with each frame's number."""

    def __init__(self, names: dict[int, str]) -> None:
        self.names = names
        self.before: Callable[[int], object] = lambda frame: None
        self.frames = 0
        self.fail_at: int | None = None
        self.unsound_at: range = range(0)  # frames for which a net's output is not finite

    def read(
        self,
        luma: NDArray[np.uint8],
        lores: NDArray[np.uint8] | None = None,
        *,
        wanted: Callable[[PlateBox], bool | str] | None = None,
    ) -> FrameReadings:
        self.frames += 1
        self.before(self.frames)
        if self.fail_at == self.frames:
            raise RuntimeError("the eyes broke")
        if self.frames in self.unsound_at:
            raise NetAnswerError("plate-reader.tflite", "its columns come to a probability of nan")
        index, x, y = (float(value) for value in luma[0, :3])
        if not index:
            return FrameReadings(readings=(), ms={"find": 1.0})
        width, height = PLATE
        corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
        text = plate_text(self.names[int(index)])
        evidence = evidence_of(text.text)
        reading = PlateReading(
            box=PlateBox(corners=corners, confidence=0.9),
            judged=Told(text=text),
            patch=np.full((48, 144), 120, dtype=np.uint8),
            evidence=evidence,
        )
        return FrameReadings(readings=(reading,), ms={"find": 1.0, "read": 1.0})


def evidence_of(text: str) -> Evidence:
    """The evidence of one frame whose CTC columns spell `text`: each character once, a blank after each."""
    letters = tuple(ALPHABET.index(character) for character in text)
    columns = np.full((2 * len(text), CLASSES), 0.02 / (CLASSES - 1), dtype=np.float32)
    columns[np.arange(0, 2 * len(text), 2), letters] = 0.98
    columns[1::2, CLASSES - 1] = 0.98
    return Evidence(
        columns=columns[None],
        slots=None,
        jurisdiction=np.array([0.1, 0.9], dtype=np.float32),
        candidates=(letters,),
        paths=(letters,),
        width_px=float(PLATE[0]),
        score=0.9,
    )
