"""Helpers for tests that restore a department's store from a backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from custody_twins import SteppedTime
from desk_twins import Department
from receiver_twins import Joined
from sync_twins import converse

from storage.times import DAY_US
from sync.department.desk.context import DeskContext
from sync.department.desk.people.calls import AccountForm
from sync.department.policy.roles import Role
from sync.department.server import daily
from sync.department.server.server import Department as Server
from sync.department.store.received import received_days


@contextmanager
def joined_today(department: Department, server: Server, path: Path) -> Iterator[Joined]:
    """A unit that joined, is in the log and took what the department offers today."""
    made = Joined(path, server, "car 12", time_source=SteppedTime(department.clock.us))
    department.front.send_down()
    daily.list_units(department.front)
    converse(made, server)
    try:
        yield made
    finally:
        made.close()


def set_reviewer(department: Department, key: str, *, active: bool = True) -> None:
    """Set the reviewer's account with this key, or deactivate it."""
    form = AccountForm(
        user="reviewer1",
        name="Reviewer1",
        organisation="Monrovia PD",
        roles=(Role.REVIEWER,),
        reason="key",
        ssh_keys=(key,),
    )
    if not active:
        form = replace(form, active=False, roles=(), reason="left")
    department.two_hands("user/set", department.logon("chief"), form)


def next_day(department: Department, server: Server, front: DeskContext) -> None:
    """Advance the clock by a day and do the daily work."""
    department.clock.step(DAY_US)
    assert server.time.accept(department.clock.us)
    daily.run(front, server.retention)


def received(server: Server) -> dict[int, dict[str, int]]:
    """The number of elements by day of receipt and kind."""
    with server.store.read() as connection:
        return {one.day: dict(one.elements) for one in received_days(connection)}
