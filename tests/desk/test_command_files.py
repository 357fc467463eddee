"""Files for what leaves the desk are made before the call, so that nothing is logged and then lost."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_cars import Car
from desk_seat import Seat
from desk_twins import START_US

from storage import files
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US, iso_text
from sync.department.cli import main
from sync.department.commands.out_files import new_file
from sync.errors import LackingError

GROUND = ("--purpose", "investigation", "--case", "26-001234", "--why", "hit and run on Myrtle Avenue")
SINCE, UNTIL = (
    datetime.fromtimestamp((START_US + days * DAY_US) / 1e6, UTC).strftime("%Y-%m-%d") for days in (-5, 0)
)
PERIOD = ("--plate", "8XYZ123", "--since", SINCE, "--until", UNTIL)


def test_a_delivery_that_finds_a_full_medium_says_that_its_approval_was_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "replace", full)
    path = tmp_path / "E.zip"
    with pytest.raises(LackingError, match="with another approval if it took one"), new_file(path) as file:
        file.fill(b"package")
    assert not path.exists()


@pytest.fixture
def request_number(seat: Seat, tmp_path: Path) -> int:
    """The number of a sharing request that was approved."""
    letter = tmp_path / "letter.pdf"
    letter.write_bytes(b"%PDF Dear Chief")
    asked: tuple[str | Path, ...] = (
        "share",
        "record",
        "--letter",
        letter,
        "--agency",
        "Pasadena Police Department",
        "--person",
        "Sgt. B",
    )
    asked = (
        *asked,
        "--kind",
        "law-enforcement",
        "--state",
        "CA",
        "--intended",
        "robbery",
        "--number",
        "PA-77",
    )
    entry = int(seat.json("super", *asked, *PERIOD)["entry"])
    seat.json("chief", "share", "review", entry, "--note", "letter is complete")
    named = ("--kind", "law-enforcement", "--state", "CA")
    seat.json("deputy", "share", "approve", entry, *named, "--note", "in order")
    return entry


def unusable(folder: Path) -> list[Path]:
    """Paths where no new file can be made."""
    (folder / "there.zip").write_text("somebody's")
    return [folder / "there.zip", folder / "no" / "such" / "folder.zip", Path("/proc/nothing.zip")]


def test_a_delivery_is_entered_only_where_its_file_can_be_made(
    seat: Seat, request_number: int, tmp_path: Path
) -> None:
    size = seat.department.desk.log.size()
    for path in unusable(tmp_path):
        status, err = seat.refused(
            "super", "share", "deliver", request_number, "--out", path, *PERIOD, *GROUND
        )
        assert (status, str(path) in err) == (2, True)
        status, err = seat.refused("chief", "share", "letter", request_number, "--out", path)
        assert (status, str(path) in err) == (2, True)
    assert (tmp_path / "there.zip").read_text() == "somebody's"
    assert seat.department.desk.log.size() == size
    out = tmp_path / "pasadena.zip"
    made = seat.json("super", "share", "deliver", request_number, "--out", out, *PERIOD, *GROUND)
    assert (made["file"], made["count"], made["unwitnessed"]) == (str(out), 3, False)
    assert out.stat().st_mode & 0o777 == 0o600
    (row,) = [one for one in seat.type("super", "share", "list")[1].splitlines() if "PA-77" in one]
    assert row.split()[-2:] == ["1", "1"]


def test_a_refused_delivery_leaves_no_empty_file_behind(
    seat: Seat, request_number: int, tmp_path: Path
) -> None:
    out = tmp_path / "wide.zip"
    words = ("share", "deliver", request_number, "--out", out, *PERIOD, "--plate", "7ABC003", *GROUND)
    assert seat.refused("super", *words)[0] == 1
    assert not out.exists()


def test_a_reviewer_sees_the_scope_before_approving_it(
    seat: Seat, request_number: int, tmp_path: Path
) -> None:
    status, out, _ = seat.type("chief", "share", "letter", request_number, "--out", tmp_path / "copy.pdf")
    assert (status, "8XYZ123" in out, f"{SINCE}T00:00:00Z" in out) == (0, True, True)
    shown = seat.json("chief", "share", "letter", request_number, "--out", tmp_path / "again.pdf")
    assert shown["scope"]["plates"] == ["8XYZ123"]


def test_an_export_and_images_are_opened_only_where_they_can_be_kept(seat: Seat, tmp_path: Path) -> None:
    found = seat.json("comm1", "inquiry", "run", *PERIOD, *GROUND)
    own = seat.json("super", "inquiry", "run", *PERIOD, *GROUND)
    read = found["reads"][0]["read"]
    place = (
        "--access",
        own["access"],
        "--ground",
        "discovery",
        "--authority",
        "Superior Court",
        "--number",
        "26-009999",
    )
    hold = seat.json("super", "hold", "place", read, *place, *GROUND)["hold"]
    size = seat.department.desk.log.size()
    for path in unusable(tmp_path):
        assert seat.refused("super", "hold", "export", hold, "--out", path, *GROUND)[0] == 2
    (tmp_path / "file").write_text("")
    view = ("inquiry", "image", read, "--access", found["access"], *GROUND)
    assert seat.refused("comm1", *view, "--out", tmp_path / "file")[0] == 2
    assert seat.department.desk.log.size() == size
    made = seat.json("super", "hold", "export", hold, "--out", tmp_path / "E.zip", *GROUND)
    assert (made["hold"], Path(made["file"]).is_file()) == (hold, True)
    shown = seat.json("comm1", *view, "--out", tmp_path / "images")
    assert shown["files"]
    assert all(Path(path).is_file() for path in shown["files"])
    assert seat.json("super", "hold", "list")["state"] == "exported"


def test_the_images_of_an_alert_are_kept_as_those_of_a_read(seat: Seat, car: Car, tmp_path: Path) -> None:
    """In files with the same names that only their owner can read, in a folder that is tested before the
    look is logged.
    """
    car.raises()
    number = seat.json("disp1", "alert", "list")["alert"]
    (tmp_path / "file").write_text("")
    size = seat.department.desk.log.size()
    assert seat.refused("disp1", "alert", "show", number, "--out", tmp_path / "file")[0] == 2
    assert seat.department.desk.log.size() == size
    shown = seat.json("disp1", "alert", "show", number, "--out", tmp_path / "images")
    names = {f"{part}-{shown['access']}" for part in ("patch", "overview")}
    assert {Path(one).stem for one in shown["files"]} == names
    assert {Path(one).stat().st_mode & 0o777 for one in shown["files"]} == {0o600}


def test_the_list_of_alerts_as_text_says_when_each_came(seat: Seat, car: Car) -> None:
    """If its unit's clock is years off, the time at which it was raised is meaningless."""
    car.raises()
    row = seat.json("disp1", "alert", "list")
    _, shown, _ = seat.type("disp1", "alert", "list")
    heading, line = shown.splitlines()
    at = heading.index("WAITS SINCE")
    assert line[at:].startswith(iso_text(row["since_us"])[:16])


