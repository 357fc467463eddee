"""An alert does not wait until its vehicle has left, and its pass is still a single read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pipeline_rig import gaps_of
from scripted_eyes import DECODING, PLATE, SIZE, ScriptedEyes
from tracker_twins import Replay, near

from detector.track import LivePass, Tracker
from firmware.custody.bookkeeper import Bookkeeper
from firmware.custody.opening import create_ledger
from firmware.frames.pipeline import GLANCE_EVERY_US, EndedPass, Glances, PipelineCounts, ReadStage
from firmware.frames.record import Surroundings
from hw.camera import Frame
from hw.clock import SystemClock, TimeState, UtcTime
from storage.ledger import Ledger
from storage.read_records import Read
from sync.event_log import event_log

AROUND = Surroundings(camera="test", position=None, lane=2, models=(), software="test", demo=True)
LISTED, OTHER = "7ABC123", "LS15EBC"
INTERVAL_US = 50_000


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with create_ledger(tmp_path / "home") as ledger:
        yield ledger


class Street:
    """Passes frames through tracker and bookkeeper in order, with a list of one plate."""

    def __init__(self, ledger: Ledger, names: dict[int, str]) -> None:
        self.reads: list[tuple[int, Read]] = []
        self.hits: list[int] = []
        self.unstored: list[str] = []
        self.stored = 1
        self.frame_of_hit: list[int] = []
        self.frames = 0
        self.counts = PipelineCounts()
        self.ends: list[EndedPass] = []
        self.bookkeeper = Bookkeeper(
            ledger,
            AROUND,
            clock=SystemClock(),
            overview_quality=85,
            announce=lambda number, read: self.reads.append((number, read)),
            log=event_log(io.StringIO()),
            matches=self.listed,
            sounds=self.listed,
            met=self.met,
            unstored=lambda read: self.unstored.append(read.text),
        )
        self.stage = ReadStage(
            ScriptedEyes(names),
            Tracker(DECODING),
            counts=self.counts,
            on_progress=lambda _progress: None,
            hand_on=self.hand_on,
        )

    @staticmethod
    def listed(one: EndedPass) -> bool:
        return one.vehicle.text.text == LISTED

    def met(self, number: int, _alerts: object) -> None:
        self.hits.append(number)
        self.frame_of_hit.append(self.frames)

    def hand_on(self, one: EndedPass) -> None:
        if one.in_view:
            self.bookkeeper.glance(one)
        else:
            self.ends.append(one)
            assert self.bookkeeper.store([one]) == self.stored

    def show(self, index: int, frames: int, *, step: int = 4) -> None:
        """Show a vehicle in this many frames; 0: the empty road."""
        for at in range(frames):
            picture = np.full((SIZE[1], SIZE[0]), 30, dtype=np.uint8)
            x, y = 40 + at * step, 60 + at * step
            picture[0, :4] = (index, x, y, 1) if index else 0
            if index:
                picture[y : y + PLATE[1], x : x + PLATE[0]] = 200
            at_us = 1_790_000_000_000_000 + self.frames * INTERVAL_US
            self.stage.take(_frame(self.frames, at_us, picture))
            self.frames += 1


def _frame(sequence: int, at_us: int, luma: np.ndarray[Any, np.dtype[np.uint8]]) -> Frame:
    return Frame(
        luma=luma,
        chroma=None,
        lores=None,
        sequence=sequence,
        captured=UtcTime(us=at_us, error_us=1000, state=TimeState.DISCIPLINED),
        exposure_us=800,
        gain=1.0,
        source="test",
    )


def test_a_hit_without_room_is_reported_at_once_and_counted_once_in_the_gap(ledger: Ledger) -> None:
    """Once, each look while it was in view counted as another lost read."""
    street = Street(ledger, {1: LISTED, 2: OTHER})
    free = ledger.free_bytes
    ledger.free_bytes = lambda: 0
    street.stored = 0
    street.show(1, 60, step=1)
    assert len(street.unstored) > 1
    assert set(street.unstored) == {LISTED}
    street.show(0, 60)
    ledger.free_bytes = free
    street.stored = 1
    street.show(2, 10)
    street.stage.finish()
    (gap,) = gaps_of(ledger)
    assert (gap.lost, gap.reason) == (1, "store full; hits among the reads: 1")


def test_a_listed_vehicle_in_view_is_stored_before_it_is_gone_and_once(ledger: Ledger) -> None:
    street = Street(ledger, {1: LISTED, 2: OTHER})
    street.show(1, 12)
    assert len(street.hits) == 1
    assert street.frame_of_hit[0] < 12
    street.show(0, 60)
    street.show(2, 10)
    street.stage.finish()
    assert [read.text for _, read in street.reads] == [LISTED, OTHER]
    assert len(street.ends) == 2
    assert len(street.hits) == 1


def test_a_glimpse_is_looked_at_three_frames_after_it_not_two_seconds(ledger: Ledger) -> None:
    street = Street(ledger, {1: LISTED})
    street.show(1, 2)
    street.show(0, 4)
    assert len(street.hits) == 1


def test_a_vehicle_that_is_not_listed_is_stored_when_it_is_gone(ledger: Ledger) -> None:
    street = Street(ledger, {1: OTHER})
    street.show(1, 12)
    street.show(0, 10)
    assert street.reads == []
    street.stage.finish()
    assert [read.text for _, read in street.reads] == [OTHER]


def test_a_text_that_more_frames_changed_is_stored_too(ledger: Ledger) -> None:
    street = Street(ledger, {1: LISTED})
    street.show(1, 12)
    (number,) = street.hits
    early = street.bookkeeper._stored_early
    assert list(early.values()) == [LISTED]
    early[next(iter(early))] = "7ABC128"
    street.stage.finish()
    assert next(one for one, _ in street.reads) == number
    assert len(street.reads) == 2


def test_a_pass_is_looked_at_when_settled_in_a_gap_and_each_second_but_not_twice_for_one_frame() -> None:
    glances = Glances()

    def live(seen: int, voted: int, *, settled: bool = False) -> tuple[LivePass, ...]:
        return (
            LivePass(pass_id=1, frames_seen=seen, frames_looked=voted, last_box=None, settled=settled),  # type: ignore[arg-type]
        )

    assert glances.due(live(1, 1), 0) == []
    assert glances.due(live(2, 2, settled=True), 50_000) == [1]
    assert glances.due(live(3, 2, settled=True), 100_000) == []
    assert glances.due(live(4, 3), 150_000) == []
    assert glances.due(live(4, 3), 300_000) == [1]  # out of sight
    assert glances.due(live(4, 3), 350_000) == []
    for step in range(1, 30):
        due = glances.due(live(4 + step, 3 + step), 350_000 + step * 50_000)
        assert bool(due) == (350_000 + step * 50_000 == 300_000 + GLANCE_EVERY_US)


def test_a_settled_vehicle_that_stays_in_view_is_looked_at_again_for_an_entry_that_comes_later() -> None:
    """A look that only confirms its text is passed on too, for a list may have come meanwhile."""
    replay, glances, looked_us = Replay(fps=10), Glances(), [0]
    for _ in range(600):
        step = replay.look(near(LISTED, 400, 300))
        if glances.due(step.live, replay.now_us):
            looked_us.append(replay.now_us)
    assert max(after - before for before, after in pairwise([*looked_us, replay.now_us])) <= 9_000_000
    assert replay.read < 10
