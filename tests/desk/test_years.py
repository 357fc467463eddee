"""Three simulated years: the mere passing of time does not stop a department."""

from __future__ import annotations

import pytest

from tests.tools import years


@pytest.mark.thorough
@pytest.mark.slow
def test_a_department_outlives_a_year_by_the_notices_it_gets(capsys: pytest.CaptureFixture[str]) -> None:
    """This includes days 366 (expired passwords) and 490 (renewed CA), which once stopped it."""
    years.main(["--years", "3", "--step-days", "30"])
    said = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith(("year", "STOPPED", "the department"))
    ]
    assert said[-1] == "the department lived on, and verifies", said
    assert "administrator 1" in said[2]
    assert any("CA renewed 1 times" in line for line in said)
