"""The commands as a person types them: exit statuses, output, and the door over the socket."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from custody_twins import OVERVIEW, PATCH, PLATE, make_read
from flipped import flip

from firmware.cli import main
from firmware.custody.opening import create_ledger, open_ledger, serve_door
from storage.errors import PackageError

ADMIN = ["--user", "demo-admin", "--role", "administrator", "--purpose", "1", "--case", "26-1"]
ASKER = ["--user", "demo-supervisor", "--role", "ccat-supervisor", "--purpose", "1", "--case", "26-1"]


PNG = b"\x89PNG" + PATCH


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A demo home with one read, closed."""
    with create_ledger(tmp_path / "home") as ledger:
        now_us = ledger.store.time.now().us
        ledger.append_read(make_read(now_us), patch=PNG, overview=OVERVIEW)
    return tmp_path / "home"


def run(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> tuple[int, str, str]:
    status = main(["--home", str(home), *words])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_query_shows_the_read_and_an_audit_shows_the_query(
    demo: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, _ = run(capsys, demo, "query", *ASKER, "--plate", PLATE, "--json")
    assert (status, json.loads(out)["text"]) == (0, PLATE)
    images = tmp_path / "images"
    assert run(capsys, demo, "query", *ASKER, "--since", "1h", "--images", str(images))[0] == 0
    assert {path.suffix: path.read_bytes() for path in images.iterdir()} == {".png": PNG, ".jpg": OVERVIEW}
    assert {path.stat().st_mode & 0o077 for path in (images, *images.iterdir())} == {0}, "pictures of plates"
    status, out, _ = run(capsys, demo, "audit", "--csv", "--plate", PLATE)
    assert status == 0
    assert out.count("ALPR Request") == 1


def test_an_audit_of_an_unknown_name_says_so(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name on the roster or in an entry is known, even if that person has been removed."""
    unknown = "no one here is called bob"
    status, out, err = run(capsys, demo, "audit", "--user", "bob")
    assert (status, out.partition(";")[0], unknown in err) == (0, "0 entries", True)
    assert run(capsys, demo, "audit", "--user", "demo-vendor")[2] == ""  # on the roster, without an access
    assert run(capsys, demo, "query", "--user", "bob")[0] == 1
    period = ["--since", "2001-01-01", "--until", "2001-01-02"]
    for when, count in (([], "1 entry"), (period, "0 entries")):
        status, out, err = run(capsys, demo, "audit", "--user", "bob", *when)
        assert (status, count in out, err) == (0, True, "")


def test_a_refused_query_exits_1_in_one_line_with_the_clause(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, clause in ((ASKER[:4], "463.2"), (ADMIN, "463.5 (c)"), (["--user", "bob"], "463.3")):
        status, out, err = run(capsys, demo, "query", *words)
        assert (status, out) == (1, "")
        assert clause in err
        assert err.count("\n") == 1


def test_hold_export_verify_release(demo: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    read = json.loads(run(capsys, demo, "query", *ASKER, "--json")[1])["sequence"]
    why = ["--ground", "discovery", "--authority", "Court", "--number", "BC-1"]
    status, out, _ = run(capsys, demo, "hold", str(read), *ADMIN, *why, "--json")
    hold = str(json.loads(out)["hold"])
    package = str(tmp_path / "E-1")
    assert status == 0
    assert run(capsys, demo, "export", "--hold", hold, "--number", "E-1", "--to", package, *ADMIN)[0] == 0
    status, out, _ = run(capsys, demo, "verify", package)
    assert (status, "unproven" in out) == (1, True)
    key = str(demo / "store" / "log.pub")
    assert run(capsys, demo, "verify", package, "--key", key)[0] == 0
    second = ["--second", "demo-designee", "--second-role", "designee"]
    assert run(capsys, demo, "release", hold, "--item", "E-1", *ADMIN, *second)[0] == 0
    status, out, _ = run(capsys, demo, "retention", "apply")
    assert (status, "hold released" in out) == (0, True)
    status, out, _ = run(capsys, demo, "verify")
    assert (status, "the store's own" in out) == (0, True)


def test_a_medium_that_is_not_there_or_fails_is_named_with_what_the_log_keeps(
    demo: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a stick is not mounted, content must not go to the machine's own disk."""
    read = json.loads(run(capsys, demo, "query", *ASKER, "--json")[1])["sequence"]
    stick = tmp_path / "stick" / "E-3"
    words = ["export", str(read), "--number", "E-3", "--to", str(stick), *ADMIN]

    def exports() -> int:
        with open_ledger(demo) as ledger:
            return sum(ledger.store.leaf(n).kind == "export" for n in range(ledger.status().records))

    status, _, err = run(capsys, demo, *words)
    assert (status, "is not there; is the medium" in err, stick.parent.exists()) == (2, True, False)
    assert exports() == 0
    stick.parent.mkdir()

    def pulled(target: Path, _content: object) -> None:
        raise PackageError("cannot be written", where=str(target), cure="use another medium")

    monkeypatch.setattr("firmware.commands.export.write_package", pulled)
    status, _, err = run(capsys, demo, *words)
    assert (status, list(stick.parent.iterdir())) == (1, [])
    assert "cannot be written (use another medium; the log keeps this export, entry " in err
    assert exports() == 1


@pytest.mark.one_python
def test_a_package_is_verified_where_there_is_no_home_and_no_unit(
    demo: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A stranger has the package on a stick, the public key from elsewhere, and nothing else."""
    read = json.loads(run(capsys, demo, "query", *ASKER, "--json")[1])["sequence"]
    stick, key = tmp_path / "stick" / "E-2", tmp_path / "unit-7.pub"
    stick.parent.mkdir()
    assert run(capsys, demo, "export", str(read), "--number", "E-2", "--to", str(stick), *ADMIN)[0] == 0
    shutil.copy(demo / "store" / "log.pub", key)
    shutil.rmtree(demo)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "empty")}
    for words, status in ((["--key", str(key)], 0), ([], 1)):
        command = [sys.executable, "-m", "firmware.cli", "verify", str(stick), *words]
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert ("unproven" in done.stdout) == (status == 1)


def test_a_home_keeps_the_slot_that_init_was_given(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home, chip = tmp_path / "home", tmp_path / "chip"
    status, out, _ = run(capsys, home, "init", "--slot", f"loopback:{chip}")
    assert (status, f"loopback:{chip}" in out) == (0, True)
    assert chip.is_file()
    assert not (home / "store" / "slot").exists()
    assert run(capsys, home, "verify")[0] == 0
    status, out, _ = run(capsys, home, "init")
    assert (status, f"loopback:{chip}" in out) == (0, True)
    status, _, err = run(capsys, tmp_path / "other", "init", "--slot", "cloud:keys")
    assert (status, "neither file:NAME nor loopback:/PATH nor tpm:INDEX" in err) == (2, True)


def test_verify_names_the_first_bad_record_and_exits_1(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = next(path for path in (demo / "store" / "blobs").rglob("*") if path.is_file())
    image.write_bytes(flip(image.read_bytes()))
    status, out, _ = run(capsys, demo, "verify", str(demo), "--json")
    answer = json.loads(out)
    assert (status, answer["ok"]) == (1, False)
    assert isinstance(answer["first_bad_record"], int)


def test_a_home_without_a_ledger_is_misuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["verify", str(tmp_path)], ["query", *ASKER], ["retention", "plan"], ["verify", "/none"]):
        assert run(capsys, tmp_path, *words)[0] == 2


def test_a_query_while_the_reader_runs_goes_over_its_socket(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_ledger(demo) as ledger, serve_door(ledger):
        status, out, _ = run(capsys, demo, "query", *ASKER, "--plate", PLATE, "--json")
        assert (status, json.loads(out)["text"]) == (0, PLATE)
        assert run(capsys, demo, "retention", "plan", "--json")[0] == 0
        assert run(capsys, demo, "verify")[0] == 0
