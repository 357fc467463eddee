"""`department verify` gives the same verdict on a read-only medium and a full disk as anywhere else."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from desk_twins import found_department
from made_once import made_once
from warm_program import DEPARTMENT, run_warm

from sync.department.ground.home import DepartmentHome

ROOT = Path(__file__).resolve().parents[2]
PROTECTED = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
FULL = (
    'cp -a "$0" "$0.kept" && mount -t tmpfs -o size=24m tmpfs "$0" && cp -a "$0.kept/." "$0" && '
    'rm -r "$0.kept"; cat /dev/zero > "$0/fill" 2>/dev/null; exec "$@"'
)


def in_a_namespace(how: str, folder: Path, *arguments: str) -> tuple[int, str]:
    """Run `department` with `folder` remounted (unchanged if `how` is empty). Returns (status, output)."""
    if not how:
        done = run_warm(DEPARTMENT, *arguments)
        return done.returncode, done.stdout
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder.parent)}
    command = [sys.executable, "-m", "sync.department.cli", *arguments]
    wrapped = ["unshare", "-m", "bash", "-c", how, str(folder), *command]
    done = subprocess.run(
        wrapped, env=environment, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT
    )
    return done.returncode, done.stdout


def digests(folder: Path) -> dict[str, str]:
    return {
        str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in sorted(folder.rglob("*"))
        if one.is_file()
    }


@pytest.mark.thorough
@pytest.mark.slow
def test_a_department_is_verified_on_a_protected_medium_and_on_a_full_disk(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs root and mount namespaces for a disk of its own (unshare -m)")
    folder = tmp_path / "department"
    shutil.copytree(made_once(tmp_path_factory, "founded-department", found_department), folder)
    home = folder / "home"
    key = DepartmentHome.open(home).log_key().public_key().public_bytes_raw().hex()
    verify = ("verify", "--home", str(home))
    stranger = ("verify", "--log", str(home / "desk"), "--key", key, "--witness-key", key)
    before = digests(home)
    protected, plain = (in_a_namespace(how, home, *stranger) for how in (PROTECTED, ""))
    assert protected == plain
    assert digests(home) == before  # a copy is evidence
    protected, full = (in_a_namespace(how, home, *verify) for how in (PROTECTED, FULL))
    assert digests(home) == before
    assert protected == full == in_a_namespace("", home, *verify)
    assert "elements" in full[1]
