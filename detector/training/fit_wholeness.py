"""Fits the model of whole plates: ``python -m detector.training.fit_wholeness --data DIR``.

On samples of the train split (``wholeness_samples``). A text is trusted in full from the odds on that leave
all but ``--lost`` of the right texts of plates with nothing before them as sure as they were; a sample's odds
are those of trees fitted on the samples of other texts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..card import card_text
from ..reader import MODELS, WHOLENESS
from .datasets import fold
from .trees import Trees, boosted
from .wholeness_samples import WholenessSample, WholenessSamples

F64 = NDArray[np.float64]
_FOLDS = 5
_LEAST_TRUST = 0.76  # what is left of a sure text's confidence must be this much


def fitted(
    samples: Sequence[WholenessSample], trees: int, lost: float, seed: int
) -> tuple[Trees, float, F64]:
    """The trees, the odds to trust from, and each sample's odds (N,) by trees that do not know its text."""
    table = np.array([one.signs for one in samples])
    right = np.array([one.right for one in samples])
    weight = np.array([one.weight for one in samples])
    names = sorted({fold(one.text) for one in samples})
    number = {name: index for index, name in enumerate(names)}
    part = np.array([number[fold(one.text)] % _FOLDS for one in samples])
    odds = np.zeros(len(samples))
    for fold_ in range(_FOLDS):
        others = part != fold_
        grown = boosted(table[others], right[others], weight[others], trees, seed)
        odds[~others] = grown.odds(table[~others])
    plain = right & np.array([one.plain for one in samples])
    least = 1 / (1 + np.exp(-float(np.quantile(odds[plain], lost))))
    full = min(least / _LEAST_TRUST, 0.999)
    return boosted(table, right, weight, trees, seed), float(np.log(full / (1 - full))), odds


def model_text(trees: Trees, trusted_from: float, provenance: dict[str, str]) -> str:
    """The file that ``Wholeness.load`` reads."""
    section = {
        "bias": round(trees.bias, 4),
        "trusted_from": round(trusted_from, 4),
        "signs": trees.signs.reshape(-1).tolist(),
        "limits": [float(f"{value:.5g}") for value in trees.limits.reshape(-1)],
        "leaves": [float(f"{value:.4g}") for value in trees.leaves.reshape(-1)],
    }
    return card_text({"wholeness": section, "provenance": provenance})


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the image sets")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--count", type=int, default=10_000, help="pictures to draw")
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--lost", type=float, default=0.005, help="share of right texts that may lose trust")
    parser.add_argument("--without", nargs="*", default=[], metavar="DATASET", help="sets to leave out")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(argv)
    drawer = WholenessSamples(arguments.data, "train", without=tuple(arguments.without))
    drawn = (
        drawer.draw(np.random.default_rng([arguments.seed, number])) for number in range(arguments.count)
    )
    samples = [one for one in drawn if one is not None]
    trees, trusted_from, odds = fitted(samples, arguments.trees, arguments.lost, arguments.seed)
    provenance = {
        "command": "python -m detector.training.fit_wholeness",
        "readings": f"{len(samples)}, of them right {sum(one.right for one in samples)}",
    }
    path = arguments.models / WHOLENESS
    path.write_text(model_text(trees, trusted_from, provenance), encoding="utf-8")
    wrong = np.array([not one.right for one in samples])
    full = 1 / (1 + np.exp(-trusted_from)) * _LEAST_TRUST
    left = (1 / (1 + np.exp(-odds[wrong])) >= full).mean()
    print(f"{len(samples)} readings; of {wrong.sum()} wrong ones {left:.3f} keep their confidence")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
