"""The installer for Raspberry Pi OS: what it leaves out, and when it refuses."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "hw/install_pi.sh"
LOCK = ROOT / "image-build/packages/device.lock"


def script(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), *words], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def pinned(text: str) -> dict[str, list[str]]:
    """The hashes by name and version."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            name = line.split()[0]
        if "--hash=" in line:
            found.setdefault(name, []).append(line.split("--hash=")[1].split()[0])
    return found


def test_everything_of_the_lock_is_installed_with_its_hashes_but_the_system_s_numpy() -> None:
    locked, installed = pinned(LOCK.read_text()), pinned(script("--print-lock").stdout)
    names = {one.split("==")[0] for one in set(locked) - set(installed)}
    assert names == {"numpy", "pip"}
    assert all(installed[name] == locked[name] for name in installed)
    assert all(installed.values())


def test_another_machine_or_python_is_refused_before_anything_is_changed(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("uname", "echo armv7l"), ("python3", "exit 1")):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    wrong_machine = script(str(tmp_path / "new"), PATH=path, ALPR_ANY_MACHINE="")
    assert (wrong_machine.returncode, "64-bit" in wrong_machine.stderr) == (3, True)
    wrong_python = script(str(tmp_path / "new"), PATH=path, ALPR_ANY_MACHINE="1", ALPR_NO_APT="1")
    assert (wrong_python.returncode, "bookworm" in wrong_python.stderr) == (3, True)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("word", ["python3-picamera2", "python3-lgpio", "python3-kms++"])
def test_what_no_registry_has_for_a_pi_comes_from_its_own_packages(word: str) -> None:
    assert word in SCRIPT.read_text()
