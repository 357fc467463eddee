"""A unit and a real server over real TLS: what arrives, what is answered, what may be purged."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from custody_twins import SteppedTime, check
from sqlalchemy import select, update
from sync_twins import DepartmentProcess, FaultProxy, Unit, bare_home, checked, issue_code, running

from storage import clock_trust
from storage.clock_trust import DEPARTMENT
from storage.record_base import ClockState
from storage.times import DAY_US, now_us
from sync.department.server.server import Department
from sync.department.store.tables import codes
from sync.enrollment_code import EnrollmentCode
from sync.errors import LinkError, NotEnrolledError, RefusedByDepartmentError
from sync.runner import Attempt, Runner
from sync.schedule import Conditions, Go, Schedule, decide


def test_everything_that_was_read_is_held_opened_and_receipted(
    server: DepartmentProcess, enrolled: Unit
) -> None:
    reads = enrolled.add(12) + enrolled.add(3, hit=True)
    made = enrolled.attempt()
    assert made.outcome == "done", made.what
    assert made.progress.cosigned_size > max(reads)
    assert all(enrolled.ledger.store.book.is_received(number) for number in reads)
    report = checked(server.home)
    assert report.problems == []
    assert check(enrolled.home).ok


def test_a_second_conversation_sends_only_what_is_new(server: DepartmentProcess, enrolled: Unit) -> None:
    enrolled.add(5)
    enrolled.attempt()
    before = enrolled.outbox.size()
    enrolled.attempt()
    again = enrolled.attempt()
    assert again.outcome == "done"
    assert again.progress.leaves == 0
    assert again.progress.elements == 0
    assert enrolled.outbox.size() <= before + 1  # receipts do not cause receipts forever


def test_reads_from_before_the_enrollment_arrive_too(
    server: DepartmentProcess, units: Callable[[str], Unit]
) -> None:
    unit = units("late")
    unit.add(4)
    unit.enroll(issue_code(server.home, "late"))
    made = unit.attempt()
    assert made.outcome == "done", made.what
    assert made.progress.elements > 16


def test_a_unit_without_a_department_says_how_to_join(units: Callable[[str], Unit]) -> None:
    with pytest.raises(NotEnrolledError, match="reader enroll CODE"):
        units("lone").attempt()


def test_a_code_works_once(server: DepartmentProcess, units: Callable[[str], Unit]) -> None:
    code = issue_code(server.home, "once")
    units("first").enroll(code)
    with pytest.raises(
        RefusedByDepartmentError, match=r"^the department refused: .*used or expired.*\(.*a new one"
    ):
        units("second").enroll(code)


def test_the_same_unit_may_repeat_an_enrollment_that_was_cut_off(
    server: DepartmentProcess, units: Callable[[str], Unit]
) -> None:
    code, unit = issue_code(server.home, "cut"), units("cut")
    unit.enroll(code)
    unit.enroll(code)
    assert unit.attempt().outcome == "done"


@pytest.mark.one_python
def test_a_unit_of_another_department_is_not_taken_over(
    server: DepartmentProcess, enrolled: Unit, units: Callable[[str], Unit], tmp_path: Path
) -> None:
    """Its reads are sealed to its own department, which would never get them. The code stays valid."""
    enrolled.add(1)
    theirs = bare_home(tmp_path / "theirs", request_seconds=5)
    member = enrolled.folder.member()
    foreign = dataclasses.replace(
        member,
        name="Car 12",
        department="Their PD",
        department_key=theirs.log_key().public_key().public_bytes_raw(),
        command_key=bytes(32),
        authority=load_pem_x509_certificate((theirs.authority / "ca.pem").read_bytes()).public_bytes(
            Encoding.DER
        ),
    )
    enrolled.folder.save_member(foreign)
    size, code = enrolled.outbox.size(), issue_code(server.home, "taken")
    with pytest.raises(NotEnrolledError, match=r"this unit is Car 12 of Their PD.*sync now"):
        enrolled.enroll(code)
    assert enrolled.folder.member() == foreign
    assert enrolled.outbox.size() == size
    units("other").enroll(code)
    kept = dataclasses.replace(foreign, department_key=member.department_key)
    enrolled.folder.save_member(kept)  # one matching key: the same department, which replaced the others
    enrolled.enroll(issue_code(server.home, "again"))
    assert enrolled.attempt().outcome == "done"


def test_a_code_of_another_department_is_not_believed(
    server: DepartmentProcess, units: Callable[[str], Unit]
) -> None:
    code = EnrollmentCode.parse(issue_code(server.home, "forged"))
    forged = dataclasses.replace(code, root_digest=bytes(32))
    with pytest.raises(NotEnrolledError, match="not the department of this code"):
        units("cheated").enroll(forged.text())


def test_a_revoked_unit_is_refused(server: DepartmentProcess, enrolled: Unit) -> None:
    enrolled.add(1)
    department = Department(server.home)
    department.enrollment.revoke(enrolled.folder.member().unit_id, "sold")
    department.close()
    made = enrolled.attempt()
    assert made.outcome == "refused"
    assert "revoked" in made.what


@pytest.mark.one_python
@pytest.mark.parametrize("used", [True, False], ids=["its own code", "another code of its name"])
def test_no_code_from_before_its_revocation_takes_a_unit_in_again(
    server: DepartmentProcess, units: Callable[[str], Unit], used: bool
) -> None:
    """The unit is stolen on the day on which it joined; its code is in the shell's history or on a note."""
    name = f"car 9 {used}"
    code, spare, unit = issue_code(server.home, name), issue_code(server.home, name), units(name)
    unit.enroll(code)
    department = Department(server.home)
    department.enrollment.revoke(name, "stolen")
    department.close()
    with pytest.raises(RefusedByDepartmentError, match="unknown, used or expired"):
        unit.enroll(code if used else spare)
    assert unit.attempt().outcome == "refused"
    unit.enroll(issue_code(server.home, name))
    assert unit.attempt().outcome == "done"


