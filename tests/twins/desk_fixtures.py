"""Fixtures: a department founded once, a fresh copy of it for each test, and sessions of its people."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from desk_cars import Car
from desk_seat import Seat
from desk_twins import Department, found_department, open_copy
from made_once import made_once


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The department's folder, made once; tests work on copies."""
    return made_once(tmp_path_factory, "founded-department", found_department)


@pytest.fixture
def department(founded: Path, tmp_path: Path) -> Iterator[Department]:
    """A fresh copy of the founded department, a few days later."""
    folder = tmp_path / "copy"
    shutil.copytree(founded, folder)
    department = open_copy(folder)
    yield department
    department.close()


@pytest.fixture
def tokens(department: Department) -> Callable[[str], str]:
    """A session for each person, made when first used."""
    known: dict[str, str] = {}

    def token(user: str) -> str:
        if user not in known:
            known[user] = department.logon(user)
        return known[user]

    return token


@pytest.fixture
def seat(
    department: Department,
    tokens: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Seat:
    """A terminal where the department's people type commands."""
    return Seat(department, tokens, monkeypatch, capsys)


@pytest.fixture
def car(department: Department) -> Iterator[Car]:
    """A unit of the department that raises alerts."""
    made = Car(department)
    yield made
    made.unit.close()
