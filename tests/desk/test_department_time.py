"""No single clock moves the department's time: not by jumps, slow drift or restarts, and not back."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync.department.ground.department_time import (
    AHEAD,
    FILE,
    MAX_AHEAD_US,
    Clocks,
    DepartmentTime,
    span_text,
)
from sync.errors import ClockInDoubtError

START_US = 1_790_000_000_000_000


class Machine:
    """A machine whose wall clock and running time can be stepped separately."""

    def __init__(self) -> None:
        self.wall, self.running, self.boot = START_US, 5 * HOUR_US, "first"
        self.clocks = Clocks(wall=lambda: self.wall, running=lambda: self.running, boot=lambda: self.boot)

    def run(self, us: int) -> None:
        """Let time pass while the machine runs."""
        self.wall += us
        self.running += us

    def restart(self, off_us: int = 0) -> None:
        """Turn the machine off for a while and start it."""
        self.wall += off_us
        self.running, self.boot = MINUTE_US, self.boot + "+"


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def founded(tmp_path: Path, machine: Machine) -> DepartmentTime:
    time = DepartmentTime(tmp_path, machine.clocks)
    time.found()
    return time


def test_a_clock_that_runs_is_believed_for_years(founded: DepartmentTime, machine: Machine) -> None:
    for _ in range(800):
        machine.run(DAY_US)
        assert founded.now_us() == machine.wall
    assert founded.doubt() is None


@pytest.mark.parametrize("days", [3, 30, 366, 4000])
def test_a_jump_ahead_is_not_believed_and_nothing_is_destroyed(
    founded: DepartmentTime, machine: Machine, days: int
) -> None:
    machine.run(HOUR_US)
    right = founded.now_us()
    machine.wall += days * DAY_US
    machine.run(MINUTE_US)
    assert founded.now_us() == right + MINUTE_US
    with pytest.raises(ClockInDoubtError, match=rf"purge waits: the clock is {days} days ahead"):
        founded.demand_sure()
    machine.wall -= days * DAY_US
    assert founded.demand_sure() == machine.wall


def test_a_start_under_a_wrong_clock_is_not_believed(tmp_path: Path, machine: Machine) -> None:
    """This once destroyed every day of receipt: stop, set the clock a year ahead, start."""
    first = DepartmentTime(tmp_path, machine.clocks)
    first.found()
    machine.run(DAY_US)
    first.now_us()
    machine.restart(off_us=366 * DAY_US)
    again = DepartmentTime(tmp_path, machine.clocks)
    assert again.now_us() < START_US + 2 * DAY_US
    doubt = again.doubt()
    assert doubt is not None
    assert doubt.direction == AHEAD


def test_a_home_without_a_mark_starts_from_the_newest_time_it_knows(tmp_path: Path, machine: Machine) -> None:
    """A person deletes the mark and starts a year ahead: the times in the store still limit the clock."""
    machine.wall += 366 * DAY_US
    time = DepartmentTime(tmp_path, machine.clocks)
    for us in (START_US - DAY_US, START_US, START_US - HOUR_US):
        time.known(us)
    assert time.now_us() == START_US
    assert time.doubt() is not None
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("step_us", [23 * HOUR_US, HOUR_US, 47 * HOUR_US])
def test_a_walk_of_small_steps_is_bounded_in_sum(
    founded: DepartmentTime, machine: Machine, step_us: int
) -> None:
    for _ in range(400):
        machine.wall += step_us
        founded.now_us()
    assert founded.now_us() <= START_US + MAX_AHEAD_US
    assert founded.doubt() is not None


def test_a_walk_by_restarts_is_bounded_in_sum(tmp_path: Path, machine: Machine) -> None:
    DepartmentTime(tmp_path, machine.clocks).found()
    for _ in range(50):
        machine.restart(off_us=47 * HOUR_US)
        time = DepartmentTime(tmp_path, machine.clocks)
        time.known(time.now_us())  # the time that it would have used by then
    assert time.now_us() <= START_US + MAX_AHEAD_US + 50 * MINUTE_US


def test_clock_and_witness_together_confirm_a_month_without_power(tmp_path: Path, machine: Machine) -> None:
    DepartmentTime(tmp_path, machine.clocks).found()
    machine.restart(off_us=30 * DAY_US)
    time = DepartmentTime(tmp_path, machine.clocks)
    assert time.doubt() is not None
    assert not time.confirm(machine.wall - DAY_US, "witness")  # the witness has another time
    assert not time.confirm(machine.wall + 366 * DAY_US, "witness")  # a witness alone moves nothing
    assert time.doubt() is not None
    assert time.confirm(machine.wall - MINUTE_US, "witness")
    assert time.demand_sure() == machine.wall


def test_a_witness_that_says_another_time_puts_the_clock_in_doubt(
    founded: DepartmentTime, machine: Machine
) -> None:
    """The clock is a day ahead, which is within the bound: stamps keep the old time and nothing is purged."""
    machine.run(HOUR_US)
    right = machine.wall
    machine.wall += DAY_US
    assert not founded.confirm(right, "witness")
    machine.run(MINUTE_US)
    assert founded.now_us() == right + MINUTE_US
    with pytest.raises(ClockInDoubtError, match="ahead"):
        founded.demand_sure()
    machine.wall -= DAY_US
    assert founded.confirm(machine.wall, "witness")
    assert founded.demand_sure() == machine.wall


@pytest.mark.parametrize("off_us", [40 * DAY_US, 30 * HOUR_US, -20 * DAY_US])
def test_a_clock_that_was_set_right_is_believed_at_once(
    founded: DepartmentTime, machine: Machine, off_us: int
) -> None:
    """Meanwhile, time continues from the last confirmation, as on people's phones."""
    machine.run(HOUR_US)
    right = machine.wall
    machine.wall += off_us
    assert not founded.confirm(right, "witness")
    machine.run(MINUTE_US)
    doubt = founded.doubt()
    assert doubt is not None
    assert (doubt.direction, doubt.by_us) == (AHEAD if off_us > 0 else "behind", abs(off_us))
    assert founded.run_on_us() == right + MINUTE_US
    machine.wall -= off_us
    machine.run(MINUTE_US)
    assert founded.doubt() is None
    assert founded.now_us() == machine.wall


