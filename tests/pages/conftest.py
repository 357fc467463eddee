"""A founded department for each test, and its people's browsers, which never run a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from desk_fixtures import department, founded
from desk_twins import Department
from page_reader import Reader

__all__ = ["department", "founded", "reader"]


@pytest.fixture
def reader(department: Department) -> Iterator[Callable[[], Reader]]:
    """Makes browsers of this department's desk, each with its own cookies."""
    with Reader.desk(department) as make:
        yield make
