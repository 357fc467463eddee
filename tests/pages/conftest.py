"""A founded department for each test, and browsers of its people that never run a script."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from desk_twins import Department, found_department, open_copy
from page_reader import Reader


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; tests work on copies."""
    return found_department(tmp_path_factory.mktemp("department"))


@pytest.fixture
def department(founded: Path, tmp_path: Path) -> Iterator[Department]:
    """A fresh copy of the founded department, a few days later."""
    folder = tmp_path / "copy"
    shutil.copytree(founded, folder)
    department = open_copy(folder)
    yield department
    department.close()


@pytest.fixture
def reader(department: Department) -> Iterator[Callable[[], Reader]]:
    """Browsers of this department's desk, each with its own cookies."""
    with Reader.desk(department) as make:
        yield make
