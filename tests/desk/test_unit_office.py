"""Enrolling and revoking units, a purge by hand, taking in a closed log: each by a named person."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from desk_seat import Seat
from desk_terminal import Terminal
from desk_twins import Department
from receiver_twins import Joined
from sqlalchemy import insert
from sync_twins import converse

from sync.department.cli import main
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.machine.unit_calls import BringForm, ResetForm, RevokeUnitForm, UnitForm
from sync.department.ground.home import DepartmentHome
from sync.department.journal.machine_entries import (
    ClosedLogBrought,
    PurgeAsked,
    UnitCodeIssued,
    UnitRevoked,
)
from sync.department.policy.refusals import DeskRefusal
from sync.department.server.open_desk import open_desk
from sync.department.server.server import Department as Server
from sync.department.server.verify import Checker
from sync.department.store.opening import open_store_of
from sync.department.store.tables import certificates
from sync.documents import inbox_file
from sync.enrollment_code import EnrollmentCode
from sync.handover import closed_logs
from sync.rollover import registration


def entered(department: Department, kind: type) -> list[tuple[str, object]]:
    department.desk.refresh()
    return [(one.stamp.user, one.note) for one in department.desk.log.entries() if isinstance(one.note, kind)]


def test_a_unit_is_let_in_by_a_person_and_the_log_names_who(seat: Seat) -> None:
    made = seat.json("chief", "enroll", "--name", "car 9")
    assert made["code"].startswith("ALPR")
    digest = EnrollmentCode.parse(made["code"]).digest()
    expected = UnitCodeIssued(name="car 9", digest=digest)
    assert entered(seat.department, UnitCodeIssued) == [("chief", expected)]


@pytest.mark.parametrize(
    "words",
    [
        ("enroll", "--name", "car 9"),
        ("enroll", "--revoke", "car-7", "--why", "stolen from the yard"),
        ("purge",),
    ],
)
def test_without_a_person_nothing_of_it_is_done(
    department: Department,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DEPARTMENT_HOME", str(department.home.path))
    monkeypatch.delenv("DEPARTMENT_TOKEN", raising=False)
    assert main(list(words)) == 2
    assert "--user" in capsys.readouterr().err
    for kind in (UnitCodeIssued, UnitRevoked, PurgeAsked):
        assert entered(department, kind) == []
    assert [one.name for one in department.front.state.units(department.clock.us)] == ["car-7"]


@pytest.mark.parametrize("user", ["officer1", "comm1", "reviewer1", "vendor1"])
def test_other_roles_let_no_unit_in_shut_none_out_and_purge_nothing(
    department: Department, tokens: Callable[[str], str], user: str
) -> None:
    for name, form in (
        ("unit/enroll", UnitForm(name="car 9")),
        ("unit/revoke", RevokeUnitForm(unit="car-7", reason="because I can")),
        ("retention/purge", NothingForm()),
    ):
        with pytest.raises(DeskRefusal):
            department.call(name, tokens(user), form)
    for kind in (UnitCodeIssued, UnitRevoked, PurgeAsked):
        assert entered(department, kind) == []
    assert [one.name for one in department.front.state.units(department.clock.us)] == ["car-7"]


def test_a_unit_is_shut_out_by_a_person_with_a_reason(seat: Seat) -> None:
    assert seat.type("chief", "enroll", "--revoke", "car-7")[0] == 1  # no reason
    assert seat.type("chief", "enroll", "--revoke", "car-9", "--why", "stolen from the yard")[0] != 0
    assert entered(seat.department, UnitRevoked) == []
    status, out, err = seat.type("chief", "enroll", "--revoke", "car-7", "--why", "stolen from the yard")
    assert (status, out) == (0, "revoked: car-7\n"), err
    [(user, note)] = entered(seat.department, UnitRevoked)
    assert (user, note) == ("chief", UnitRevoked(unit="car-7", reason="stolen from the yard"))
    assert seat.department.front.state.units(seat.department.clock.us) == []


@pytest.mark.parametrize(
    ("call", "form", "code"),
    [
        ("unit/enroll", UnitForm(name=""), "unit-name"),
        ("unit/enroll", UnitForm(name="car\x1b[2J"), "characters"),
        ("unit/enroll", UnitForm(name="c" * 65), "unit-name"),
        ("unit/enroll", UnitForm(name="car-7"), "unit-name"),  # already enrolled
        ("unit/revoke", RevokeUnitForm(unit="car-7", reason=" "), "reason"),
        ("unit/revoke", RevokeUnitForm(unit="car-9", reason="stolen from the yard"), "unit"),
        (
            "incident/bring",
            BringForm(log="ab", records=1, digest=bytes(32), reason="a card"),
            "closed-log",
        ),
        ("incident/reset", ResetForm(receipt=b"no receipt at all"), "reset-receipt"),
    ],
)
def test_what_is_wrong_with_a_form_is_named_by_its_code(
    department: Department, tokens: Callable[[str], str], call: str, form: object, code: str
) -> None:
    with pytest.raises(DeskRefusal) as refused:
        department.call(call, tokens("chief"), form)
    assert refused.value.code == code


def test_a_purge_by_hand_is_a_call_of_a_person(seat: Seat) -> None:
    status, out, err = seat.type("chief", "purge")
    assert (status, out) == (0, "nothing is due\n"), err
    assert [user for user, _ in entered(seat.department, PurgeAsked)] == ["chief"]


def closed_folder(unit: Joined, server: Server) -> Path:
    """The log of a damaged card; the department already has the unit's new one."""
    folder = unit.close_log(forked=False)
    message = registration(unit.outbox, unit.folder, unit.folder.unit_key(), previous=None, reason="damaged")
    server.enrollment.answer("new-log", message)
    return folder


