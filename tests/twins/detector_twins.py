"""Nets that give the output of a perfect net, and readings and evidence for known texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.card import ConfidenceRules, FindRules, ModelFile, NetInput, PatchRules, ReaderCard, TextRules
from detector.ctc import beam_search, best_path, column_probabilities
from detector.jurisdictions import FormatPrior
from detector.plates import (
    ALPHABET,
    CLASSES,
    NO_CHARACTER,
    U8,
    Confirmation,
    Corners,
    Evidence,
    FrameReadings,
    PlateBox,
    PlateReading,
    PlateText,
)
from detector.runtime import NetOutput
from detector.track import Tracker
from detector.vote import Decoding, Vote

CODES = ("US-CA", "US-TX", "EU", "BR")
COLUMNS = 36
FIND = FindRules()
TEXT = TextRules(jurisdictions=CODES)
DECODING = Decoding(TEXT, ConfidenceRules(), FormatPrior(CODES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A text that is already known, in place of one that evidence adds up to."""

    text: PlateText
    features: Mapping[str, float] = field(repr=False, default_factory=dict)

    @property
    def leader(self) -> str:
        """See PlateText.leader."""
        return self.text.leader


def labels(text: str) -> tuple[int, ...]:
    """The class numbers of a text."""
    return tuple(ALPHABET.index(character) for character in text)


def quantised(real: NDArray[np.float64], scale: float, zero: int) -> NetOutput:
    """A tensor as the int8 output of a net."""
    return NetOutput(np.clip(np.rint(real / scale) + zero, -128, 127).astype(np.int8), scale, zero)


def detector_maps(
    plates: Sequence[tuple[Corners, float]], size: tuple[int, int], stride: int = 4
) -> dict[str, NetOutput]:
    """Heat, box and corner maps (int8) that show plates given as (corners in net px, score)."""
    rows, columns = size[0] // stride, size[1] // stride
    heat = np.full((rows, columns, 1), -8.0)
    box = np.zeros((rows, columns, 4))
    corners = np.zeros((rows, columns, 8))
    y, x = (np.mgrid[:rows, :columns] + 0.5) * stride
    for quad, score in plates:
        points = np.array(quad)
        low, high = points.min(axis=0), points.max(axis=0)
        center, span = (low + high) / 2, high - low
        peak = np.log(score / (1 - score))
        away = ((x - center[0]) / max(span[0], 8)) ** 2 + ((y - center[1]) / max(span[1], 8)) ** 2
        bump = peak - 12 * (away - away.min())  # the nearest cell has the full score
        mine = bump > heat[..., 0]
        heat[mine, 0] = bump[mine]
        box[mine, 0] = ((center[0] - x) / span[0])[mine]
        box[mine, 1] = ((center[1] - y) / span[1])[mine]
        box[mine, 2:] = np.log(span)
        corners[mine] = ((points - center) / span).reshape(8)
    return {
        "heat": quantised(heat, 0.05, 40),
        "box": quantised(np.clip(box, -2, 8), 0.03, -60),
        "corners": quantised(corners, 0.008, 0),
    }


def column_logits(text: str, *, sure: float = 9.0, noise: float = 0.0, seed: int = 0) -> NDArray[np.float32]:
    """CTC logits (36, 37) that spell a text; ``sure`` nats above the rest, noise on every class."""
    rng = np.random.default_rng(seed)
    out = rng.normal(0, 1, (COLUMNS, CLASSES)) * noise
    step = COLUMNS / max(len(text), 1)
    at = [int((index + 0.5) * step) for index in range(len(text))]
    for column in range(COLUMNS):
        out[column, labels(text[at.index(column)])[0] if column in at else NO_CHARACTER] += sure
    return out.astype(np.float32)


def slot_logits(text: str, *, sure: float = 6.0) -> NDArray[np.float32]:
    """The second head's logits (10, 37) for a text."""
    out = np.zeros((10, CLASSES), np.float32)
    for slot in range(10):
        out[slot, labels(text[slot])[0] if slot < len(text) else NO_CHARACTER] += sure
    return out


@dataclass(slots=True)
class DrawnDetector:
    """A detector net that knows where the plates are, whatever it is shown."""

    size: tuple[int, int]
    plates: Sequence[tuple[Corners, float]] = ()

    def invoke(self, luma: NDArray[np.uint8]) -> Mapping[str, NetOutput]:
        """The maps of its plates, in pixels of the net."""
        assert luma.shape == self.size
        return detector_maps(self.plates, self.size)


