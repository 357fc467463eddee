"""Counts the log odds of ``detector/flipped.py``: ``python -m detector.training.fit_flipped``.

It draws US plates and reads each one upright, mirrored, turned by 180 degrees and as water reflects it. For
each character it prints the logarithm of how much more often the first look reads it on upright plates than
on flipped ones.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..plates import ALPHABET, U8
from ..reader import MODELS, PlateReader
from .render.patches import photograph
from .render.plates import render_plate

_SHOWN: dict[str, Callable[[U8], U8]] = {
    "upright": lambda luma: luma,
    "mirrored": lambda luma: luma[:, ::-1],
    "turned": lambda luma: luma[::-1, ::-1],
    "reflected": lambda luma: luma[::-1],
}
_LEAST, _MOST = -2, 3  # nats: a character that was seldom drawn supports no more


def count_signs(reader: PlateReader, count: int, seed: int) -> dict[str, Counter[int]]:
    """Counts each label in the first looks' texts over ``count`` plates, by how the plate is shown."""
    counts: dict[str, Counter[int]] = {how: Counter() for how in _SHOWN}
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        plate = render_plate(rng, jurisdiction="US")
        picture, _quad = photograph(rng, plate, infrared=False, width=float(rng.uniform(60, 160)))
        for how, show in _SHOWN.items():
            shown = np.ascontiguousarray(show(picture))
            for reading in reader.read(shown, wanted=lambda _box: True).readings[:1]:
                if not reading.evidence.cut:  # such a text is doubted anyway
                    counts[how].update(reading.evidence.paths[0])
    return counts


def log_odds(upright: Counter[int], flipped: Counter[int]) -> dict[int, str]:
    """The characters by rounded log odds, upright over flipped, in nats, with one added to each count."""
    totals = [one.total() + len(ALPHABET) for one in (upright, flipped)]
    odds: dict[int, str] = {}
    for label, sign in enumerate(ALPHABET):
        chances = [(one[label] + 1) / total for one, total in zip((upright, flipped), totals, strict=True)]
        nats = round(min(max(math.log(chances[0] / chances[1]), _LEAST), _MOST))
        odds[nats] = "".join(sorted(odds.get(nats, "") + sign))
    return dict(sorted(odds.items()))


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of the models (default: shipped)")
    parser.add_argument("--count", type=int, default=400, help="plates")
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args(argv)
    counts = count_signs(PlateReader.from_models(arguments.models), arguments.count, arguments.seed)
    upright = counts.pop("upright")
    for how, flipped in counts.items():
        print(how, log_odds(upright, flipped))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
