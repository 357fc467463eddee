"""One look at a plate: cuts a patch out of a frame and runs the reader's net on it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .card import ReaderCard
from .ctc import Labels, best_path, column_probabilities
from .errors import NetAnswerError
from .plates import U8, Corners
from .rectify import Patch, cut_patch, normalized
from .runtime import Net, NetOutput

F64 = NDArray[np.float64]


@dataclass(slots=True)
class Stopwatch:
    """Elapsed milliseconds by stage; ``lap`` adds the time since the last lap."""

    ms: dict[str, float] = field(default_factory=dict)
    last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """Adds the time since the last lap to a stage."""
        now = time.perf_counter()
        self.ms[stage] = self.ms.get(stage, 0.0) + (now - self.last) * 1e3
        self.last = now


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one look gave. ``columns``: float64 (T, 37) probabilities, blank last; ``path``: its text.

    ``sureness``: product of the columns' largest probabilities.
    """

    patch: Patch
    columns: F64
    path: Labels
    sureness: float
    outputs: dict[str, NetOutput]

    @property
    def text_sureness(self) -> float:
        """How sure the look is of its text; 0 if it gives none."""
        return self.sureness if self.path else 0.0


class Looker:
    """Cuts patches out of frames and runs the reader's net on them."""

    def __init__(self, net: Net, card: ReaderCard) -> None:
        self.net = net
        self.card = card

    def look(self, luma: U8, corners: Corners | F64, margin: tuple[float, float], watch: Stopwatch) -> Look:
        """Takes one look. luma: uint8 (H, W); margin: shares of the plate's width and height around it.

        Raises DegenerateCornersError, or NetAnswerError if the net's columns contain a NaN.
        """
        patch = cut_patch(luma, corners, self.net.size, margin)
        columns, sureness, outputs = self._columns(patch.luma, watch)
        return Look(patch, columns, best_path(columns), sureness, outputs)

    def look_at(self, patch: U8, watch: Stopwatch) -> tuple[Labels, float]:
        """Reads a patch of the net's size: its text and how sure it is. Raises NetAnswerError."""
        columns, sureness, _ = self._columns(patch, watch)
        return best_path(columns), sureness

    def columns_at(self, patch: U8, watch: Stopwatch) -> F64:
        """Runs the net on a patch of its size: columns, float64 (T, 37). Raises NetAnswerError."""
        return self._columns(patch, watch)[0]

    def _columns(self, patch: U8, watch: Stopwatch) -> tuple[F64, float, dict[str, NetOutput]]:
        picture = normalized(patch, self.card.patch)
        watch.lap("rectify")
        outputs = dict(self.net.invoke(picture))
        watch.lap("read")
        rules = self.card.text
        columns = column_probabilities(outputs["columns"].real(), rules.temperature, rules.smoothing)
        sureness = float(np.prod(columns.max(axis=1)))
        if not 0.0 <= sureness <= 1.0:  # a NaN in any column ends up here
            raise NetAnswerError(self.card.model.file, f"its columns come to a probability of {sureness:g}")
        return columns, sureness, outputs

    def first(self, luma: U8, corners: Corners, watch: Stopwatch) -> Look:
        """Takes the first look, with its margin. Raises what ``look`` raises."""
        return self.look(luma, corners, (self.card.patch.margin_x, self.card.patch.margin_y), watch)
