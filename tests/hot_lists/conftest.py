"""The department that sends hot lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sync_twins import bare_home

from sync.department.server.server import Department


@pytest.fixture
def department(tmp_path: Path) -> Iterator[Department]:
    """Founded, opened in this process, on the real clock."""
    made = Department(bare_home(tmp_path / "department"))
    yield made
    made.close()
