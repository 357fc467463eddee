"""The unit's report on itself: each alarm rises for its reason and for no other, and nothing in it is a
plate.
"""

import io
import json
import sqlite3
import time
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware.frames.picture_quality import coarse, picture_quality
from firmware.health.alarm_events import AlarmEvents
from firmware.health.health_file import newest_report, path_of, reporting, write_report
from firmware.health.metrics import MetricsServer, serving_metrics
from firmware.health.read_habit import ReadHabit
from firmware.health.report import Alarm, Custody, HealthReport, HealthWatch, report_lines
from firmware.health.scene_watch import LEARN_S, SceneWatch
from firmware.settings.config import SyncSettings
from hw.clock import SetClock, TimeState
from hw.power import ScriptedPower
from hw.vitals import ScriptedBoard
from storage.times import HOUR_US, MINUTE_US
from sync.event_log import event_log

T0_US = 1_777_777_200_000_000  # a whole hour
STARTED_S = 100.0
LATE = Custody(enrolled=True, last_sync_us=T0_US - 90_000_000_000)


class Bench:
    """A healthy unit whose parts the test spoils."""

    def __init__(self, **settings: Any) -> None:
        self.board, self.power, self.clock, self.now_s = (
            ScriptedBoard(),
            ScriptedPower(),
            SetClock(T0_US),
            0.0,
        )
        self.custody = Custody(enrolled=True, last_sync_us=T0_US)
        self.troubles: tuple[str, ...] = ()
        self.watch = HealthWatch(
            board=self.board, power=self.power, now=self.clock.now, custody=lambda: self.custody,
            monotonic=lambda: self.now_s, troubles=lambda: self.troubles, **settings,
        )  # fmt: skip
        self.now_s = STARTED_S
        self.frame(road())

    def frame(self, luma: NDArray[np.uint8]) -> None:
        self.watch.frame_seen(luma)

    def alarms(self) -> set[str]:
        return {str(alarm) for alarm in self.watch.report().alarms}


def road(seed: int = 0, *, shift: int = 0) -> NDArray[np.uint8]:
    """A street with texture, the same but for noise."""
    dice = np.random.default_rng(3)
    blocks = dice.integers(40, 220, (18, 32)).astype(np.uint8)
    luma = np.kron(np.roll(blocks, shift, axis=1), np.ones((10, 10), np.uint8))
    noise = np.random.default_rng(seed).integers(-3, 4, luma.shape)
    return np.clip(luma.astype(int) + noise, 0, 255).astype(np.uint8)


def test_a_healthy_unit_has_no_alarm() -> None:
    assert Bench().alarms() == set()


def spoil(**vitals: Any) -> Any:
    return lambda bench: setattr(bench.board, "vitals", replace(bench.board.vitals, **vitals))


@pytest.mark.parametrize(
    ("trouble", "alarm"),
    [
        pytest.param(spoil(temperature_c=85.0), "hot", id="hot"),
        pytest.param(spoil(disk_free_bytes=1 << 30), "disk_low", id="disk nearly full"),
        pytest.param(spoil(card_wear_percent=90), "card_worn", id="card worn"),
        pytest.param(lambda bench: setattr(bench.power, "throttle_word", 0x4), "throttled", id="throttled"),
        pytest.param(
            lambda bench: setattr(bench.power, "throttle_word", 0x1), "undervoltage", id="undervoltage"
        ),
        pytest.param(
            lambda bench: setattr(bench.power, "silent", ("throttling word",)), "sensor_failed",
            id="a sensor that does not answer",
        ),
        pytest.param(
            lambda bench: setattr(bench, "troubles", ("receiver: its line is gone",)), "sensor_failed",
            id="the receiver's line is gone",
        ),
        pytest.param(
            lambda bench: bench.clock.lose_reference(TimeState.UNKNOWN), "clock_unknown", id="no clock"
        ),
        pytest.param(
            lambda bench: setattr(bench.clock, "_now", replace(bench.clock.now(), error_us=3_000_000)),
            "clock_loose", id="clock loose",
        ),
        pytest.param(lambda bench: setattr(bench, "now_s", STARTED_S + 11), "no_frames", id="no frames"),
        pytest.param(
            lambda bench: setattr(bench, "custody", LATE),
            "sync_late", id="a day without sync",
        ),
        pytest.param(
            lambda bench: setattr(bench, "custody", Custody(enrolled=True)), "sync_late", id="never synced"
        ),
        pytest.param(
            lambda bench: setattr(
                bench, "custody", Custody(enrolled=True, last_sync_us=T0_US + 3_600_000_000)
            ),
            "sync_late", id="synced under a clock that was ahead",
        ),
        pytest.param(
            lambda bench: setattr(bench, "custody", replace(bench.custody, configuration_refused=True)),
            "configuration_refused", id="a configuration refused",
        ),
        pytest.param(
            lambda bench: setattr(bench, "custody", replace(bench.custody, closed_log=True)),
            "closed_log", id="reads of a closed log not delivered",
        ),
        pytest.param(
            lambda bench: setattr(bench, "custody", replace(bench.custody, clock_in_doubt=True)),
            "clock_in_doubt", id="a clock that custody does not follow",
        ),
        pytest.param(
            lambda bench: bench.watch.watch_lists(lambda: 1), "list_expired", id="a hot list that has expired"
        ),
    ],
)  # fmt: skip
def test_each_trouble_raises_its_alarm_alone(trouble: Any, alarm: str) -> None:
    bench = Bench()
    trouble(bench)
    assert bench.alarms() == {alarm}


