"""Which source disciplines the clock, how its bound grows, and what a time set by hand is worth."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.health.alarm_cures import CURES
from firmware.health.report import CLOCK_LOOSE_US
from hw.chrony import ScriptedDaemon, Tracking
from hw.clock import UNKNOWN_ERROR_US, SetClock, TimeState, UtcTime, kernel_bound_us
from hw.clock_discipline import (
    BY_HAND_ERROR_US,
    DRIFT_PPM,
    HEARD_ERROR_US,
    LOST_BATTERY,
    RTC_ERROR_US,
    ClockEvidence,
    DisciplinedClock,
    Heard,
    Judgment,
    judge,
)
from hw.position import Fix, FixQuality
from hw.pps import Pulse
from hw.rtc import ScriptedRtc
from storage.times import DAY_US, HOUR_US
from sync.health import Alarm

T0_US = 1_777_777_777_000_000
TRACKING = Tracking(
    synchronized=True, stratum=2, by_server=True,
    reference="C0A80101", reference_time_s=T0_US / 1e6, correction_s=0.0001,
    root_delay_s=0.004, root_dispersion_s=0.001, skew_ppm=0.5,
)  # fmt: skip


NOTHING = (TimeState.UNKNOWN, "nothing", UNKNOWN_ERROR_US)
CHRONY = (TimeState.DISCIPLINED, "chrony", 3200)
BATTERY = (TimeState.HOLDOVER, "battery clock", RTC_ERROR_US)


def fix(**changes: object) -> Fix:
    made = Fix(
        latitude_deg=34.0, longitude_deg=-118.0, error_m=3.0, quality=FixQuality.SATELLITE,
        utc_us=T0_US, heard_s=10.0,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def evidence(**changes: object) -> ClockEvidence:
    return replace(ClockEvidence(system_us=T0_US, running_s=10.0, fix_system_us=T0_US + 300_000), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sources", "state", "source", "at_most_us"),
    [
        pytest.param({"tracking": TRACKING}, *CHRONY, id="chrony"),
        pytest.param({"fix": fix()}, TimeState.DISCIPLINED, "gps", 1_000_000, id="gps without pulse"),
        pytest.param(
            {"fix": fix(), "pulse": Pulse(system_ns=T0_US * 1000 + 20_000, sequence=5)},
            TimeState.DISCIPLINED, "gps+pps", 1100, id="gps with pulse",
        ),
        pytest.param({"tracking": TRACKING, "fix": fix()}, *CHRONY, id="the better of two"),
        pytest.param({"rtc_s": T0_US // 1_000_000}, *BATTERY, id="battery clock"),
        pytest.param({}, *NOTHING, id="nothing"),
        pytest.param({"rtc_s": 86_400}, *NOTHING, id="battery clock never set"),
        pytest.param({"tracking": replace(TRACKING, reference="7F7F0101")},
            *NOTHING, id="chrony following itself"),
        pytest.param({"tracking": replace(TRACKING, synchronized=False)},
            *NOTHING, id="chrony not synchronized"),
        pytest.param({"tracking": replace(TRACKING, correction_s=30.0)},
            *NOTHING, id="chrony half a minute off"),
        pytest.param({"fix": fix(quality=FixQuality.GUESSED)}, *NOTHING, id="a surveyed place tells no time"),
        pytest.param({"fix": fix(utc_us=T0_US - 3_600_000_000)}, *NOTHING, id="gps an hour away"),
        pytest.param(
            {"fix": fix(), "pulse": Pulse(system_ns=T0_US * 1000 - 60_000_000_000, sequence=5)},
            TimeState.DISCIPLINED, "gps", 1_000_000, id="a pulse that stopped a minute ago",
        ),
    ],
)  # fmt: skip
def test_the_best_source_decides(
    sources: dict[str, object], state: TimeState, source: str, at_most_us: int
) -> None:
    judged = judge(evidence(**sources), None)
    assert (judged.state, judged.source) == (state, source)
    assert 0 < judged.error_us <= at_most_us


WEEKS_1024_US = 1024 * 7 * 86_400_000_000
AHEAD_US = T0_US + WEEKS_1024_US
RTC_S = T0_US // 1_000_000
SHM = replace(TRACKING, reference="47505300", by_server=False)
DISCIPLINED_KERNEL = UtcTime(us=0, error_us=5000, state=TimeState.DISCIPLINED)
HEARD = Heard(us=T0_US, running_s=10.0)


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({}, id="the receiver alone"),
        pytest.param({"kernel": DISCIPLINED_KERNEL}, id="a kernel clock that gpsd set"),
        pytest.param(
            {"tracking": replace(SHM, reference_time_s=AHEAD_US / 1e6)}, id="chrony on the same receiver"
        ),
    ],
)
@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"rtc_s": RTC_S}, id="battery clock"),
        pytest.param({"heard": HEARD}, id="the department, in this run"),
        pytest.param({"signed_us": T0_US - 86_400_000_000 * 200}, id="a receipt of last year"),
        pytest.param({}, id="nothing but the calendar"),
    ],
)
def test_a_receiver_1024_weeks_ahead_disciplines_no_clock_that_was_taken_from_it(
    others: dict[str, object], told: dict[str, object]
) -> None:
    judged = judge(
        evidence(
            system_us=AHEAD_US, fix=fix(utc_us=AHEAD_US), fix_system_us=AHEAD_US + 300_000, receiver=True,
            **others, **told,
        ),
        None,
    )  # fmt: skip
    assert judged.state is TimeState.UNKNOWN


def test_a_receiver_that_rolled_over_does_not_spoil_a_clock_that_the_battery_kept() -> None:
    judged = judge(evidence(fix=fix(utc_us=AHEAD_US), rtc_s=RTC_S, receiver=True), None)
    assert (judged.state, judged.source, judged.error_us) == BATTERY


def test_a_clock_that_a_receiver_held_is_not_carried_on_once_another_clock_belies_it() -> None:
    early_us = T0_US + 400 * 86_400_000_000
    before = judge(evidence(system_us=early_us, fix=fix(utc_us=early_us), fix_system_us=early_us), None)
    assert before.state is TimeState.DISCIPLINED
    later = judge(evidence(system_us=early_us + 1_000_000, running_s=11.0, heard=HEARD), before)
    assert later.state is TimeState.UNKNOWN


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"rtc_s": RTC_S + 300}, id="a battery clock five minutes off"),
        pytest.param({"rtc_s": 86_400}, id="a battery clock that was never set"),
        pytest.param({"rtc_s": RTC_S - 90 * 86_400, "heard": HEARD}, id="the department against the battery"),
        pytest.param({"signed_us": T0_US - 3 * 365 * 86_400_000_000}, id="three years in a cupboard"),
    ],
)
def test_a_receiver_that_another_clock_confirms_is_believed(told: dict[str, object]) -> None:
    judged = judge(evidence(fix=fix(), receiver=True, **told), None)
    assert (judged.state, judged.source) == (TimeState.DISCIPLINED, "gps")


BEFORE_S = RTC_S - 90 * 86_400  # a battery clock that was empty, and the system clock set from it


def test_a_battery_clock_behind_the_last_receipt_dates_no_read_as_known() -> None:
    """Once, each read until the next sync was dated months back, "within two minutes"."""
    clock = DisciplinedClock(rtc=ScriptedRtc(BEFORE_S), system_us=lambda: BEFORE_S * 1_000_000)
    assert clock.now().state is TimeState.HOLDOVER  # until the ledger is open, nothing contradicts it
    clock.know(T0_US)
    clock.refresh()
    assert clock.now().state is TimeState.UNKNOWN
    assert clock.failures == (LOST_BATTERY,)


def test_a_board_without_a_battery_has_no_trouble_with_it() -> None:
    clock = DisciplinedClock(rtc=ScriptedRtc(86_400), system_us=lambda: T0_US)
    clock.know(T0_US)
    assert (clock.refresh().state, clock.failures) == (TimeState.UNKNOWN, ())


@pytest.mark.parametrize("off_s", [0, 100, 3600, -100])
def test_a_battery_clock_after_the_last_receipt_is_believed(off_s: int) -> None:
    clock = DisciplinedClock(rtc=ScriptedRtc(RTC_S + off_s), system_us=lambda: (RTC_S + off_s) * 1_000_000)
    clock.know(T0_US)
    assert (clock.refresh().state, clock.failures) == (TimeState.HOLDOVER, ())


def test_a_battery_clock_that_was_empty_belies_no_receiver() -> None:
    right = evidence(fix=fix(), rtc_s=BEFORE_S, receiver=True)
    assert judge(right, None).state is not TimeState.DISCIPLINED
    assert judge(replace(right, signed_us=T0_US - DAY_US), None).source == "gps"


def test_servers_are_believed_against_a_battery_clock() -> None:
    judged = judge(evidence(tracking=TRACKING, rtc_s=RTC_S - 90 * 86_400, receiver=True), None)
    assert (judged.state, judged.source) == (TimeState.DISCIPLINED, "chrony")


class _Receiver:
    """A receiver with one fix."""

    trouble = None

    def __init__(self, fix: Fix) -> None:
        self.fix = fix

    def latest(self) -> Fix:
        return self.fix

    def at(self, ago_s: float) -> Fix:
        return self.fix

    def close(self) -> None:
        pass


def test_a_receiver_that_rolled_over_is_a_trouble_that_is_named() -> None:
    clock = DisciplinedClock(
        position=_Receiver(fix(utc_us=AHEAD_US)), rtc=ScriptedRtc(RTC_S), system_us=lambda: T0_US
    )
    assert [what for what in clock.failures if "rolled over" in what]


def test_what_the_department_signed_before_bounds_the_date() -> None:
    nine_years_us = T0_US + 9 * 365 * 86_400_000_000
    receiver = _Receiver(fix(utc_us=nine_years_us, heard_s=0.0))
    clock = DisciplinedClock(position=receiver, system_us=lambda: nine_years_us, monotonic=lambda: 0.0)
    assert clock.refresh().state is TimeState.DISCIPLINED
    clock.know(T0_US - 365 * 86_400_000_000)
    assert clock.refresh().state is TimeState.UNKNOWN


@settings(deadline=None)
@given(
    off_us=st.integers(-1_500_000, 1_500_000), delay_us=st.integers(0, 1_000_000),
    pulse_late_us=st.integers(0, 900),
    with_pulse=st.booleans(),
)  # fmt: skip
def test_the_bound_of_a_gps_clock_holds_the_truth(
    off_us: int, delay_us: int, pulse_late_us: int, with_pulse: bool
) -> None:
    true_us = T0_US + delay_us
    system_us = true_us + off_us
    pulse = Pulse(system_ns=(T0_US + off_us + pulse_late_us) * 1000, sequence=9) if with_pulse else None
    judged = judge(
        evidence(
            system_us=system_us,
            fix=fix(),
            fix_system_us=system_us,
            pulse=pulse,
        ),
        None,
    )
    assert judged.state is TimeState.UNKNOWN or judged.error_us >= abs(off_us)
    if with_pulse and 150_000 <= delay_us <= 850_000:  # a receiver's usual delay: the second is certain
        assert judged.error_us <= abs(off_us) + 2_000


def test_without_a_source_the_bound_grows_with_the_drift_and_never_shrinks() -> None:
    before = judge(evidence(tracking=TRACKING), None)
    later = judge(evidence(system_us=T0_US + 3_600_000_000, running_s=3610.0), before)
    assert later.state is TimeState.HOLDOVER
    assert later.error_us == before.error_us + 3600 * DRIFT_PPM
    assert (
        judge(evidence(system_us=T0_US + 3_600_000_000, running_s=3610.0), later).error_us == later.error_us
    )


@pytest.mark.parametrize("step_us", [-7_200_000_000, 600_000_000])
def test_an_unexplained_step_widens_the_bound_by_its_size(step_us: int) -> None:
    before = judge(evidence(tracking=TRACKING), None)
    after = judge(evidence(system_us=T0_US + 1_000_000 + step_us, running_s=11.0), before)
    assert after.state is TimeState.HOLDOVER
    assert after.error_us >= abs(step_us)


@pytest.mark.parametrize("step_us", [-3_600_000_000, -8_000_000, 8_000_000, 3_600_000_000])
def test_a_daemon_that_has_not_measured_since_a_step_does_not_explain_it(step_us: int) -> None:
    judged = judge(evidence(tracking=TRACKING), None)
    for second in range(1, 5):  # the daemon polls its servers every few minutes
        now_us = T0_US + second * 1_000_000 + step_us
        judged = judge(evidence(system_us=now_us, running_s=10.0 + second, tracking=TRACKING), judged)
        assert judged.state is TimeState.HOLDOVER
        assert judged.error_us >= abs(step_us)
    measured = replace(TRACKING, reference_time_s=now_us / 1e6 - 0.1)
    judged = judge(evidence(system_us=now_us, running_s=14.0, tracking=measured), judged)
    assert judged.state is TimeState.DISCIPLINED


def test_a_daemon_whose_servers_are_silent_for_hours_disciplines_no_more() -> None:
    before = judge(evidence(tracking=TRACKING), None)
    for hours, state in ((3, TimeState.DISCIPLINED), (5, TimeState.HOLDOVER), (50, TimeState.HOLDOVER)):
        late = evidence(
            system_us=T0_US + hours * 3_600_000_000, running_s=10.0 + hours * 3600, tracking=TRACKING
        )
        assert judge(late, before).state is state
        assert judge(late, None).state is state
        if state is TimeState.HOLDOVER:
            assert judge(late, None).error_us >= hours * 3600 * DRIFT_PPM


def test_a_bound_is_never_below_that_of_the_only_source_that_answers() -> None:
    before = judge(evidence(tracking=TRACKING), None)
    far = {"system_us": T0_US + 1_000_000, "running_s": 11.0}
    slewing = judge(evidence(**far, tracking=replace(TRACKING, correction_s=40.0)), before)
    assert slewing.state is TimeState.HOLDOVER
    assert 40_000_000 < slewing.error_us < 41_000_000
    by_gps = judge(
        evidence(**far, fix=fix(utc_us=T0_US - 60_000_000), fix_system_us=T0_US + 1_000_000), before
    )
    assert by_gps.state is TimeState.HOLDOVER
    assert by_gps.error_us >= 60_000_000
    by_rolled_over = judge(
        evidence(**far, fix=fix(utc_us=T0_US + 1024 * 7 * 86_400_000_000), fix_system_us=T0_US), before
    )
    assert by_rolled_over.state is TimeState.HOLDOVER  # only the calendar shows that it rolled over
    assert by_rolled_over.error_us < 1_000_000


def test_a_step_beyond_all_bounds_leaves_an_unknown_clock() -> None:
    before = judge(evidence(tracking=TRACKING), None)
    after = judge(evidence(system_us=T0_US + 30 * 86_400_000_000, running_s=11.0), before)
    assert after.state is TimeState.UNKNOWN


def test_a_time_set_by_hand_is_holdover_at_most_even_beside_a_disciplined_past() -> None:
    system_us = [T0_US + 60_000_000]
    clock = DisciplinedClock(
        daemon=ScriptedDaemon(TRACKING),
        system_us=lambda: system_us[0],
        running_s=lambda: 10.0,
        monotonic=lambda: 1.0,
    )
    assert clock.now().state is TimeState.DISCIPLINED
    system_us[0] += 4_000_000
    clock.set_by_hand()
    for _ in range(3):
        assert clock.now().state is TimeState.HOLDOVER
        assert clock.now().error_us >= BY_HAND_ERROR_US
        clock.refresh()


def test_a_source_that_fails_is_named_and_counts_as_silent() -> None:
    clock = DisciplinedClock(
        daemon=ScriptedDaemon(None), rtc=ScriptedRtc(None), system_us=lambda: T0_US, running_s=lambda: 10.0
    )
    assert clock.now().state is TimeState.UNKNOWN
    assert len(clock.failures) == 2


def test_the_kernels_word_counts_until_the_daemon_has_answered_once() -> None:
    daemon = ScriptedDaemon(None)
    kernel = SetClock(T0_US, error_us=70_000)
    clock = DisciplinedClock(kernel=kernel, daemon=daemon, system_us=lambda: T0_US, running_s=lambda: 10.0)
    assert (clock.judgment.source, clock.now().state) == ("kernel", TimeState.DISCIPLINED)
    daemon.estimate = replace(TRACKING, synchronized=False)
    clock.refresh()
    assert clock.now().state is TimeState.HOLDOVER
    daemon.estimate = None
    clock.refresh()
    assert clock.now().state is TimeState.HOLDOVER


def test_a_reading_between_two_judgments_carries_the_drift_since() -> None:
    running = [10.0]
    clock = DisciplinedClock(
        daemon=ScriptedDaemon(TRACKING), system_us=lambda: T0_US, running_s=lambda: running[0]
    )
    first = clock.now().error_us
    running[0] = 1010.0
    assert clock.now().error_us == first + 1000 * DRIFT_PPM
    assert isinstance(clock.judgment, Judgment)


@pytest.mark.parametrize(
    ("timex", "bound_us"),
    [
        pytest.param({"maxerror": 0, "esterror": 0, "offset": 380_000_000}, 480_000, id="timesyncd, slewing"),
        pytest.param({"maxerror": 512_000, "esterror": 0, "offset": 0}, 612_000, id="timesyncd, long ago"),
        pytest.param({"maxerror": 31_000, "esterror": 900, "offset": 0}, 31_000, id="a full client"),
    ],
)
def test_the_kernels_bound_holds_what_a_simple_client_leaves_out(
    timex: dict[str, int], bound_us: int
) -> None:
    assert kernel_bound_us(SimpleNamespace(status=0x2001, **timex)) == bound_us


def test_a_judgment_that_is_not_renewed_is_holdover() -> None:
    running = [10.0]
    clock = DisciplinedClock(
        daemon=ScriptedDaemon(TRACKING), system_us=lambda: T0_US, running_s=lambda: running[0]
    )
    assert clock.now().state is TimeState.DISCIPLINED
    running[0] += 60
    assert clock.now().state is TimeState.HOLDOVER


def heard_after(ahead_us: int, *, since_s: float = 0.0) -> ClockEvidence:
    """The department signed T0 `since_s` ago; the system clock is `ahead_us` ahead of that."""
    return ClockEvidence(
        system_us=T0_US + ahead_us + round(since_s * 1e6), running_s=100.0 + since_s,
        heard=Heard(us=T0_US, running_s=100.0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ahead_us", "since_s", "bound_us"),
    [
        pytest.param(0, 0.0, HEARD_ERROR_US, id="at once"),
        pytest.param(0, 86_400.0, HEARD_ERROR_US + 8_640_000, id="a day later"),
        pytest.param(HOUR_US, 0.0, HEARD_ERROR_US + HOUR_US, id="the clock is an hour ahead"),
        pytest.param(-HOUR_US, 0.0, HEARD_ERROR_US + HOUR_US, id="the clock is an hour behind"),
    ],
)
def test_a_signed_time_makes_an_unknown_clock_holdover_within_its_bound(
    ahead_us: int, since_s: float, bound_us: int
) -> None:
    seen = judge(heard_after(ahead_us, since_s=since_s), None)
    assert (seen.state, seen.source, seen.error_us) == (TimeState.HOLDOVER, "department", bound_us)


def test_a_signed_time_belies_a_hand_that_set_the_clock_wrong_and_widens_no_better_source() -> None:
    clock = DisciplinedClock(system_us=lambda: T0_US + HOUR_US, running_s=lambda: 100.0)
    clock.set_by_hand()
    clock.hear(Heard(us=T0_US, running_s=100.0))
    assert clock.refresh().error_us == HEARD_ERROR_US + HOUR_US
    good = judge(replace(heard_after(0), tracking=TRACKING), None)
    assert good.state is TimeState.DISCIPLINED
    assert judge(heard_after(0), good).error_us < HEARD_ERROR_US


def test_a_signed_time_disciplines_nothing() -> None:
    assert judge(heard_after(0), None).state is not TimeState.DISCIPLINED


@pytest.mark.parametrize(("days_before", "belied"), [(0.9, False), (1.1, True), (30, True)])
def test_a_date_a_day_before_a_signed_time_is_belied(days_before: float, belied: bool) -> None:
    signed = evidence(signed_us=T0_US)
    assert signed.belies(T0_US - round(days_before * 86_400e6)) is belied


@pytest.mark.parametrize(
    ("off_us", "state"),
    [
        (0, TimeState.HOLDOVER),
        (DAY_US - HEARD_ERROR_US - 1, TimeState.HOLDOVER),
        (DAY_US, TimeState.UNKNOWN),
        (-400 * DAY_US, TimeState.UNKNOWN),
        (400 * DAY_US, TimeState.UNKNOWN),
    ],
)
def test_a_sync_bounds_a_clock_that_is_less_than_a_day_off_and_helps_no_other(
    off_us: int, state: TimeState
) -> None:
    """Never as closely as the alarm for a loose clock demands, so no alarm names a sync as its cure."""
    judged = judge(evidence(system_us=T0_US + off_us, running_s=10.0, heard=HEARD), None)
    assert judged.state is state
    assert judged.error_us > CLOCK_LOOSE_US
    for alarm in (Alarm.CLOCK_LOOSE, Alarm.CLOCK_UNKNOWN):
        assert "or sync" not in CURES[alarm]