def test_after_a_power_off_no_time_that_lags_is_one_of_phones(
    tmp_path: Path, founded: DepartmentTime, machine: Machine
) -> None:
    """Otherwise a code that was seen eight hours ago would be valid again."""
    machine.run(HOUR_US)
    assert founded.run_on_us() == machine.wall
    machine.restart(8 * HOUR_US)
    for _ in ("the start", "a start of the program"):
        again = DepartmentTime(tmp_path, machine.clocks)
        machine.run(HOUR_US)
        assert (again.now_us(), again.doubt(), again.run_on_us()) == (machine.wall, None, None)
    machine.wall += 40 * DAY_US
    assert again.run_on_us() is not None, "the clock is in doubt: people have to get in"
    machine.wall -= 40 * DAY_US
    assert again.confirm(machine.wall, "witness")
    assert again.run_on_us() == machine.wall


@pytest.mark.parametrize("ahead_us", [2 * HOUR_US, 47 * HOUR_US, 366 * DAY_US])
def test_a_witness_alone_moves_no_stamp_and_its_error_ends_with_it(
    founded: DepartmentTime, machine: Machine, ahead_us: int
) -> None:
    assert not founded.confirm(machine.wall + ahead_us, "witness")
    machine.run(MINUTE_US)
    assert founded.now_us() == machine.wall
    with pytest.raises(ClockInDoubtError, match="behind"):
        founded.demand_sure()
    machine.run(MINUTE_US)
    assert founded.confirm(machine.wall, "witness")
    assert founded.demand_sure() == machine.wall


@pytest.mark.parametrize("off_us", [11 * MINUTE_US, 10 * HOUR_US, -11 * MINUTE_US, -10 * HOUR_US])
def test_after_a_weekend_without_power_a_witness_holds_the_time_back_by_its_own_error_at_most(
    tmp_path: Path, machine: Machine, off_us: int
) -> None:
    """The machine's clock is right and the witness's is wrong."""
    before = DepartmentTime(tmp_path, machine.clocks)
    before.found()
    machine.restart(30 * HOUR_US)
    after = DepartmentTime(tmp_path, machine.clocks)
    after.known(START_US)
    for _ in range(3):
        machine.run(MINUTE_US)
        assert not after.confirm(machine.wall - off_us, "witness")
        assert machine.wall - max(0, off_us) <= after.now_us() <= machine.wall


def test_one_unit_alone_confirms_nothing(tmp_path: Path, machine: Machine) -> None:
    DepartmentTime(tmp_path, machine.clocks).found()
    machine.restart(off_us=30 * DAY_US)
    time = DepartmentTime(tmp_path, machine.clocks)
    for _ in range(5):
        assert not time.confirm_unit("car-7", machine.wall)
    assert not time.confirm_unit("car-8", machine.wall - DAY_US)
    assert time.doubt() is not None
    assert time.confirm_unit("car-9", machine.wall)
    assert time.doubt() is None