def test_a_camera_that_nobody_asks_for_the_next_frame_is_no_alarm() -> None:
    """A reader that takes long, or a drop folder in a quiet street: the camera alone knows."""
    bench = Bench()
    silent_s: float | None = None
    bench.watch.follow(lambda: silent_s)
    bench.now_s = STARTED_S + 600
    assert "no_frames" not in bench.alarms()
    silent_s = 12.0
    assert "no_frames" in bench.alarms()
    bench.frame(road())
    assert "no_frames" not in bench.alarms()


@pytest.mark.parametrize(
    ("settings", "late_s"),
    [
        pytest.param({}, 86_400, id="by the quarter of an hour"),
        pytest.param({"interval_s": 604_800}, 2 * 604_800 * 1.2, id="weekly"),
        pytest.param({"windows": "02:00-03:00"}, 2 * 86_400, id="a window by night"),
    ],
)
def test_sync_is_late_by_the_schedule_and_not_on_the_day_of_enrollment(
    settings: dict[str, Any], late_s: float
) -> None:
    each: tuple[dict[str, Any], ...] = ({"last_sync_us": T0_US}, {"enrolled_us": T0_US})
    for spoken in each:
        bench = Bench(sync_late_s=SyncSettings(**settings).late_after_s)
        bench.custody = Custody(enrolled=True, **spoken)
        bench.clock.step(round(late_s * 1e6) - 1)
        assert bench.alarms() == set()
        bench.clock.step(2)
        assert bench.alarms() == {"sync_late"}


def test_a_clock_that_is_still_finding_the_time_after_a_start_is_no_alarm_yet() -> None:
    bench = Bench()
    bench.clock.lose_reference(TimeState.UNKNOWN)
    for seconds, alarms in ((2.0, set()), (61.0, {"clock_unknown"})):
        bench.now_s = seconds
        bench.frame(road())
        assert bench.alarms() == alarms


def watched(pictures: Any, seconds: float, *, step_s: float = 1.0) -> set[str]:
    """Alarms after a learnt scene and then these pictures."""
    watch, now_s = SceneWatch(), 0.0
    while now_s < LEARN_S + 60:
        watch.look(road(int(now_s)), now_s)
        now_s += 20.0
    assert watch.alarms(now_s) == ()
    until_s, number = now_s + seconds, 0
    while now_s < until_s:
        watch.look(pictures(number), now_s)
        now_s, number = now_s + step_s, number + 1
    return set(watch.alarms(now_s))


@pytest.mark.parametrize(
    ("pictures", "seconds", "alarm"),
    [
        pytest.param(
            lambda n: np.random.default_rng(n).integers(0, 6, (180, 320)).astype(np.uint8), 70, "dark",
            id="dark",
        ),
        pytest.param(
            lambda n: (120 + np.random.default_rng(n).integers(0, 4, (180, 320))).astype(np.uint8), 310,
            "covered",
            id="dirt over the lens",
        ),
        pytest.param(lambda _n: road(1), 40, "frozen", id="the same picture for ever"),
        pytest.param(lambda n: road(n, shift=9), 130, "knocked", id="knocked aside"),
    ],
)  # fmt: skip
def test_a_blind_camera_is_noticed(pictures: Any, seconds: float, alarm: str) -> None:
    assert alarm in watched(pictures, seconds, step_s=seconds / 30)
    assert watched(pictures, 5) == set()


def test_a_night_in_which_every_pixel_is_black_is_dark_and_not_frozen() -> None:
    assert watched(lambda _n: np.zeros((180, 320), np.uint8), 120) == {"dark"}


