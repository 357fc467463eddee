"""Five failures within 15 minutes lock for 15 minutes, at the door, the console and the desk alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.lockout import CJIS, LockoutRule
from storage.times import MINUTE_US

SPREAD = [0, 3, 6, 9, 15]  # minutes; first to last exactly the window


def minutes(*at: float) -> list[int]:
    return [round(one * MINUTE_US) for one in at]


@pytest.mark.parametrize(
    ("failures", "now", "locked"),
    [
        pytest.param([], 0, False, id="no failure"),
        pytest.param(SPREAD[:4], 9, False, id="four failures"),
        pytest.param(SPREAD, 15, True, id="five within the window"),
        pytest.param([0, 3, 6, 9, 15.001], 15.001, False, id="five, a moment too far apart"),
        pytest.param(SPREAD, 29.999, True, id="a moment before the lock ends"),
        pytest.param(SPREAD, 30, False, id="when the lock ends"),
        pytest.param([-100, *SPREAD], 16, True, id="an old failure before"),
        pytest.param([*SPREAD, 40], 41, False, id="one more, after the lock"),
        pytest.param(SPREAD[::-1], 16, True, id="in any order"),
    ],
)
def test_when_an_account_is_locked(failures: list[float], now: float, locked: bool) -> None:
    assert CJIS.locked(minutes(*failures), round(now * MINUTE_US)) is locked
    since = 1_780_000_000_000_000  # the same on a real clock
    assert CJIS.locked([since + one for one in minutes(*failures)], since + round(now * MINUTE_US)) is locked


@given(
    st.lists(st.integers(0, 120 * MINUTE_US), max_size=12),
    st.integers(0, 200 * MINUTE_US),
    st.integers(2, 5),
    st.integers(1, 30),
)
def test_forgetting_what_is_not_worth_keeping_changes_no_answer(
    times: list[int], now_us: int, attempts: int, lock: int
) -> None:
    rule = LockoutRule(attempts=attempts, lock_us=lock * MINUTE_US)
    assert rule.locked(rule.worth_keeping(times, now_us), now_us) == rule.locked(times, now_us)


@given(st.lists(st.integers(0, 60 * MINUTE_US), max_size=12), st.integers(0, 60 * MINUTE_US))
def test_one_more_failure_never_unlocks(times: list[int], more: int) -> None:
    assert CJIS.locked_until_us([*times, more]) >= CJIS.locked_until_us(times)
