"""Finds upright strokes in a plate's patch without a character in the text: an I or 1 that was missed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from .ctc import Labels, character_runs
from .plates import ALPHABET, U8
from .rectify import row_steps

_THIN = frozenset(ALPHABET.index(sign) for sign in "I1")
_BAND = 0.4  # of the largest print: rows with more belong to the line of characters
_LEAST_PEAKS = 3  # characters needed to know how far apart they are
_BEYOND_PITCH = 0.6  # of that distance: a stroke farther from every character is not a part of one
_LEVEL = 0.06  # of the patch's height: thickness of level strokes, which changes along a row do not show
_FULL, _EMPTY = 0.75, 0.1  # share of the band's rows with ink: in a stroke, and in the gap beside it
_LEAST_GAP = 2  # columns, on one side; one on the other
_BEYOND, _GOES_ON = 4, 0.5  # rows above and below, and the share of ink there without ink beside it
_MOST_WIDE, _LEAST_HIGH = 0.055, 0.3  # of the patch's width, of its height


def lacks_strokes(text: Labels, strokes: Sequence[int]) -> bool:
    """Whether a text has fewer I and 1 than most frames show upright strokes. strokes: count per frame."""
    thin = sum(label in _THIN for label in text)
    return bool(strokes) and sum(count > thin for count in strokes) * 2 > len(strokes)


def count_thin(patch: U8, columns: NDArray[np.floating]) -> int:
    """Counts the I and 1 that a look at a patch gives, and the strokes that it seems to have missed.

    Missed are strokes beyond the first or last character, and a second stroke where the look gives one I
    or 1; strokes within other characters are parts of those. patch: uint8 (h, w); columns: its (T, 37).
    """
    peaks = character_places(columns, patch.shape[1])
    thin = [place for place, label in peaks if label in _THIN]
    if len(peaks) < _LEAST_PEAKS:
        return len(thin)
    places = [place for place, _ in peaks]
    pitch = median(b - a for a, b in pairwise(places))
    left_out, taken = 0, set[float]()
    for stroke in thin_strokes(patch):
        nearest = min(places, key=lambda place: abs(place - stroke))
        if abs(nearest - stroke) > _BEYOND_PITCH * pitch:
            left_out += not places[0] < stroke < places[-1]
        elif nearest in thin:
            left_out += nearest in taken
            taken.add(nearest)
    return len(thin) + left_out


def character_places(columns: NDArray[np.floating], width: int) -> list[tuple[float, int]]:
    """The place in px and the class of each character of a look's best path."""
    step = width / len(columns)
    return [((start + stop) / 2 * step, label) for start, stop, label in character_runs(columns)]


def thin_strokes(patch: U8) -> list[float]:
    """The x, in px, of upright strokes with a gap on both sides. patch: uint8 (h, w)."""
    band = character_rows(patch)
    if band is None:
        return []
    top, foot = band
    ink = _ink(patch, top, foot)
    share = ink[top:foot].mean(axis=0).tolist()
    out = []
    width = patch.shape[1]
    x = 0
    while x < width:
        if share[x] < _FULL:
            x += 1
            continue
        start = x
        while x < width and share[x] >= _FULL:
            x += 1
        left, right = _edge(share, start, -1), _edge(share, x - 1, 1)
        wide = right - left + 1
        if wide > _MOST_WIDE * width or left < _LEAST_GAP or right + _LEAST_GAP >= width:
            continue
        if _stands_clear(share, left, right) and not _goes_on(ink, top, foot, left, right):
            out.append((start + x - 1) / 2)
    return out


def _stands_clear(share: Sequence[float], left: int, right: int) -> bool:
    """Whether there is a gap on both sides of a stroke; a plate's rim may be close beyond one gap."""
    before, after = share[left - _LEAST_GAP : left], share[right + 1 : right + 1 + _LEAST_GAP]
    wide = max(before) <= _EMPTY or max(after) <= _EMPTY
    return wide and before[-1] <= _EMPTY and after[0] <= _EMPTY


def _goes_on(ink: NDArray[np.bool_], top: int, foot: int, left: int, right: int) -> bool:
    """Whether a stroke, but not its sides, continues above or below the characters, as a rim does."""
    for rows in (ink[max(top - _BEYOND, 0) : max(top, 1)], ink[foot : foot + _BEYOND]):
        free = ~rows[:, [left - 1, right + 1]].any(axis=1)
        if free.any() and rows[free, left : right + 1].mean() > _GOES_ON:
            return True
    return False


def _edge(share: Sequence[float], at: int, step: int) -> int:
    """The last column of a stroke whose flanks are blurred."""
    while 0 <= at + step < len(share) and _EMPTY < share[at + step] < share[at]:
        at += step
    return at


def character_rows(patch: U8) -> tuple[int, int] | None:
    """The first and last row of the line of characters."""
    steps = row_steps(patch[:, 10:-10])
    middle = int(np.argmax(np.convolve(steps, np.full(9, 1 / 9), "same")))
    printed = (steps >= _BAND * steps.max()).tolist()
    top = middle
    while top > 0 and printed[top - 1]:
        top -= 1
    foot = middle
    while foot < len(printed) and printed[foot]:
        foot += 1
    if foot - top < _LEAST_HIGH * len(steps):
        return None
    spread = round(_LEVEL * len(steps))
    return max(top - spread, 0), min(foot + spread, len(steps))


def _ink(patch: U8, top: int, foot: int) -> NDArray[np.bool_]:
    """Marks the rarer of the two tones of the band."""
    upto = np.cumsum(np.bincount(patch[top:foot].reshape(-1)))
    low, high = (_between(upto, share * float(upto[-1] - 1)) for share in (0.08, 0.92))
    dark = patch < math.ceil((low + high) / 2)
    few = 2 * np.count_nonzero(dark[top:foot]) < upto[-1]
    return np.asarray(dark if few else ~dark)


def _between(upto: NDArray[np.intp], place: float) -> float:
    """The interpolated tone at a place in a sorted row. upto: how many px have each tone or a lower one."""
    before = int(place)
    first, second = np.searchsorted(upto, (before, before + 1), "right").tolist()
    return float(first + (place - before) * (second - first))
