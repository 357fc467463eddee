"""Failed logins: strangers lock out only themselves, names cannot be discovered, and the log stays small."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from desk_twins import MINUTE_US, PASSWORD, Department, open_department
from passkey_attacks import registered

from storage.times import DAY_US
from sync import logon_pace
from sync.department.desk.people.calls import UserForm
from sync.department.desk.people.challenges import MOST_WAITING
from sync.department.desk.people.kept_failures import FILE, KeptFailures
from sync.department.desk.people.passkeys import begin_passkey
from sync.department.desk.people.rules import nobody, password_matches
from sync.department.desk.people.throttle import CODES, LogonThrottle
from sync.department.journal.entries import Logon
from sync.department.policy.refusals import DeskRefusal, LockedError, NotProvenError, TooManyError

STRANGER, STATION = "203.0.113.9", "192.0.2.1"


def failed(department: Department, user: str, address: str) -> tuple[int, str]:
    """Make a wrong login. Returns (status, code)."""
    with pytest.raises(DeskRefusal) as refused:
        department.desk.logons.logon(user, "wrong horse 463", "000000", address=address)
    return refused.value.status, refused.value.code


def test_a_stranger_locks_out_their_own_address_and_not_the_person(department: Department) -> None:
    for _ in range(3):
        for _ in range(5):
            failed(department, "chief", STRANGER)
            department.clock.step(2 * MINUTE_US)
        assert failed(department, "chief", STRANGER) == (423, "locked-out")
        department.clock.step(20 * MINUTE_US)
    code = department.code("chief")
    assert department.desk.logons.logon("chief", PASSWORD, code, address=STATION)


def test_the_lock_of_an_address_and_name_ends(department: Department) -> None:
    for _ in range(5):
        failed(department, "comm1", STRANGER)
    with pytest.raises(LockedError):
        department.desk.logons.logon("comm1", PASSWORD, department.code("comm1"), address=STRANGER)
    department.clock.step(16 * MINUTE_US)
    assert department.desk.logons.logon("comm1", PASSWORD, department.code("comm1"), address=STRANGER)


@pytest.mark.parametrize("user", ["comm1", "nobody.here", "", "Ünknown", "a" * 300])
def test_no_answer_reveals_whether_a_name_exists(department: Department, user: str) -> None:
    answers = [failed(department, user, STRANGER) for _ in range(7)]
    assert answers == [(401, "logon")] * 5 + [(423, "locked-out")] * 2


def test_an_unknown_name_costs_the_hash_of_the_policy_in_force(department: Department) -> None:
    terms = department.desk.policy.security
    made = nobody(terms)
    assert f"m={terms.argon2_memory_kib},t={terms.argon2_passes}," in made.password
    assert not password_matches(made, "")
    assert nobody(terms) is made


def test_a_flood_of_failures_costs_the_log_one_entry_a_minute_and_name(department: Department) -> None:
    size = department.desk.log.size()
    names = ("comm1", "unknown1", "unknown2")
    for _ in range(3):
        for attempt in range(4):
            for name in names:
                with pytest.raises((NotProvenError, LockedError)):
                    department.desk.logons.logon(
                        name, "wrong horse 463", "0", address=f"198.51.100.{attempt}"
                    )
            department.clock.step(10_000_000)
        department.clock.step(MINUTE_US)
    entries = [one.note for one in department.desk.log.entries(size, kinds=(Logon.KIND,))]
    assert len(entries) <= 3 * 2
    told = {"comm1": 0, "": 0}
    for note in entries:
        assert isinstance(note, Logon)
        told[note.user] += note.times
    assert 0 < told["comm1"] <= 12
    assert 0 < told[""] <= 24


def wrong_code(department: Department, user: str, address: str) -> str:
    code = f"{(int(department.code(user)) + 1) % 1_000_000:06}"
    with pytest.raises(DeskRefusal) as refused:
        department.desk.logons.logon(user, PASSWORD, code, address=address)
    return refused.value.code


NETWORKS = {
    "each from its own network": [f"203.0.{number}.9" for number in range(12)],
    "from two networks in turn": [f"2001:db8:{number % 2}::{number}" for number in range(12)],
}


@pytest.mark.parametrize("case", NETWORKS)
def test_codes_cannot_be_guessed_with_the_right_password_from_many_addresses(
    department: Department, case: str
) -> None:
    size, answers = department.desk.log.size(), []
    for address in NETWORKS[case]:
        answers.append(wrong_code(department, "super", address))
        department.clock.step(20 * MINUTE_US)
    assert answers == ["logon"] * CODES.attempts + ["locked-out"] * 2
    with pytest.raises(LockedError) as locked:
        department.desk.logons.logon("super", PASSWORD, department.code("super"), address=STATION)
    assert "someone may know it" in locked.value.what
    notes = [one.note for one in department.desk.log.entries(size, kinds=(Logon.KIND,))]
    assert [one.reason for one in notes if isinstance(one, Logon)] == ["code"] * 9 + ["codes"]
    form = UserForm(user="super", reason="known to me; a new password is set")
    department.call("user/lift-lockout", department.logon("chief"), form)
    assert department.desk.logons.logon("super", PASSWORD, department.code("super"), address=STATION)


def test_a_stranger_without_the_password_locks_no_name_by_its_codes(department: Department) -> None:
    for number in range(3 * CODES.attempts):
        failed(department, "super", f"203.0.{number}.9")
        department.clock.step(MINUTE_US)
    assert department.desk.logons.logon("super", PASSWORD, department.code("super"), address=STATION)


def test_a_stranger_cannot_push_out_a_passkey_logon_that_waits(department: Department) -> None:
    desk, twin = department.desk, registered(department, "comm1")
    waiting = begin_passkey(desk, "comm1", STATION)
    for _ in range(logon_pace.BURST):
        begin_passkey(desk, "comm1", "2001:db8::1")
    with pytest.raises(TooManyError):
        begin_passkey(desk, "comm1", "2001:db8::2")
    with pytest.raises(TooManyError):
        desk.logons.begin("comm1", "2001:db8::3")
    for number in range(MOST_WAITING):
        begin_passkey(desk, "comm1", f"2001:db8:0:{1 + number % 9}::1")
    assert desk.logons.logon_passkey(twin.get(waiting), address=STATION)


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("testclient", "testclient", True),
    ],
)
def test_an_ipv6_network_counts_as_one_address(
    department: Department, first: str, second: str, *, one: bool
) -> None:
    made, terms = LogonThrottle(), department.desk.policy.sessions
    for second_s in range(terms.attempts):
        made.failed(terms, first, "comm1", second_s)
    locked = False
    try:
        made.demand_open(terms, second, "comm1", 10)
    except LockedError:
        locked = True
    assert locked is one


def test_one_address_tries_at_a_bounded_pace(department: Department) -> None:
    made = LogonThrottle()
    for _ in range(logon_pace.BURST):
        made.demand_pace(STRANGER, 0)
    for second in range(1, 60):
        made.demand_pace(STATION, second)
        if second % 2:
            with pytest.raises(TooManyError):
                made.demand_pace(STRANGER, second)
    made.demand_pace(STRANGER, MINUTE_US)
    for _ in range(10 * logon_pace.BURST):
        made.demand_pace("", 0)  # a command on this machine


def test_a_logon_beyond_the_pace_is_not_even_looked_at(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logon_pace, "BURST", 2)
    size = department.desk.log.size()
    assert failed(department, "comm1", STRANGER)[1] == "logon"
    assert failed(department, "comm1", STRANGER)[1] == "logon"
    assert failed(department, "comm1", STRANGER) == (429, "too-many")
    assert department.desk.log.size() == size + 1
    assert department.desk.logons.logon("comm1", PASSWORD, department.code("comm1"), address=STATION)


def test_what_is_remembered_is_bounded(department: Department, monkeypatch: pytest.MonkeyPatch) -> None:
    from sync.department.desk.people import throttle

    monkeypatch.setattr(throttle, "REMEMBERED", 50)
    made, terms = LogonThrottle(), department.desk.policy.sessions
    for number in range(500):
        made.failed(terms, f"10.0.0.{number}", f"user{number}", number, code=True)
        made.to_enter(f"user{number}", number)
        made.demand_pace(f"10.0.0.{number}", number)
    for table in (made._failures, made._entered, made._pace._left, made._codes):
        assert len(table) == 50


def restarted(department: Department) -> Department:
    """The same department after a restart of its server."""
    department.close()
    return open_department(department.home.path.parent, department.clock, department.secrets)


@pytest.mark.one_python
def test_a_restart_gives_no_new_attempts(department: Department) -> None:
    """Counting continues on a machine that restarts each night, or if a stranger brings the server down."""
    for number in range(CODES.attempts):
        assert wrong_code(department, "super", f"203.0.{number}.9") == "logon"
        department = restarted(department)
    assert wrong_code(department, "super", STATION) == "locked-out"
    for _ in range(5):
        failed(department, "comm1", STRANGER)
    department = restarted(department)
    assert failed(department, "comm1", STRANGER) == (423, "locked-out")
    assert department.desk.logons.logon("comm1", PASSWORD, department.code("comm1"), address=STATION)
    form = UserForm(user="super", reason="known to me; a new password is set")
    department.call("user/lift-lockout", department.logon("chief"), form)
    department = restarted(department)
    assert department.desk.logons.logon("super", PASSWORD, department.code("super"), address=STATION)
    department.close()


@pytest.mark.one_python
def test_what_is_kept_of_failures_names_no_person_and_is_bounded(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password typed into the name field is never on a disk."""
    from sync.department.desk.people import throttle

    monkeypatch.setattr(throttle, "REMEMBERED", 5)
    folder = department.desk.log.folder
    for number in range(12):
        failed(department, f"horse battery {number}", f"203.0.{number}.9")
    files = [path.read_bytes() for path in folder.glob(f"{FILE}*")]
    assert files
    assert not any(b"horse" in data or b"203.0." in data for data in files)
    with closing(sqlite3.connect(folder / FILE)) as kept:
        assert kept.execute("SELECT count(*) FROM failures").fetchone() == (5,)


