"""The power fails at each step of a rollover, of a new policy and of a new hot list.

The unit's own code opens the next start, with a clock that is right, at 1970 or at 2106.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from field_home import NOW_US
from power_cut import Disk, Event, recorded, said_at, touching

from firmware.alerts.opened_lists import open_lists
from firmware.custody.opening import open_or_roll_over
from hw.clock import SetClock
from storage.errors import ExplainedError
from storage.ledger import Ledger
from storage.times import DAY_US
from sync.handover import HandedRecord, open_handover
from sync.membership import SyncFolder

FULL = os.environ.get("ALPR_FAULTS") == "full"
WRITER = Path(__file__).with_name("unit_writer.py")
CLOCKS = {"right": NOW_US, "1970": 0, "2106": NOW_US + 80 * 365 * DAY_US}


def judge(home: Path, said: list[str], clock_us: int) -> list[str]:
    """Start on a rebuilt disk. Returns what is wrong."""
    new_logs: list[str] = []
    with open_or_roll_over(home, clock=SetClock(clock_us), on_new_log=new_logs.append) as ledger:
        folder, store = SyncFolder.of(home), ledger.store
        rolled = any((folder.path / "old").glob("*/store"))
        wrong = [f"a new log: {one}" for one in new_logs if not rolled]
        wrong += [] if store.enrolled and store.day_keys and store.policy.version else ["lost its documents"]
        least = {"list": 0, "policy": 0}
        for line in said:
            match line.split():
                case ["read", log_id, number]:
                    kept = is_kept(home, ledger, log_id, int(number))
                    wrong += [] if kept else [f"lost: {line}"]
                case ["policy" | "list" as what, version]:
                    least[what] = int(version)
                case ["rolled", "over", log_id]:
                    wrong += [] if store.log_id.hex() == log_id else ["another log than announced"]
        wrong += ["an older policy"] if store.policy.version < least["policy"] else []
        lists = open_lists(home, ledger, folder)
        whole = [sum(1 for _ in one.file.entries()) == 20 * one.head.sequence for one in lists.lists]
        newest = max((one.head.sequence for one in lists.lists), default=0)
        lists.close()
        if not rolled and (newest < least["list"] or not all(whole)):  # a new log has another key for lists
            wrong.append(f"list {newest}, whole {whole}")
    return wrong


def is_kept(home: Path, ledger: Ledger, log_id: str, number: int) -> bool:
    """Whether a read is intact, in the log or in one that was set aside."""
    if ledger.store.log_id.hex() == log_id:
        leaf = ledger.store.leaf(number)
        return all(ledger.store.stored(leaf, name) for name in leaf.elements)
    with open_handover(home / "sync" / "old" / log_id[:16]) as handover:
        found = next(one for one in handover.records(number) if isinstance(one, HandedRecord))
        return found.sequence == number and not found.lost and bool(handover.keys)


def test_a_rename_between_folders_is_there_in_both_or_in_none_until_one_is_synced(tmp_path: Path) -> None:
    root, calls = tmp_path / "disk", list[Event]()

    def call(name: str, *paths: str, result: int = 0, numbers: tuple[int, ...] = ()) -> None:
        strings = tuple(str(root / path).encode() for path in paths)
        calls.append(Event(name, strings, numbers, result, ""))

    def left() -> set[tuple[bool, bool]]:
        disk = Disk(root)
        for one in calls:
            disk.step(one)
        found = set()
        for seed in range(60):
            cut = tmp_path / "cut"
            shutil.rmtree(cut, ignore_errors=True)
            disk.cut(cut, random.Random(seed))
            found.add(((cut / "here" / "log").exists(), (cut / "there" / "old").exists()))
        return found

    for folder in ("here", "there"):
        call("mkdir", folder)
    call("mkdir", "here/log")
    call("syncfs")
    call("rename", "here/log", "there/old")
    assert left() == {(True, False), (False, True)}
    call("openat", "there", result=5)
    call("fsync", numbers=(5,))
    assert left() == {(False, True)}


@pytest.mark.thorough
@pytest.mark.parametrize("change", ["roll-over", "policy", "hot-list"] if FULL else ["roll-over"])
def test_a_power_cut_at_any_step_of_a_change_loses_nothing_whatever_the_clock_says(
    tmp_path: Path, change: str
) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    events = recorded(tmp_path / "trace", WRITER, str(root / "home"), change)
    (begun,) = said_at(events, b"begun")
    steps = [at for at in touching(events) if at >= begun]
    rng = random.Random(5)
    chosen = steps if FULL else sorted(rng.sample(steps, 8))
    wrong = list[str]()
    for clock in CLOCKS if FULL else [rng.choice(list(CLOCKS))]:
        disk, at = Disk(root), 0
        for point in chosen:
            while at <= point:
                disk.step(events[at])
                at += 1
            shutil.rmtree(tmp_path / "cut", ignore_errors=True)
            disk.cut(tmp_path / "cut", rng)
            try:
                problems = judge(tmp_path / "cut" / "home", disk.said, CLOCKS[clock])
            except (ExplainedError, OSError) as error:
                problems = [str(error)]
            wrong += [f"after call {point} ({events[point].call}), {clock}: {one}" for one in problems]
    assert wrong == []
