"""A typing error is answered in one line that says what to type; output is for people, or JSON."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_seat import Seat
from desk_terminal import NEW
from desk_twins import Department
from passkey_twin import PasskeyTwin

from firmware.cli import main as reader
from storage.ssh_signature import SshPublicKey
from storage.times import MINUTE_US, us_of
from sync.department.cli import main
from sync.department.commands import desk_access, hotlist
from sync.department.commands.hotlist import entry_end_us
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.people.bulk import Imported
from sync.department.desk.people.calls import HandedOver
from sync.department.desk.people.passkeys import Options, PasskeyForm
from sync.department.desk.people.passwords import check_password
from sync.department.ground.local_time import end_of_day_us, local
from sync.department.policy.policy_file import default_document, parse_policy
from sync.department.policy.refusals import FormError
from sync.department.store import incidents
from sync.department.store.opening import open_store

POLICY = parse_policy(default_document())
GROUND = ("--purpose", "investigation", "--case", "26-001234", "--why", "hit and run on Myrtle Avenue")


@pytest.mark.parametrize("time", ["yesterday", "2026-10-01T08:30:00", "01.10.2026"])
def test_an_invalid_time_is_misuse_and_named_by_its_option(seat: Seat, time: str) -> None:
    for words in (
        ("audit", "list", "--since", time),
        ("audit", "run", "--until", time),
        ("inquiry", "run", "--plate", "8XYZ123", "--since", time, *GROUND),
        ("training", "record", "comm1", "--trainer", "super", "--course", "ALPR-463", "--held", time),
    ):
        status, err = seat.refused("super", *words)
        assert (status, "--" in err, "2026-10-01T08:30:00Z" in err) == (2, True, True)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("run", "--request", "5", "--since", "2026-10-01T08:30:00Z"), "--since"),
        (("run", "--proposal", "5", *GROUND), "--purpose"),
        (("propose", "--request", "5", "--unit", "car-7"), "--unit"),
        (("run", "--plate", "8XYZ123", "--cad", "26-5", *GROUND), "--case, --cad, --action"),
    ],
)
def test_what_a_search_would_pass_over_is_misuse(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], named: str
) -> None:
    assert main(["inquiry", *words]) == 2
    assert f"department: {named}: " in capsys.readouterr().err


def test_an_own_entry_is_approved_past_midnight_and_ends_with_a_day_of_the_department(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    department = seat.department
    clock, zone = department.clock, department.desk.policy.zone
    monkeypatch.setattr(hotlist, "now_us", lambda: clock.us + 6 * MINUTE_US)  # tomorrow, by that clock
    today = local(clock.us, zone).replace(hour=0, minute=0, second=0, tzinfo=None)
    clock.step(end_of_day_us(today, zone) - 5 * MINUTE_US - clock.us)
    words = ("hotlist", "add", "--plate", "8AAA111", "--category", "felony-vehicle", "--case", "26-001234")
    add = (*words, "--why", "robbery on Myrtle", "--days", "2")
    number = seat.json("super", *add, "--propose")["proposal"]
    seat.type("chief", "change", "approve", number, "--why", "known to me")
    clock.step(10 * MINUTE_US)
    assert seat.type("super", *add, "--approval", number)[0] == 0
    (entry,) = department.front.list_entries("local")
    assert entry.until_us is not None
    assert f"{local(entry.until_us, zone):%m-%d %H:%M}" == "09-24 23:59"


@pytest.mark.parametrize(
    ("asked", "days", "ends"),
    [("2026-10-15", 14, "10-29"), ("2026-10-15", 30, "11-12"), ("2026-09-01", 30, "09-30")],
)
def test_an_own_entry_ends_with_a_day_that_the_policy_allows_whole(asked: str, days: int, ends: str) -> None:
    """Clocks went back on November 1."""
    zone = ZoneInfo("America/Los_Angeles")
    asked_us = us_of(datetime.fromisoformat(f"{asked}T12:00").replace(tzinfo=zone))
    assert f"{local(entry_end_us(asked_us, days, zone, 30), zone):%m-%d %H:%M}" == f"{ends} 23:59"


def test_an_invalid_key_is_misuse_and_named_by_its_option(seat: Seat, tmp_path: Path) -> None:
    package = tmp_path / "E.zip"
    package.write_bytes(b"no package")
    status, err = seat.refused("", "verify", package, "--key", "garbage")
    assert (status, "--key" in err) == (2, True)
    key = seat.department.desk.log.note_key.text()
    status, err = seat.refused("", "verify", "--log", tmp_path, "--key", key, "--witness-key", "garbage")
    assert (status, "--witness-key" in err) == (2, True)
    (witness,) = seat.department.desk.root.witnesses
    twice = ("--witness-key", ",".join(witness.keys)) * 2  # otherwise one witness would be a quorum of two
    status, err = seat.refused("", "verify", package, "--key", key, *twice)
    assert (status, "--witness-key: names one witness twice" in err) == (2, True)
    status, out, _ = seat.type("", "--json", "verify", package, "--key", key)
    assert (status, list(json.loads(out))) == (1, ["problems"])


def test_a_confidence_is_shown_to_three_places_and_given_whole_to_programs(seat: Seat) -> None:
    search = ("inquiry", "run", "--plate", "8XYZ123", *GROUND)
    status, out, _ = seat.type("comm1", *search)
    assert status == 0
    shown = [line.split()[-5] for line in out.splitlines() if "8XYZ123" in line]
    assert shown
    assert all(len(one) == 5 and 0 < float(one) <= 1 for one in shown)
    assert seat.json("comm1", *search)["count"] == len(shown)


def test_an_incident_names_its_unit_as_people_do(seat: Seat) -> None:
    store = open_store(seat.department.home.database_url)
    with store.write() as connection:
        for unit in ("car-7", None):
            incidents.record(
                connection,
                kind="fork",
                detail=str(unit),
                unit_id=unit,
                log_id=None,
                now_us=seat.department.clock.us,
            )
    store.close()
    status, out, _ = seat.type("chief", "incident", "list")
    assert (status, len(out.splitlines())) == (0, 2)
    names = [
        json.loads(line)["unit_name"]
        for line in seat.type("chief", "--json", "incident", "list")[1].splitlines()
    ]
    assert names[0] in out
    assert names[0] != ""
    assert names[1] == ""


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "has 12 to 256 characters"),
        ("x" * 257, "has 12 to 256 characters"),
        ("a word about chief", "contains the user's name"),
        ("CHIEF of nothing", "contains the user's name"),
        ("monrovia by night", "a word of the department's name"),
        ("abcabcabcabc", "repeats the same characters"),
        ("zebra zzzz crossing", "repeats the same characters"),
        ("kiosk 4567 ladder", "in the order of the alphabet, the digits or the keyboard"),
        ("kiosk asdf ladder", "in the order of the alphabet, the digits or the keyboard"),
        ("kiosk dcba ladder", "in the order of the alphabet, the digits or the keyboard"),
        ("password1234", "in the order"),
        ("password2607", "is a common password"),
        ("P@ssw0rd2607!", "is a common password"),
        ("letmein-please9", "is a common password"),
        ("Summer2026!!!", "is a common password"),
        ("iloveyou iloveyou", "is a common password"),
        ("Welcome-to-2026", "is a common password"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused_with_the_reason(password: str, reason: str) -> None:
    with pytest.raises(FormError, match=re.escape(reason)) as refused:
        check_password(POLICY, "chief", password)
    assert refused.value.code == "password"
    assert password not in f"{refused.value.what} {refused.value.cure}"


@pytest.mark.parametrize(
    "password",
    ["a word about nothing", "correct horse 463", "739-204-6618-22", "K7#9x!2Q@5$8b", "contemplate masters"],
)
def test_a_password_that_is_hard_to_guess_needs_no_mix_of_characters(password: str) -> None:
    check_password(POLICY, "chief", password)


def test_a_change_of_roles_keeps_name_shift_and_keys(seat: Seat, tmp_path: Path) -> None:
    """Losing the shift would blind the detector; losing the key would lock its owner out."""
    public = tmp_path / "t.pub"
    public.write_text(f"{SshPublicKey.of(Ed25519PrivateKey.generate()).line} okafor@bench\n")

    def shown() -> dict[str, object]:
        lines = seat.type("chief", "--json", "user", "list")[1].splitlines()
        return next(one for one in map(json.loads, lines) if one["user"] == "t.okafor")

    change = ("user", "set", "t.okafor", "--why", "moved")
    first = ("--name", "T. Okafor", "--shift", "22:00-06:00", "--ssh-key", public, "--roles", "ccat")
    assert seat.type("chief", *change, *first)[0] == 0
    assert seat.type("chief", *change, "--ssh-key", tmp_path / "absent.pub")[0] == 2
    before = shown()
    assert (before["name"], before["shift"], len(before["ssh_keys"])) == ("T. Okafor", "22:00-06:00", 1)  # type: ignore[arg-type]
    assert seat.type("chief", *change, "--roles", "sworn-officer")[0] == 0
    assert shown() == before | {"roles": ["sworn-officer"]}
    assert seat.type("chief", *change, "--shift", "08:00-00:00")[0] == 0
    assert shown() == before | {"roles": ["sworn-officer"], "shift": "08:00-24:00"}
    assert seat.type("chief", *change, "--remove")[0] == 0
    assert (shown()["active"], shown()["roles"]) == (False, ["sworn-officer"])
    assert seat.type("chief", *change, "--shift", "none", "--ssh-key", "none")[0] == 0
    assert (shown()["active"], shown()["shift"], shown()["ssh_keys"]) == (True, "", [])
    for shift in ("8-16", "08:00-16:75", "25:00-06:00", "08.00-16.00"):
        status, err = seat.refused("chief", *change, "--shift", shift)
        assert (status, "--shift" in err) == (2, True)


def test_a_port_that_is_taken_is_named_in_one_line_by_its_setting(seat: Seat, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    assert seat.type("", "witness", "init", "--name", "w.example/1", "--folder", folder)[0] == 0
    settings = seat.department.home.path / "department.toml"
    usual = settings.read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, err = seat.refused("", "witness", "serve", "--folder", folder, "--port", port)
        assert (status, f"--port: cannot listen on 127.0.0.1:{port}" in err) == (3, True)
        for name in ("unit_port", "desk_port"):
            text = re.sub(r"(unit|desk)_port = \d+", r"\1_port = 0", usual).replace(
                f"{name} = 0", f"{name} = {port}"
            )
            settings.write_text(text.replace('listen = "0.0.0.0"', 'listen = "127.0.0.1"'))
            status, err = seat.refused("", "serve")
            assert (status, name in err, str(port) in err) == (3, True, True)


def test_a_list_that_no_witness_saw_is_marked(seat: Seat) -> None:
    for away in (False, True, False):
        seat.department.witness.away = away
        for who, words in (
            ("comm1", ("inquiry", "queue")),
            ("chief", ("share", "list")),
            ("chief", ("audit", "findings")),
        ):
            status, _, err = seat.type(who, *words)
            assert (status, "NOT WITNESSED" in err) == (0, away)


def test_a_lock_out_is_lifted_from_people_alone(seat: Seat) -> None:
    assert seat.refused("chief", "user", "lift-lockout", "nobody", "--why", "called")[0] == 1


@pytest.mark.thorough
@pytest.mark.one_python
def test_a_password_is_never_asked_for_where_it_would_be_echoed(department: Department) -> None:
    """With a timer or a pipe, one line says what to set, and nothing is typed visibly."""
    words = [sys.executable, "-m", "sync.department.cli", "--home", str(department.home.path)]
    made = subprocess.run(
        [*words, "share", "list", "--user", "super"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("DEPARTMENT_")},
    )
    line = "department: DEPARTMENT_PASSWORD: no terminal to type the password at (set DEPARTMENT_PASSWORD)\n"
    assert (made.returncode, made.stdout, made.stderr) == (2, "", line)


def test_the_readers_verify_says_who_checks_a_desks_package(
    seat: Seat, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "E.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package.cose", b"")
    assert reader(["verify", str(path), "--key", seat.department.desk.log.note_key.text()]) == 2
    assert "department verify" in capsys.readouterr().err
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("E-1/log.pub", b"")
    assert reader(["verify", str(path)]) == 2
    assert "a unit's package in a ZIP file: unpack it" in capsys.readouterr().err
    data = path.read_bytes()
    path.write_bytes(data.replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\x63"))  # ZIP version 9.9
    assert path.read_bytes() != data
    assert reader(["verify", str(path)]) == 2
    assert "a department's package: check it with" in capsys.readouterr().err


def test_people_are_listed_under_headings(seat: Seat) -> None:
    status, out, _ = seat.type("chief", "user", "list")
    first, *rows = out.splitlines()
    assert (status, first.split()[:4]) == (0, ["user", "name", "roles", "active"])
    assert len(rows) == len(seat.type("chief", "--json", "user", "list")[1].splitlines())
    assert all(len(row) >= first.index("active") for row in rows)


def test_the_days_of_receipt_are_listed_with_what_is_due(seat: Seat) -> None:
    status, out, err = seat.type("chief", "retention", "list")
    assert (status, out.splitlines()[0].split()[0], "kept 365 days" in err) == (0, "received", True)
    days = [json.loads(line) for line in seat.type("chief", "--json", "retention", "list")[1].splitlines()]
    assert len(out.splitlines()) == len(days) + 1 > 1
    assert seat.type("chief", "retention", "list", "--overdue")[:2] == (0, "")
    assert {one["overdue"] for one in days} == {False}


def test_an_own_passkey_is_listed_and_removed(seat: Seat, tokens: Callable[[str], str]) -> None:
    desk, token = seat.department, tokens("chief")
    twin = PasskeyTwin(desk.desk.logons.site.origin)
    asked = desk.call("user/passkey-options", token, NothingForm())
    assert isinstance(asked, Options)
    desk.call("user/passkey", token, PasskeyForm(name="key ring", response=twin.create(asked.options)))
    identity = base64.b64encode(twin.credential_id).decode()
    assert identity in seat.type("chief", "user", "passkeys")[1]
    assert seat.refused("chief", "user", "remove-passkey", "not base64!")[0] == 2
    assert seat.type("chief", "user", "remove-passkey", identity)[0] == 0
    assert seat.type("chief", "user", "passkeys")[:2] == (0, "")
    assert "no such passkey" in seat.refused("chief", "user", "remove-passkey", identity)[1]


def test_of_imported_people_json_prints_what_each_is_handed_and_no_entry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Imported(people=(HandedOver(user="o2", password=NEW, totp_uri="otpauth://"),))
    monkeypatch.setattr(desk_access.Terminal, "call", lambda *_: made)
    people = tmp_path / "people.csv"
    people.write_text("user,name,roles\no2,O. Two,sworn-officer\n")
    assert main(["--json", "user", "import", str(people), "--why", "hired"]) == 0
    assert json.loads(capsys.readouterr().out) == {"user": "o2", "password": NEW, "totp_uri": "otpauth://"}