@pytest.mark.one_python
def test_a_revoked_unit_takes_the_name_of_another_revoked_one(
    server: DepartmentProcess, units: Callable[[str], Unit]
) -> None:
    """Two units are out of service; the first comes back with the name of the second."""
    first = units("first")
    for name, unit in (("car 21", first), ("car 22", units("second"))):
        unit.enroll(issue_code(server.home, name))
        department = Department(server.home)
        department.enrollment.revoke(name, "in the workshop")
        department.close()
    first.enroll(issue_code(server.home, "car 22"))
    assert first.folder.member().name == "car 22"
    assert first.attempt().outcome == "done"


def test_a_code_that_outlived_a_revocation_does_not_undo_it(
    server: DepartmentProcess, units: Callable[[str], Unit]
) -> None:
    """An older version left it, which ended no codes."""
    code, unit = issue_code(server.home, "car-9"), units("car-9")
    unit.enroll(code)
    department = Department(server.home)
    with department.store.read() as connection:
        lives = connection.execute(select(codes.c.expires_us)).scalars().all()
    department.enrollment.revoke("car-9", "stolen")
    with department.store.write() as connection:
        connection.execute(update(codes).values(expires_us=max(lives)))
    department.close()
    with pytest.raises(RefusedByDepartmentError, match="older than the revocation"):
        unit.enroll(code)


def test_tls_admits_no_one_without_a_certificate_of_the_departments_ca(
    server: DepartmentProcess, enrolled: Unit, tmp_path: Path
) -> None:
    with running(bare_home(tmp_path / "other")) as other:
        stranger = Unit(tmp_path / "stranger")
        stranger.enroll(issue_code(other.home, "stranger"))
        stranger.through(server.home.settings.unit_port)
        made = stranger.attempt()
        stranger.close()
    assert made.outcome == "link"


def test_a_server_that_is_away_costs_nothing_and_is_tried_again_later(
    server: DepartmentProcess, enrolled: Unit
) -> None:
    proxy = FaultProxy(server.home.settings.unit_port)
    proxy.down = True
    enrolled.through(proxy.port)
    enrolled.add(3)
    runner = enrolled.runner()
    assert [runner.attempt().outcome for _ in range(2)] == ["link", "link"]
    assert enrolled.folder.status()["failures"] == 2
    proxy.down = False
    assert runner.attempt().outcome == "done"
    assert enrolled.folder.status()["failures"] == 0
    proxy.close()


def test_a_bandwidth_cap_is_kept(server: DepartmentProcess, enrolled: Unit) -> None:
    enrolled.add(20, size=4000)
    rate = 200_000
    made = enrolled.runner(Schedule(bytes_per_s=rate)).attempt()
    status = enrolled.folder.status()
    seconds = (status["ended_us"] - status["tried_us"]) / 1e6
    assert made.outcome == "done"
    assert made.progress.sent_bytes / seconds < rate * 1.15


@pytest.mark.parametrize("ends", ["quota", "network"])
@pytest.mark.parametrize("asked", [False, True], ids=["by the schedule", "a person asks"])
def test_a_conversation_ends_where_the_schedule_would_begin_none_unless_a_person_asks(
    server: DepartmentProcess, units: Callable[[str], Unit], ends: str, asked: bool
) -> None:
    name, stop, made = f"{ends} {asked}", threading.Event(), list[Attempt]()
    unit = units(name)
    unit.enroll(issue_code(server.home, name))
    unit.add(8, size=200_000)
    if asked:
        unit.folder.wanted.touch()

    def ended(attempt: Attempt) -> None:
        made.append(attempt)
        stop.set()

    networks = iter(["depot"])  # and then another network
    schedule = Schedule(metered_bytes_per_day=1_500_000) if ends == "quota" else Schedule(networks=("depot",))
    Runner(
        unit.outbox,
        unit.folder,
        schedule,
        conditions=lambda: Conditions(network=next(networks, "road"), metered=ends == "quota"),
        on_attempt=ended,
    ).run(stop)
    assert made[0].outcome == ("done" if asked else "paused")
    assert (made[0].progress.sent_bytes > 4_800_000) is asked
    assert made[0].reached


