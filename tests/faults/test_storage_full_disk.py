"""The disk fills up at every possible write: images are left out, reads refused, nothing is damaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FULL = os.environ.get("ALPR_FAULTS") == "full"
STEPS = 150 if FULL else 20
ROOT = Path(__file__).resolve().parents[2]
FILLER = Path(__file__).with_name("storage_filler.py")


def on_disk_of_its_own(folder: Path, *words: str) -> list[str]:
    """Run the filler, which mounts a disk at `folder`. Returns its lines."""
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs root and mount namespaces for a disk of its own (unshare -m)")
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'twins'}"}
    command = ["unshare", "-m", sys.executable, str(FILLER), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.thorough
def test_a_full_disk_at_any_write_loses_and_damages_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    lines = on_disk_of_its_own(folder, str(folder), str(STEPS))
    assert len(lines) == STEPS
    assert all(line.startswith("ok ") for line in lines), lines
    assert any("without-images" in line for line in lines)  # images were left out before reads were refused
    assert {"gap", "query", "hold"} & {word for line in lines for word in line.split()}  # deeds too
    assert sum("purge" in line for line in lines) == STEPS // 10


def test_a_card_without_a_free_byte_still_records_purges_and_opens(tmp_path: Path) -> None:
    [line] = on_disk_of_its_own(tmp_path, str(tmp_path), "reserve")
    assert json.loads(line) == dict.fromkeys(("reserve", "spent", "purged", "again", "whole"), True)
