"""`verify` reads evidence that is protected, cut off or in use, and writes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from custody_twins import SteppedTime, add_reads

from hw.secure_slot import LoopbackSlot
from storage.ledger import Ledger

NOBODY = 65534


@pytest.fixture
def unit(tmp_path: Path) -> tuple[Path, Ledger]:
    """A home whose reader still runs; the newest records are in its write-ahead log."""
    time = SteppedTime()
    ledger = Ledger.create(tmp_path / "home", LoopbackSlot(tmp_path / "chip"), time, boot=time.boot)
    add_reads(ledger, time, 3)
    return tmp_path / "home", ledger


def cut_off(home: Path, into: Path) -> Path:
    """The card after a power cut: with a write-ahead log, without what the process had in memory."""
    copy = into / "card"
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("*-shm", "door.sock"))
    assert (copy / "store" / "ledger.sqlite3-wal").stat().st_size > 0
    return copy


def everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    } | {".": (0, 0, folder.stat().st_mtime_ns)}


def verify(home: Path) -> tuple[int, dict[str, object], str]:
    """Run the program. Returns (exit status, report, stderr)."""
    return run(f"sys.exit(main(['--json', 'verify', {str(home)!r}]))")


def run(code: str) -> tuple[int, dict[str, object], str]:
    """Run it in a separate process, whose last line of JSON is the report."""
    code = f"import os, sys, tempfile\nfrom firmware.cli import main\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    lines = done.stdout.splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else {}, done.stderr


def all_but(files: dict[str, tuple[int, int, int]], name: str) -> dict[str, tuple[int, int, int]]:
    return {path: facts for path, facts in files.items() if path != name}


def protect(folder: Path) -> None:
    """Readable by all, writable by none."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in folder.parents:
        if path.stat().st_uid == os.geteuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)


@pytest.mark.parametrize("state", ["stopped", "cut off", "in use"])
def test_verify_changes_no_file_beside_the_evidence(
    unit: tuple[Path, Ledger], tmp_path: Path, state: str
) -> None:
    home, ledger = unit
    if state == "stopped":
        ledger.close()
    card = cut_off(home, tmp_path) if state == "cut off" else home
    before = everything(card)
    status, report, said = verify(card)
    assert (status, report["ok"]) == (0, True), said
    assert report["records"] == ledger.store.log.frontier.size
    after = everything(card)
    if state == "in use":  # anyone who reads beside a writer says so in the memory that the writer shares
        assert after.keys() == before.keys()
        before, after = (all_but(one, "store/ledger.sqlite3-shm") for one in (before, after))
    assert after == before
    if state != "stopped":
        ledger.close()


@pytest.mark.parametrize("state", ["stopped", "cut off"])
def test_a_write_protected_card_verifies_and_is_not_called_damaged(
    unit: tuple[Path, Ledger], tmp_path: Path, state: str
) -> None:
    home, ledger = unit
    card = cut_off(home, tmp_path) if state == "cut off" else home
    ledger.close()
    protect(card)
    command = f"main(['--json', 'verify', {str(card)!r}])"
    unprivileged = f"{command}\nif os.geteuid() == 0:\n    os.setuid({NOBODY})\nsys.exit({command})"
    status, report, said = run(unprivileged)
    assert (status, report.get("ok")) == (0, True), said
    assert report["unchecked"] == []


def test_what_cannot_be_checked_without_room_is_reported_and_is_not_damage(
    unit: tuple[Path, Ledger], tmp_path: Path
) -> None:
    home, ledger = unit
    card = cut_off(home, tmp_path)
    ledger.close()
    protect(card)
    status, report, said = run(
        f"tempfile.tempdir = {str(tmp_path / 'no-room' / 'at-all')!r}\n"
        f"sys.exit(main(['--json', 'verify', {str(card)!r}]))"
    )
    assert (status, report["ok"]) == (3, True), said
    assert "no temporary folder for a private copy" in str(report["unchecked"])


@pytest.mark.parametrize("uri", ["tpm:0x1500ab1", "loopback:/nowhere/chip"])
def test_away_from_its_chip_a_card_verifies_with_a_note(unit: tuple[Path, Ledger], uri: str) -> None:
    home, ledger = unit
    ledger.close()
    (home / "store" / "slot.uri").write_text(uri)
    status, report, said = verify(home)
    assert (status, report["ok"], report["slot_checked"]) == (0, True, False), said
    assert "keys and its anchor were not checked" in str(report["notes"])


def test_a_ledger_of_60_gb_that_is_all_hole_ends_in_a_finding(
    unit: tuple[Path, Ledger], tmp_path: Path
) -> None:
    home, ledger = unit
    ledger.close()
    database = home / "store" / "ledger.sqlite3"
    database.write_bytes(b"")
    os.truncate(database, 60 << 30)
    status, report, _ = verify(home)
    assert (status, report["ok"]) == (1, False)
    assert "is not a reader's ledger" in str(report["findings"]) or "not a database" in str(
        report["findings"]
    )


@pytest.mark.thorough
def test_a_member_file_of_60_gb_or_damaged_is_a_finding(unit: tuple[Path, Ledger]) -> None:
    home, ledger = unit
    ledger.close()
    (home / "sync").mkdir()
    member = home / "sync" / "member.cbor"
    member.write_bytes(b"")
    for size in (60 << 30, 7):
        os.truncate(member, size)
        status, report, _ = verify(home)
        assert (status, report["ok"]) == (1, False)
        assert "sync/member.cbor" in str(report["findings"])