def test_a_pause_stays_one_when_what_made_it_is_over_before_the_end(
    server: DepartmentProcess, enrolled: Unit
) -> None:
    """The power supply once did not answer: what was left out then is not sent and not reported as done."""
    enrolled.add(2)
    answers, runner = iter([False]), enrolled.runner()
    made = runner.attempt(may_continue=lambda: next(answers, True))
    assert (made.outcome, made.progress.leaves) == ("paused", 0)
    assert not made.progress.done
    again = decide(Schedule(), Conditions(), runner._past(), now_us=now_us(), alert=False)
    assert again == Go()  # at once, not after the whole interval


def test_only_what_is_sent_while_the_network_is_metered_counts_towards_its_quota(
    server: DepartmentProcess, enrolled: Unit
) -> None:
    """For example, a vehicle starts to sync in the depot and drives out before the end."""
    reads, stop, made = enrolled.add(8, size=200_000), threading.Event(), list[Attempt]()

    def ended(attempt: Attempt) -> None:
        made.append(attempt)
        stop.set()

    Runner(
        enrolled.outbox,
        enrolled.folder,
        Schedule(),
        conditions=lambda: Conditions(metered=enrolled.outbox.received_to() > reads[-1]),
        on_attempt=ended,
    ).run(stop)
    counted = enrolled.folder.status()["metered_bytes"]
    assert 0 < counted < made[0].progress.sent_bytes - 1_000_000


@pytest.mark.one_python
def test_the_certificate_is_renewed_before_it_ends(tmp_path: Path) -> None:
    with running(bare_home(tmp_path / "department", certificate_days=20)) as process:
        unit = Unit(tmp_path / "unit")
        unit.enroll(issue_code(process.home, "renews"))
        before = unit.folder.certificate.read_bytes()
        assert unit.attempt().outcome == "done"
        assert unit.folder.certificate.read_bytes() != before
        assert unit.attempt().outcome == "done"
        unit.close()


@pytest.mark.one_python
@pytest.mark.parametrize("off_us", [-60 * DAY_US, 80 * DAY_US])
def test_the_certificate_ends_by_the_departments_time_whatever_the_units_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off_us: int
) -> None:
    """A clock behind would let it expire and cut the unit off; one ahead would renew it with every sync."""
    with running(bare_home(tmp_path / "department")) as process:  # its certificates last 90 days
        unit = Unit(tmp_path / "unit")
        unit.enroll(issue_code(process.home, "off"))
        runner = Runner(unit.outbox, unit.folder, Schedule(), now_us=lambda: now_us() + off_us)
        assert runner.attempt().outcome == "done"
        first = unit.folder.certificate.read_bytes()
        assert runner.attempt().outcome == "done"
        assert unit.folder.certificate.read_bytes() == first
        told_us = now_us() + 70 * DAY_US  # by the department's time, 20 days are left
        unit.ledger.store.time.hear(told_us, ClockState.DISCIPLINED, DEPARTMENT)
        unit.add(1)
        monkeypatch.setattr(clock_trust, "boot_id", lambda: "another start of the machine")
        unit.reopen()
        runner = Runner(unit.outbox, unit.folder, Schedule(), now_us=lambda: now_us() + off_us)
        assert runner.attempt().outcome == "done"
        assert unit.folder.certificate.read_bytes() != first
        unit.close()


def test_a_unit_with_an_old_word_and_a_right_clock_says_that_its_certificate_ended(
    server: DepartmentProcess, enrolled: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert enrolled.attempt().outcome == "done"
    monkeypatch.setattr(clock_trust, "boot_id", lambda: "another start of the machine")
    enrolled.reopen()
    enrolled.through(1)
    later = Runner(enrolled.outbox, enrolled.folder, Schedule(), now_us=lambda: now_us() + 180 * DAY_US)
    assert "this unit's certificate ended on" in later.attempt().what


def test_a_clock_that_nothing_holds_yet_lets_no_ended_certificate_have_the_secret(
    server: DepartmentProcess, tmp_path: Path
) -> None:
    """The key of such a certificate may be stolen. A clock that is ahead refuses a valid one until it is
    set, even though the log keeps its first time.
    """
    clock, code = SteppedTime(now_us() + 1000 * DAY_US), issue_code(server.home, "new unit")
    clock.lose()
    unit = Unit(tmp_path / "unit", time_source=clock)
    with pytest.raises(LinkError, match="certificate has expired"):
        unit.enroll(code)
    clock.jump(-1000 * DAY_US)
    unit.enroll(code)
    unit.close()


def test_a_forged_department_gets_no_secret_and_no_word(
    server: DepartmentProcess, enrolled: Unit, tmp_path: Path
) -> None:
    enrolled.add(1)
    with running(bare_home(tmp_path / "forger")) as forger:
        enrolled.through(forger.home.settings.unit_port)
        made = enrolled.attempt()
    assert made.outcome == "link"
    assert made.progress.sent_bytes == 0
