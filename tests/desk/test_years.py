"""Three simulated years: nothing that only time brings stops a department."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_department_outlives_a_year_by_the_notices_it_gets() -> None:
    """Past the day on which a renewed CA (490) and an expired password (366) used to stop it."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/tools/years.py"), "--years", "3", "--step-days", "30"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [
        line for line in done.stdout.splitlines() if line.startswith(("year", "STOPPED", "the department"))
    ]
    assert said[-1] == "the department lived on, and verifies", said
    assert "administrator 1" in said[2]
    assert any("CA renewed 1 times" in line for line in said)
