"""Boosted trees of a few questions each, by Newton steps on the logistic loss (Friedman 2001; Chen 2016)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..wholeness import DEPTH

F64 = NDArray[np.float64]
_NODES, _LEAVES = 2**DEPTH - 1, 2**DEPTH
_BINS = 24
_RATE, _DAMPING, _LEAST_ROWS = 0.1, 5.0, 12
_ROW_SHARE, _SIGN_SHARE = 0.7, 0.5  # of which each tree is grown
_NEVER = 1e9  # a limit that no sign reaches, for a node without a question


class Trees(NamedTuple):
    """As ``wholeness.Wholeness`` has them."""

    bias: float
    signs: NDArray[np.intp]
    limits: F64
    leaves: F64

    def odds(self, table: F64) -> F64:
        """Log-odds (R,) of a table of signs (R, N)."""
        out = np.full(len(table), self.bias)
        for signs, limits, leaves in zip(self.signs, self.limits, self.leaves, strict=True):
            node = np.zeros(len(table), np.intp)
            for _ in range(DEPTH):
                node = 2 * node + 1 + (table[np.arange(len(table)), signs[node]] >= limits[node])
            out += leaves[node - _NODES]
        return out


def boosted(table: F64, right: NDArray[np.bool_], weight: F64, trees: int, seed: int) -> Trees:
    """Fits trees to a table of signs (R, N), the answers (R,) and their weights (R,)."""
    rng = np.random.default_rng(seed)
    limits = [np.unique(np.quantile(one, np.linspace(0, 1, _BINS + 1)[1:-1])) for one in table.T]
    bins = np.stack([np.searchsorted(cut, one, "right") for cut, one in zip(limits, table.T, strict=True)], 1)
    share = float((weight * right).sum() / weight.sum())
    bias = float(np.log(share / (1 - share)))
    odds, grown = np.full(len(table), bias), []
    for _ in range(trees):
        chance = 1 / (1 + np.exp(-odds))
        rows = np.asarray(rng.random(len(table)) < _ROW_SHARE)
        open_signs = np.asarray(rng.random(table.shape[1]) < _SIGN_SHARE)
        one = _tree(bins, weight * (right - chance), weight * chance * (1 - chance), rows, open_signs)
        grown.append(one)
        odds += one.leaves[one.place]
    signs = np.array([one.signs for one in grown], np.intp)
    found = [
        [
            float(limits[sign][cut]) if cut >= 0 else _NEVER
            for sign, cut in zip(one.signs, one.cuts, strict=True)
        ]
        for one in grown
    ]
    return Trees(bias, signs, np.array(found), np.array([one.leaves for one in grown]))


class _Tree(NamedTuple):
    """signs, cuts: of each node, a cut of -1 asks nothing; leaves: (L,); place: the leaf of each row."""

    signs: list[int]
    cuts: list[int]
    leaves: F64
    place: NDArray[np.intp]


def _tree(
    bins: NDArray[np.intp], slope: F64, bend: F64, rows: NDArray[np.bool_], open_signs: NDArray[np.bool_]
) -> _Tree:
    node = np.zeros(len(bins), np.intp)
    signs, cuts = [0] * _NODES, [-1] * _NODES
    for number in range(_NODES):
        here = node == number
        signs[number], cuts[number] = _question(bins, slope, bend, here & rows, open_signs)
        above = bins[:, signs[number]] > cuts[number] if cuts[number] >= 0 else np.zeros(len(bins), bool)
        node[here] = 2 * number + 1 + above[here]
    place = node - _NODES
    up, down = (np.bincount(place[rows], values[rows], minlength=_LEAVES) for values in (slope, bend))
    return _Tree(signs, cuts, _RATE * up / (down + _DAMPING), place)


def _question(
    bins: NDArray[np.intp], slope: F64, bend: F64, rows: NDArray[np.bool_], open_signs: NDArray[np.bool_]
) -> tuple[int, int]:
    """The sign and the bin above which a row is asked to go right, (0, -1) if no question helps."""
    count, size = int(rows.sum()), bins.shape[1]
    if count < 2 * _LEAST_ROWS:
        return 0, -1
    cells = (bins[rows] + np.arange(size) * _BINS).reshape(-1)
    up, down, seen = (
        np.bincount(cells, None if values is None else np.repeat(values[rows], size), size * _BINS)
        .reshape(size, _BINS)
        .cumsum(axis=1)
        for values in (slope, bend, None)
    )
    gain = _gain(up, down) + _gain(up[:, -1:] - up, down[:, -1:] - down) - _gain(up[:, -1:], down[:, -1:])
    gain[(seen < _LEAST_ROWS) | (count - seen < _LEAST_ROWS)] = -1.0
    gain[~open_signs] = -1.0
    sign, cut = np.unravel_index(int(gain.argmax()), gain.shape)
    return (int(sign), int(cut)) if gain[sign, cut] > 1e-3 else (0, -1)


def _gain(up: F64, down: F64) -> F64:
    return np.asarray(up * up / (down + _DAMPING))
