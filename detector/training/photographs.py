"""Photographs of rendered plates, each kept for a while and used several times.

Rendering a plate costs most, photographing it costs less, and cutting a patch out of the photograph least.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .render.press import RenderedPlate

Luma = NDArray[np.uint8]
Quad = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Photograph:
    """scene: (H, W); quad: the plate's corners in it, (4, 2)."""

    scene: Luma
    quad: Quad
    plate: RenderedPlate
    infrared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BankRules:
    """fewest, most: how many photographs are kept; fresh, new_plate, infrared: shares of the draws that take
    a fresh photograph, of the fresh ones that show a new plate, and of the new plates in infrared.
    """

    fewest: int
    most: int
    fresh: float
    new_plate: float
    infrared: float


class PhotographBank:
    """One process's photographs. make: renders a plate, infrared or not; take: photographs it."""

    def __init__(
        self,
        rules: BankRules,
        make: Callable[[np.random.Generator, bool], RenderedPlate],
        take: Callable[[np.random.Generator, RenderedPlate, bool], tuple[Luma, Quad]],
    ) -> None:
        self._rules = rules
        self._make, self._take = make, take
        self._kept: list[Photograph] = []

    def draw(self, rng: np.random.Generator) -> tuple[Photograph, bool]:
        """A photograph, and whether it is fresh; once the bank is full, a fresh one replaces an old one."""
        if len(self._kept) < self._rules.fewest or rng.random() < self._rules.fresh:
            return self._fresh(rng), True
        return self._any(rng), False

    def _any(self, rng: np.random.Generator) -> Photograph:
        return self._kept[int(rng.integers(len(self._kept)))]

    def _fresh(self, rng: np.random.Generator) -> Photograph:
        if len(self._kept) < self._rules.fewest or rng.random() < self._rules.new_plate:
            infrared = bool(rng.random() < self._rules.infrared)
            plate = self._make(rng, infrared)
        else:
            old = self._any(rng)
            plate, infrared = old.plate, old.infrared
        photo = Photograph(*self._take(rng, plate, infrared), plate, infrared)
        if len(self._kept) < self._rules.most:
            self._kept.append(photo)
        else:
            self._kept[int(rng.integers(self._rules.most))] = photo
        return photo
