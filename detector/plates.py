"""The detector's records: boxes, texts, readings and vehicle passes. Frozen; a repr never shows a plate.

Coordinates are px of the full-resolution frame, x to the right and y down, floats.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Point = tuple[float, float]
Corners = tuple[Point, Point, Point, Point]  # clockwise from the top-left of the text
Direction = Literal["towards", "away", "parked", "unknown"]

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
NO_CHARACTER = len(ALPHABET)  # index of "no character" and of the CTC blank in each row of probabilities
CLASSES = len(ALPHABET) + 1
UNREADABLE = "?"


def as_corners(quad: Iterable[Iterable[float]]) -> Corners:
    """Converts four points to corners; the numbers of an array become Python floats."""
    a, b, c, d = ((float(x), float(y)) for x, y in quad)
    return a, b, c, d


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateBox:
    """The place of a plate in a frame. ``confidence``: the detector's score, 0..1.

    ``width_px``, ``height_px``: mean length of the top and bottom edges, and of the left and right ones.
    """

    corners: Corners
    confidence: float
    width_px: float = field(init=False, compare=False, repr=False)  # asked for dozens of times a frame
    height_px: float = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        a, b, c, d = self.corners
        object.__setattr__(self, "width_px", (math.dist(a, b) + math.dist(d, c)) / 2)
        object.__setattr__(self, "height_px", (math.dist(a, d) + math.dist(b, c)) / 2)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The upright box around the corners: x, y, w, h in px."""
        xs, ys = zip(*self.corners, strict=True)
        return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width_px / max(self.height_px, 1.0)

    @property
    def center(self) -> Point:
        """Mean of the four corners."""
        a, b, c, d = self.corners
        return (a[0] + b[0] + c[0] + d[0]) / 4, (a[1] + b[1] + c[1] + d[1]) / 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlateText:
    """A plate's text and what is known about each of its slots.

    ``text`` has a ``?`` for each slot in which no character is likely enough. ``slots``: float32 (S, 37)
    probabilities over A-Z, 0-9 and "no character", S = len(text). ``candidates``: whole texts,
    the likeliest first, with probabilities that sum to at most 1. ``confidence``: the calibrated
    probability that the whole text is right. ``jurisdiction``: codes such as ``US-CA`` with
    probabilities, the likeliest first.
    """

    text: str = field(repr=False)
    confidence: float
    slots: F32 = field(repr=False)
    candidates: tuple[tuple[str, float], ...] = field(repr=False)
    jurisdiction: tuple[tuple[str, float], ...] = field(repr=False, default=())

    def __post_init__(self) -> None:
        if self.slots.shape != (len(self.text), CLASSES):
            raise ValueError(f"slots have shape {self.slots.shape}, expected ({len(self.text)}, {CLASSES})")

    @property
    def char_confidences(self) -> tuple[float, ...]:
        """Probability of each slot's likeliest character, ``?`` slots included."""
        return tuple(float(row.max()) for row in self.slots[:, :NO_CHARACTER])

    @property
    def leader(self) -> str:
        """The likeliest whole text, doubtful characters included."""
        return self.candidates[0][0] if self.candidates else self.text

    @property
    def readable(self) -> int:
        """How many slots have a character."""
        return len(self.text) - self.text.count(UNREADABLE)

    def __repr__(self) -> str:
        return f"PlateText({len(self.text)} slots)"

    __str__ = __repr__


