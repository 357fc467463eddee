"""Power cuts: the disk of a recorded writer is rebuilt at many points, and nothing announced is lost.

A cut may follow any write, sync, rename or removal in the recording; what was not synced may be missing, torn
or out of order. The next start opens each disk, which is then verified with its chip.
"""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from custody_twins import SteppedTime, check
from power_cut import Disk, Event, recorded, said_at, touching

from hw.secure_slot import LoopbackSlot
from storage.errors import KeyLostError, NoHomeError, StorageError
from storage.leaf import unchecked
from storage.ledger import TOGETHER, Ledger

FULL = os.environ.get("ALPR_FAULTS") == "full"
POINTS = 1000 if FULL else 30
READS = 40 if FULL else 12
WRITER = Path(__file__).with_name("storage_writer.py")


def record(folder: Path, *options: str, reads: int = READS) -> tuple[Path, list[Event]]:
    """Run the writer under strace in a fresh folder. Returns the tree's root and the writer's calls."""
    root = folder / "disk"
    root.mkdir()
    return root, recorded(
        folder / "trace", WRITER, str(root / "home"), str(root / "chip"), str(reads), *options
    )


@dataclass
class Outcome:
    """The results for the rebuilt disks."""

    points: int = 0
    lost: int = 0
    refused: int = 0
    unclean: int = 0
    undead: int = 0
    first: str = ""
    stored: list[int] = field(default_factory=list)  # reads in each ledger that opened
    alerts: list[int] = field(default_factory=list)  # and alerts


def cut_everywhere(root: Path, events: list[Event], into: Path, points: int, seed: int) -> Outcome:
    """Cut at `points` places spread over the recording, open each disk and check it."""
    return cut_at(root, events, into, random.Random(seed).choices(touching(events), k=points), seed)


def cut_at(root: Path, events: list[Event], into: Path, chosen: list[int], seed: int) -> Outcome:
    """Cut after each of these calls, open each disk and check it."""
    rng, outcome, chosen = random.Random(seed), Outcome(), sorted(chosen)
    disk, at = Disk(root), 0
    for point in chosen:
        while at <= point:
            disk.step(events[at])
            at += 1
        shutil.rmtree(into, ignore_errors=True)
        disk.cut(into, rng)
        outcome.points += 1
        problem = judge(into, disk.said, outcome)
        if problem and not outcome.first:
            outcome.first = f"after call {point} ({events[point].call}): {problem}"
    return outcome


def judge(disk: Path, said: list[str], outcome: Outcome) -> str:
    """Start on a rebuilt disk and check that everything announced is there."""
    reads = [int(line.split()[1]) for line in said if line.startswith("read ")]
    purged = {int(epoch) for line in said if line.startswith("purged ") for epoch in line.split()[1:]}
    home, slot, time = disk / "home", LoopbackSlot(disk / "chip"), SteppedTime()
    if "made" not in said and not (home / "store" / "ledger.sqlite3").exists():
        return ""
    try:
        ledger = Ledger.open(home, slot, time, boot=time.boot)
    except (StorageError, OSError) as error:
        if isinstance(error, NoHomeError) and "made" not in said:
            return ""
        outcome.refused += 1
        return f"does not open: {error}"
    problem = ""
    with ledger:
        leaves = ledger.store.db.execute("SELECT leaf FROM leaves").fetchall()
        kinds = [unchecked(bytes(leaf)).kind for (leaf,) in leaves]
        outcome.stored.append(kinds.count("read"))
        outcome.alerts.append(kinds.count("alert"))
        for sequence in reads:
            try:
                ledger.read(sequence)
                ledger.element(sequence, "patch")
                ledger.element(sequence, "overview")
                if ledger.store.leaf(sequence).epoch in purged:
                    outcome.undead += 1
                    problem = f"read {sequence} opens after its purge"
            except KeyLostError:
                begun = ledger.store.book.gone(ledger.store.leaf(sequence).epoch)
                if not begun:
                    outcome.lost += 1
                    problem = f"read {sequence} has lost its key"
            except StorageError as error:
                outcome.lost += 1
                problem = f"read {sequence}: {error}"
    report = check(home, slot)
    if not report.ok:
        outcome.unclean += 1
        problem = problem or f"verify: {report.findings[0]}"
    return problem


def test_no_announced_read_is_lost_by_a_power_cut_at_any_point(tmp_path: Path) -> None:
    root, events = record(tmp_path)
    outcome = cut_everywhere(root, events, tmp_path / "cut", POINTS, seed=1)
    assert (outcome.lost, outcome.refused, outcome.unclean) == (0, 0, 0), outcome
    assert outcome.points == POINTS


@pytest.mark.thorough
def test_no_announced_read_of_a_batch_is_lost_by_a_power_cut_at_any_point(tmp_path: Path) -> None:
    """A cut before the announcement leaves only whole batches."""
    root, events = record(tmp_path, "--together", str(TOGETHER), reads=max(3, READS // TOGETHER))
    outcome = cut_everywhere(root, events, tmp_path / "cut", POINTS, seed=4)
    assert (outcome.lost, outcome.refused, outcome.unclean) == (0, 0, 0), outcome
    assert outcome.points == POINTS
    assert {stored % TOGETHER for stored in outcome.stored} == {0}


def test_a_power_cut_leaves_no_hit_without_its_alert(tmp_path: Path) -> None:
    root, events = record(tmp_path, "--hits", reads=2)
    begun, ended = said_at(events, b"read ")
    outcome = cut_at(
        root, events, tmp_path / "cut", [at for at in touching(events) if begun <= at <= ended], 6
    )
    assert (outcome.lost, outcome.refused, outcome.unclean) == (0, 0, 0), outcome
    assert set(outcome.stored) == {1, 2}
    assert outcome.alerts == outcome.stored


@pytest.mark.thorough
def test_a_purge_cut_at_every_step_is_whole_after_the_next_start(tmp_path: Path) -> None:
    """After each call of the purge, and at other points anywhere in the recording."""
    root, events = record(tmp_path, "--purge", reads=4)
    [purged] = said_at(events, b"purged")
    begun = max(at for at in said_at(events, b"read ") if at < purged)
    steps = [at for at in touching(events) if begun <= at <= purged]
    assert len(steps) > 30  # intent, slot, images, rows, checkpoint, receipt: each of several calls
    for seed in range(5 if FULL else 1):
        outcome = cut_at(root, events, tmp_path / "cut", steps, seed)
        assert (outcome.lost, outcome.refused, outcome.unclean, outcome.undead) == (0, 0, 0, 0), outcome
        assert outcome.points == len(steps)


def test_a_purge_amid_reads_cut_at_any_point_is_whole_after_the_next_start(tmp_path: Path) -> None:
    root, events = record(tmp_path, "--purge")
    outcome = cut_everywhere(root, events, tmp_path / "cut", POINTS, seed=2)
    assert (outcome.lost, outcome.refused, outcome.unclean, outcome.undead) == (0, 0, 0, 0), outcome


@pytest.mark.thorough_rows
@pytest.mark.parametrize("together", [1, TOGETHER])
@pytest.mark.parametrize("sync", ["images and names", "images", "names", "database"])
def test_taking_one_sync_out_of_the_code_loses_announced_reads(
    tmp_path: Path, sync: str, together: int
) -> None:
    root, events = record(tmp_path, "--without", sync, "--together", str(together), reads=READS // together)
    outcome = cut_everywhere(root, events, tmp_path / "cut", POINTS, seed=3)
    assert outcome.lost + outcome.refused + outcome.unclean > 0
