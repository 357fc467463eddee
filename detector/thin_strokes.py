"""Finds upright strokes in a plate's patch that the text has no character for: an I or a 1 left out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from .ctc import Labels
from .plates import ALPHABET, NO_CHARACTER, U8

F64 = NDArray[np.float64]

_THIN = frozenset(ALPHABET.index(sign) for sign in "I1")
_BAND = 0.4  # of the print's most: rows of the line of characters
_LEAST_PEAKS = 3  # characters that show how far apart they are
_BEYOND_PITCH = 0.6  # of that distance: a stroke farther from every character is none of theirs
_LEVEL = 0.06  # of the patch's height: how thick level strokes are, which the steps along a row do not show
_FULL, _EMPTY = 0.75, 0.1  # share of the band's rows that are ink: in a stroke, in the gap beside it
_LEAST_GAP = 2  # columns, on one side; one on the other
_BEYOND, _GOES_ON = 4, 0.5  # rows above and below, and the share of ink there where none is beside
_MOST_WIDE, _LEAST_HIGH = 0.055, 0.3  # of the patch's width, of its height


def lacks_strokes(text: Labels, strokes: Sequence[int]) -> bool:
    """Whether a text has fewer I and 1 than most frames show upright strokes. strokes: of each frame."""
    thin = sum(label in _THIN for label in text)
    return bool(strokes) and sum(count > thin for count in strokes) * 2 > len(strokes)


def count_thin(patch: U8, columns: NDArray[np.floating]) -> int:
    """The I and 1 that a look at a patch gives, and the strokes that it seems to have left out.

    Left out are strokes beyond the first or the last character, and a second one where the look gives one
    I or 1; those within other characters are parts of them. patch: uint8 (h, w); columns: (T, 37) of it.
    """
    peaks = _peaks(columns, patch.shape[1])
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


def _peaks(columns: NDArray[np.floating], width: int) -> list[tuple[float, int]]:
    """Place in px and class of each character of a look's best path."""
    best, step = columns.argmax(axis=1), width / len(columns)
    out: list[tuple[float, int]] = []
    start = 0
    for at in range(1, len(best) + 1):
        if at == len(best) or best[at] != best[start]:
            if int(best[start]) != NO_CHARACTER:
                out.append(((start + at) / 2 * step, int(best[start])))
            start = at
    return out


def thin_strokes(patch: U8) -> list[float]:
    """Where upright strokes with a gap on both sides are, x in px. patch: uint8 (h, w)."""
    band = _band(patch)
    if band is None:
        return []
    top, foot = band
    ink = _ink(patch, top, foot)
    share = ink[top:foot].mean(axis=0)
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


def _stands_clear(share: F64, left: int, right: int) -> bool:
    """Whether there is a gap on both sides of a stroke; a plate's rim may be close behind one of them."""
    before, after = share[left - _LEAST_GAP : left], share[right + 1 : right + 1 + _LEAST_GAP]
    wide = before.max() <= _EMPTY or after.max() <= _EMPTY
    return bool(wide and before[-1] <= _EMPTY and after[0] <= _EMPTY)


def _goes_on(ink: NDArray[np.bool_], top: int, foot: int, left: int, right: int) -> bool:
    """Whether a stroke runs on above or below the line of characters, as a rim does, and its sides do not."""
    for rows in (ink[max(top - _BEYOND, 0) : max(top, 1)], ink[foot : foot + _BEYOND]):
        free = ~rows[:, [left - 1, right + 1]].any(axis=1)
        if free.any() and rows[free, left : right + 1].mean() > _GOES_ON:
            return True
    return False


def _edge(share: F64, at: int, step: int) -> int:
    """The last column of a stroke whose flanks are blurred."""
    while 0 <= at + step < len(share) and share[at + step] > _EMPTY and abs(share[at + step]) < share[at]:
        at += step
    return at


def _band(patch: U8) -> tuple[int, int] | None:
    """Rows of the line of characters, from and to."""
    steps = np.abs(np.diff(patch.astype(np.float32), axis=1))[:, 10:-10].mean(axis=1)
    rows = np.flatnonzero(steps >= _BAND * steps.max())
    if not len(rows):
        return None
    middle = int(np.argmax(np.convolve(steps, np.full(9, 1 / 9), "same")))
    top = middle
    while top > 0 and steps[top - 1] >= _BAND * steps.max():
        top -= 1
    foot = middle
    while foot < len(steps) and steps[foot] >= _BAND * steps.max():
        foot += 1
    if foot - top < _LEAST_HIGH * len(steps):
        return None
    spread = round(_LEVEL * len(steps))
    return max(top - spread, 0), min(foot + spread, len(steps))


def _between(tones: U8, place: float) -> float:
    """The tone at a place between two of a sorted row."""
    before = int(place)
    first, second = tones[before : before + 2].tolist()
    return float(first + (place - before) * (second - first))


def _ink(patch: U8, top: int, foot: int) -> NDArray[np.bool_]:
    """Where the rarer of two tones of the band is."""
    tones = np.sort(patch[top:foot], axis=None)
    low, high = (_between(tones, share * (len(tones) - 1)) for share in (0.08, 0.92))
    dark = patch < (low + high) / 2
    return np.asarray(dark if dark[top:foot].mean() < 0.5 else ~dark)