@dataclass(slots=True, eq=False)
class Known:
    """Caches what ``ballot.py`` computed for one evidence, by text. Not part of its value.

    ``texts``: log-likelihood under the looks and under the second head. ``slots``: the same, (S, 37)
    each, with one slot replaced. ``head``: logarithms of the second head. ``paths``: what
    ``ctc.against_blank`` gives for the columns.
    """

    texts: dict[tuple[int, ...], tuple[float, float]] = field(default_factory=dict, repr=False)
    slots: dict[tuple[int, ...], tuple[NDArray[np.float64], NDArray[np.float64] | None]] = field(
        default_factory=dict, repr=False
    )
    head: NDArray[np.float64] | None = field(default=None, repr=False)
    paths: tuple[NDArray[np.float64], NDArray[np.float64]] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What the looks of one frame at one plate show, before any decision. The vote adds these up.

    ``columns``: float32 (L, T, 37) probabilities of each look's columns, blank last. ``slots``:
    float32 (S, 37) probabilities of the second head, or None. ``jurisdiction``: float32 (J,)
    probabilities in the order of the card. ``candidates``: texts (as class numbers) worth weighing.
    ``paths``: the text that each look would give on its own. ``width_px``: the plate's width in the frame;
    ``score``: the detector's. ``aspect``: width over height of the detector's box, 0 where unknown.
    ``cut``: the box runs out of the picture. ``trust``: the factor for the text's confidence, 1 unless
    something about the box suggests that its text may not be that of a whole plate. ``strokes``: how many
    I and 1 the patch shows, including those that no look gives. ``lines``: 2 if each look consists of two,
    one per line of the plate. ``place``: float32 (J,), the combined answer of the state namer and the
    reader's own head, or None if the namer was not asked.
    """

    columns: F32 = field(repr=False)
    slots: F32 | None = field(repr=False)
    jurisdiction: F32 = field(repr=False)
    candidates: tuple[tuple[int, ...], ...] = field(repr=False)
    paths: tuple[tuple[int, ...], ...] = field(repr=False)
    width_px: float
    score: float
    aspect: float = 0.0
    cut: bool = False
    trust: float = 1.0
    strokes: int = 0
    lines: int = 1
    place: F32 | None = field(default=None, repr=False)
    known: Known = field(default_factory=Known, init=False, repr=False)

    @property
    def sureness(self) -> float:
        """Product of the largest probabilities of the last look's columns."""
        return float(self.columns[-1].max(axis=1).prod())


class Judged(Protocol):
    """What the evidence amounts to. The leader is cheap; the rest is computed only on request."""

    @property
    def leader(self) -> str:
        """The likeliest whole text, doubtful characters included."""

    @property
    def text(self) -> PlateText:
        """The text with its slots and its confidence."""

    @property
    def features(self) -> Mapping[str, float]:
        """The features that the confidence was computed from."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlateReading:
    """One plate in one frame.

    ``judged``: what this frame alone says about the text. ``patch``: uint8 (h, w), the rectified luma that
    was read. ``plateness``: probability that there is a plate at all. ``ms``: milliseconds by stage.
    """

    box: PlateBox
    judged: Judged = field(repr=False)
    patch: U8 = field(repr=False)
    evidence: Evidence = field(repr=False)
    plateness: float = 1.0
    ms: Mapping[str, float] = field(repr=False, default_factory=dict)

    @property
    def leader(self) -> str:
        """The likeliest whole text, doubtful characters included."""
        return self.judged.leader

    @property
    def text(self) -> PlateText:
        """The text with its slots and its confidence."""
        return self.judged.text

    @property
    def confidence(self) -> float:
        """Confidence of the text, 0..1."""
        return self.judged.text.confidence

    @property
    def features(self) -> Mapping[str, float]:
        """The features that the confidence was computed from."""
        return self.judged.features


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confirmation:
    """A box in which the first look gave the text of its pass.

    ``patch``: uint8 (h, w), what the look saw; ``sureness``: that of the look; ``cut``: the box runs out of
    the picture.
    """

    box: PlateBox
    patch: U8 = field(repr=False)
    sureness: float
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameReadings:
    """All plates of one frame.

    ``unread``: boxes that were found but not read because the caller's ``wanted`` said that their text
    is settled. ``confirmed``: those in which one look gave the text that ``wanted`` expected.
    ``refused``: boxes in which the reader's net saw no plate. ``repeats``: the picture repeats the one
    before it and adds nothing; its boxes are in ``unread``.
    ``ms``: milliseconds by stage: shrink, find, decode, rectify, read, text.
    """

    readings: tuple[PlateReading, ...]
    unread: tuple[PlateBox, ...] = ()
    confirmed: tuple[Confirmation, ...] = ()
    refused: tuple[PlateBox, ...] = ()
    repeats: bool = False
    ms: Mapping[str, float] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VehiclePass:
    """One vehicle's pass in front of the camera, with the text that its frames voted for.

    ``pass_id`` increases by one with each pass of a tracker. Times are UTC microseconds as passed in.
    ``best_sequence``: the frame whose picture is kept; ``best_box`` and ``best_patch`` come from it.
    ``frames_seen`` counts sightings; ``frames_voted`` counts those whose text went into the vote.
    """

    pass_id: int
    text: PlateText
    frames_voted: int
    frames_seen: int
    first_us: int
    last_us: int
    direction: Direction
    first_box: PlateBox = field(repr=False)
    last_box: PlateBox = field(repr=False)
    best_sequence: int
    best_box: PlateBox = field(repr=False)
    best_patch: U8 = field(repr=False)
