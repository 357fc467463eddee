"""Followers of alerts are limited in total and for each session."""

from __future__ import annotations

import pytest

from sync.department.desk.alerts.watchers import MOST_A_SESSION, MOST_STREAMS, Watchers
from sync.department.policy.refusals import TooManyError


def test_streams_are_bounded_in_sum_and_a_sessions_oldest_gives_way() -> None:
    watchers = Watchers()
    mine = [watchers.join(b"one") for _ in range(MOST_A_SESSION + 1)]
    assert [one.dropped for one in mine] == [True] + [False] * MOST_A_SESSION
    assert len(watchers) == MOST_A_SESSION
    for number in range(MOST_STREAMS - MOST_A_SESSION):
        watchers.join(f"s{number}".encode())
    with pytest.raises(TooManyError):
        watchers.join(b"another")
    assert len(watchers) == MOST_STREAMS
    watchers.join(b"one")  # replaces its own oldest
    assert len(watchers) == MOST_STREAMS
    watchers.leave(mine[-1])
    watchers.leave(mine[-1])
    assert len(watchers) == MOST_STREAMS - 1
