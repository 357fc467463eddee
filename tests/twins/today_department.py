"""A department for measurements at the real time: people who can log in now, no reads, a loopback server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import desk_twins

from storage.times import DAY_US, HOUR_US, now_us
from sync.department.desk.context import DeskContext
from sync.department.ground.home import DepartmentHome
from sync.department.server.open_desk import open_front
from sync.department.server.server import Department
from tests.tools.ports import free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The parts of an opened department: its home, server, desk and witness."""

    home: DepartmentHome
    server: Department
    front: DeskContext
    witness: desk_twins.SwitchedWitness


def found_today(folder: Path, *, people_since_us: int = HOUR_US) -> DepartmentHome:
    """Make a department without reads in `folder`, whose people were entered that long ago."""
    desk_twins.found_department(folder, start_us=now_us() + 5 * DAY_US - people_since_us, with_reads=False)
    return DepartmentHome.open(folder / "home")


def listen_on_loopback(home: DepartmentHome) -> DepartmentHome:
    """Give a department free ports on loopback, and open it again."""
    changed = {
        "host": '"localhost"',
        "listen": '"127.0.0.1"',
        "unit_port": free_port(),
        "desk_port": free_port(),
    }
    path = home.path / "department.toml"
    lines = [line for line in path.read_text().splitlines() if line.partition("=")[0].strip() not in changed]
    path.write_text("\n".join([*(f"{name} = {value}" for name, value in changed.items()), *lines]) + "\n")
    return DepartmentHome.open(home.path)


@contextmanager
def opened(folder: Path) -> Iterator[Opened]:
    """Open the server and the desk of the department in `folder`, on one store."""
    home = DepartmentHome.open(folder / "home")
    server = Department(home)
    witness = desk_twins.SwitchedWitness(folder / "witness", now_us)
    try:
        front = open_front(
            home,
            store=server.store,
            keys=server.keys,
            packs=server.packs,
            clock=server.time,
            link=witness,
            bell=server.bell,
        )
        try:
            yield Opened(home=home, server=server, front=front, witness=witness)
        finally:
            front.close()
    finally:
        witness.close()
        server.close()