def test_passing_traffic_and_a_slow_dusk_are_no_alarm() -> None:
    def traffic(number: int) -> NDArray[np.uint8]:
        luma = road(number).astype(float) * max(0.3, 1 - number / 200)
        at = number * 37 % 250
        luma[75:150, at : at + 70] = 60 + number % 90
        return luma.astype(np.uint8)

    assert watched(traffic, 2000, step_s=20.0) == set()


def learnt() -> tuple[SceneWatch, float]:
    watch, now_s = SceneWatch(), 0.0
    while now_s < LEARN_S + 60:
        watch.look(road(int(now_s)), now_s)
        now_s += 20.0
    return watch, now_s


def black(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 6, (180, 320)).astype(np.uint8)


def test_headlamps_of_a_passing_vehicle_end_no_alarm_of_the_dark() -> None:
    (watch, now_s), raised = learnt(), []
    for second in range(300):
        watch.look(road(second) if second % 75 >= 72 else black(second), now_s + second)
        raised.append("dark" in watch.alarms(now_s + second))
    assert raised == [False] * 60 + [True] * 240
    for second in range(300, 315):
        watch.look(road(second), now_s + second)
    assert watch.alarms(now_s + 315) == ()


def test_a_camera_that_reads_plates_by_night_is_not_blind_and_one_that_read_the_last_is_soon() -> None:
    watch, now_s = learnt()
    for second in range(1200):
        now_s += 1
        watch.look(black(second), now_s)
        if second % 200 == 0:
            watch.read(now_s)
        assert watch.alarms(now_s) == ()
    for second in range(300):
        now_s += 1
        watch.look(black(second), now_s)
    assert watch.alarms(now_s) == ("dark",)


@pytest.mark.parametrize("change", ["lamps", "reads"])
def test_another_light_is_no_knock_once_lamps_or_reads_explain_it(change: str) -> None:
    watch, now_s = learnt()
    for second in range(1500):
        now_s += 1
        watch.look(255 - road(second), now_s)  # the strobe lights the road, the sky is dark
        if change == "lamps" and second == 1:
            watch.lit_anew()
        if change == "reads" and second % 30 == 0:
            watch.read(now_s)
        if change == "lamps" or second > 400:
            assert watch.alarms(now_s) == ()


