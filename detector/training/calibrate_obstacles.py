"""Sets the obstacle finder's limit: ``python -m detector.training.calibrate_obstacles --data DIR``.

It finds and reads plates of the train split and drawn ones, whole and behind something (``hidden_plates``).
The limit is the log-odds up to which a text is trusted in full. It is set so that, of the right texts of
plates with nothing in front, all but ``--lost`` stay as sure as they were. The command rewrites the card.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..card import ObstacleCard
from ..confidence import chance, log_odds
from ..errors import DegenerateCornersError
from ..lettering import cut_wide
from ..obstacle import ObstacleFinder
from ..plates import PlateReading
from ..reader import OBSTACLE_CARD, PlateReader
from ..runtime import TfliteNet
from .calibrate import card_options, update_card
from .datasets import fold
from .hidden_plates import HiddenPlate, HiddenPlates

LEAST_CONFIDENCE = 0.6  # below this, a text is not sure in a pass either
_LEAST_TRUST = 0.76  # a sure text must keep at least this share of its confidence


@dataclass(frozen=True, slots=True, eq=False)
class ReadPlates:
    """odds: the worst column's, (N,); plain: nothing was in front of the plate; right: its text was."""

    odds: NDArray[np.float64]
    plain: NDArray[np.bool_]
    right: NDArray[np.bool_]


def read_plates(reader: PlateReader, finder: ObstacleFinder, plates: HiddenPlates, count: int) -> ReadPlates:
    """Reads ``count`` plates; misread ones with nothing in front are left out."""
    rows = []
    for number in range(count):
        shown = plates.draw(np.random.default_rng([16, number]))
        reading = _nearest(reader, shown)
        if reading is None or reading.confidence < LEAST_CONFIDENCE:
            continue
        right = fold(reading.leader) == fold(shown.text)
        try:
            odds = float(finder.log_odds(cut_wide(shown.picture, reading.box)).max())
        except DegenerateCornersError:
            continue
        if right or shown.kind:
            rows.append((odds, not shown.kind, right))
    odds_, plain, right_ = (np.array(column) for column in zip(*rows, strict=True))
    return ReadPlates(odds_, plain, right_)


def _nearest(reader: PlateReader, shown: HiddenPlate) -> PlateReading | None:
    x, y = shown.quad.mean(axis=0).tolist()
    near = [
        (math.dist(one.box.center, (x, y)), number, one)
        for number, one in enumerate(reader.read(shown.picture).readings)
    ]
    away, _, nearest = min(near, default=(math.inf, 0, None))
    return nearest if away < 0.8 * float(np.ptp(shown.quad[:, 0])) else None


def clear_below(read: ReadPlates, lost: float) -> float:
    """The card's limit: below it a text loses nothing, and at the ``1 - lost`` quantile a quarter."""
    worst = float(np.quantile(read.odds[read.right & read.plain], 1.0 - lost))
    full = min(chance(-worst) / _LEAST_TRUST, 0.999)
    return -log_odds(full, 30.0)


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = card_options(__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="plates to draw")
    parser.add_argument("--lost", type=float, default=0.005, help="share of right texts that may lose trust")
    arguments = parser.parse_args(argv)
    path = arguments.models / OBSTACLE_CARD
    card = ObstacleCard.load(path)
    finder = ObstacleFinder(TfliteNet(card), card)
    plates = HiddenPlates(arguments.data, "train", without=tuple(arguments.without))
    reader = PlateReader.from_models(arguments.models, doubt=False)
    read = read_plates(reader, finder, plates, arguments.count)
    limit = round(clear_below(read, arguments.lost), 2)
    update_card(path, "hiding", {"clear_below": limit})
    wrong = read.odds[~read.right]
    kept = sum(chance(-one) >= _LEAST_TRUST * chance(-limit) for one in wrong)
    print(f"{len(read.odds)} readings, clear below {limit}; of {len(wrong)} wrong ones {kept} stay as sure")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
