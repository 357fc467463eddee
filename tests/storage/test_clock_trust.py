"""A single time source moves purge time only by a bounded total, even over restarts and boots.

A state machine simulates clocks that drift, leap, lose their reference and collude, a department that syncs,
GPS from the clock's own receiver, and restarts with and without a new boot; it tracks how far time may move.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from custody_twins import SteppedTime
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hw.clock import TimeState
from storage.clock_trust import (
    AGREEMENT_US,
    CLOCK,
    DEPARTMENT,
    LOCAL_ROOTS,
    LONE_LIMIT_US,
    NOTICE_US,
    WALK_US,
    LogStart,
    Reading,
    Trust,
    TrustedTime,
    advance,
    span_text,
)
from storage.record_base import ClockState
from storage.times import DAY_US, HOUR_US, MINUTE_US

START_US = 1_780_000_000_000_000
DISCIPLINED, HOLDOVER, UNKNOWN = ClockState.DISCIPLINED, ClockState.HOLDOVER, ClockState.UNKNOWN
NETWORK, SATELLITES = frozenset({"network"}), frozenset({"satellites"})


def said(
    us: int,
    *,
    source: str = CLOCK,
    state: ClockState = DISCIPLINED,
    boot_us: int = 0,
    roots: frozenset[str] = LOCAL_ROOTS,
) -> Reading:
    return Reading(source=source, us=START_US + us, state=state, boot_us=boot_us, roots=roots)


def hear(trust: Trust, *readings: Reading) -> Trust:
    for one in readings:
        trust, _ = advance(trust, one)
    return trust


def fresh() -> Trust:
    return Trust(us=START_US, boot_us=0)


class Clocks(RuleBasedStateMachine):
    """An attacker controls every source except the department, and may restart the unit at will."""

    @initialize()
    def start(self) -> None:
        self.trust = fresh()
        self.boot_us = 0
        self.truth_us = START_US  # real time
        self.wall_us = START_US  # the attacked clock
        self.ran_us = 0  # running time since two independent sources last agreed
        self.base_us = START_US  # the time on which they agreed
        self.noted_us = 0
        self.moved_us = 0  # total of believed time beyond running time

    def take(self, reading: Reading) -> None:
        before = self.trust
        self.trust, step = advance(before, reading)
        ran_us = max(0, reading.boot_us - before.boot_us)
        assert self.trust.us >= before.us + ran_us
        self.moved_us += self.trust.us - before.us - ran_us
        if step is not None and step.accepted:
            self.noted_us = self.moved_us

    @rule(step_us=st.one_of(st.integers(0, 5 * MINUTE_US), st.integers(-HOUR_US, 30 * HOUR_US),
                            st.integers(-400 * DAY_US, 4000 * DAY_US)))  # fmt: skip
    def move_the_clock(self, step_us: int) -> None:
        self.wall_us += step_us
        self.take(Reading(source=CLOCK, us=self.wall_us, state=DISCIPLINED, boot_us=self.boot_us))

    @rule(state=st.sampled_from([HOLDOVER, UNKNOWN]))
    def lose_the_reference(self, state: ClockState) -> None:
        self.take(Reading(source=CLOCK, us=self.wall_us, state=state, boot_us=self.boot_us))

    @rule(source=st.sampled_from(["gps", "chrony", "kernel", "battery clock"]),
          roots=st.sampled_from([LOCAL_ROOTS, SATELLITES, NETWORK | SATELLITES]))  # fmt: skip
    def the_same_receiver_speaks_under_another_name(self, source: str, roots: frozenset[str]) -> None:
        self.take(
            Reading(source=source, us=self.wall_us, state=DISCIPLINED, boot_us=self.boot_us, roots=roots)
        )

    @rule(us=st.integers(1, 3 * DAY_US))
    def run(self, us: int) -> None:
        self.boot_us += us
        self.truth_us += us
        self.wall_us += us
        self.ran_us += us

    @rule(off_us=st.integers(0, 90 * DAY_US), new_boot=st.booleans())
    def restart(self, off_us: int, new_boot: bool) -> None:
        """Restart with what the signed state has: the time and the spent budget."""
        self.truth_us += off_us
        self.wall_us += off_us
        if new_boot:
            self.boot_us = 0
        lead_us = self.trust.lead_us
        self.trust = Trust(us=self.trust.us, boot_us=self.boot_us, lead_us=lead_us, noted_us=lead_us)

    @rule(ended=st.booleans())
    def roll_over(self, ended: bool) -> None:
        """Roll over: a new log has the previous one's time and spent budget."""
        start = (
            LogStart(us=self.trust.us) if ended else LogStart(us=self.trust.us, lead_us=self.trust.lead_us)
        )
        self.trust = Trust(us=start.us, boot_us=self.boot_us, lead_us=start.lead_us, noted_us=start.lead_us)

    @rule(late_us=st.integers(0, 3 * 90 * DAY_US))
    def the_department_answers(self, late_us: int) -> None:
        """Give the true time or replay an old co-signature: honest, and independent of the clock."""
        us = self.truth_us - late_us
        one = Reading(source=DEPARTMENT, us=us, state=DISCIPLINED, boot_us=self.boot_us,
                      roots=frozenset({DEPARTMENT}))  # fmt: skip
        agreed = abs(self.wall_us - us) <= AGREEMENT_US
        clock = next((r for r in self.trust.readings if r.source == CLOCK), None)
        self.take(one)
        if agreed and clock is not None:
            self.base_us, self.ran_us = max(self.base_us + self.ran_us, us + AGREEMENT_US), 0

    @invariant()
    def lone_sources_move_the_time_by_a_bounded_sum(self) -> None:
        assert self.trust.us <= max(self.base_us, self.truth_us) + self.ran_us + LONE_LIMIT_US + AGREEMENT_US
        assert 0 <= self.trust.lead_us <= LONE_LIMIT_US

    @invariant()
    def no_movement_of_minutes_is_without_a_record(self) -> None:
        assert self.moved_us - self.noted_us <= NOTICE_US + AGREEMENT_US