def test_two_people_confirm_what_the_clock_read_when_they_said_so(tmp_path: Path, machine: Machine) -> None:
    DepartmentTime(tmp_path, machine.clocks).found()
    machine.restart(off_us=30 * DAY_US)
    time = DepartmentTime(tmp_path, machine.clocks)
    said = machine.wall
    machine.wall += 300 * DAY_US  # between their confirmation and its use
    assert not time.accept(said)
    assert time.doubt() is not None
    machine.wall = said
    assert time.accept(said)
    assert DepartmentTime(tmp_path, machine.clocks).now_us() == machine.wall


@pytest.mark.parametrize("days", [1, 64, 400])
def test_time_never_runs_back_and_a_clock_set_right_catches_up(
    founded: DepartmentTime, machine: Machine, days: int
) -> None:
    before = founded.now_us()
    machine.wall -= days * DAY_US
    stamps = [before]
    for _ in range(10):
        machine.run(MINUTE_US)
        stamps.append(founded.now_us())
    assert stamps == sorted(set(stamps))
    with pytest.raises(ClockInDoubtError, match="behind"):
        founded.demand_sure()
    machine.wall += days * DAY_US
    assert founded.demand_sure() == machine.wall


def test_an_entry_of_the_past_holds_time_after_a_restart(tmp_path: Path, machine: Machine) -> None:
    first = DepartmentTime(tmp_path, machine.clocks)
    first.found()
    machine.run(60 * DAY_US)
    newest = first.now_us()
    machine.restart()
    machine.wall -= 50 * DAY_US
    time = DepartmentTime(tmp_path, machine.clocks)
    time.known(newest)
    assert time.now_us() >= newest
    assert time.doubt() is not None


@pytest.mark.parametrize("ahead_us", [11 * MINUTE_US, HOUR_US, 47 * HOUR_US])
def test_a_step_of_hours_while_the_machine_runs_waits_for_a_witness(
    founded: DepartmentTime, machine: Machine, ahead_us: int
) -> None:
    """Either it was set ahead, or the machine was paused and its running time lags: a witness decides."""
    assert founded.confirm(machine.wall, "witness")
    machine.run(5 * DAY_US)
    right = machine.wall
    machine.wall += ahead_us
    doubt = founded.doubt()
    assert doubt is not None
    assert (doubt.direction, doubt.by_us, doubt.held_us, doubt.stepped) == (AHEAD, ahead_us, right, True)
    machine.run(MINUTE_US)
    assert founded.now_us() == right + MINUTE_US
    with pytest.raises(ClockInDoubtError):
        founded.demand_sure()
    assert founded.confirm(machine.wall, "witness")
    assert founded.demand_sure() == machine.wall


def test_a_step_while_the_machine_was_off_is_believed_within_the_bound(
    tmp_path: Path, machine: Machine
) -> None:
    DepartmentTime(tmp_path, machine.clocks).found()
    machine.run(HOUR_US)
    machine.restart(47 * HOUR_US - MINUTE_US)
    again = DepartmentTime(tmp_path, machine.clocks)
    assert (again.doubt(), again.now_us()) == (None, machine.wall)


def test_a_clock_that_no_witness_and_no_unit_confirms_keeps_to_the_bound(
    tmp_path: Path, machine: Machine
) -> None:
    """Without a witness yet, or at a remote key service, no one could end the doubt."""
    time = DepartmentTime(tmp_path, machine.clocks)
    time.found()
    machine.wall += 47 * HOUR_US
    assert time.doubt() is None
    machine.wall += 2 * HOUR_US
    assert time.doubt() is not None


def test_what_people_confirm_by_a_command_ends_the_doubt_of_the_server(
    tmp_path: Path, founded: DepartmentTime, machine: Machine
) -> None:
    """The command runs in another process: it writes the mark, and the server reads it."""
    machine.run(HOUR_US)
    assert founded.confirm(machine.wall, "witness")
    machine.wall += 3 * HOUR_US
    assert not founded.confirm(machine.wall + DAY_US, "witness")
    assert founded.doubt() is not None
    machine.run(MINUTE_US)
    command = DepartmentTime(tmp_path, machine.clocks)
    assert command.doubt() is not None
    assert command.accept(machine.wall)
    machine.run(MINUTE_US)
    assert founded.doubt() is None
    assert founded.now_us() == machine.wall
    assert not founded.confirm(machine.wall + DAY_US, "witness")
    assert founded.doubt() is None, "people overruled that witness"
    assert not founded.confirm(machine.wall + 2 * DAY_US, "witness")
    assert founded.doubt() is not None, "a witness that says a third time counts"


def test_a_small_correction_is_not_a_doubt(founded: DepartmentTime, machine: Machine) -> None:
    before = founded.now_us()
    machine.wall -= 5 * MINUTE_US
    assert founded.doubt() is None
    assert founded.now_us() == before


