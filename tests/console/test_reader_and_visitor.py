"""A reader that starts while a person is at the cable, and an enrollment code typed while it runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from console_process import console_program, home
from reader_process import TWO_CARS, Running
from sync_twins import DepartmentProcess, bare_home, issue_code, running
from warm_program import READER, run_warm

from firmware.custody import give_way
from firmware.custody.opening import open_ledger
from storage.home import Home
from storage.record_base import KeyClass
from storage.verify import verify_home
from sync.membership import SyncFolder

__all__ = ["home"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepartmentProcess]:
    with running(bare_home(tmp_path_factory.mktemp("department"))) as server:
        yield server


def test_a_stranger_at_the_port_keeps_no_reader_from_starting(home: Path) -> None:
    with console_program(home, port=True) as (hands, _program):
        stop = threading.Event()

        def lean_on_return() -> None:
            while not stop.wait(0.3):
                hands.press(b"\r")

        hands.wait_for("press return")
        hands.press(b"\r")
        hands.wait_for("reader-1> ")  # the console now holds the home
        stranger = threading.Thread(target=lean_on_return)
        stranger.start()
        try:
            reader = Running(home, "--source", str(TWO_CARS))
            reader.until_reads(2)
        finally:
            stop.set()
            stranger.join()
        hands.wait_for("the reader is starting")
        assert reader.end(15) == 0
    assert verify_home(Home(home)).ok


def test_a_mark_of_a_reader_that_died_waiting_closes_no_console(tmp_path: Path) -> None:
    assert not give_way.is_way_asked(tmp_path)
    with give_way.way_asked(tmp_path):
        assert give_way.is_way_asked(tmp_path)
    assert not give_way.is_way_asked(tmp_path)
    for left_over in ("0.0", "1e12", "nonsense", ""):
        (tmp_path / give_way.NAME).write_text(left_over)
        assert not give_way.is_way_asked(tmp_path)


@pytest.mark.thorough_rows
@pytest.mark.parametrize("given", ["argument", "standard input"])
def test_a_code_joins_beside_a_running_reader(
    department: DepartmentProcess, tmp_path: Path, given: str
) -> None:
    reader = Running(tmp_path, "--source", str(TWO_CARS))
    reader.until_reads(2)
    code = issue_code(department.home, f"beside-{given[:3]}")
    words = (code,) if given == "argument" else ()
    asked = ("--home", str(tmp_path), "--json", "enroll", *words)
    done = run_warm(READER, *asked, given="" if words else code + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["name"] == f"beside-{given[:3]}"
    reader.until_reads(len(reader.lines) + 1)
    assert reader.end(15) == 0
    assert verify_home(Home(tmp_path)).ok


def test_a_code_that_is_not_a_code_is_refused_beside_a_running_reader_in_one_line(tmp_path: Path) -> None:
    reader = Running(tmp_path, "--source", str(TWO_CARS))
    reader.until_reads(1)
    done = run_warm(READER, "--home", str(tmp_path), "enroll", "nonsense")
    assert done.returncode in {1, 2}
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert reader.end(15) == 0


def test_an_enrollment_at_the_console_leaves_no_earlier_read(
    department: DepartmentProcess, home: Path
) -> None:
    """A person with a cable and their own department must not get earlier reads of other people's cars."""
    reader = Running(home, "--source", str(TWO_CARS))
    reader.until_reads(3)
    code = issue_code(department.home, "cable")
    with console_program(home, port=True) as (hands, _program):
        hands.wait_for("press return")
        hands.press(b"\r")
        hands.wait_for("enroll destroys them")
        hands.wait_for("reader-1> ")
        shown = hands.ask("selftest", "reader-1> ")
        assert "not available" not in shown
        hands.type("enroll")
        hands.wait_for("code: ")
        hands.type(code)
        hands.wait_for("to continue:")
        hands.type("reader-1")
        hands.wait_for("this unit is cable")
    assert reader.end(15) == 0
    assert SyncFolder.of(home).is_member()
    report = verify_home(Home(home))
    assert report.ok, report.findings
    before = [int(str(one["record"])) for one in reader.announced[:3]]
    with open_ledger(home) as ledger:
        gone = {
            facts.epoch
            for facts in ledger.store.book.epochs.values()
            if facts.key_class is KeyClass.READ and facts.purged_by is not None
        }
        assert gone
        assert all(ledger.store.leaf(number).epoch in gone for number in before)
