"""The event log: structured, and without plates whatever a caller hands in."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import structlog

from detector.plates import CLASSES, PlateText
from firmware.log import WITHHELD, event_log, events_to_stderr

PLATE = "LS15EBC"


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


@pytest.mark.parametrize("key", ["plate", "text", "candidates", "slots", "query"])
def test_keys_that_could_carry_a_plate_are_withheld(key: str) -> None:
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
