"""The demo's second half: the department that it starts receives the reads and verifies."""

from __future__ import annotations

from pathlib import Path

import pytest
from custody_twins import make_read

from firmware.custody.opening import create_ledger
from tests.tools import demo_department

pytestmark = pytest.mark.slow


@pytest.mark.thorough
def test_the_demo_ends_with_its_reads_in_a_department_that_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with create_ledger(tmp_path / "unit") as ledger:
        for _ in range(3):
            ledger.append_read(make_read(), patch=b"patch" * 100, overview=b"overview" * 500)
    places = ["--reader", str(tmp_path / "unit"), "--department", str(tmp_path / "department")]
    assert demo_department.main(places) == 0
    shown = capsys.readouterr().out
    assert "the store verifies" in shown
    assert "gave its receipt" in shown
    assert "not checked" not in shown
    assert "7XKR219" not in shown
