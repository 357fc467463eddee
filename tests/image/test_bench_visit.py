"""The bench's technician at a reader of this machine: what the bench waits for is what the console says."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import cast

import pytest
from alpr_image.bench import visit
from alpr_image.bench.office import Office
from alpr_image.bench.story import CLIP, BenchStory
from alpr_image.keys import KeyFolder
from alpr_image.workshop import Workshop

from tests.tools.rehearsal import console_of


@pytest.mark.slow
def test_every_step_of_the_bench_s_visit_passes_at_a_reader_of_this_machine(tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for picture in sorted(CLIP.glob("*.jpg")):
        shutil.copyfile(picture, frames / picture.name)
    office = Office(tmp_path / "office", seen_by_unit="127.0.0.1")
    home = tmp_path / "unit"
    office.reader(home, "init")
    office.reader(home, "run", "--source", str(frames), "--once")
    configuration = home / "config.toml"
    text = configuration.read_text()
    configuration.write_text(text.replace('source = "camera"', f'source = "{frames}"'))
    assert str(frames) in configuration.read_text()
    told: list[str] = []
    story = BenchStory(Workshop(tmp_path / "shop"), cast("KeyFolder", None), told.append)
    with office.open(), console_of(home, [sys.executable, "-m", "firmware.cli"]) as hands:
        visit.first_visit(story, hands, office)
    assert visit.verified(office)
    assert [one.line() for one in story.seen if not one.good] == []
    assert len(story.seen) == 10
