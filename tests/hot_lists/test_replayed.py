"""A line that replays, reorders and renames what was signed: a unit has one signed version, or none."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from list_twins import VERSIONS, Unit, push, sent
from sync_twins import converse

from firmware.alerts.board import AlertBoard
from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.lasting_time import LastingTime
from firmware.alerts.watch import HotListWatch
from storage import purge
from storage.alert_terms import DEFAULT_ALERTS
from storage.home import Home
from storage.times import now_us
from storage.verify import verify_home
from sync.department.server.server import Department
from sync.hot_lists.document import delta_name, head_name, part_name
from sync.hot_lists.held import lists_folder

ORDERS = 40


def test_no_order_of_signed_parts_makes_an_unsigned_list(department: Department, tmp_path: Path) -> None:
    """Heads, deltas and the snapshot of five versions, under right names and wrong, again and again."""
    unit = Unit(tmp_path / "unit", department)
    said: list[tuple[str, bytes]] = []
    for at, numbers in enumerate(VERSIONS, start=1):
        push(department, numbers)
        names = [head_name("doj"), part_name("doj", 0) if at == 1 else delta_name("doj", at)]
        said += [(name, sent(department, name)) for name in names]
    names = sorted({name for name, _ in said})
    rng = random.Random(463)
    newest = 0
    for _ in range(ORDERS):
        name, message = rng.choice(said)
        unit.hears(rng.choice(names) if rng.random() < 0.3 else name, message)
        assert unit.version >= newest
        newest = unit.version
        assert unit.holds == (VERSIONS[newest - 1] if newest else frozenset())
    assert newest > 1  # the line let some of it through
    for _ in range(3):
        converse(unit.joined, department)
        unit.held.refresh()
    assert (unit.version, unit.holds) == (len(VERSIONS), VERSIONS[-1])
    for name, message in said:  # everything once more, the oldest first
        unit.hears(name, message)
        assert (unit.version, unit.holds) == (len(VERSIONS), VERSIONS[-1])
    unit.close()


def test_a_list_in_force_outlives_the_purge_of_the_entries_that_logged_it(
    department: Department, tmp_path: Path
) -> None:
    """The log does not hold a list's document. Four years on, its entry's year is purged as any other."""
    unit = Unit(tmp_path / "unit", department)
    push(department, VERSIONS[0])
    for name in (head_name("doj"), part_name("doj", 0)):
        unit.hears(name, sent(department, name))
    ledger = unit.joined.ledger
    store, before = ledger.store, dict(ledger.store.book.files)
    with store.lock:
        going = {store.leaf(one.record).epoch for one in before.values()}
        gone = tuple(item.purged() for item in ledger.retention_plan() if item.purged().epoch in going)
        store.end_running(going)
        ledger.standing.carry_over(going)
        purge.carry_out(store, gone, by="a test")
    after = store.book.files
    assert {name: (one.version, one.digest) for name, one in after.items()} == {
        name: (one.version, one.digest) for name, one in before.items()
    }
    moved = {name for name, one in after.items() if one.record > before[name].record}
    assert moved == {name for name in after if not name.startswith("hot-list")}
    assert (unit.version, unit.holds) == (1, VERSIONS[0])
    home = unit.joined.folder.path.parent
    unit.close()
    assert verify_home(Home(home)).ok


def test_a_list_whose_files_were_set_back_is_not_the_older_one_again(
    department: Department, tmp_path: Path
) -> None:
    """Who has the card for a minute puts yesterday's files back: a vehicle that is looked for would pass."""
    unit = Unit(tmp_path / "unit", department)
    push(department, VERSIONS[0])
    for name in (head_name("doj"), part_name("doj", 0)):
        unit.hears(name, sent(department, name))
    copies = [unit.inbox, lists_folder(unit.home)]
    for number, folder in enumerate(copies):
        shutil.copytree(folder, tmp_path / f"copy {number}")
    push(department, VERSIONS[1])
    unit.hears(delta_name("doj", 2), sent(department, delta_name("doj", 2)))
    unit.hears(head_name("doj"), sent(department, head_name("doj")))
    assert (unit.version, unit.holds) == (2, VERSIONS[1])
    unit.held.close()
    for number, folder in enumerate(copies):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / f"copy {number}", folder)
    unit.held = unit.open_lists()
    (change,) = unit.held.refresh()
    assert (change.list_id, change.what) == ("doj", "refused")
    assert "not the version that this unit's log took" in change.why
    watch = watching(unit)
    watch.refresh()
    assert watch.health().failing == 1  # the department hears of it
    converse(unit.joined, department)  # what was set back comes again, though the log took it before
    watch.refresh()
    assert (watch.health().failing, unit.version, unit.holds) == (0, 2, VERSIONS[1])
    unit.close()


