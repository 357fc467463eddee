"""A unit was off until its certificate expired: both ends report it, and a new code readmits the unit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import update
from sync_twins import DepartmentProcess, Unit, checked, issue_code
from waiting import until

from firmware.commands.status import _wrong
from storage.times import DAY_US, day_text, now_us
from sync.department.cli import main
from sync.department.ground.home import DepartmentHome
from sync.department.server.server import Department
from sync.department.store import unit_health
from sync.department.store.tables import certificates
from sync.department.units.authority import Authority
from sync.errors import InvalidInputError, RefusedByDepartmentError
from sync.vouch import public_der

ENDED_US = now_us() - 10 * DAY_US
DAY = day_text(ENDED_US // DAY_US)


def let_end(unit: Unit, home: DepartmentHome) -> None:
    """Give the unit a certificate that was made 100 days ago for 90 days."""
    authority = Authority.open(home.authority, lambda: ENDED_US - 90 * DAY_US)
    key, unit_id = unit.folder.tls_private().public_key(), unit.folder.member().unit_id
    unit.folder.save_certificate(
        authority.issue_unit(public_der(key), unit_id, 90).public_bytes(Encoding.DER)
    )
    department = Department(home)
    with department.store.write() as connection:
        of_it = certificates.c.unit_id == unit_id
        connection.execute(update(certificates).where(of_it).values(expires_us=ENDED_US))
    department.close()


def test_both_ends_say_that_a_certificate_ended_and_what_helps(
    server: DepartmentProcess, units: Callable[[str], Unit], capsys: pytest.CaptureFixture[str]
) -> None:
    unit = units("off for long")
    unit.enroll(issue_code(server.home, "off for long"))
    let_end(unit, server.home)
    made = unit.attempt()
    said = f"this unit's certificate ended on {DAY}"
    assert (made.outcome, said in made.what, "reader enroll CODE" in made.what) == ("link", True, True)
    assert unit.folder.status()["what"] == made.what
    assert any(said in line for line in _wrong(unit.home, unit.folder))
    until(
        lambda: "client_certificate_ended" in (server.home.path / "serve.log").read_text()
    )  # a moment later
    department = Department(server.home)
    with department.store.listing() as connection:
        (line,) = (one for one in unit_health.due_in(connection, now_us()) if "off for long" in one)
    department.close()
    cure = f"its certificate ended on {DAY}: give it a new code (department enroll --name 'off for long')"
    assert cure in line
    assert main(["health", "--home", str(server.home.path)]) == 1
    assert cure in capsys.readouterr().out


def test_a_unit_whose_certificate_ended_comes_back_with_a_new_code_and_no_revocation(
    server: DepartmentProcess, units: Callable[[str], Unit], tmp_path: Path
) -> None:
    unit = units("back")
    unit.enroll(issue_code(server.home, "back"))
    before = unit.folder.member().unit_id
    reads = unit.add(3)
    with pytest.raises(InvalidInputError, match="is enrolled"):
        issue_code(server.home, "back")
    let_end(unit, server.home)
    code = issue_code(server.home, "back")
    with pytest.raises(RefusedByDepartmentError, match="enrolled already"):
        units("another").enroll(code)
    unit.enroll(code)
    assert unit.folder.member().unit_id == before
    assert unit.attempt().outcome == "done"
    assert all(unit.ledger.store.book.is_received(number) for number in reads)
    assert checked(server.home).problems == []
    with pytest.raises(InvalidInputError, match="is enrolled"):
        issue_code(server.home, "back")


def test_a_clock_that_may_be_wrong_sends_no_one_for_a_new_code_first(
    server: DepartmentProcess, units: Callable[[str], Unit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock 12 years ahead, `reader status` asked for a new code, which helps nothing."""
    unit = units("ahead")
    unit.enroll(issue_code(server.home, "ahead"))
    ahead_us = now_us() + 12 * 366 * DAY_US
    assert unit.folder.ended_certificate(past_us=now_us(), clock_us=now_us()) == ""
    said = unit.folder.ended_certificate(past_us=now_us(), clock_us=ahead_us)
    shown = day_text(ahead_us // DAY_US)
    assert f"by its clock, which shows {shown}: if that is wrong, set the clock" in said
    assert said.index("set the clock") < said.index("reader enroll CODE")
    monkeypatch.setattr("firmware.commands.status.now_us", lambda: ahead_us)
    assert _wrong(unit.home, unit.folder)[-1:] == [f"sync: {said}"]
    sure = unit.folder.ended_certificate(past_us=ahead_us, clock_us=0)
    assert sure.endswith("reader enroll CODE (nothing is lost)")
    assert "clock" not in sure
