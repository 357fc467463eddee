"""Decides whether a text is on a plate or is lettering: a badge, a poster, a clock printed into the picture.

Lettering has no plate around it, so there are no edges around the text. The model is a small logistic one
over the edges in and around the box and over the kind of text; it does not use the nets' scores. Its weights
are in ``models/lettering.toml``, fitted by ``detector.training.fit_lettering``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .card import read_table
from .confidence import chance, within
from .errors import CardError
from .plates import U8, PlateBox
from .rectify import cut_patch, mean_and_deviation

F64 = NDArray[np.float64]

MARGIN = (0.5, 0.8)  # of the box's size, added around it in total
SIZE = (48, 144)
BOX_X, TEXT_Y = slice(24, 120), slice(14, 34)  # the box, and the rows of its text
_ACROSS = slice(30, 114)
_BINS = 12
_OF_TEXT = 5  # inputs that the text gives
LEAST_SPREAD = 6.0
_LONG_WORD, _LONG_NUMBER = 4, 6
SURE_PLATE = 0.1  # from here up a text is fully trusted: the net itself reads hardly any lettering


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSigns:
    """The signs from the text and its box. fits: probability that it is of a series of its state, 0..1."""

    text: str
    fits: float
    box: PlateBox


def cut_wide(luma: U8, box: PlateBox) -> U8:
    """Cuts out a box with its surroundings, uint8 (48, 144). Raises DegenerateCornersError."""
    return cut_patch(luma, box.corners, SIZE, MARGIN).luma


def signs_of(wide: U8, signs: TextSigns) -> F64:
    """The model's inputs, float64 (N,). wide: what ``cut_wide`` gives for the box."""
    return np.concatenate([steps_around(wide), _of_text(signs)])


def steps_around(wide: U8) -> F64:
    """Edge strengths of a patch (48, 144) that shows a box with its surroundings."""
    luma = wide.astype(np.float32)
    mean, deviation = mean_and_deviation(luma)
    luma -= mean
    luma /= max(deviation, LEAST_SPREAD)
    rows, across = luma[1:, _ACROSS] - luma[:-1, _ACROSS], luma[:, 1:] - luma[:, :-1]
    ends = _most(np.abs(across[TEXT_Y].mean(axis=0)), 16)
    parts = [
        _means(np.abs(rows).mean(axis=1), _BINS),
        _means(np.abs(across[:, BOX_X]).mean(axis=1), _BINS),
        _most(np.abs(rows.mean(axis=1)), _BINS),
        ends[:5],
        ends[11:],
    ]
    return np.concatenate(parts).astype(np.float64)


@lru_cache(maxsize=8)
def _parts(length: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Starts and sizes of the parts of a row, divided as by ``numpy.array_split``."""
    short, longer = divmod(length, count)
    sizes = np.full(count, short)
    sizes[:longer] += 1
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes


def _means(values: NDArray[np.floating], count: int) -> NDArray[np.floating]:
    starts, sizes = _parts(len(values), count)
    return np.asarray(np.add.reduceat(values, starts) / sizes)


def _most(values: NDArray[np.floating], count: int) -> NDArray[np.floating]:
    return np.asarray(np.maximum.reduceat(values, _parts(len(values), count)[0]))


def _of_text(signs: TextSigns) -> F64:
    digits = sum(sign.isdigit() for sign in signs.text)
    count = len(signs.text)
    return np.array(
        [
            float(digits == 0 and count >= _LONG_WORD),
            float(digits == count and count >= _LONG_NUMBER),
            within(math.log2(max(signs.box.width_px, 1.0) / 100.0), -4.0, 4.0),
            signs.fits,
            abs(math.log(max(signs.box.aspect, 0.1) / 2.6)),
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Lettering:
    """The fitted model. weights: float64 (N,)."""

    bias: float
    weights: F64

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises MissingModelError, CardError."""
        table = read_table(path)
        try:
            model = cls(
                float(table["lettering"]["bias"]), np.array(table["lettering"]["weights"], np.float64)
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CardError(path, "lettering", f"is not a bias and a list of weights: {error}") from error
        expected = len(steps_around(np.zeros(SIZE, np.uint8))) + _OF_TEXT
        if model.weights.shape != (expected,) or not np.isfinite([model.bias, *model.weights]).all():
            raise CardError(path, "lettering.weights", f"must be {expected} finite numbers")
        return model

    def plate(self, signs: F64) -> float:
        """Probability that the text is on a plate, if plates and lettering are equally frequent."""
        return chance(self.bias + float(self.weights @ signs))

    def trust(self, signs: F64) -> float:
        """The factor for the confidence of a text, 0..1."""
        return min(1.0, self.plate(signs) / SURE_PLATE)
