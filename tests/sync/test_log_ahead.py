"""Only a fresh statement by its department ends a log whose time is ahead; old ones and clocks do not."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from custody_twins import SteppedTime
from receiver_twins import Joined
from sync_twins import LoopbackLink, checked

from firmware.custody.log_rollover import Successor
from hw.clock import TimeState
from storage.clock_trust import TOO_FAR_US
from storage.outgoing import ANSWER_US, Outgoing, TimeQuestion
from storage.times import DAY_US, HOUR_US, MINUTE_US, now_us
from sync import runner
from sync.department.server.server import Department
from sync.handover import closed_logs, kept_keys
from sync.rollover import open_or_roll_over
from sync.runner import Attempt, Runner
from sync.schedule import Schedule

NEAR_US = 30 * MINUTE_US


class AheadUnit(Joined):
    """A unit whose clock was `ahead_us` ahead at first and has been right since it joined."""

    def __init__(self, path: Path, department: Department, ahead_us: int) -> None:
        self.stepped = SteppedTime(now_us() + ahead_us)
        super().__init__(path, department, "unit", time_source=self.stepped)
        self.set_right()

    def set_right(self, by_us: int = 0) -> None:
        self.stepped.jump(now_us() + by_us - self.stepped.now().us)

    def sync(self) -> Attempt:
        return Runner(self.outbox, self.folder, Schedule()).attempt()

    def give_way(self, made: Attempt) -> None:
        successor = Successor(self.ledger, self.folder, made.gives_way)
        self.ledger.close()
        self.ledger = successor.open(self.home, self.stepped)

    def lags_us(self) -> int:
        """How far the log's time is ahead of the real time."""
        return self.ledger.store.time.trusted_us - now_us()


@pytest.fixture
def link(department: Department, monkeypatch: pytest.MonkeyPatch) -> LoopbackLink:
    made = LoopbackLink(department)
    monkeypatch.setattr(runner, "open_link", lambda *_, **__: made)
    monkeypatch.setattr(runner, "renew_if_due", lambda *_: False)
    monkeypatch.setattr(runner, "take_renewed", lambda *_: None)
    return made


@pytest.fixture
def ahead(department: Department, link: LoopbackLink, tmp_path: Path) -> Iterator[AheadUnit]:
    made = AheadUnit(tmp_path / "unit", department, 400 * DAY_US)
    yield made
    made.close()


def test_a_unit_that_was_born_ahead_is_right_after_its_first_sync(
    department: Department, ahead: AheadUnit
) -> None:
    ahead.add(2)
    assert abs(ahead.lags_us() - 400 * DAY_US) < NEAR_US
    made = ahead.sync()
    assert made.outcome == "done"
    assert "its time was 400 days ahead" in made.gives_way
    assert made.gives_way in str(ahead.folder.status()["what"])
    ahead.give_way(made)
    assert abs(ahead.lags_us()) < NEAR_US
    ahead.add(2)
    again = ahead.sync()
    assert (again.outcome, again.gives_way) == ("done", "")
    assert checked(department.home).problems == []
    ahead.reopen()
    assert abs(ahead.lags_us()) < NEAR_US
    assert ahead.sync().gives_way == ""


def test_everything_of_the_log_is_delivered_before_it_ends(department: Department, ahead: AheadUnit) -> None:
    ahead.add(2)
    made = ahead.sync()
    assert ahead.ledger.status().unreceived == 0
    ahead.add(1)  # between the sync and the end of the log
    ahead.give_way(made)
    [left] = closed_logs(ahead.folder)
    assert left.reads == 1
    assert ahead.sync().outcome == "done"
    assert closed_logs(ahead.folder) == []


@pytest.mark.parametrize("far_us", [TOO_FAR_US - MINUTE_US, TOO_FAR_US + MINUTE_US])
def test_a_log_that_is_a_little_ahead_continues(
    department: Department, link: LoopbackLink, tmp_path: Path, far_us: int
) -> None:
    unit = AheadUnit(tmp_path / "unit", department, far_us)
    try:
        assert bool(unit.sync().gives_way) is (far_us > TOO_FAR_US)
    finally:
        unit.close()


def test_a_clock_that_says_another_time_than_the_department_ends_no_log(ahead: AheadUnit) -> None:
    ahead.set_right(-5 * MINUTE_US)
    assert ahead.sync().gives_way == ""
    ahead.set_right()
    ahead.stepped.lose(TimeState.UNKNOWN)
    assert ahead.sync().gives_way == ""
    ahead.stepped.lose(TimeState.HOLDOVER)
    assert ahead.sync().gives_way


