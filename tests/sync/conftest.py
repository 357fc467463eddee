"""A department in this process, a department with a real server, and units."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from receiver_twins import Joined, Sender, size_held
from sync_twins import DepartmentProcess, Unit, bare_home, converse, issue_code, running

from sync.department.ground.home import DepartmentHome
from sync.department.server.server import Department


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> DepartmentHome:
    """The department's folder, made once; tests work on copies."""
    return bare_home(tmp_path_factory.mktemp("founded") / "home")


@pytest.fixture
def department(founded: DepartmentHome, tmp_path: Path) -> Iterator[Department]:
    """A fresh copy, opened in this process, on the real clock."""
    shutil.copytree(founded.path, tmp_path / "department")
    made = Department(DepartmentHome.open(tmp_path / "department"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepartmentProcess]:
    """A real server, shared by the tests that do not kill it."""
    with running(bare_home(tmp_path_factory.mktemp("server") / "home")) as process:
        yield process


@pytest.fixture
def units(tmp_path: Path) -> Iterator[Callable[[str], Unit]]:
    """A function that makes units, which are closed after the test."""
    made: list[Unit] = []

    def make(name: str = "unit") -> Unit:
        made.append(Unit(tmp_path / name))
        return made[-1]

    yield make
    for unit in made:
        unit.close()


@pytest.fixture
def enrolled(server: DepartmentProcess, units: Callable[[str], Unit], request: pytest.FixtureRequest) -> Unit:
    """A unit enrolled at the real server's department."""
    unit = units("enrolled")
    unit.enroll(issue_code(server.home, request.node.name[-60:]))
    return unit


settings.register_profile("sync", deadline=None)  # no test asserts speed
settings.load_profile("sync")


@pytest.fixture
def unit(department: Department, tmp_path: Path) -> Iterator[Joined]:
    made = Joined(tmp_path / "unit", department, "unit")
    yield made
    made.close()


@pytest.fixture
def sender(department: Department, unit: Joined) -> Sender:
    unit.add(3)
    assert converse(unit, department).done
    held = size_held(department, unit)
    unit.add(3)
    return Sender(department, unit, held)
