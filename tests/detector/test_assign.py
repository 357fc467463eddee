"""The cheapest pairing, compared with trying all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.assign import cheapest_pairs

cost = st.one_of(st.just(math.inf), st.floats(-3, 3))
matrices = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cost, min_size=width, max_size=width), min_size=1, max_size=4)
)


def total(costs: list[list[float]], pairs: list[tuple[int, int]]) -> tuple[int, float]:
    return -len(pairs), sum(costs[row][column] for row, column in pairs)


def best_of_all(
    costs: list[list[float]], row: int = 0, used: frozenset[int] = frozenset()
) -> list[tuple[int, int]]:
    if row == len(costs):
        return []
    choices = [best_of_all(costs, row + 1, used)]
    for column, value in enumerate(costs[row]):
        if column not in used and value < math.inf:
            choices.append([(row, column), *best_of_all(costs, row + 1, used | {column})])
    return min(choices, key=lambda pairs: total(costs, pairs))


@settings(max_examples=150, deadline=None)
@given(matrices)
def test_pairs_are_as_many_and_as_cheap_as_can_be(costs: list[list[float]]) -> None:
    found = cheapest_pairs(costs)
    assert len({row for row, _ in found}) == len({column for _, column in found}) == len(found)
    count, price = total(costs, best_of_all(costs))
    found_count, found_price = total(costs, found)
    assert found_count == count
    assert found_price == pytest.approx(price)


@pytest.mark.parametrize("costs", [[], [[]], [[math.inf]]])
def test_nothing_to_pair_gives_no_pairs(costs: list[list[float]]) -> None:
    assert cheapest_pairs(costs) == []
