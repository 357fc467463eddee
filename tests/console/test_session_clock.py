"""No step of the unit's clock lengthens a visit or makes an expired grant valid."""

from collections.abc import Callable
from typing import Any

import pytest

from storage.times import DAY_US
from tests.tools.bench_unit import BenchUnit

Bench = Any  # tests/console/conftest.py
NOW_US = 1_777_777_777_000_000


def test_a_leap_of_the_clock_is_asked_about_since_there_is_no_way_back(bench: Bench) -> None:
    bench.enter()
    for typed, done in (("", False), ("2036-05-03\r", False), ("2026-07-02\r", True)):
        bench.hands.type("time 2026-07-02T04:00:00Z")
        bench.hands.wait_for("60 days ahead, which cannot be undone: type the date again:")
        bench.hands.press(typed.encode() or b"\x03")
        shown = bench.hands.wait_for("unit-7 t.okafor> ")
        assert ("holdover" in shown) is done
        assert bench.unit.done == (["time"] if done else [])
    assert bench.lines()[-1] == ("end", "time 2026-07-02T04:00:00Z", "done")


@pytest.mark.parametrize("typed", ["time 2026-01-01T00:00:00Z", "time 2026-05-03T12:00:00Z"])
def test_setting_the_clock_never_lengthens_a_session(make_bench: Callable[..., Bench], typed: str) -> None:
    bench = make_bench()
    bench.enter(to_us=NOW_US + 200_000_000)
    assert "holdover" in bench.ask(typed)
    bench.running.now_s += 201
    bench.hands.wait_for("session time is up")


def test_a_clock_set_back_reopens_no_ended_grant(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(BenchUnit(floor_us=NOW_US))
    bench.enter()
    assert "later signed time" in bench.ask("time 2026-01-01T00:00:00Z")
    bench.hands.type("exit")
    bench.hands.wait_for("unit-7> ")
    bench.unit.clock.step(-100 * DAY_US)
    bench.hands.log_in(bench.office.bundle(to_us=NOW_US - 1), bench.office.holder)
    said = bench.hands.wait_for("unit-7> ")
    assert "its log's time is 100 days ahead" in said
    assert "time YYYY" not in said
    assert "time is not available" in bench.hands.ask("time 2026-01-01T00:00:00Z", "unit-7> ")
    bench.unit.clock.step(99 * DAY_US + 86_000_000_000)
    bench.hands.log_in(bench.office.bundle(to_us=NOW_US - 1), bench.office.holder)
    bench.hands.wait_for("the grant has ended")


@pytest.mark.parametrize(
    ("ahead_us", "said"), [(DAY_US, "its log's time is 24 hours ahead"), (0, "has ended")]
)
def test_a_log_whose_time_ran_ahead_is_named_and_locks_no_one_out(
    make_bench: Callable[..., Bench], ahead_us: int, said: str
) -> None:
    """Otherwise a technician keeps asking for new grants, and five logins lock all people out."""
    bench = make_bench(BenchUnit(floor_us=NOW_US + ahead_us))
    for _ in range(6):
        bench.hands.log_in(
            bench.office.bundle(to_us=NOW_US + (60_000_000 if ahead_us else -1)), bench.office.holder
        )
        bench.hands.wait_for(said)
        bench.hands.wait_for("unit-7> ")
        if not ahead_us:
            return
    bench.enter(to_us=NOW_US + 2 * DAY_US)