Clocks.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestClocks = pytest.mark.one_python(Clocks.TestCase)


@pytest.mark.parametrize("step_us", [MINUTE_US, HOUR_US, 8 * HOUR_US, 23 * HOUR_US])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_walks_a_year_ahead_gets_no_further_than_a_day(step_us: int, restarts: bool) -> None:
    trust, steps = fresh(), []
    for number in range(1, 365 * DAY_US // step_us + 1):
        trust, step = advance(trust, said(number * step_us))
        steps += [] if step is None else [step]
        if number > 2 * LONE_LIMIT_US // step_us:
            break
        if restarts:
            trust = Trust(us=trust.us, boot_us=0, lead_us=trust.lead_us, noted_us=trust.lead_us)
    assert trust.us <= START_US + LONE_LIMIT_US
    assert steps
    assert any(not step.accepted for step in steps)


def test_a_walk_in_small_steps_is_reported_as_one_with_its_whole_length() -> None:
    trust, told = fresh(), []
    for number in range(1, 8):
        trust, step = advance(trust, said(number * 30_000_000))
        told += [] if step is None else [(step.from_us - START_US, step.to_us - START_US)]
    assert told == [(0, 150_000_000)]  # five steps of half a minute: the first total over two minutes
    _, step = advance(trust, said(300_000_000))
    assert step is not None  # what was reported is not reported again
    assert (step.from_us - START_US, step.to_us - START_US) == (150_000_000, 300_000_000)


def test_two_independent_sources_that_agree_move_any_distance_and_refill_the_budget() -> None:
    trust = hear(fresh(), said(20 * HOUR_US))
    assert trust.lead_us == 20 * HOUR_US
    trust, step = advance(trust, said(100 * DAY_US))
    assert step is not None
    assert not step.accepted
    department = said(100 * DAY_US, source=DEPARTMENT, roots=frozenset({DEPARTMENT}))
    trust, step = advance(trust, department)
    assert step is not None
    assert step.accepted
    assert step.sources == (CLOCK, DEPARTMENT)
    assert trust.us == START_US + 100 * DAY_US
    assert (trust.lead_us, trust.refused) == (0, None)


def test_agreement_on_an_earlier_time_leaves_spent_what_was_believed_ahead_of_it() -> None:
    trust = hear(fresh(), said(20 * HOUR_US), said(HOUR_US))
    trust = hear(trust, said(HOUR_US, source=DEPARTMENT, roots=frozenset({DEPARTMENT})))
    assert trust.us == START_US + 20 * HOUR_US
    assert trust.lead_us == 19 * HOUR_US


@pytest.mark.parametrize(
    ("clock", "other"),
    [
        pytest.param(LOCAL_ROOTS, SATELLITES, id="a clock that does not say what it follows, and a receiver"),
        pytest.param(SATELLITES, SATELLITES, id="a clock that follows the receiver, and the receiver"),
        pytest.param(NETWORK | SATELLITES, SATELLITES, id="a clock that follows both, and one of them"),
        pytest.param(LOCAL_ROOTS, LOCAL_ROOTS, id="the clock, and its daemon"),
    ],
)
def test_two_names_of_one_source_are_one_source(clock: frozenset[str], other: frozenset[str]) -> None:
    trust = hear(fresh(), said(100 * DAY_US, roots=clock), said(100 * DAY_US, source="gps", roots=other))
    assert trust.us == START_US


def test_a_receiver_that_the_clock_does_not_follow_is_a_second_source() -> None:
    trust = hear(
        fresh(), said(100 * DAY_US, roots=NETWORK), said(100 * DAY_US, source="gps", roots=SATELLITES)
    )
    assert trust.us == START_US + 100 * DAY_US


def test_a_clock_never_confirms_itself_by_what_it_followed_before() -> None:
    trust = hear(fresh(), said(100 * DAY_US, roots=NETWORK), said(100 * DAY_US, roots=frozenset({"battery"})))
    assert trust.us == START_US


@pytest.mark.parametrize(
    ("states", "agree"),
    [
        ((DISCIPLINED, DISCIPLINED), True),
        ((HOLDOVER, DISCIPLINED), True),
        ((HOLDOVER, HOLDOVER), False),
        ((UNKNOWN, DISCIPLINED), False),
        ((DISCIPLINED, UNKNOWN), False),
    ],
)
def test_a_free_running_clock_confirms_but_two_of_them_prove_nothing(
    states: tuple[ClockState, ClockState], agree: bool
) -> None:
    department = said(100 * DAY_US, source=DEPARTMENT, state=states[1], roots=frozenset({DEPARTMENT}))
    trust = hear(fresh(), said(100 * DAY_US, state=states[0]), department)
    assert trust.us == START_US + (100 * DAY_US if agree else 0)


@given(st.integers(-3 * MINUTE_US, 3 * MINUTE_US), st.integers(0, 10 * DAY_US))
def test_sources_agree_within_two_minutes_by_running_time(apart_us: int, ran_us: int) -> None:
    department = said(
        50 * DAY_US + ran_us + apart_us, source=DEPARTMENT, boot_us=ran_us, roots=frozenset({DEPARTMENT})
    )
    trust = hear(fresh(), said(50 * DAY_US), department)
    agreed = abs(apart_us) <= AGREEMENT_US
    assert (trust.us > START_US + ran_us) == agreed
    if agreed:  # the earlier of the two
        assert trust.us == START_US + 50 * DAY_US + ran_us + min(0, apart_us)


def test_the_same_refusal_is_noted_once_and_another_one_again() -> None:
    trust, first = advance(fresh(), said(100 * DAY_US))
    trust, same = advance(trust, said(100 * DAY_US + HOUR_US, boot_us=HOUR_US))
    trust, other = advance(trust, said(200 * DAY_US, boot_us=HOUR_US))
    assert (first is None, same is None, other is None) == (False, True, False)


def test_a_clock_far_behind_is_noted_and_not_followed() -> None:
    trust, step = advance(fresh(), said(-HOUR_US))
    assert step is not None
    assert (step.accepted, trust.us, trust.lead_us) == (False, START_US, 0)


def test_jitter_spends_no_budget_twice() -> None:
    trust = fresh()
    for number in range(1000):
        boot_us = number * 1_000_000
        trust = hear(trust, said(boot_us + (50_000 if number % 2 else -50_000), boot_us=boot_us))
    assert trust.lead_us == 50_000


class _Wall:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.us, self.error_us, self.state = START_US, 1000, "disciplined"
        self.boot_us = 0

    def now(self) -> _Wall:
        return self

    def boot(self) -> int:
        return self.boot_us


def test_a_walk_of_the_running_clock_is_an_alarm_and_a_night_without_power_is_none() -> None:
    wall = _Wall()
    wall.us += 14 * HOUR_US  # parked overnight
    time = TrustedTime(wall, START_US, boot=wall.boot)
    assert time.trusted_us == START_US + 14 * HOUR_US
    assert time.alarm() == ""
    for _ in range(WALK_US // MINUTE_US + 1):
        wall.us += 2 * MINUTE_US
        wall.boot_us += MINUTE_US
        time.now()
    assert "a single time source moved the running clock by 11 minutes" in time.alarm()


def test_ten_minutes_to_the_microsecond_are_no_walk_yet() -> None:
    wall = _Wall()
    time = TrustedTime(wall, START_US, boot=wall.boot)
    time.now()
    wall.us += WALK_US
    time.now()
    assert time.alarm() == ""
    wall.us += 1
    time.now()
    assert time.alarm()


@pytest.mark.parametrize(("days", "word"), [(30, "ahead of"), (-30, "behind")])
def test_a_clock_that_is_not_followed_is_an_alarm_until_a_second_source_agrees(days: int, word: str) -> None:
    wall = _Wall()
    time = TrustedTime(wall, START_US, boot=wall.boot)
    wall.us += days * DAY_US
    assert time.now().state is (UNKNOWN if days > 0 else HOLDOVER)
    assert f"30 days {word} the time that custody believes" in time.alarm()
    assert time.refused_us == days * DAY_US
    time.hear(wall.us, DISCIPLINED, DEPARTMENT)
    assert ("ahead of the department and the clock, so grants count as ended" in time.alarm()) is (days < 0)
    assert time.ahead_us == max(0, -days) * DAY_US
    assert time.trusted_us == START_US + max(0, days) * DAY_US


@pytest.mark.parametrize(
    ("off_us", "words"),
    [
        (
            400 * DAY_US,
            "the department's time is 400 days behind this log's, and the clock does not confirm it",
        ),
        (
            -400 * DAY_US,
            "the department's time is 400 days ahead of this log's, and the clock does not confirm",
        ),
    ],
)
def test_a_log_born_under_a_wrong_clock_names_the_department_and_what_to_do(off_us: int, words: str) -> None:
    time = SteppedTime(START_US + off_us)
    time.lose(TimeState.UNKNOWN)
    trusted = TrustedTime(time, 0, first=True, boot=time.boot)
    assert trusted.alarm() == ""
    trusted.hear(START_US, DISCIPLINED, DEPARTMENT)
    assert trusted.alarm().startswith(words)
    assert "set the clock right" in trusted.alarm()
    assert ("the next sync opens a new log" in trusted.alarm()) is (off_us > 0)


def test_the_time_that_stamps_records_is_called_what_it_is() -> None:
    wall = _Wall()
    time = TrustedTime(wall, START_US, boot=wall.boot)
    assert time.now().state is DISCIPLINED
    wall.state = "holdover"
    wall.us += 14 * HOUR_US
    assert time.now().state is HOLDOVER
    wall.us += LONE_LIMIT_US
    assert time.now().state is UNKNOWN
    assert time.trusted_us == START_US


def test_a_new_log_believes_the_clock_it_is_born_with_and_an_old_one_its_records() -> None:
    wall = _Wall()
    assert TrustedTime(wall, 0, first=True, boot=wall.boot).trusted_us == START_US
    wall.state = "unknown"
    assert TrustedTime(wall, START_US - DAY_US, boot=wall.boot).trusted_us == START_US - DAY_US


def test_what_was_spent_before_a_restart_stays_spent() -> None:
    wall = _Wall()
    time = TrustedTime(wall, START_US, lead_us=LONE_LIMIT_US - HOUR_US, boot=wall.boot)
    wall.us += HOUR_US
    assert time.trusted_us == START_US + HOUR_US
    wall.us += NOTICE_US + 1
    assert time.trusted_us == START_US + HOUR_US
    assert [step.accepted for step in time.steps] == [True, False]


def test_a_reading_of_one_boot_is_moved_by_running_time_alone() -> None:
    one = said(0)
    assert one.at(HOUR_US) == START_US + HOUR_US
    assert replace(one, boot_us=HOUR_US).at(HOUR_US) == START_US


def test_what_is_refused_of_each_source_is_noted_for_each() -> None:
    trust, first = advance(fresh(), said(100 * DAY_US))
    _, other = advance(trust, said(100 * DAY_US, source="gps", roots=SATELLITES))
    assert first is not None
    assert other is not None
    assert (first.sources, other.sources) == ((CLOCK,), ("gps",))


def test_a_new_trust_has_spent_nothing_of_its_budget() -> None:
    assert (fresh().lead_us, fresh().noted_us, fresh().walked_us, fresh().followed) == (0, 0, 0, False)


def test_two_sources_that_agree_leave_of_a_lone_ones_moves_what_is_ahead_of_them() -> None:
    held = Trust(
        us=START_US, boot_us=0, lead_us=5 * HOUR_US, noted_us=3 * HOUR_US, refused=said(DAY_US),
        readings=(said(-HOUR_US, roots=NETWORK),), followed=True, walked_us=9,
    )  # fmt: skip
    trust, step = advance(held, said(-HOUR_US, source=DEPARTMENT, roots=frozenset({DEPARTMENT})))
    assert (trust.us, trust.lead_us, trust.noted_us, step) == (START_US, HOUR_US, HOUR_US, None)
    assert (trust.refused, trust.walked_us, trust.followed) == (None, 0, True)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, "0 minutes"),
        (-119, "119 minutes"),
        (120, "2 hours"),
        (96 * 60 - 1, "95 hours"),
        (96 * 60, "4 days"),
    ],
)
def test_a_length_of_time_is_given_in_minutes_hours_or_days(minutes: int, words: str) -> None:
    assert span_text(minutes * MINUTE_US) == words


