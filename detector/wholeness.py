"""Decides whether a text is the whole of its plate: nothing hides a part of it, and none is covered.

What hides a plate continues beyond it, interrupts the sheet's margin above or below the characters, or leaves
a gap, an end without a margin or a character that is hardly one. None of these is rare on whole plates, so
a small model of boosted trees weighs them; it is in ``models/wholeness.toml``, fitted by
``detector.training.fit_wholeness``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .card import load_fitted
from .confidence import chance, within
from .ctc import character_runs
from .errors import CardError
from .lettering import LEAST_SPREAD, TextSigns
from .plates import F32, NO_CHARACTER, U8
from .rectify import mean_and_deviation

F64 = NDArray[np.float64]

DEPTH = 3  # questions to a leaf of each tree
_BOX = slice(24, 120)  # columns of the wide patch
# Rows of the wide patch: around the plate, its margins above and below the characters, and the characters.
_EDGE_ROWS = ((0, 8), (12, 15), (15, 24), (24, 33), (33, 36), (40, 48))
_TONE_ROWS = ((2, 9), (11, 15), (15, 20), (20, 27), (27, 32), (32, 36), (38, 46))
_EDGE_RUNS = ((0, 1, 2, 3, 4, 5), (0, 1, 2), (3, 4, 5), (1, 2, 3, 4), (0, 1), (4, 5))  # of _EDGE_ROWS
_TONE_RUNS = ((1, 2, 3, 4, 5), (3, 4, 5), (1, 2, 3), (4, 5, 6), (2, 3, 4))  # of _TONE_ROWS
_TEXT = slice(14, 34)
_FIRST, _LAST = 17, 126  # columns in and beside which edges are looked for
_LEAN = 2  # px by which an edge may lean from one of _EDGE_ROWS to the next
_LEAST, _MOST_CHARACTERS = 3, 9  # of fewer, none shows how far apart they are; more make it no likelier
_LEAST_SHOWN = 1e-3


def signs_of_whole(wide: U8, columns: NDArray[np.floating], signs: TextSigns) -> F64:
    """The model's inputs, float64 (N,).

    wide: uint8 (48, 144), what ``lettering.cut_wide`` gives; columns: (T, 37) of the first look.
    """
    luma = wide.astype(np.float32)
    mean, deviation = mean_and_deviation(luma)
    luma -= mean
    luma /= max(deviation, LEAST_SPREAD)
    told = [*_edges(luma), *_blocks(luma), *_text_rows(luma), *_around(wide, luma)]
    return np.array([*told, *_characters(columns), *_of_text(signs)], np.float64)


def _edges(luma: F32) -> list[float]:
    """How steep the steepest edge is that several rows share: inside, and at both sides of the box."""
    tones = _row_means(luma, _EDGE_ROWS)
    steps = tones[:, _FIRST + 2 - _LEAN : _LAST + 2 + _LEAN] - tones[:, _FIRST - _LEAN : _LAST + _LEAN]
    count = steps.shape[1] - 2 * _LEAN
    near = []
    for signed in (steps, -steps):
        most = signed[:, :count]
        for lean in range(1, 2 * _LEAN + 1):
            most = np.maximum(most, signed[:, lean : lean + count])
        near.append(most)
    both = np.stack(near)
    out: list[float] = []
    for rows in _EDGE_RUNS:
        shared = both.take(rows, axis=1).min(axis=1).max(axis=0)
        out += [float(shared[9:99].max()), float(shared[:11].max()), float(shared[98:].max())]
    return out


def _row_means(luma: F32, parts: tuple[tuple[int, int], ...]) -> F32:
    """Mean of each of some ranges of rows, (R, W). parts: in order, not overlapping."""
    rows = sorted({row for part in parts for row in part if row < len(luma)})
    sums = np.add.reduceat(luma, rows, axis=0)[[rows.index(top) for top, _ in parts]]
    return np.asarray(sums / np.array([[foot - top] for top, foot in parts], np.float32))


def _blocks(luma: F32) -> list[float]:
    """How far blocks of several rows, three columns wide, are from the tone of the sheet's margins."""
    margins = np.concatenate([luma[12:15, 28:116], luma[33:36, 28:116]])
    sheet = float(np.median(margins))
    tones = _row_means(luma, _TONE_ROWS) - sheet
    upto = np.cumsum(tones[:, 21:122], axis=1)
    smooth = (upto[:, 5:] - upto[:, :-5]) / 5
    shared = [smooth.take(rows, axis=0) for rows in _TONE_RUNS]
    least, most = (
        np.stack([one.min(axis=0) for one in shared]),
        np.stack([-one.max(axis=0) for one in shared]),
    )
    inside = np.partition(np.concatenate([least, most])[:, 4:-4], -3, axis=1)[:, -3]
    other = np.maximum(least, most)
    ends = np.maximum(other[:, :5].mean(axis=1), other[:, -5:].mean(axis=1))
    longest = [float(_longest(one)) for one in other > 0.5]
    return [sheet, *inside.tolist(), *longest, *ends.tolist()]


def _text_rows(luma: F32) -> list[float]:
    """Of the rows of characters: the longest stretches without print and without change, the tones' span."""
    rows = luma[_TEXT, _BOX]
    print_ = np.abs(luma[_TEXT, 25:121] - luma[_TEXT, 23:119]).mean(axis=0)
    deviation = rows.std(axis=0)
    down = np.abs(luma[12:37, _BOX] - luma[11:36, _BOX]).mean(axis=0)
    tones = np.sort(rows, axis=None)
    low, tenth, most_of, high = (
        float(tones[int(share * (tones.size - 1))]) for share in (0.02, 0.1, 0.9, 0.98)
    )
    span = most_of - tenth
    between = (rows > tenth + 0.35 * span) & (rows < tenth + 0.65 * span)
    return [
        float(_longest(_smooth(print_, 5) < 0.3 * np.median(print_))),
        float(_longest(_smooth(deviation, 3) < 0.35 * np.median(deviation))),
        float(np.partition(_smooth(down, 5)[4:-4], 2)[2] / (np.median(down) + 0.02)),
        high - low,
        float(between.mean()),
    ]