def test_a_grant_and_a_delegation_never_overwrite_a_file(seat: Seat, tmp_path: Path) -> None:
    public = tmp_path / "v.pub"
    public.write_text(f"{SshPublicKey.of(Ed25519PrivateKey.generate()).line} v.ito@bench\n")
    issue: tuple[str | Path, ...] = (
        "grant",
        "issue",
        "--person",
        "vendor1",
        "--role",
        "vendor",
        "--key",
        public,
        "--purpose",
        "repair: lens",
    )
    issue = (*issue, "--work-order", "WO-9", "--unit", "department")
    lend = ("grant", "delegate", "--designee", "deputy")
    size = seat.department.desk.log.size()
    for path in unusable(tmp_path):
        assert seat.refused("chief", *issue, "--out", path)[0] == 2
        assert seat.refused("chief", *lend, "--key-out", path, "--out", tmp_path / "lent")[0] == 2
        assert seat.refused("chief", *lend, "--key-out", tmp_path / "key", "--out", path)[0] == 2
    assert seat.department.desk.log.size() == size
    assert not (tmp_path / "key").exists()
    assert not (tmp_path / "lent").exists()
    assert seat.type("chief", *issue, "--out", tmp_path / "v.grant")[0] == 0
    lent = seat.json("chief", *lend, "--key-out", tmp_path / "key", "--out", tmp_path / "lent")
    assert (lent["designee"], (tmp_path / "key").stat().st_size) == ("deputy", 32)


def test_an_invalid_certificate_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["witness", "init", "--name", "w.example/1", "--folder", str(tmp_path / "w")]) == 0
    capsys.readouterr()
    absent, wrong = tmp_path / "absent.pem", tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    for path in (absent, wrong):
        words = ["witness", "serve", "--folder", str(tmp_path / "w"), "--port", "0", "--key", str(path)]
        assert main([*words, "--certificate", str(path)]) == 2
        err = capsys.readouterr().err.splitlines()[-1]
        assert (err.startswith("department: "), str(path) in err) == (True, True)


def test_the_key_service_looks_at_its_root_file_before_it_makes_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "letter.txt"
    wrong.write_text("no root file")
    words = ["keys", "serve", "--certificate", str(wrong), "--tls-key", str(wrong)]
    for root in (wrong, tmp_path / "absent"):
        assert main([*words, "--folder", str(tmp_path / "keys"), "--root", str(root)]) == 2
        assert str(root) in capsys.readouterr().err
    assert not (tmp_path / "keys").exists()