def watching(unit: Unit) -> HotListWatch:
    """The watch of a run that has just begun."""
    ledger = unit.joined.ledger
    cleared = ClearedPlates(lists_folder(unit.home), ledger.hot_list_key())
    board = AlertBoard(ledger, cleared, terms=lambda: DEFAULT_ALERTS)
    log = structlog.get_logger()
    return HotListWatch(
        unit.held, cleared, board, terms=lambda: DEFAULT_ALERTS, known_states=(), now_us=now_us,
        of_lists=LastingTime.of(ledger.store.time).of_lists, log=log,
    )  # fmt: skip


def overwrite(path: Path) -> None:
    """A card that gives other bytes than it took."""
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("inbox_too", [False, True], ids=["the list", "the list and its inbox"])
@pytest.mark.parametrize("harm", [Path.unlink, overwrite])
def test_a_list_that_is_gone_or_unreadable_is_an_alarm_until_a_sync_brings_it_again(
    department: Department, tmp_path: Path, harm: Callable[[Path], None], inbox_too: bool
) -> None:
    unit = Unit(tmp_path / "unit", department)
    push(department, VERSIONS[0])
    converse(unit.joined, department)
    unit.held.refresh()
    push(department, VERSIONS[1])
    converse(unit.joined, department)
    unit.held.refresh()
    assert (unit.version, unit.holds) == (2, VERSIONS[1])
    unit.held.close()
    files = [lists_folder(unit.home) / "doj.list", *(unit.inbox.glob("hot-list*") if inbox_too else ())]
    for path in files:
        harm(path)
    records = unit.joined.outbox.size()
    unit.held = unit.open_lists()
    watch = watching(unit)
    watch.refresh()
    if inbox_too:
        assert (watch.health().failing, unit.holds) == (1, frozenset())
        converse(unit.joined, department)
        watch.refresh()
    assert (watch.health().failing, unit.version, unit.holds) == (0, 2, VERSIONS[1])
    assert unit.joined.outbox.size() == records  # taken once, logged once
    unit.close()


def test_a_list_that_turns_bad_in_a_running_unit_goes_at_the_next_look_and_comes_again(
    department: Department, tmp_path: Path
) -> None:
    unit = Unit(tmp_path / "unit", department)
    push(department, VERSIONS[0])
    converse(unit.joined, department)
    watch = watching(unit)
    watch.refresh()
    assert unit.holds == VERSIONS[0]
    path, parts = lists_folder(unit.home) / "doj.list", list(unit.inbox.glob("hot-list*"))
    path.unlink()
    for part in parts:
        part.unlink()
    watch.refresh()
    assert (watch.health().failing, unit.holds) == (1, VERSIONS[0])  # it matches as long as the run lasts
    converse(unit.joined, department)
    watch.refresh()
    assert watch.health().failing == 0
    assert path.exists()
    overwrite(path)
    watch.doubt()  # as a lookup does that meets the block
    for part in parts:
        part.unlink()
    watch.refresh()
    assert (watch.health().failing, unit.holds) == (1, frozenset())
    for _ in range(2):
        converse(unit.joined, department)
        watch.refresh()
    assert (watch.health().failing, unit.holds) == (0, VERSIONS[0])
    unit.close()