def _around(wide: U8, luma: F32) -> list[float]:
    """How flat the picture is on each side of the plate, and how other than the plate and than each other."""
    sides = wide[:, 2:20], wide[:, 124:142], wide[:8], wide[40:]
    flat = [mean_and_deviation(side.astype(np.float32))[1] for side in sides]
    above = abs(float(luma[:8].mean()) - float(np.median(luma[_TEXT, _BOX])))
    beside = abs(float(luma[_TEXT, 4:18].mean()) - float(luma[_TEXT, 126:140].mean()))
    return [*flat, above, beside]


def _characters(columns: NDArray[np.floating]) -> list[float]:
    """How many characters a look shows, how evenly they are spaced, and how sure each of them is."""
    most, runs = columns.max(axis=1), character_runs(columns)
    places = [(start + stop) / 2 for start, stop, _ in runs]
    shown = [math.log(max(float(most[start:stop].max()), _LEAST_SHOWN)) for start, stop, _ in runs]
    rivals = []
    for start, stop, _ in runs:
        others = np.sort(columns[start:stop, :NO_CHARACTER].max(axis=0))
        rivals.append(math.log(float(others[-2]) + _LEAST_SHOWN))
    gaps = [b - a for a, b in pairwise(places)] if len(places) >= _LEAST else [1.0]
    pitch = median(gaps)
    ends = (places[0], len(columns) - places[-1]) if len(places) >= _LEAST else (pitch, pitch)
    blanks = most[columns.argmax(axis=1) == NO_CHARACTER]
    return [
        float(min(len(places), _MOST_CHARACTERS)),
        max(gaps) / pitch,
        min(gaps) / pitch,
        ends[0] / pitch,
        ends[1] / pitch,
        abs(ends[0] - ends[1]) / pitch,
        pitch,
        min(shown, default=0.0),
        max(rivals, default=0.0),
        sum(shown),
        float(np.log(np.maximum(blanks, _LEAST_SHOWN)).sum()),
        math.log(max(1.0 - float(most.min()), 1e-4)),
    ]


def _of_text(signs: TextSigns) -> list[float]:
    aspect = math.log(within(signs.box.aspect, 0.1, 20.0))
    return [
        signs.fits,
        aspect,
        abs(aspect - math.log(2.0)),
        aspect - math.log(max(len(signs.text), 1)),
        within(math.log2(max(signs.box.width_px, 1.0) / 100.0), -4.0, 4.0),
    ]


def _smooth(values: NDArray[np.floating], size: int) -> NDArray[np.floating]:
    return np.convolve(values, np.full(size, 1 / size), "same")


def _longest(mask: NDArray[np.bool_]) -> int:
    return max(map(len, mask.tobytes().split(b"\0")))


@dataclass(frozen=True, slots=True, eq=False)
class Wholeness:
    """The fitted model. signs: int (T, 7), limits: (T, 7), leaves: (T, 8), of trees of DEPTH questions.

    The question of a node is whether the sign is at or above the limit; no is 2 n + 1, yes is 2 n + 2. A text
    is trusted in full from the log-odds ``trusted_from`` on.
    """

    bias: float
    trusted_from: float
    signs: NDArray[np.intp]
    limits: F64
    leaves: F64

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises MissingModelError, CardError."""
        model = load_fitted(path, "wholeness", cls._of, "a list of trees")
        numbers = [model.bias, model.trusted_from, *model.limits.flat, *model.leaves.flat]
        if not len(model.signs) == len(model.limits) == len(model.leaves) or not np.isfinite(numbers).all():
            raise CardError(path, "wholeness", "must have as many finite limits and leaves as trees")
        if model.signs.size and not 0 <= model.signs.min() <= model.signs.max() < SIGNS:
            raise CardError(path, "wholeness.signs", f"must be from 0 to {SIGNS - 1}")
        return model

    @classmethod
    def _of(cls, table: Mapping[str, Any]) -> Self:
        return cls(
            float(table["bias"]),
            float(table["trusted_from"]),
            np.array(table["signs"], np.intp).reshape(-1, 2**DEPTH - 1),
            np.array(table["limits"], np.float64).reshape(-1, 2**DEPTH - 1),
            np.array(table["leaves"], np.float64).reshape(-1, 2**DEPTH),
        )

    def odds(self, signs: F64) -> float:
        """Log-odds that the text is the whole of a plate. signs: (N,), of ``signs_of_whole``."""
        above = signs[self.signs] >= self.limits
        trees = np.arange(len(above))
        node = np.zeros(len(above), np.intp)
        for _ in range(DEPTH):
            node = 2 * node + 1 + above[trees, node]
        return self.bias + float(self.leaves[trees, node - (2**DEPTH - 1)].sum())

    def trust(self, signs: F64) -> float:
        """What the confidence of a text is multiplied by, 0..1."""
        return min(1.0, chance(self.odds(signs)) / chance(self.trusted_from))


SIGNS = len(_EDGE_RUNS) * 3 + 1 + len(_TONE_RUNS) * 4 + 5 + 6 + 12 + 5
