"""The department that sends hot lists."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sync_twins import bare_home

from sync.department.ground.home import DepartmentHome
from sync.department.server.server import Department


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> DepartmentHome:
    """Made once; tests work on copies."""
    return bare_home(tmp_path_factory.mktemp("founded") / "home")


@pytest.fixture
def department(founded: DepartmentHome, tmp_path: Path) -> Iterator[Department]:
    """A fresh copy, opened in this process, on the real clock."""
    shutil.copytree(founded.path, tmp_path / "department")
    made = Department(DepartmentHome.open(tmp_path / "department"))
    yield made
    made.close()
