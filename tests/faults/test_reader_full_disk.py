"""The whole reader on a full disk: it starts, says so, and stores again as soon as there is room."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READER = Path(__file__).with_name("reader_on_full_disk.py")


@pytest.mark.thorough
@pytest.mark.slow
def test_a_reader_starts_on_a_full_disk_and_stores_again_once_there_is_room(tmp_path: Path) -> None:
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs root and mount namespaces for a disk of its own (unshare -m)")
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'twins'}"}
    command = ["unshare", "-m", sys.executable, str(READER), str(tmp_path)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-3000:]
    facts = json.loads(done.stdout.splitlines()[-1])
    assert "store_full" in facts["events"]
    assert "configuration_not_recorded" not in facts["events"]  # the reserve has room for it
    assert facts["announced"] >= 2
    assert len(facts["lost"]) == 1
    assert facts["lost"][0] >= 1
    assert facts["status"] == 1  # a read was lost
    assert facts["verified"]
