"""What `reader run` shows; it shows plates only where that is allowed."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firmware.frames.pipeline import PipelineCounts, RunProgress
from firmware.run.live_view import LiveView, Repainted, StageTimes
from storage.read_records import Read
from storage.record_base import ClockState

PLATE = "LS15EBC"
MOMENT = datetime.fromtimestamp(1_800_000_000, UTC)
READ = Read(
    text=PLATE,
    confidence=0.9,
    jurisdiction="GB",
    direction="towards",
    first_us=1_800_000_000_000_000,
    last_us=1_800_000_001_000_000,
    time_error_us=1000,
    clock_state=ClockState.DISCIPLINED,
    camera="test",
    frames_voted=9,
    plate_box=(1.0, 2.0, 3.0, 4.0),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TERM", "xterm"), ("COLUMNS", "160"), ("LINES", "40")):
        monkeypatch.setenv(name, value)


def shown(*, reads: bool, as_json: bool, terminal: bool) -> str:
    out = Terminal() if terminal else io.StringIO()
    with LiveView(out, reads=reads, as_json=as_json) as view:
        view.progress(RunProgress(sequence=1, live=(), ms={"find": 10.0, "decode": 2.0, "read": 5.0}))
        view.stored(7, READ)
        view.refresh(PipelineCounts(frames=1), 0.0)
    return out.getvalue()


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_of_a_read_is_shown_where_it_may_not(as_json: bool, terminal: bool) -> None:
    assert PLATE in shown(reads=True, as_json=as_json, terminal=terminal)
    text = shown(reads=False, as_json=as_json, terminal=terminal)
    told = [PLATE, "GB", "0.9", "towards", str(READ.first_us)[:10], f"{MOMENT:%H:%M}", "plate", "way"]
    assert [one for one in told if one in text] == []


def test_off_a_terminal_a_view_of_counts_alone_says_nothing_a_read() -> None:
    assert shown(reads=False, as_json=False, terminal=False) == ""


def test_json_without_reads_is_the_record_s_number_and_nothing_else() -> None:
    assert json.loads(shown(reads=False, as_json=True, terminal=False)) == {"record": 7}


def test_a_journal_that_would_stamp_each_line_gets_no_line_a_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "journal").open("w+") as out:
        about = (tmp_path / "journal").stat()
        for named, lines in ((f"{about.st_dev}:{about.st_ino}", 0), ("8:1", 1)):
            monkeypatch.setenv("JOURNAL_STREAM", named)
            with LiveView(out, reads=False, as_json=True) as view:
                view.stored(7, READ)
            out.seek(0)
            assert len(out.readlines()) == lines


@pytest.mark.parametrize("terminal", [False, True])
def test_table_shows_jurisdiction_votes_and_milliseconds_by_stage(terminal: bool) -> None:
    text = shown(reads=True, as_json=False, terminal=terminal)
    for cell in ("GB", "0.90", "towards", "9", "12.0", "5.0", "find ms", "vote ms"):
        assert cell in text


def test_json_line_has_every_field(tmp_path: Path) -> None:
    facts = json.loads(shown(reads=True, as_json=True, terminal=False))
    assert facts == {
        "record": 7,
        "first_us": READ.first_us,
        "last_us": READ.last_us,
        "jurisdiction": "GB",
        "confidence": 0.9,
        "direction": "towards",
        "frames_voted": 9,
        "ms": {"find": 12.0, "rectify": 0.0, "read": 5.0, "vote": 0.0},
        "plate": PLATE,
    }


def test_stage_times_are_means_over_the_last_frames() -> None:
    times = StageTimes(window=2)
    for find in (100.0, 10.0, 20.0):
        times.add({"find": find})
    assert times.means()["find"] == 15.0


def test_a_terminal_s_view_is_redrawn_in_place_and_an_event_goes_above_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    with LiveView(out, reads=False, as_json=False) as view:
        view.refresh(PipelineCounts(frames=1), 0.0)
        print("event", file=sys.stderr)
        view.refresh(PipelineCounts(frames=2), 0.0)
        view.refresh(PipelineCounts(frames=3), 0.0)
    assert sys.stderr is out
    wiped = "\x1b[1A\x1b[J"
    painted = [f"{n} frames, 0 dropped, 0 broken, blind 0.0 s, 0 in view, 0 stored\n" for n in (1, 2, 3)]
    assert out.getvalue() == f"{painted[0]}{wiped}event\n{painted[1]}{wiped}{painted[2]}"


def test_a_small_terminal_shows_the_last_rows_cut_at_its_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "3")
    out = Terminal()
    Repainted(out).paint([f"{n} {'x' * 30}" for n in range(4)])
    assert out.getvalue() == "".join(f"{n} {'x' * 17}\n" for n in (2, 3))
