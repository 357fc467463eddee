"""A unit's report on itself, from the reader's own health to the department's commands."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sync_twins import DepartmentProcess, Unit

from firmware import cli as reader
from firmware.custody.opening import serve_door
from firmware.health.health_message import health_message
from firmware.health.report import HealthReport, HealthWatch
from hw.clock import SetClock, TimeState
from hw.vitals import ScriptedBoard
from storage import codec, envelope
from storage.times import DAY_US, HOUR_US, MINUTE_US
from sync import messages
from sync.department import cli as office
from sync.department.server.server import Department
from sync.department.store import unit_health
from sync.enrollment import open_link
from sync.errors import MessageError, RefusedByDepartmentError
from sync.health import CLOCK_STATES, HealthMessage
from sync.runner import Runner
from sync.schedule import Schedule
from sync.uplink import Conversation

KEY = Ed25519PrivateKey.generate()
LOG = bytes(range(32))


def sample(**changes: Any) -> HealthMessage:
    clock = SetClock(1_780_000_000_000_000)
    report = HealthWatch(board=ScriptedBoard(), now=clock.now, watching=False).report()
    return dataclasses.replace(health_message(report, LOG), **changes)


def test_the_words_on_the_wire_are_those_of_the_unit() -> None:
    assert tuple(str(state) for state in TimeState) == CLOCK_STATES
    own = {field.name for field in dataclasses.fields(HealthReport)}
    own -= {
        "card_bytes_an_hour",
        "card_flushes_an_hour",
        "card_years",
        "swaps_to_card",
        "synced",
    }  # shown only at the unit
    assert {field.name for field in dataclasses.fields(HealthMessage)} == own | {
        "version",
        "log_id",
        "software",
    }


def test_a_report_is_read_as_it_was_written() -> None:
    report = sample(alarms=("camera_dark", "disk_low"))
    assert (
        messages.open_message(HealthMessage, messages.seal_message(report, KEY), KEY.public_key()) == report
    )


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"alarms": ("7XKR219",)}, id="an alarm that is none"),
        pytest.param({"alarms": ("hot", "hot")}, id="an alarm twice"),
        pytest.param({"clock_state": "7XKR219"}, id="a clock state that is none"),
        pytest.param({"software": "7XKR219"}, id="a version that is none"),
        pytest.param({"software": "x" * 65}, id="a version too long"),
        pytest.param({"frames": -1}, id="a count below zero"),
        pytest.param({"running_s": 1e15}, id="a time without end"),
        pytest.param({"sharpness": -1e13}, id="a number out of range"),
        pytest.param({"reads": 1 << 63}, id="a count without end"),
        pytest.param({"log_id": b"short"}, id="a log id too short"),
        pytest.param({"temperature_c": 41}, id="a whole number for a float"),
        pytest.param({"throttled": 1}, id="a number for a yes"),
    ],
)
def test_a_report_beyond_its_schema_is_refused(changes: dict[str, Any]) -> None:
    body = codec.to_bytes(sample(**changes))
    data = envelope.sign(body, KEY, context=messages.context_of(HealthMessage))
    with pytest.raises((MessageError, ValueError)):
        messages.open_message(HealthMessage, data, KEY.public_key())


def test_a_report_with_a_field_too_many_is_refused() -> None:
    plain = codec.to_plain(sample()) | {"note": "7XKR219"}
    data = envelope.sign(envelope.encode(plain), KEY, context=messages.context_of(HealthMessage))
    with pytest.raises(MessageError, match="unknown fields"):
        messages.open_message(HealthMessage, data, KEY.public_key())


def tell(unit: Unit, **changes: Any) -> str:
    """Hold a conversation with this report. Returns its outcome."""
    report = sample(log_id=unit.outbox.log_id, at_us=unit.clock.now().us, **changes)
    return Runner(unit.outbox, unit.folder, Schedule(), health=lambda: report).attempt().outcome


def asked(server: DepartmentProcess, capsys: pytest.CaptureFixture[str], name: str) -> tuple[int, Any, str]:
    """Run `department health`. Returns (exit status, this unit's facts, what a person sees)."""
    capsys.readouterr()
    status = office.main(["health", "--home", str(server.home.path), "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert office.main(["health", "--home", str(server.home.path)]) == status
    return status, next(row for row in rows if row["name"] == name), capsys.readouterr().out


def test_the_newest_report_of_a_unit_is_shown_and_its_alarms_are_overdue(
    server: DepartmentProcess, enrolled: Unit, capsys: pytest.CaptureFixture[str]
) -> None:
    name = enrolled.folder.member().name
    _, facts, shown = asked(server, capsys, name)
    assert facts["report"] is None
    assert "no report yet" in shown
    assert tell(enrolled, alarms=("camera_dark",), reads=4) == "done"
    status, facts, shown = asked(server, capsys, name)
    assert (status, facts["report"]["alarms"], facts["report"]["reads"]) == (1, ["camera_dark"], 4)
    assert "alarms camera_dark" in shown
    department = Department(server.home)
    try:
        with department.store.read() as connection:
            overdue = unit_health.due_in(connection, enrolled.clock.now().us)
    finally:
        department.close()
    assert f"unit {name} reports: the camera sees only darkness" in overdue
    assert tell(enrolled, alarms=(), reads=5) == "done"
    _, facts, _ = asked(server, capsys, name)
    assert (facts["report"]["alarms"], facts["report"]["reads"]) == ([], 5)


@pytest.mark.parametrize(
    ("alarm", "words"),
    [
        (
            "list_expired",
            "alerts are off: a hot list expired, is missing or was refused: sync it or push the list",
        ),
        (
            "list_in_doubt",
            "alerts are marked stale because its clock is not set: sync it, then set its clock",
        ),
    ],
)
def test_the_department_says_of_which_unit_alerts_are_off_or_stale_why_and_what_to_do(
    server: DepartmentProcess, enrolled: Unit, capsys: pytest.CaptureFixture[str], alarm: str, words: str
) -> None:
    name = enrolled.folder.member().name
    assert tell(enrolled, alarms=(alarm,)) == "done"
    status, _, shown = asked(server, capsys, name)
    assert status == 1
    assert words in shown
    department = Department(server.home)
    try:
        with department.store.read() as connection:
            overdue = unit_health.due_in(connection, enrolled.clock.now().us)
    finally:
        department.close()
    assert f"unit {name} reports: {words}" in overdue


def test_a_department_that_does_not_know_an_alarm_yet_gets_the_report_without_it(
    server: DepartmentProcess, enrolled: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older one refuses a report with an unknown word, which must not end the sync."""
    sent: list[tuple[str, ...]] = []
    real = Conversation._ask

    def older(self: Conversation, path: str, message: Any, answer: Any) -> Any:
        if path == "health":
            sent.append(message.alarms)
            if "list_in_doubt" in message.alarms:
                raise RefusedByDepartmentError("names an unknown alarm, or one twice", code="malformed")
        return real(self, path, message, answer)

    monkeypatch.setattr(Conversation, "_ask", older)
    assert tell(enrolled, alarms=("hot", "list_in_doubt")) == "done"
    assert sent == [("hot", "list_in_doubt"), ("hot",)]


@pytest.mark.parametrize(
    ("off_us", "words"),
    [
        (-400 * DAY_US, "400 days behind the department's"),
        (400 * DAY_US + MINUTE_US, "400 days ahead of the department's"),
        (-2 * HOUR_US - MINUTE_US, "2 hours behind the department's"),
        (-MINUTE_US, ""),
    ],
)
def test_a_unit_whose_clock_is_off_is_named_with_how_far(
    server: DepartmentProcess, enrolled: Unit, capsys: pytest.CaptureFixture[str], off_us: int, words: str
) -> None:
    """The unit itself may believe that its clock is right."""
    name, now_us = enrolled.folder.member().name, enrolled.clock.now().us
    report = sample(log_id=enrolled.outbox.log_id, at_us=now_us + off_us)
    runner = Runner(enrolled.outbox, enrolled.folder, Schedule(), health=lambda: report)
    assert runner.attempt().outcome == "done"
    status, facts, shown = asked(server, capsys, name)
    department = Department(server.home)
    try:
        with department.store.read() as connection:
            overdue = [one for one in unit_health.due_in(connection, now_us) if f"unit {name}:" in one]
    finally:
        department.close()
    mine = shown.partition(f"{name}  ")[2].partition("\n  camera")[0]
    if words:
        assert status == 1
        assert overdue == [f"unit {name}: its clock is {words}: set it right"]
        assert f"CLOCK {words}: set it right" in shown
    else:
        assert (overdue, facts["clock_off_us"]) == ([], 0)
        assert "CLOCK" not in mine


def test_a_report_in_the_name_of_another_unit_is_refused(server: DepartmentProcess, enrolled: Unit) -> None:
    member = enrolled.folder.member()
    link = open_link(enrolled.folder, member, passed_us=0)
    try:
        with pytest.raises(RefusedByDepartmentError) as told:
            link.post("health", [messages.seal_message(sample(log_id=enrolled.outbox.log_id), KEY)])
        assert told.value.code == "signature"
        with pytest.raises(RefusedByDepartmentError) as told:
            link.post("health", [messages.seal_message(sample(), KEY)])
        assert told.value.code == "unknown-log"
    finally:
        link.close()


def test_sync_by_hand_carries_the_report_too(
    server: DepartmentProcess, enrolled: Unit, capsys: pytest.CaptureFixture[str]
) -> None:
    name = enrolled.folder.member().name
    enrolled.close()
    assert reader.main(["--home", str(enrolled.home), "sync", "now"]) == 0
    _, facts, _ = asked(server, capsys, name)
    assert "no_frames" not in facts["report"]["alarms"]
    assert facts["report"]["log_records"] > 0


def test_a_reader_that_does_not_sync_when_it_is_asked_is_not_success(
    server: DepartmentProcess,
    enrolled: Unit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The last attempt succeeded, but it is not the requested one."""
    enrolled.attempt()
    monkeypatch.setattr("firmware.commands.sync.WAIT_S", 0.0)
    with serve_door(enrolled.ledger):
        assert reader.main(["--home", str(enrolled.home), "sync", "now"]) == 1  # its ledger is open here
    said = capsys.readouterr()
    assert "  done" in said.out
    assert "has not synced" in said.err


def test_a_sync_beside_a_console_without_a_reader_is_refused_at_once(
    enrolled: Unit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("firmware.custody.asking.PATIENCE_S", 0.0)
    assert reader.main(["--home", str(enrolled.home), "sync", "now"]) == 2  # its ledger is open, and no door
    assert "another process writes this home" in capsys.readouterr().err


def test_for_a_mistyped_home_no_one_is_sent_to_join_a_department(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("now", "status"):
        assert reader.main(["--home", str(tmp_path / "alpr-raeder"), "sync", verb]) == 2
        said = capsys.readouterr().err
        assert "no unit is here" in said
        assert "enroll" not in said


def test_facts_that_only_the_unit_shows_do_not_keep_its_report_from_going_up() -> None:
    own = HealthWatch(board=ScriptedBoard(), now=SetClock(1_780_000_000_000_000).now, watching=False).report()
    message = health_message(own, LOG)
    named = {field.name for field in dataclasses.fields(message)}
    assert own.plain().keys() - named >= {"card_bytes_an_hour", "swaps_to_card"}
    assert named - own.plain().keys() == {"version", "log_id", "software"}
