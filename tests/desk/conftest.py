"""A founded department for each test, sessions of its people, its calls over HTTP and its server."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from desk_fixtures import car, department, founded, seat, tokens
from desk_keys import elsewhere
from desk_server import serving
from desk_terminal import terminal
from desk_twins import Department
from starlette.applications import Starlette

from storage.times import now_us
from sync.department.desk.api import routes
from sync.department.ground.department_time import Clocks
from sync.department.server.server import Department as Server

__all__ = ["car", "department", "elsewhere", "founded", "seat", "terminal", "tokens"]


@pytest.fixture
def client(department: Department) -> Iterator[httpx.Client]:
    """The desk's calls over HTTP."""
    with serving(Starlette(routes=routes(department.front))) as client:
        yield client


@pytest.fixture
def server(department: Department) -> Iterator[Server]:
    """The department's server today: enrollment codes and day keys are of today."""
    department.arrive(now_us())
    made = Server(department.home, Clocks.simulated(department.clock))
    assert made.time.accept(department.clock.us)  # two people confirm the clock after months without power
    made.authority.renew()
    yield made
    made.close()
