"""The event log is structured, and contains no plates whatever a caller passes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import structlog

from detector.plates import CLASSES, PlateText
from sync.event_log import WITHHELD, event_log, events_to_stderr

PLATE = "LS15EBC"
ROOT = Path(__file__).resolve().parents[2]


def logged(**event: object) -> dict[str, object]:
    stream = io.StringIO()
    event_log(stream).info("something", **event)
    line: dict[str, object] = json.loads(stream.getvalue())
    return line


def test_event_is_one_json_line_with_utc_time_and_level() -> None:
    line = logged(frames=3)
    assert line["event"] == "something"
    assert line["frames"] == 3
    assert line["level"] == "info"
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize(
    "key",
    [
        "plate",
        "plates",
        "text",
        "candidates",
        "slots",
        "query",
        "jurisdiction",
        "position",
        "first_us",
        "password",
    ],
)
def test_keys_that_could_carry_a_read_or_a_secret_are_withheld(key: str) -> None:
    line = logged(**{key: PLATE})
    assert line[key] == WITHHELD
    assert PLATE not in json.dumps(line)


def test_objects_appear_as_their_type_alone() -> None:
    text = PlateText(
        text=PLATE,
        confidence=0.9,
        slots=np.zeros((len(PLATE), CLASSES), dtype=np.float32),
        candidates=((PLATE, 0.9),),
    )
    line = logged(read=text, several=[PLATE])
    assert line["read"] == "(PlateText)"
    assert PLATE not in json.dumps(line)


def test_events_of_other_rooms_go_to_stderr_without_plates(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    try:
        events_to_stderr()
        structlog.get_logger("uplink").warning("refused", text=PLATE, leaves=3)
    finally:
        structlog.configure(**before)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert json.loads(shown.err) | {"text": WITHHELD, "leaves": 3} == json.loads(shown.err)


@pytest.mark.parametrize("program", ["firmware.cli", "sync.department.cli"])
def test_both_programs_withhold_alike(program: str) -> None:
    """Set up the log as the program does, then write an event as careless code would."""
    code = (
        f"import structlog, {program} as cli; cli.main(['--version']); "
        f"structlog.get_logger('x').warning('refused', plate={PLATE!r}, search=[{PLATE!r}], leaves=3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    event = json.loads(done.stderr)
    assert (event["plate"], event["search"], event["leaves"]) == (WITHHELD, "(list)", 3)
    assert PLATE not in done.stderr + done.stdout