def test_an_old_co_signature_that_a_person_kept_back_ends_no_log(
    department: Department, ahead: AheadUnit, link: LoopbackLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an expired grant would be valid again with the clock set back to that time. So a record is
    made that only a new co-signature covers.
    """
    month_ago = now_us() - 30 * DAY_US
    real = department.receiver._now_us
    monkeypatch.setattr(department.receiver, "_now_us", lambda: month_ago)
    ahead.sync()  # the department's statement of a month ago covers all records until then
    monkeypatch.setattr(department.receiver, "_now_us", real)
    ahead.stepped.jump(month_ago - ahead.stepped.now().us)
    size = ahead.outbox.size()
    ahead.outbox.take_cosigned(str(ahead.outbox.anchored_note()))
    question = ahead.outbox.question_time()
    assert question is not None
    assert question.sequence == size
    ahead.outbox.take_cosigned(str(ahead.outbox.anchored_note()))
    assert ahead.outbox.end_by_answer(question) == ""
    assert ahead.ledger.store.time.successor().us > now_us()


def test_an_answer_that_was_kept_back_for_long_ends_no_log(ahead: AheadUnit) -> None:
    ahead.ledger.store.time._boot = ahead.stepped.boot
    ahead.sync()
    question = ahead.outbox.question_time()
    assert question is not None
    ahead.sync()
    assert ahead.outbox.end_by_answer(question)
    ahead.ledger.store.time._boot = lambda: ahead.stepped.boot() + ANSWER_US + 1
    ahead.outbox.take_cosigned(str(ahead.outbox.anchored_note()))
    assert ahead.outbox.end_by_answer(question) == ""


def test_a_log_ends_only_once_all_of_it_was_sent(
    department: Department, ahead: AheadUnit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, the vehicle leaves the depot while the department is asked for the time."""
    ahead.sync()
    asked, real = list[TimeQuestion | None](), Outgoing.question_time

    def ask(outbox: Outgoing) -> TimeQuestion | None:
        asked.append(real(outbox))
        return asked[-1]

    monkeypatch.setattr(Outgoing, "question_time", ask)
    made = Runner(ahead.outbox, ahead.folder, Schedule()).attempt(may_continue=lambda: not asked)
    assert (made.outcome, made.gives_way, len(asked)) == ("paused", "", 1)


def test_what_is_read_between_the_word_and_the_end_is_delivered_from_the_closed_log(
    department: Department, ahead: AheadUnit
) -> None:
    """Once, a first hit or a full hour opened an epoch whose key was lost with the slot."""
    ahead.add(2)
    made = ahead.sync()
    successor, old = Successor(ahead.ledger, ahead.folder, made.gives_way), ahead.ledger.store
    (hit,) = ahead.add(1, hit=True)
    epoch = old.leaf(hit).epoch
    ahead.ledger.close()
    ahead.ledger = successor.open(ahead.home, ahead.stepped)
    kept = kept_keys(ahead.folder.path / "old" / old.log_id.hex()[:16])
    assert epoch in [one.epoch for one in kept]
    assert ahead.sync().outcome == "done"
    assert closed_logs(ahead.folder) == []


def _without_head(home: Path) -> None:
    with contextlib.closing(sqlite3.connect(home / "store" / "ledger.sqlite3")) as database, database:
        database.execute("DELETE FROM head")


@pytest.mark.parametrize("damage", [_without_head, lambda home: shutil.rmtree(home / "store")])
def test_a_damaged_card_and_a_clock_set_back_make_no_ended_grant_good_again(
    department: Department, link: LoopbackLink, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    unit = AheadUnit(tmp_path / "unit", department, 0)
    try:
        unit.sync()
        unit.ledger.close()
        damage(unit.home)
        unit.set_right(-200 * DAY_US)
        unit.ledger = open_or_roll_over(unit.home, unit.slot, unit.stepped, unit.folder)
        assert abs(unit.lags_us()) < NEAR_US
        assert unit.ledger.store.time.now().us > now_us() - HOUR_US
    finally:
        unit.close()


def test_a_refused_log_hands_its_time_on(ahead: AheadUnit) -> None:
    """Only a fresh statement by the department corrects the time; a new log does not."""
    ahead.set_right(-HOUR_US)
    progress = ahead.sync().progress
    ahead.give_way(Attempt(outcome="log-refused", what="fork", progress=progress, gives_way="fork"))
    assert abs(ahead.lags_us() - 400 * DAY_US) < NEAR_US
