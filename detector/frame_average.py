"""Averages the aligned patches of a pass and reads the result.

Frames of one view are misread alike. But each shows the plate on other pixels, with other noise, so that
their average shows strokes that no single frame shows. It is sharpened, since an average is soft. Its text is
weighed in the vote (``Vote.with_average``).

Patches are aligned at half their size by an affine map, inverse compositional (Baker and Matthews 2004,
Lucas-Kanade 20 Years On, 3.2). One that remains unlike the best is left out: something hides a part of it, or
it is another plate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from .ctc import Labels, beam_search, best_path
from .look import Looker, Stopwatch
from .plates import F32, U8, Evidence
from .vote import FAR_SHARE, NEAR_POWER, NEAREST, READABLE_PX

F64 = NDArray[np.float64]

MOST = 8  # patches per pass: with 12 the same texts win, and each costs a millisecond
LEAST = 2
ALIKE = 0.85  # correlation with the best patch: real plates that agreed less were misaligned
_SURE_POWER = 0.3  # exponent of a look's sureness, beside the width, in the choice of the best patch
_STEPS = 6  # at most; with 10, the same texts win
_STILL, _LOST = 0.008, 0.4  # in half widths: a step that moves a corner by less, or by more, is the last
_SOFT_PX = 0.8  # blur of a half-sized patch, so that strokes farther apart can be matched
_EDGE = 2  # px at the border of a half-sized patch that do not count: a map may reach beyond it
SHARPENED = (1.0, 2.0)  # strengths of the sharpening, one look for each
_SHARPENED_PX = 1.5  # radius
_MEAN, _DEVIATION = 128.0, 52.0  # leave room for sharpened edges; the patch is normalized again for the net
_LEAST_DEVIATION = 3.0
_CANDIDATES = 4  # texts a look


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One look at a plate. ``patch``: uint8 (h, w); ``text`` and ``sureness``: what the look gave."""

    patch: U8 = field(repr=False)
    text: str = field(repr=False)
    width_px: float
    sureness: float

    @property
    def worth(self) -> float:
        """How well it shows the plate."""
        return float(min(self.width_px, READABLE_PX) * max(self.sureness, 1e-6) ** _SURE_POWER)


class Views:
    """The best views of a pass."""

    __slots__ = ("_views",)

    def __init__(self) -> None:
        self._views: list[View] = []

    def add(self, views: Iterable[View]) -> None:
        """Adds views and keeps the best."""
        self._views += views
        if len(self._views) > MOST:
            self._views = sorted(self._views, key=lambda view: -view.worth)[:MOST]

    def join(self, other: Views) -> None:
        """Adds the views of the same plate from another pass."""
        self.add(other._views)

    def as_long_as(self, text: str) -> list[View]:
        """The views that gave a text of this length, so that nothing hid a part of it."""
        return [view for view in self._views if len(view.text) == len(text)]


SeeTogether = Callable[[Sequence[View]], Evidence | None]


def average(views: Sequence[View]) -> U8 | None:
    """The average patch, uint8 (h, w) with mean and deviation set; None if too few patches are alike."""
    near = _near(views)
    if len(near) < LEAST:
        return None
    best = max(range(len(near)), key=lambda index: near[index].worth)
    reference = _Reference(near[best].patch)
    total, weight, count = np.zeros(near[best].patch.shape), 0.0, 0
    for index, view in enumerate(near):
        alike, onto = (1.0, np.eye(3)) if index == best else reference.find(view.patch)
        if alike < ALIKE:
            continue
        share = alike * min(view.width_px, READABLE_PX) ** NEAR_POWER
        total += share * _even(_warped(Image.fromarray(view.patch), onto, Image.Resampling.BICUBIC))
        weight += share
        count += 1
    return None if count < LEAST else _as_picture(total / weight)


def read_average(views: Sequence[View], looker: Looker) -> Evidence | None:
    """Reads the average of views, once per sharpening; None if too few are alike.

    Raises NetAnswerError.
    """
    picture = average(views)
    if picture is None:
        return None
    looks = [looker.columns_at(_sharpened(picture, strength), Stopwatch()) for strength in SHARPENED]
    texts: set[Labels] = {text for look in looks for text, _ in beam_search(look, _CANDIDATES)}
    return Evidence(
        columns=np.array(looks, np.float32),
        slots=None,
        jurisdiction=np.zeros(0, np.float32),
        candidates=tuple(sorted(texts)),
        paths=tuple(best_path(look) for look in looks),
        width_px=max(view.width_px for view in views),
        score=0.0,
    )


def alike(one: U8, other: U8) -> float:
    """Correlation of two patches (h, w) of one size in their best alignment, -1 to 1."""
    return _Reference(one).find(other)[0]


