"""Three simulated years: nothing that only time brings stops a department."""

from __future__ import annotations

import pytest

from tests.tools import years


@pytest.mark.thorough
@pytest.mark.slow
def test_a_department_outlives_a_year_by_the_notices_it_gets(capsys: pytest.CaptureFixture[str]) -> None:
    """Past the day on which a renewed CA (490) and an expired password (366) used to stop it."""
    years.main(["--years", "3", "--step-days", "30"])
    said = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith(("year", "STOPPED", "the department"))
    ]
    assert said[-1] == "the department lived on, and verifies", said
    assert "administrator 1" in said[2]
    assert any("CA renewed 1 times" in line for line in said)