@dataclass(slots=True)
class ScriptedReader:
    """A reader net that reads the texts of its script, one per call, and then repeats the last."""

    script: list[str]
    corners: Sequence[float] = (-0.46, -0.44, 0.46, -0.44, 0.46, 0.44, -0.46, 0.44)
    size: tuple[int, int] = (48, 144)
    looks: int = 0

    def invoke(self, luma: NDArray[np.uint8]) -> Mapping[str, NetOutput]:
        """The columns, slots, corners and jurisdiction for the next text."""
        assert luma.shape == self.size
        text = self.script[min(self.looks, len(self.script) - 1)]
        self.looks += 1
        return {
            "columns": NetOutput(column_logits(text)),
            "slots": NetOutput(slot_logits(text)),
            "corners": NetOutput(np.array(self.corners, np.float32)),
            "jurisdiction": NetOutput(np.array([4.0, 0.0, 0.0, 0.0], np.float32)),
        }


def reader_card(**patch: float | bool) -> ReaderCard:
    """A model card for the reader nets in this module."""
    return ReaderCard(
        path=Path("plate-reader.toml"),
        model=ModelFile(kind="plate-reader", file="plate-reader.tflite", sha256="0" * 64),
        input=NetInput(height=48, width=144),
        outputs={name: name for name in ("columns", "slots", "corners", "jurisdiction")},
        patch=PatchRules(**patch),  # type: ignore[arg-type]
        text=TEXT,
        confidence=ConfidenceRules(),
    )


@cache
def _spelt(text: str, sure: float, noise: float, seed: int) -> Evidence:
    logits = column_logits(text, sure=sure, noise=noise, seed=seed)
    columns = column_probabilities(logits, 1.0, TEXT.smoothing)
    return Evidence(
        columns=columns[None].astype(np.float32),
        slots=None,
        jurisdiction=np.full(len(CODES), 1 / len(CODES), np.float32),
        candidates=tuple(sorted(text for text, _ in beam_search(columns, TEXT.beam)[:6])),
        paths=(best_path(columns),),
        width_px=100.0,
        score=0.8,
    )


@cache
def _judged(text: str, sure: float, noise: float, seed: int) -> PlateText:
    return Vote(DECODING, (_spelt(text, sure, noise, seed),)).verdict().text


def evidence(text: str, *, sure: float = 9.0, noise: float = 0.0, seed: int = 0) -> Evidence:
    """The evidence from one frame of a plate with that text."""
    return _spelt(text, sure, noise, seed)


def box_at(x: float, y: float, width: float = 100.0, score: float = 0.8) -> PlateBox:
    """An upright plate, twice as wide as high, with its center at x, y."""
    w, h = width / 2, width / 4
    return PlateBox(
        corners=((x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)), confidence=score
    )


def patch_of(plate: str) -> U8:
    """A patch of spots that no other plate's patch resembles."""
    return np.random.default_rng(list(plate.encode())).integers(0, 256, (12, 36), np.uint8)


def reading(
    text: str,
    box: PlateBox,
    *,
    sure: float = 9.0,
    noise: float = 0.0,
    seed: int = 0,
    plate: str | None = None,
) -> PlateReading:
    """A reading of that text at that place; wrong only if the test gives another plate."""
    return PlateReading(
        box=box,
        judged=Told(text=_judged(text, sure, noise, seed)),
        patch=patch_of(text if plate is None else plate),
        evidence=replace(_spelt(text, sure, noise, seed), width_px=box.width_px, score=box.confidence),
    )


def frame(
    *readings: PlateReading, unread: Sequence[PlateBox] = (), confirmed: Sequence[Confirmation] = ()
) -> FrameReadings:
    """The plates in one frame."""
    return FrameReadings(readings=readings, unread=tuple(unread), confirmed=tuple(confirmed))


def as_asked(tracker: Tracker, plates: Sequence[PlateReading]) -> FrameReadings:
    """What a reader gives for these plates: read, confirmed or left unread, as the tracker asks."""
    readings: list[PlateReading] = []
    unread: list[PlateBox] = []
    confirmed: list[Confirmation] = []
    for plate in plates:
        wish = tracker.wants_text(plate.box)
        if wish is True or (wish and wish != plate.leader):
            readings.append(plate)
        elif wish:
            seen = plate.evidence
            confirmed.append(
                Confirmation(box=plate.box, patch=plate.patch, sureness=seen.sureness, cut=seen.cut)
            )
        else:
            unread.append(plate.box)
    return frame(*readings, unread=unread, confirmed=confirmed)