@pytest.mark.parametrize(
    ("clock_us", "state", "ahead"),
    [
        (0, DISCIPLINED, True), (AGREEMENT_US, HOLDOVER, True), (-AGREEMENT_US, HOLDOVER, True),
        (AGREEMENT_US + 1, DISCIPLINED, False), (0, UNKNOWN, False),
    ],
)  # fmt: skip
def test_a_log_is_ahead_of_its_department_only_where_its_clock_says_so_too(
    clock_us: int, state: ClockState, ahead: bool
) -> None:
    wall = _Wall()
    time = TrustedTime(wall, START_US + 9 * DAY_US, boot=wall.boot)
    assert time.ahead_us == 0
    wall.us, wall.state = START_US + clock_us, state.value
    time.hear(START_US, DISCIPLINED, DEPARTMENT)
    time.now()
    assert time.ahead_us == (9 * DAY_US if ahead else 0)
    assert (f"{span_text(9 * DAY_US)} ahead of the department and the clock" in time.alarm()) is ahead
    wall.boot_us += 2 * HOUR_US  # the department's time is that old, and the log's time has advanced too
    wall.us += 2 * HOUR_US
    time.now()
    assert time.ahead_us == (9 * DAY_US if ahead else 0)


def test_a_log_that_replaces_another_starts_at_its_time_or_at_what_ended_it() -> None:
    wall = _Wall()
    time = TrustedTime(wall, START_US, boot=wall.boot)
    wall.boot_us += HOUR_US
    assert time.successor() == LogStart(us=time.trusted_us, lead_us=0)
    assert time.trusted_us == START_US + HOUR_US
    wall.us += 4 * HOUR_US
    assert time.successor() == LogStart(us=START_US + 4 * HOUR_US, lead_us=3 * HOUR_US)
    time.end_by(START_US - 9 * DAY_US, wall.boot_us - MINUTE_US)
    wall.boot_us += MINUTE_US
    assert time.successor() == LogStart(us=START_US - 9 * DAY_US + 2 * MINUTE_US, lead_us=0)


@pytest.mark.parametrize("ahead_us", [1, NOTICE_US, NOTICE_US + 1])
def test_a_clock_that_says_what_is_believed_is_in_no_doubt_once_its_budget_is_spent(ahead_us: int) -> None:
    """Once, a microsecond more than a day was an alarm."""
    trust = hear(fresh(), said(LONE_LIMIT_US))
    trust, step = advance(trust, said(LONE_LIMIT_US + ahead_us))
    assert (trust.us, trust.lead_us) == (START_US + LONE_LIMIT_US, LONE_LIMIT_US)
    assert (trust.refused is not None) is (step is not None) is (ahead_us > NOTICE_US)