def test_failures_of_a_clock_that_was_ahead_lock_no_one_later(department: Department) -> None:
    made, terms, now = LogonThrottle(), department.desk.policy.sessions, department.clock.us
    ahead = now + 300 * DAY_US
    for _ in range(CODES.attempts):
        made.failed(terms, STRANGER, "chief", ahead, code=True)
    with pytest.raises(LockedError):
        made.demand_open(terms, STRANGER, "chief", ahead)
    with pytest.raises(LockedError):
        made.demand_codes("chief", ahead)
    made.demand_open(terms, STRANGER, "chief", now)
    made.demand_codes("chief", now)


@pytest.mark.parametrize("trouble", ["a folder", "a view"])
def test_without_its_file_failures_count_in_memory(
    tmp_path: Path, department: Department, trouble: str
) -> None:
    if trouble == "a folder":
        (tmp_path / FILE).mkdir()  # like a failing disk
    else:
        with closing(sqlite3.connect(tmp_path / FILE)) as planted:
            planted.execute("CREATE VIEW failures AS SELECT 1")
    made, terms = LogonThrottle(lambda: KeptFailures(tmp_path, b"secret")), department.desk.policy.sessions
    for number in range(terms.attempts):
        made.failed(terms, STRANGER, "chief", number)
    with pytest.raises(LockedError):
        made.demand_open(terms, STRANGER, "chief", 9)
    made.close()
