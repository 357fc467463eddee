"""The bench's technician visits a reader on this machine: the console says what the bench waits for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import pytest
from alpr_image.bench import visit
from alpr_image.bench.office import Office
from alpr_image.bench.story import BenchStory
from alpr_image.keys import KeyFolder
from alpr_image.workshop import Workshop
from reader_process import TWO_CARS
from warm_program import DEPARTMENT, READER, run_warm

from tests.tools.rehearsal import console_of


class WarmOffice(Office):
    """Runs its commands without their start time."""

    def department(self, *words: str) -> str:
        return self._said(DEPARTMENT, self.home, *words)

    def reader(self, home: Path, *words: str) -> str:
        return self._said(READER, home, *words)

    @staticmethod
    def _said(program: str, home: Path, *words: str) -> str:
        done = run_warm(program, "--home", str(home), *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.mark.slow
def test_every_step_of_the_bench_s_visit_passes_at_a_reader_of_this_machine(tmp_path: Path) -> None:
    office = WarmOffice(tmp_path / "office", seen_by_unit="127.0.0.1")
    home = tmp_path / "unit"
    office.reader(home, "init")
    office.reader(home, "run", "--source", str(TWO_CARS), "--once")
    configuration = home / "config.toml"
    text = configuration.read_text()
    configuration.write_text(text.replace('source = "camera"', f'source = "{TWO_CARS}"'))
    assert str(TWO_CARS) in configuration.read_text()
    told: list[str] = []
    story = BenchStory(Workshop(tmp_path / "shop"), cast("KeyFolder", None), told.append)
    with office.open(), console_of(home, [sys.executable, "-m", "firmware.cli"]) as hands:
        visit.first_visit(story, hands, office)
    assert visit.verified(office)
    assert [one.line() for one in story.seen if not one.good] == []
    assert len(story.seen) == 11
