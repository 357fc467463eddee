"""A department's power fails at each step of its work: nothing that it acknowledged is lost.

Recording takes as long as many tests, so only `make faults` runs this.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from pathlib import Path

from power_cut import Disk, Event, recorded, said_at, touching
from sync_twins import checked

from storage.errors import ExplainedError
from sync.department.ground.department_time import Clocks
from sync.department.ground.home import DepartmentHome
from sync.department.server.server import Department
from sync.department.store import unit_logs
from sync.errors import ClockInDoubtError

FULL = os.environ.get("ALPR_FAULTS") == "full"
POINTS = 300
WRITER = Path(__file__).with_name("department_writer.py")


def judge(disk: Path, said: list[str]) -> list[str]:
    """Start on a rebuilt disk. Returns what is wrong."""
    held, purged, now_us = dict[str, tuple[int, int]](), set[int](), 0
    for line in said:
        match line.split():
            case ["made" | "now", at_us]:
                now_us = int(at_us)
            case ["held", log_id, records, whole_to]:
                held[log_id] = int(records), int(whole_to)
            case ["purged", day]:
                purged.add(int(day))
    home = DepartmentHome.open(disk / "home")
    department = Department(home, Clocks.simulated(lambda: now_us))
    wrong = list[str]()
    try:
        with contextlib.suppress(ClockInDoubtError):  # a year has passed since the clock was last confirmed
            department.retain()
        with department.store.read() as connection:
            for name, (size, end) in held.items():
                log = unit_logs.find_log(connection, bytes.fromhex(name))
                if log is None or log.frontier.size < size:
                    wrong.append(f"held {size} records, now {0 if log is None else log.frontier.size}")
                elif unit_logs.complete_to(connection, log) < end:
                    wrong.append(f"a receipt for {end} records, now {unit_logs.complete_to(connection, log)}")
        wrong += [f"day {one} has a key again" for one in purged if department.keys.has_store_key(one)]
    finally:
        department.close()
    return wrong + checked(home).problems


def cut_at(root: Path, events: list[Event], into: Path, chosen: list[int], seed: int) -> list[str]:
    """Cut after each of these calls, and start the department on the rest."""
    rng, disk, at, wrong = random.Random(seed), Disk(root), 0, list[str]()
    for point in sorted(chosen):
        while at <= point:
            disk.step(events[at])
            at += 1
        shutil.rmtree(into, ignore_errors=True)
        disk.cut(into, rng)
        try:
            problems = judge(into, disk.said)
        except (ExplainedError, OSError) as error:
            problems = [f"does not start: {error}"]
        wrong += [f"after call {point} ({events[point].call}): {one}" for one in problems]
    return wrong


if FULL:

    def test_a_power_cut_at_any_step_loses_nothing_that_the_department_answered_for(tmp_path: Path) -> None:
        root = tmp_path / "disk"
        root.mkdir()
        events = recorded(tmp_path / "trace", WRITER, str(root), str(tmp_path / "unit"))
        (made,) = said_at(events, b"made")
        steps = [at for at in touching(events) if at >= made]
        chosen = [made, *said_at(events, b"held"), *random.Random(7).choices(steps, k=POINTS)]
        assert cut_at(root, events, tmp_path / "cut", chosen, 7) == []
