"""Besides sealed records, an enrolled unit reveals only counts, and nothing about any read."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from reader_process import CLIP, TWO_CARS
from sync_twins import bare_home, issue_code, running
from warm_program import READER, WarmProgram

from firmware.cli import main
from firmware.custody.opening import create_ledger
from firmware.settings.config import Config, SiteSettings, SyncSettings, UnitSettings, write_config
from sync.enrollment import join
from sync.ledger_outbox import LedgerOutbox
from sync.membership import SyncFolder
from tests.tools.ports import free_port

pytestmark = pytest.mark.slow
TRUTH = json.loads((CLIP / "truth.json").read_text())["vehicles"]
PLACE = (34.271828, -118.314159)
CLOCK = re.compile(r"\b[0-2]\d:[0-5]\d:[0-5]\d")
EVENTS = {"started", "stopped", "alarm_raised", "alarm_over", "counts", "attempt"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An enrolled unit at a surveyed place, with metrics on."""
    folder = tmp_path_factory.mktemp("seal")
    home = folder / "unit"
    home.mkdir()
    config = Config(
        unit=UnitSettings(name="pole", metrics_port=free_port()),
        site=SiteSettings(latitude=PLACE[0], longitude=PLACE[1]),
        sync=SyncSettings(interval_s=10, jitter=0.0),
    )
    write_config(home, config)
    with running(bare_home(folder / "department")) as server:
        sync = SyncFolder.of(home)
        with create_ledger(home) as ledger:
            join(LedgerOutbox(ledger, sync.inbox), sync, issue_code(server.home, "pole"), software="t")
        yield home


@pytest.fixture
def command(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The output of a command; an alarm of a busy machine (status 1) does not matter here."""

    def say(*words: str) -> str:
        status, said = main(["--home", str(home), *words]), capsys.readouterr()
        assert status in {0, 1}, said.err
        assert said.out
        return said.out + said.err

    return say


def told(text: str) -> list[str]:
    """What a text reveals of the reads: plate, state, direction, place."""
    words = {one["text"] for one in TRUTH} | {one["jurisdiction"] for one in TRUTH}
    words |= {"US-", "towards", "away", "parked", f"{PLACE[0]:.3f}", f"{-PLACE[1]:.3f}"}
    return sorted(word for word in words if word in text)


@pytest.mark.thorough_rows
@pytest.mark.parametrize("as_json", [False, True])
def test_of_a_read_only_counts_reach_output_events_status_metrics_and_files(
    home: Path, tmp_path: Path, command: Callable[..., str], as_json: bool
) -> None:
    port = re.search(r"metrics_port = (\d+)", (home / "config.toml").read_text())
    assert port is not None
    out, err = tmp_path / "out", tmp_path / "err"
    words = ["--home", str(home), *(("--json",) if as_json else ()), "run", "--source", str(TWO_CARS)]
    with out.open("w") as stdout, err.open("w") as stderr:
        process = WarmProgram(READER, *words, stdout=stdout, stderr=stderr)
        try:
            channels = looked_at(home, int(port[1]), command)
            limits = Path(f"/proc/{process.pid}/limits").read_text()
        finally:
            process.terminate()
            process.wait(timeout=300)
    channels |= {"output": out.read_text(), "events": err.read_text()}
    assert {name: told(text) for name, text in channels.items() if told(text)} == {}
    for name in ("output", "status", "metrics", "health"):
        assert CLOCK.findall(channels[name]) == [], name
    for line in channels["events"].splitlines():  # an event's time must not be a read's
        if line.startswith("{"):
            assert json.loads(line)["event"] in EVENTS
    assert re.search(r"Max core file size +0 ", limits)
    if as_json:
        lines = [json.loads(line) for line in channels["output"].splitlines()]
        assert lines
        assert all(set(line) == {"record"} for line in lines)
    else:
        assert len(channels["output"].splitlines()) == 1  # the summary at the end


def looked_at(home: Path, port: int, command: Callable[..., str]) -> dict[str, str]:
    """The answers of a running reader with some stored reads, by every way to ask it."""
    until = time.monotonic() + 300
    while True:
        assert time.monotonic() < until, "no reads in five minutes"
        time.sleep(0.5)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=300) as answer:
                metrics = answer.read().decode()
        except OSError:
            continue
        stored = re.search(r"alpr_reads_total (\d+)", metrics)
        if stored is not None and int(stored[1]) >= 4:
            break
    clear = [path for path in home.rglob("*") if path.is_file() and not {"store", "sync"} & set(path.parts)]
    status = command("status")
    return {
        "metrics": metrics,
        "status": status,
        "status as JSON": command("status", "--json"),
        "sync status": command("sync", "status"),
        "health": status.split("slot", maxsplit=1)[0],
    } | {path.name: path.read_text() for path in clear if path.suffix in {".json", ".lockout", ".log"}}
