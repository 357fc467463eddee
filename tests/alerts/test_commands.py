"""`reader hotlist` and `reader alerts` take in and list hot lists, and show no plates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from alert_twins import HEAD, KNOWN, Held, entry, plate_box, seen
from board_twins import raise_alerts
from custody_twins import OVERVIEW, PATCH, make_read

from firmware.alerts import list_ops
from firmware.alerts.board import AlertBoard
from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.list_ops import list_health
from firmware.alerts.matching import match
from firmware.alerts.ops import alert_operations
from firmware.cli import main
from firmware.custody.opening import create_ledger, open_ledger
from firmware.health.list_health import ListHealth
from storage.alert_life import AlertEvent, AlertStep, Outcome
from storage.alert_terms import DEFAULT_ALERTS, AlertTerms
from storage.errors import RecordError
from storage.read_records import AlertStepped
from storage.times import HOUR_US


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create_ledger(tmp_path / "home").close()
    return tmp_path / "home"


def reader(home: Path, *words: str) -> int:
    return main(["--home", str(home), *words])


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "Stolen cars.csv"
    path.write_text(text)
    return path


LINES = "Stolen;CA;7XKR219;;\nStolen;CA;7XKR21?;;\nimmigration;CA;8ABC123;;\n"


def test_a_list_is_imported_with_its_bad_lines_and_listed(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, LINES)
    assert reader(home, "hotlist", "import", str(path), "--layout", "genetec") == 0
    said = capsys.readouterr().out
    assert "Stolen-cars version 1: 1 entry of 3 lines" in said
    assert "(line 2: " in said
    assert "immigration: 1" in said
    assert reader(home, "hotlist", "import", str(path), "--layout", "genetec", "--id", "Stolen-cars") == 0
    capsys.readouterr()
    assert reader(home, "--json", "hotlist", "list") == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (row["id"], row["version"], row["entries"], row["expired"]) == ("Stolen-cars", 2, 1, False)
    assert reader(home, "hotlist", "list") == 0
    shown = capsys.readouterr().out
    assert "Stolen-cars" in shown
    assert "active" in shown
    assert "7XKR" not in said + shown
    assert reader(home, "hotlist", "import", str(path), "--layout", "genetec", "--id", "local") == 0
    capsys.readouterr()
    assert reader(home, "hotlist", "list") == 0
    own = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("local"))
    assert own.split(maxsplit=1)[1] == "entries of the department's own  active"  # no figure and no time


@pytest.mark.parametrize("error", [OSError(5, "the card does not give it"), RecordError("is cut")])
def test_lists_that_cannot_be_looked_at_are_an_alarm_and_hold_up_no_report(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    with open_ledger(home) as ledger:
        assert list_health(home, ledger) == ListHealth()
        monkeypatch.setattr(list_ops, "open_lists", fail)
        assert list_health(home, ledger).failing == 1


def test_lines_that_are_the_same_entry_are_counted_as_what_the_list_then_holds(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "Stolen;CA;7XKR219;;\nStolen;CA;7 xkr 219;;\nStolen;CA;8ABC123;;\n")
    monkeypatch.setattr("firmware.commands.hotlist.LARGE_BYTES", 1)
    assert reader(home, "hotlist", "import", str(path), "--layout", "genetec") == 0
    said = capsys.readouterr()
    assert "2 entries of 3 lines; 1 line the same as another" in said.out
    assert "reading Stolen cars.csv" in said.err


BAD = [
    (("--layout", "ncic", "--category", "stolen-vehicle"), 1, "is this its layout"),
    (("--layout", "nowhere"), 2, "neither a layout's file"),
    (("--layout", "genetec", "--hours", "0"), 2, "--hours"),
    (("--layout", "genetec", "--hours", "soon"), 2, "--hours"),
    (("--layout", "genetec", "--hours", "100000"), 2, "--hours"),
    (("--layout", "genetec", "--category", "immigration"), 2, "--category: the signed policy allows"),
    (("--layout", "genetec", "--id", "a b"), 2, "--id"),
    (("--layout", "genetec", "--id", "../etc"), 2, "--id"),
    (("--layout", "genetec", "--id", ""), 2, "--id"),
]


@pytest.mark.parametrize(("words", "status", "why"), BAD, ids=lambda value: str(value)[:24])
def test_a_list_that_cannot_be_taken_is_refused_in_one_line(
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    status: int,
    why: str,
) -> None:
    assert reader(home, "hotlist", "import", str(write(tmp_path, LINES)), *words) == status
    err = capsys.readouterr().err
    assert why in err
    assert err.count("\n") == 1
    assert "hotlist: hot list" not in err
    assert "7XKR" not in err
    assert reader(home, "hotlist", "list") == 0
    assert "this unit has no hot list" in capsys.readouterr().out


def test_without_a_running_reader_no_alert_is_open(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reader(home, "alerts") == 0
    assert "no reader runs" in capsys.readouterr().out


def test_what_earlier_runs_raised_is_listed_without_a_department_and_without_a_plate(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_ledger(home) as ledger:
        board = AlertBoard(ledger, ClearedPlates(home / "hotlists", ledger.hot_list_key()), terms=terms)
        now_us = ledger.store.time.now().us
        head = replace(HEAD, extracted_us=now_us - HOUR_US, expires_us=now_us + HOUR_US)
        numbers = []
        for plate in ("7XKR219", "8ABC123"):
            held = Held([entry(plate, state="US-TX" if plate == "8ABC123" else "US-CA")], head)
            found = match(seen(plate), plate_box(), [held], DEFAULT_ALERTS, KNOWN, now_us)
            read = ledger.append_read(make_read(now_us, plate), patch=PATCH, overview=OVERVIEW, hit=True)
            numbers += [one.number for one in raise_alerts(board, ledger, read.sequence, found, now_us)]
        assert board.raised == 2
    assert reader(home, "alerts") == 0
    said = capsys.readouterr().out
    assert f"{numbers[0]:>8}  Stolen vehicle  (sounded; an earlier run)  look at the image" in said
    assert f"{numbers[1]:>8}  Stolen vehicle  (silent: state; an earlier run)  look at the image" in said
    assert "has no department" in said
    assert "only the department can open them" not in said
    assert "7XKR" not in said
    with open_ledger(home) as ledger:
        closed = AlertStep(
            step=AlertEvent.CLOSED, user="o", role="", at_us=now_us + 1, outcome=Outcome.UNFOUNDED
        )
        ledger.append(AlertStepped(alert=numbers[0], step=closed))
    assert reader(home, "--json", "alerts") == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (row["number"], row["earlier"], row["sounded"]) == (numbers[1], True, False)


def test_the_alert_of_a_covert_entry_is_for_its_people_on_the_page_and_not_listed(home: Path) -> None:
    with open_ledger(home) as ledger:
        board = AlertBoard(ledger, ClearedPlates(home / "hotlists", ledger.hot_list_key()), terms=terms)
        now_us = ledger.store.time.now().us
        head = replace(HEAD, extracted_us=now_us - HOUR_US, expires_us=now_us + HOUR_US)
        held = Held([entry(case="26-1"), entry(case="26-2", recipients=("super",))], head)
        found = match(seen("7XKR219"), plate_box(), [held], DEFAULT_ALERTS, KNOWN, now_us)
        read = ledger.append_read(make_read(now_us, "7XKR219"), patch=PATCH, overview=OVERVIEW, hit=True)
        raise_alerts(board, ledger, read.sequence, found, now_us)
        shown = {one.number for one in board.open_alerts() if not one.entry.covert}
        listed = alert_operations(ledger, board)["alerts"]({})["alerts"]
        assert len(board.open_alerts()) == 2
        assert {one["number"] for one in listed} == shown


def terms() -> AlertTerms:
    return DEFAULT_ALERTS