def _near(views: Sequence[View]) -> list[View]:
    """The views that are not much narrower than the third widest; narrow ones err, as in the vote."""
    if not views:
        return []
    widest = sorted((view.width_px for view in views), reverse=True)[:NEAREST]
    least = FAR_SHARE * min(widest[-1], READABLE_PX)
    return [view for view in views if view.width_px >= least]


class _Reference:
    """The patch that others are aligned to, with what each step needs of it."""

    def __init__(self, patch: U8) -> None:
        small = _halved(patch)
        height, width = small.shape
        tones = _even(small)
        self._tones = _inner(tones)
        self._away, self._squares = _from_mean(self._tones)
        down, across = np.gradient(tones)
        down, across = down * (height / 2), across * (width / 2)  # per half height and half width
        u, v = _places(height, width)
        steepest = np.stack([across * u, across * v, across, down * u, down * v, down], axis=-1)
        changes = _inner(steepest).reshape(-1, 6)
        hessian = changes.T @ changes
        # damped, so that a patch without strokes does not move
        damped = hessian + max(1e-3 * float(np.trace(hessian)) / 6, 1e-6) * np.eye(6)
        self._solve = np.asarray(np.linalg.solve(damped, changes.T), np.float64)

    def find(self, patch: U8) -> tuple[float, F64]:
        """Best correlation of a patch, -1 to 1, and the map (3, 3) from here to it in half sizes."""
        small, onto = Image.fromarray(_halved(patch)), np.eye(3)
        best, place = -1.0, onto
        for _ in range(_STEPS):
            tones = _inner(_even(_warped(small, onto, Image.Resampling.BILINEAR)))
            alike = self._correlation(tones)
            if alike > best:
                best, place = alike, onto
            step = self._solve @ (tones - self._tones).ravel()
            if not _STILL <= np.abs(step).max() <= _LOST:
                break
            change = np.eye(3)
            change[:2] += step.reshape(2, 3)
            onto = onto @ np.linalg.inv(change)
        return best, place

    def _correlation(self, tones: F64) -> float:
        away, squares = _from_mean(tones)
        both = math.sqrt(squares * self._squares)
        return float((away * self._away).sum()) / both if both else 0.0


def _inner(values: F64) -> F64:
    return values[_EDGE:-_EDGE, _EDGE:-_EDGE]


def _halved(patch: U8) -> U8:
    return np.asarray(Image.fromarray(patch).reduce(2).filter(ImageFilter.GaussianBlur(_SOFT_PX)))


def _even(patch: U8) -> F64:
    """Normalizes to a mean of 0 and a deviation of 1."""
    away, squares = _from_mean(patch.astype(np.float64))
    return np.asarray(away / max(math.sqrt(squares / away.size), _LEAST_DEVIATION))


def _from_mean(values: F64) -> tuple[F64, float]:
    """The differences from the mean, and the sum of their squares."""
    away = values - values.mean()
    return away, float((away * away).sum())


@lru_cache(maxsize=4)
def _places(height: int, width: int) -> tuple[F64, F64]:
    """Each px's place (h, w) across and down, in half sizes from the center."""
    y, x = np.mgrid[0:height, 0:width]
    return (2 * x + 1) / width - 1, (2 * y + 1) / height - 1


@lru_cache(maxsize=4)
def _half_sizes(size: tuple[int, int]) -> tuple[F64, F64]:
    """The map (3, 3) from px to half sizes from the center, for (width, height), and the one back."""
    half = np.array([[2 / size[0], 0, -1], [0, 2 / size[1], -1], [0, 0, 1]])
    return half, np.linalg.inv(half)


def _warped(patch: Image.Image, onto: F64, how: Image.Resampling) -> U8:
    """Warps a patch by a map (3, 3) in half sizes from the center; returns uint8 (h, w)."""
    half, back = _half_sizes(patch.size)
    in_px = back @ onto @ half
    coefficients = tuple(in_px[:2].ravel().tolist())
    return np.asarray(patch.transform(patch.size, Image.Transform.AFFINE, coefficients, how))


def _as_picture(values: F64) -> U8:
    even = (values - values.mean()) / max(float(values.std()), 1e-6)
    return np.asarray(np.clip(np.rint(_MEAN + _DEVIATION * even), 0, 255), np.uint8)


def _sharpened(picture: U8, strength: float) -> U8:
    luma: F32 = picture.astype(np.float32)
    soft = Image.fromarray(picture).filter(ImageFilter.GaussianBlur(_SHARPENED_PX))
    return np.asarray(np.clip(luma + strength * (luma - np.asarray(soft, np.float32)), 0, 255), np.uint8)
