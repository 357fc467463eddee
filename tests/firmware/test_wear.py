"""The wear budget; a waiting unit writes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firmware.health.health_file import IN_MEMORY, newest_report, path_of, reporting
from firmware.health.report import HealthWatch
from firmware.health.report_text import report_lines
from firmware.health.wear import YEAR_S, wear_budget
from hw.card import CardWrites
from hw.clock import SetClock
from hw.vitals import ScriptedBoard
from sync.membership import SyncFolder

GB = 10**9


def test_a_card_lasts_as_long_as_its_endurance_at_this_rate() -> None:
    writes = CardWrites(written_bytes=GB, flushes=240)
    budget = wear_budget(writes, running_s=86_400.0, size_bytes=32 * GB)
    assert budget is not None
    assert budget.years == pytest.approx(3200 / 1.2 / 365)  # 100 times 32 GB, a GB a day: up to 50 MB an hour
    assert (budget.bytes_an_hour, budget.flushes_an_hour) == (50_000_000, 1000)
    known = wear_budget(writes, running_s=86_400.0, size_bytes=32 * GB, card_tb=64.0)
    assert known is not None
    assert known.years == pytest.approx(64_000 / 1.2 / 365)


@pytest.mark.parametrize(("written", "running_s"), [(0, YEAR_S), (GB, 60.0)])
def test_no_years_are_shown_where_they_cannot_be_known(written: int, running_s: float) -> None:
    budget = wear_budget(CardWrites(written_bytes=written, flushes=None), running_s=running_s, size_bytes=GB)
    assert budget is not None
    assert budget.years is None
    assert budget.flushes_an_hour is None
    assert wear_budget(None, running_s=running_s, size_bytes=GB) is None


@pytest.mark.parametrize(("swap", "told"), [(True, True), (False, False), (None, False)])
def test_status_shows_the_wear_budget_and_swap_on_the_card(swap: bool | None, told: bool) -> None:
    board = ScriptedBoard()
    object.__setattr__(board.vitals, "swaps_to_card", swap)
    watch = HealthWatch(board=board, now=SetClock(1_780_000_000_000_000).now, watching=False)
    lines = "\n".join(report_lines(watch.report()))
    assert "card         up to 10 MB and 1000 flushes an hour, by the whole machine" in lines
    assert "at this rate a new card lasts 37 years" in lines
    assert ("ON THE CARD" in lines) is told


@pytest.mark.parametrize(
    ("card_tb", "told"), [(0.02, "0.2 years"), (0.002, "less than 0.1 years"), (2.0, "23 years")]
)
def test_a_card_that_will_not_last_is_reported_in_tenths_of_a_year(card_tb: float, told: str) -> None:
    board = ScriptedBoard()
    watch = HealthWatch(board=board, now=SetClock(1_780_000_000_000_000).now, watching=False, card_tb=card_tb)
    lines = list(report_lines(watch.report()))
    assert f"             at this rate a new card lasts {told}" in lines
    assert all(len(line) <= 80 for line in lines)


def test_a_status_that_says_nothing_new_is_not_written(tmp_path: Path) -> None:
    folder = SyncFolder.of(tmp_path)
    folder.make()
    folder.save_status(next_us=5, waiting_for="interval")
    before = (folder.path / "status.json").stat()
    for _ in range(3):
        folder.save_status(next_us=5, waiting_for="interval")
    assert (folder.path / "status.json").stat().st_ino == before.st_ino
    folder.save_status(next_us=6)
    assert folder.status() == {"next_us": 6, "waiting_for": "interval"}


def test_a_running_reader_s_report_is_in_memory_and_its_user_s_alone(tmp_path: Path) -> None:
    report = HealthWatch(
        board=ScriptedBoard(), now=SetClock(1_780_000_000_000_000).now, watching=False
    ).report()
    with reporting(tmp_path, lambda: report):
        path = path_of(tmp_path)
        if any(root.is_dir() and os.access(root, os.W_OK) for root in IN_MEMORY):
            assert path.parent.parent in IN_MEMORY
            assert path.parent.stat().st_mode & 0o777 == 0o700
            assert list(tmp_path.iterdir()) == []
        assert newest_report(tmp_path) == report
    assert not path.exists()


def test_a_foreign_folder_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, memory, elsewhere = tmp_path / "home", tmp_path / "memory", tmp_path / "elsewhere"
    for folder in (home, memory, elsewhere):
        folder.mkdir()
    monkeypatch.setattr("firmware.health.health_file.IN_MEMORY", (memory,))
    made = path_of(home).parent
    assert made.parent == memory
    made.chmod(0o755)  # others may read it
    assert path_of(home).parent == home
    made.rmdir()
    made.symlink_to(elsewhere)
    assert path_of(home).parent == home
