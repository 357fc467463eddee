"""Fits how namer and reader name a state together: ``python -m detector.training.calibrate_state --data D``.

It tries a grid for the two weights of the namer's card and keeps the pair that makes the true jurisdictions
likeliest. The calibration split and drawn plates (of the US, Canada and others, up to 200 px wide) count the
same. Only plates at least ``least_width_px`` wide count, since the namer is not asked about narrower ones.
The command prints what would be named at several thresholds, and rewrites the card.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.training.render.plates import render_plate
from detector.training.render.press import RenderedPlate

from ..card import NamerCard
from ..plates import PlateReading
from ..reader import NAMER_CARD, PlateReader
from .alphabet import JURISDICTIONS, UNKNOWN, place_of
from .calibrate import card_options, update_card
from .datasets import read_all
from .measure import found_plates
from .trials import Kind, draw_picture

F64 = NDArray[np.float64]
_GRID = tuple(step / 5 for step in range(8))
_STATES = np.array([code.startswith("US-") for code in JURISDICTIONS])


@dataclass(frozen=True, slots=True, eq=False)
class NamedPlates:
    """own, namer: log-probabilities (N, J) of reader and namer; text: of the text's form; truth: (N,)."""

    own: F64
    namer: F64
    text: F64
    truth: NDArray[np.intp]

    def together(self, own: float, namer: float) -> F64:
        """Log-probabilities (N, J) under two weights."""
        logs = own * self.own + namer * self.namer + self.text
        return np.asarray(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))

    def surprise(self, own: float, namer: float) -> float:
        """Mean -log p of the truth."""
        logs = self.together(own, namer)
        return -float(logs[np.arange(len(logs)), self.truth].mean())

    def named(self, own: float, namer: float, least: float) -> str:
        """A line for people: what is named if the probability is at least ``least``."""
        logs = self.together(own, namer)
        best, sure = logs.argmax(axis=1), np.exp(logs.max(axis=1)) >= least
        state = _STATES[self.truth]
        told = sure & (best != JURISDICTIONS.index(UNKNOWN))
        wrong = int((told & state & (best != self.truth)).sum())
        others = int((told & ~state & _STATES[best]).sum())
        return (
            f"from {least}: {int((told & state).sum())} of {int(state.sum())} states named, {wrong} wrong; "
            f"a state named on {others} of {int((~state).sum())} other plates"
        )


class _Notes:
    """Collects the evidence of both nets and the text for plates whose jurisdiction is known."""

    def __init__(self, reader: PlateReader, least_px: float) -> None:
        self._reader = reader
        self._least_px = least_px
        self._rows: list[tuple[F64, F64, F64, int]] = []

    def add(self, reading: PlateReading, luma: NDArray[np.uint8], region: str) -> None:
        if reading.evidence.width_px < self._least_px or not region:
            return
        prior, weight = self._reader.decoding.prior, self._reader.decoding.text.prior_weight
        leader = reading.text.leader
        text = weight * np.log(prior.lifts(leader)) if leader else np.zeros(len(JURISDICTIONS))
        own = np.log(np.maximum(reading.evidence.jurisdiction.astype(np.float64), 1e-6))
        namer = self._reader.name_chances(luma, reading.box)
        self._rows.append((own, namer, text, place_of(region)))

    def collected(self) -> NamedPlates:
        own, namer, text, truth = zip(*self._rows, strict=True)
        return NamedPlates(np.array(own), np.array(namer), np.array(text), np.array(truth))


def of_sets(notes: _Notes, reader: PlateReader, data: Path, without: list[str]) -> NamedPlates:
    """The plates of the calibration split whose jurisdiction is labeled."""
    pictures = read_all(data, "calibration", without=without)
    for plate, reading, luma in found_plates(reader, pictures, lambda plate: plate.region):
        notes.add(reading, luma, plate.region)
    return notes.collected()


def of_drawn(notes: _Notes, reader: PlateReader, count: int) -> NamedPlates:
    """Drawn plates: of ten, eight are of a US state, one is of Canada and one of any jurisdiction."""
    for number in range(count):
        kind = {8: "CA", 9: None}.get(number % 10, "US")
        drawn: list[RenderedPlate] = []

        def draw(
            rng: np.random.Generator, kind: str | None = kind, drawn: list[RenderedPlate] = drawn
        ) -> RenderedPlate:
            drawn.append(render_plate(rng, jurisdiction=kind))
            return drawn[-1]

        rng = np.random.default_rng([number, 0x57A7E5])
        luma, _ = draw_picture(rng, Kind(draw=draw, width=(100.0, 200.0), plain=False))
        for reading in reader.read(luma).readings[:1]:
            notes.add(reading, luma, drawn[0].jurisdiction)
    return notes.collected()


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = card_options(__doc__)
    parser.add_argument("--drawn", type=int, default=1500, help="drawn plates (default 1500)")
    arguments = parser.parse_args(argv)
    reader = PlateReader.from_models(arguments.models)
    card = arguments.models / NAMER_CARD
    least = NamerCard.load(card).naming.least_width_px
    parts = {
        "calibration": of_sets(_Notes(reader, least), reader, arguments.data, arguments.without),
        "drawn": of_drawn(_Notes(reader, least), reader, arguments.drawn),
    }
    weights = min(
        product(_GRID, _GRID), key=lambda pair: sum(part.surprise(*pair) for part in parts.values())
    )
    for name, part in parts.items():
        for pair in ((1.0, 0.0), weights):
            print(f"{name}, weights {pair[0]:.1f} and {pair[1]:.1f}, surprise {part.surprise(*pair):.3f}")
            for chance in (0.8, 0.9, 0.95, 0.98):
                print(" ", part.named(*pair, chance))
    update_card(card, "naming", {"reader_weight": weights[0], "namer_weight": weights[1]})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
