"""A run with ALPR_NO_SKIPS lists the skipped tests and fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skip_gate import ALLOWED_FILE, VARIABLE, forbidden

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent


def test_a_missing_service_is_never_an_allowed_reason() -> None:
    missing = ["PostgreSQL's server is not installed", "swtpm or tpm2-pytss not installed"]
    pictures = "Skipped: no real pictures at /x/data: set ALPR_DATA to their folder"
    assert forbidden([*missing, pictures, missing[0]]) == sorted(missing)


@pytest.mark.parametrize(
    ("reason", "strict", "status", "workers"),
    [
        pytest.param("no server here", "1", 1, [], id="a service is missing"),
        pytest.param(
            "no server here", "1", 1, ["-p", "xdist", "-n", "1"], id="a service is missing, seen by a worker"
        ),
        pytest.param("no server here", "", 0, [], id="a bare machine"),
        pytest.param("no real pictures at x: set ALPR_DATA", "1", 0, [], id="an allowed reason"),
    ],
)
def test_a_skipped_test_fails_a_strict_run(
    tmp_path: Path, reason: str, strict: str, status: int, workers: list[str]
) -> None:
    skipping = f"@pytest.mark.skip(reason={reason!r})\ndef test_skipped(): pass\n"
    (tmp_path / "test_one.py").write_text("import pytest\ndef test_runs(): pass\n" + skipping)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.skip_gate", *workers, "-c", os.devnull]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)],
        env=os.environ | {VARIABLE: strict, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert (f"{VARIABLE} is set" in done.stdout) == (status == 1)


def test_every_allowed_reason_says_why() -> None:
    assert ALLOWED_FILE.read_text().count("[[allowed]]") == ALLOWED_FILE.read_text().count("\nwhy = ")