def test_a_damaged_mark_is_no_license(tmp_path: Path, machine: Machine) -> None:
    DepartmentTime(tmp_path, machine.clocks).found()
    (tmp_path / FILE).write_bytes(b"\xa1\x00")
    machine.restart(off_us=366 * DAY_US)
    time = DepartmentTime(tmp_path, machine.clocks)
    time.known(START_US)
    assert time.doubt() is not None


@pytest.mark.one_python
@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["run", "jump", "restart"]),
            st.integers(min_value=-400 * DAY_US, max_value=400 * DAY_US),
        ),
        max_size=30,
    )
)
def test_whatever_the_clock_does_time_rises_and_stays_under_the_bound(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("home")
    machine = Machine()
    time = DepartmentTime(folder, machine.clocks)
    time.found()
    ran, before = 0, time.now_us()
    for kind, us in steps:
        if kind == "run":
            machine.run(abs(us))
            ran += abs(us)
        elif kind == "jump":
            machine.wall += us
        else:
            machine.restart(off_us=us)
            ran += MINUTE_US
            time = DepartmentTime(folder, machine.clocks)
            time.known(before)
        now = time.now_us()
        assert now >= before
        assert now <= START_US + ran + MAX_AHEAD_US
        before = now


def test_spans_are_shown_in_their_largest_unit() -> None:
    assert [span_text(us) for us in (3 * DAY_US, 5 * HOUR_US, 12 * MINUTE_US, 7_000_000)] == [
        "3 days",
        "5 hours",
        "12 minutes",
        "7 seconds",
    ]


def test_a_witness_that_confirms_with_every_answer_is_written_once_in_ten_minutes(
    founded: DepartmentTime, machine: Machine, tmp_path: Path
) -> None:
    machine.run(MINUTE_US)
    assert founded.confirm(machine.wall, "witness")
    first = (tmp_path / FILE).read_bytes()  # a different source counts at once
    for _ in range(9):
        machine.run(MINUTE_US)
        assert founded.confirm(machine.wall, "witness")
        assert (tmp_path / FILE).read_bytes() == first
    machine.run(MINUTE_US)
    assert founded.confirm(machine.wall, "witness")
    assert (tmp_path / FILE).read_bytes() != first


@given(st.lists(st.integers(1, 40 * MINUTE_US), min_size=1, max_size=30))
@settings(max_examples=40)
def test_a_start_after_a_crash_knows_a_confirmation_of_the_last_ten_minutes(pauses: list[int]) -> None:
    """Whatever the order of confirmations, the next start loses at most ten minutes of them."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine()
        first = DepartmentTime(Path(folder), machine.clocks)
        first.found()
        for pause in pauses:
            machine.run(pause)
            assert first.confirm(machine.wall, "witness")
        machine.restart(off_us=MAX_AHEAD_US - 21 * MINUTE_US)
        assert DepartmentTime(Path(folder), machine.clocks).now_us() == machine.wall


def test_a_clock_set_back_again_and_again_does_not_hold_the_time(
    founded: DepartmentTime, machine: Machine
) -> None:
    """Each step back is small enough to be a correction; a grace period of minutes would never end."""
    before = founded.now_us()
    for _ in range(6):
        machine.run(9 * MINUTE_US)
        machine.wall -= 9 * MINUTE_US
        founded.now_us()
    assert founded.now_us() - before >= 26 * MINUTE_US
    machine.run(HOUR_US)
    assert founded.now_us() == machine.wall


def test_peoples_word_holds_against_a_witness_that_stays_as_far_off(
    founded: DepartmentTime, machine: Machine
) -> None:
    """A slow or lying witness cannot stop purges for good; a clock that moves is in doubt as before."""
    assert not founded.confirm(machine.wall - 20 * MINUTE_US, "witness")
    assert founded.doubt() is not None
    assert founded.accept(machine.wall)
    machine.run(8 * HOUR_US)
    assert not founded.confirm(machine.wall - 21 * MINUTE_US, "witness")
    assert founded.demand_sure() == machine.wall
    assert not founded.confirm(machine.wall - 40 * MINUTE_US, "witness")
    assert founded.doubt() is not None


def test_a_process_that_only_starts_from_the_clock_ends_no_doubt(
    tmp_path: Path, founded: DepartmentTime, machine: Machine
) -> None:
    assert founded.confirm(machine.wall, "witness")
    machine.run(HOUR_US)
    machine.wall += DAY_US
    (tmp_path / FILE).rename(tmp_path / "away")
    other = DepartmentTime(tmp_path, machine.clocks)  # it could not read the mark
    machine.run(11 * MINUTE_US)
    other.now_us()
    assert (tmp_path / FILE).exists()
    assert founded.doubt() is not None
