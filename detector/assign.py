"""The cheapest pairing of two small sets, of a dozen each at most, by the Hungarian method."""

from __future__ import annotations

import math
from collections.abc import Sequence


def cheapest_pairs(costs: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Pairs (row, column) of least total cost; ``math.inf`` forbids a pair, negative costs are allowed.

    Prefers as many allowed pairs as possible, then the cheapest ones. Potentials and shortest augmenting
    paths (Jonker and Volgenant 1987), O(n^3); rows and columns may differ in number.
    """
    rows, columns = len(costs), len(costs[0]) if costs else 0
    if not rows or not columns:
        return []
    pairs = [(i, j) for i, row in enumerate(costs) for j, cost in enumerate(row) if cost < math.inf]
    if len({i for i, _ in pairs}) == len(pairs) == len({j for _, j in pairs}):
        return pairs  # no row or column has a choice, which is the usual case
    finite = [costs[i][j] for i, j in pairs]
    span = max(finite) - min(finite) + 1.0
    forbidden = max(finite) + span * (rows + columns)
    square = max(rows, columns)
    full = [
        [
            costs[i][j] if i < rows and j < columns and costs[i][j] < math.inf else forbidden
            for j in range(square)
        ]
        for i in range(square)
    ]
    owner = _solve(full)
    return sorted(
        (row, column)
        for column, row in enumerate(owner)
        if row < rows and column < columns and costs[row][column] < math.inf
    )


def _solve(costs: list[list[float]]) -> list[int]:
    """The row of each column in the cheapest complete pairing of a square matrix."""
    size = len(costs)
    row_price, column_price = [0.0] * (size + 1), [0.0] * (size + 1)
    owner = [size] * (size + 1)  # the last entries are the algorithm's virtual column and "no row"
    for row in range(size):
        owner[size] = row
        column = size
        slack, back = [math.inf] * size, [size] * size
        done = [False] * (size + 1)
        while owner[column] != size:
            done[column] = True
            at, step, following = owner[column], math.inf, -1
            for j in range(size):
                if done[j]:
                    continue
                gap = costs[at][j] - row_price[at] - column_price[j]
                if gap < slack[j]:
                    slack[j], back[j] = gap, column
                if slack[j] < step:
                    step, following = slack[j], j
            for j in range(size + 1):
                if done[j]:
                    row_price[owner[j]] += step
                    column_price[j] -= step
                elif j < size:
                    slack[j] -= step
            column = following
        while column != size:
            owner[column] = owner[back[column]]
            column = back[column]
    return owner[:size]