def test_a_flat_picture_that_shows_plates_becomes_the_usual_one() -> None:
    def foggy(seed: int) -> NDArray[np.uint8]:
        return (120 + (road(seed).astype(int) - 120) // 8).astype(np.uint8)

    watch, now_s = learnt()
    for second in range(400):
        now_s += 1
        watch.look(foggy(second), now_s)
    assert watch.alarms(now_s) == ("covered",)
    watch.read(now_s)
    for second in range(1000):
        now_s += 1
        watch.look(foggy(second), now_s)
        assert watch.alarms(now_s) == ()


def test_a_picture_of_a_few_pixels_spoils_nothing_that_was_learnt() -> None:
    watch, now_s = learnt()
    watch.look(np.full((1, 1), 90, dtype=np.uint8), now_s)
    for _ in range(200):
        now_s += 1.0
        watch.look(road(shift=60), now_s)
    assert set(watch.alarms(now_s)) >= {"knocked"}


def test_a_moving_vehicle_is_never_knocked() -> None:
    watch, now_s = SceneWatch(), 0.0
    for number in range(200):
        watch.look(road(number, shift=number % 32), now_s)
        now_s += 8.0
    assert "knocked" not in watch.alarms(now_s)


def traffic(habit: ReadHabit, now_us: int, hours: float, an_hour: int) -> int:
    """So much steady traffic; the time after it."""
    until_us = now_us + round(hours * HOUR_US)
    while now_us < until_us:
        now_us += MINUTE_US
        habit.tick(now_us)
        minute = now_us // MINUTE_US % 60
        for _ in range(an_hour * (minute + 1) // 60 - an_hour * minute // 60):
            habit.read(now_us)
    return now_us


def weeks(habit: ReadHabit, count: int, an_hour: int) -> int:
    """Some weeks of steady traffic; the time after them."""
    habit.tick(T0_US)
    return traffic(habit, T0_US, count * 168, an_hour)


def test_a_plate_rate_that_drops_raises_an_alarm_once_it_cannot_be_chance() -> None:
    habit = ReadHabit()
    now_us = weeks(habit, 2, 20)
    assert habit.usual(now_us) == 20
    now_us = traffic(habit, now_us, 1 / 6, 0)
    assert not habit.too_quiet(now_us)
    now_us = traffic(habit, now_us, 1 / 3, 0)
    assert habit.too_quiet(now_us)
    for _ in range(8):
        habit.read(now_us)
    assert not habit.too_quiet(now_us)


def test_a_rate_that_stays_low_is_an_alarm_without_a_gap_at_the_full_hour() -> None:
    habit = ReadHabit()
    now_us = traffic(habit, weeks(habit, 2, 60), 0.5, 6)
    for _ in range(180):
        now_us = traffic(habit, now_us, 1 / 60, 6)
        assert habit.too_quiet(now_us)


def test_an_empty_road_for_some_minutes_is_no_alarm_however_busy_it_is() -> None:
    habit = ReadHabit()
    now_us = weeks(habit, 2, 600)
    for _ in range(10):
        now_us = traffic(habit, now_us, 1 / 60, 0)
        assert not habit.too_quiet(now_us)


def test_a_holiday_with_two_thirds_of_the_traffic_is_no_alarm() -> None:
    habit = ReadHabit()
    now_us = weeks(habit, 2, 600)
    for _ in range(24 * 6):
        now_us = traffic(habit, now_us, 1 / 6, 400)
        assert not habit.too_quiet(now_us)


def test_a_quiet_site_that_goes_blind_is_an_alarm_within_hours() -> None:
    habit = ReadHabit()
    now_us = traffic(habit, weeks(habit, 2, 4), 2, 0)
    assert not habit.too_quiet(now_us)
    assert habit.too_quiet(traffic(habit, now_us, 2, 0))


def test_a_clock_that_is_set_takes_no_missing_reads_with_it() -> None:
    habit = ReadHabit()
    now_us = traffic(habit, weeks(habit, 2, 60), 1 / 12, 60)
    for step_us in (40 * MINUTE_US, -30 * MINUTE_US, 5 * HOUR_US):
        now_us += step_us
        habit.tick(now_us)
        assert not habit.too_quiet(now_us)
        now_us = traffic(habit, now_us, 1 / 4, 60)
        assert not habit.too_quiet(now_us)


def test_an_hour_in_which_the_camera_was_blind_teaches_nothing() -> None:
    habit = ReadHabit()
    now_us = weeks(habit, 1, 20)
    habit.blind()
    traffic(habit, now_us, 1, 0)
    assert habit.usual(now_us) == 20


@pytest.mark.parametrize(("stays", "known"), [(True, False), (False, True)])
def test_a_vehicle_and_a_unit_that_does_not_know_the_hour_have_no_habit(stays: bool, known: bool) -> None:
    habit = ReadHabit([100.0] * 168)
    state = TimeState.HOLDOVER if known else TimeState.UNKNOWN
    clock, now_us = SetClock(T0_US, state=state), T0_US
    watch = HealthWatch(board=ScriptedBoard(), now=clock.now, habit=habit, stays=stays, monotonic=lambda: 0.0)
    watch.report()
    for _ in range(90):
        clock.step(MINUTE_US)
        assert Alarm.FEW_READS not in watch.report().alarms
    assert habit.too_quiet(now_us + 90 * MINUTE_US)
    assert habit.usual(now_us) == (75 if known else 100)


def test_an_hour_that_is_always_quiet_is_no_alarm() -> None:
    habit = ReadHabit()
    now_us = weeks(habit, 2, 1)
    assert not habit.too_quiet(now_us + HOUR_US - 1)
    assert not ReadHabit().too_quiet(now_us)


def test_an_hour_in_which_the_unit_was_off_teaches_nothing() -> None:
    habit = ReadHabit()
    now_us = weeks(habit, 1, 20)
    habit.tick(now_us + HOUR_US // 2)
    habit.tick(now_us + 3 * HOUR_US + HOUR_US // 2)
    assert habit.usual(now_us + HOUR_US) == 20


def test_a_habit_survives_a_restart_and_a_damaged_file_is_forgotten(tmp_path: Path) -> None:
    habit, path = ReadHabit(), tmp_path / "habit.json"
    now_us = weeks(habit, 1, 7)
    habit.save(path)
    assert ReadHabit.load(path).usual(now_us) == 7
    for damage in ("", "[]", '{"reads_an_hour": [1]}', '{"reads_an_hour": ' + json.dumps([-1] * 168) + "}"):
        path.write_text(damage)
        assert ReadHabit.load(path).usual(now_us) is None


def test_sharpness_falls_with_blur_and_not_with_contrast() -> None:
    sharp = np.kron(np.random.default_rng(1).integers(0, 2, (20, 20)) * 200, np.ones((9, 9))).astype(np.uint8)
    blurred: np.ndarray = coarse(np.kron(sharp, np.ones((2, 2), np.uint8)), 180, 180)
    for _ in range(3):
        blurred = (np.roll(blurred, 1, 1) + blurred + np.roll(blurred, -1, 1)) / 3
        blurred = (np.roll(blurred, 1, 0) + blurred + np.roll(blurred, -1, 0)) / 3
    soft = picture_quality(blurred.astype(np.uint8)).sharpness
    assert picture_quality(sharp).sharpness > soft + 30
    assert picture_quality(sharp // 3).sharpness == pytest.approx(picture_quality(sharp).sharpness, abs=5)
    assert picture_quality(np.full((50, 50), 9, np.uint8)).sharpness == 0


def test_the_report_is_plain_json_and_fits_a_terminal() -> None:
    report = Bench().watch.report()
    assert json.loads(json.dumps(report.plain()))["alarms"] == []
    assert all(len(line) <= 100 for line in report_lines(report))


def test_prometheus_reads_the_report_on_loopback_and_nothing_else() -> None:
    bench = Bench()
    bench.power.throttle_word = 1
    with closing(MetricsServer(0, bench.watch.report)) as server:
        where = f"http://127.0.0.1:{server.port}"
        with urllib.request.urlopen(f"{where}/metrics", timeout=5) as answer:  # noqa: S310 - loopback
            text = answer.read().decode()
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{where}/", timeout=5)  # noqa: S310 - loopback
        refused.value.close()
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert samples['alpr_alarm{name="undervoltage"}'] == "1"
    assert samples['alpr_alarm{name="hot"}'] == "0"
    assert float(samples["alpr_temperature_c"]) == 48.5
    assert samples['alpr_clock_state{state="disciplined"}'] == "1"
    assert len([line for line in text.splitlines() if "alpr_alarm{" in line]) == len(Alarm)


def test_a_metrics_port_that_is_taken_is_an_event_and_the_reading_goes_on() -> None:
    stream, report = io.StringIO(), Bench().watch.report
    with (
        closing(MetricsServer(0, report)) as first,
        serving_metrics(first.port, report, event_log(stream)),
        serving_metrics(None, report, event_log(stream)),
    ):
        (event,) = stream.getvalue().splitlines()
    assert json.loads(event)["event"] == "metrics_not_served"
    assert json.loads(event)["port"] == first.port


def test_the_newest_report_is_found_while_the_reader_runs_and_not_after(tmp_path: Path) -> None:
    report: HealthReport = Bench().watch.report()
    assert newest_report(tmp_path) is None
    with reporting(tmp_path, lambda: report):
        assert newest_report(tmp_path) == report
        assert path_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert newest_report(tmp_path) is None
    write_report(tmp_path, report)
    path_of(tmp_path).write_text('{"written_s": 0}')
    assert newest_report(tmp_path) is None


def test_an_alarm_is_told_once_when_it_is_raised_and_once_when_it_is_over() -> None:
    stream, board, now_s = io.StringIO(), ScriptedBoard(), [0.0]
    watch = HealthWatch(board=board, now=SetClock(1_780_000_000_000_000).now, watching=False)
    events = AlarmEvents(event_log(stream), monotonic=lambda: now_s[0])
    flicker = [80.5, 79.5] * 60  # about the limit for ten minutes
    for temperature_c in (40.0, *flicker, *[40.0] * 14):
        board.vitals = replace(board.vitals, temperature_c=temperature_c)
        assert events.noted(watch.report()).temperature_c == temperature_c
        now_s[0] += 5
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["event"], one["alarm"]) for one in told] == [("alarm_raised", "hot"), ("alarm_over", "hot")]


def test_a_report_that_fails_for_a_while_is_named_once_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware.health.health_file.EVERY_S", 0.01)
    report, failing = Bench().watch.report(), [True]
    named: list[Any] = []

    def asked() -> HealthReport:
        if failing[0]:
            raise sqlite3.OperationalError("disk I/O error")
        return report

    with reporting(tmp_path, asked, on_trouble=named.append):
        time.sleep(0.2)
        assert newest_report(tmp_path) is None
        failing[0] = False
        end_s = time.monotonic() + 10
        while newest_report(tmp_path) is None:
            assert time.monotonic() < end_s
            time.sleep(0.01)
    assert named == ["OperationalError"]