def test_a_card_on_the_bench_is_taken_in_by_a_logged_person_and_the_unit_hears_of_it(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal(tmp_path / "home", capsys, monkeypatch)
    assert terminal.type("init", "--host", "localhost", "--name", "Arcadia PD")[0] == 0
    home = DepartmentHome.open(terminal.home)
    server = Server(home)
    unit = Joined(tmp_path / "unit", server, "car 12")
    try:
        unit.add(3)
        bench = tmp_path / "bench"
        shutil.copytree(closed_folder(unit, server), bench)
        terminal.own_password(terminal.given("user", "first", "chief"))
        monkeypatch.delenv("DEPARTMENT_TOKEN")
        words = ("incident", "import", str(bench), "--why", "card of car 12")
        assert terminal.type(*words)[0] == 2  # without a login
        terminal.session("chief")
        assert terminal.type("incident", "import", str(tmp_path), "--why", "card of car 12")[0] == 2
        status, out, err = terminal.type("--json", *words)
        assert status == 0, err
        taken = json.loads(out)
        assert (taken["lacking"], taken["bad"], taken["notified"]) == (0, 0, True)
        assert terminal.type(*words)[0] == 0  # again, but nothing is taken in twice
        checker = Checker(server.store, server.keys, server.packs, home.log_key().public_key())
        assert checker.run().problems == []
        desk = open_desk(home)
        brought = [one for one in desk.log.entries() if isinstance(one.note, ClosedLogBrought)]
        desk.close()
        assert [one.stamp.user for one in brought] == ["chief", "chief"]
        [one] = closed_logs(unit.folder)
        assert one.reads == 3
        converse(unit, server)
        assert (unit.folder.inbox / inbox_file(f"handed-over/{one.name}")).exists()
        assert closed_logs(unit.folder) == []
    finally:
        unit.close()
        server.close()


def test_a_unit_whose_certificate_ended_is_given_a_new_code_by_a_person(seat: Seat) -> None:
    department = seat.department
    assert seat.type("chief", "enroll", "--name", "car-7")[0] == 1
    store = open_store_of(department.home)
    with store.write() as connection:
        (unit,) = department.front.state.units(department.clock.us)
        row = {"serial": "0" * 40, "unit_id": unit.unit, "issued_us": 1, "expires_us": department.clock.us}
        connection.execute(insert(certificates).values(row))
    store.close()
    assert seat.json("chief", "enroll", "--name", "car-7")["code"].startswith("ALPR")
    ((user, note),) = entered(department, UnitCodeIssued)
    assert (user, isinstance(note, UnitCodeIssued) and note.name) == ("chief", "car-7")
    assert entered(department, UnitRevoked) == []
