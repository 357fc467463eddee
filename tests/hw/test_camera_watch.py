"""The frame-age watchdog over a live source that stalls, hangs and breaks."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from camera_twins import START_US, ScriptedSource, WatchdogTime, write_pictures
from waiting import until

from hw.camera_replay import ROUND_GAP_US, ReplaySource
from hw.camera_watch import BlindSpell, WatchedCamera
from hw.clock import SetClock, SystemClock
from hw.errors import (
    BrokenFrameError,
    CameraStalledError,
    EndOfSourceError,
    MissingDriverError,
    PartFailedError,
)

STALL_S = 0.5


class Bench:
    """A watched scripted source and the blind spells that it reported."""

    def __init__(self) -> None:
        self.source = ScriptedSource(SystemClock())
        self.spells: list[BlindSpell] = []
        self.time = WatchdogTime(self.source, STALL_S)
        self.camera = WatchedCamera(
            self.source,
            clock=self.time,
            on_blind=self.spells.append,
            stall_s=STALL_S,
            monotonic=self.time.monotonic,
        )
        self.time.camera = self.camera

    def take(self, count: int = 1) -> list[int]:
        sequences = []
        for _ in range(count):
            with self.camera.borrow() as frame:
                sequences.append(frame.sequence)
        return sequences


@pytest.fixture
def bench() -> Bench:
    return Bench()


def break_with(error: Exception) -> Callable[[Bench], None]:
    def do(bench: Bench) -> None:
        bench.source.raising = error

    return do


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(lambda bench: bench.source.stalled.set(), id="falls silent and hangs"),
        pytest.param(break_with(CameraStalledError("no frame")), id="says that it stalled"),
        pytest.param(break_with(PartFailedError("bus error")), id="answers wrongly"),
        pytest.param(break_with(MissingDriverError("unplugged")), id="is unplugged for a moment"),
        pytest.param(break_with(RuntimeError("of a library")), id="raises what no one foresaw"),
    ],
)
def test_stalled_camera_is_reopened_and_its_blind_time_reported(
    bench: Bench, trouble: Callable[[Bench], None]
) -> None:
    before = bench.take(3)
    trouble(bench)
    after = bench.take(4)
    assert bench.source.opened == 2
    assert after[-1] > before[-1]
    (spell,) = bench.spells
    assert spell.blind_s > 0
    assert spell.ended.us - spell.began.us == pytest.approx(spell.blind_s * 1e6, abs=100_000)
    assert bench.camera.blind_s == spell.blind_s
    bench.camera.close()


@pytest.mark.parametrize("step_us", [50 * 365 * 86_400_000_000, -3_600_000_000], ids=["from 1970", "back"])
def test_a_clock_that_is_set_while_the_camera_is_blind_makes_the_spell_no_longer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step_us: int
) -> None:
    """The log had a gap of decades where a unit without a battery got the time before its camera came."""
    bench.take(3)
    running_s, set_s = bench.time.monotonic, [0.0]
    monkeypatch.setattr(bench.camera, "_monotonic", lambda: running_s() - set_s[0])
    break_with(CameraStalledError("no frame"))(bench)
    bench.time.step(step_us)
    set_s[0] = step_us / 1e6
    bench.take(1)
    (spell,) = bench.spells
    assert spell.ended.us - spell.began.us == pytest.approx(spell.blind_s * 1e6, abs=2000)
    bench.camera.close()


def test_a_requested_reopening_is_a_moment_of_blindness_with_its_reason(bench: Bench) -> None:
    before = bench.take(3)
    bench.camera.reopen("camera settings changed")
    after = bench.take(2)
    assert bench.source.opened == 2
    assert after[-1] > before[-1]
    (spell,) = bench.spells
    assert (spell.reason, spell.blind_s < 5) == ("camera settings changed", True)
    bench.camera.close()


def test_opening_is_tried_until_it_works(bench: Bench) -> None:
    bench.take()
    bench.source.refuse_open = 2
    bench.source.raising = PartFailedError("bus error")
    bench.take(2)
    assert bench.spells[0].reopened == 3
    bench.camera.close()


def test_a_lack_of_memory_that_another_opening_does_not_end_is_not_a_blind_spell_without_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, it failed every opening forever. Now the run ends, and the supervisor restarts the reader."""
    bench.take()
    bench.source.raising = MemoryError()
    bench.take(2)  # a lack that passes: the camera is reopened
    assert [spell.reason for spell in bench.spells] == ["no memory for its frames"]
    opened = bench.source.opened

    def no_memory() -> None:
        raise PartFailedError("camera 0: refused its configuration") from MemoryError()

    bench.source.raising = MemoryError()
    monkeypatch.setattr(bench.source, "open", no_memory)
    with pytest.raises(MemoryError, match="no memory for its frames"):
        bench.take(10)
    bench.camera.close()
    assert (len(bench.spells), bench.source.opened) == (2, opened)


def test_a_lack_of_memory_that_passes_in_a_blind_spell_of_another_reason_ends_no_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.take()
    really = bench.source.open

    def open_later() -> object:
        monkeypatch.setattr(bench.source, "open", really)
        raise MemoryError

    monkeypatch.setattr(bench.source, "open", open_later)
    bench.camera.reopen("camera settings changed")
    bench.take(2)
    bench.camera.close()
    assert [spell.reason for spell in bench.spells] == ["camera settings changed"]


def test_a_lack_of_memory_ends_a_run_that_keeps_running_only_after_minutes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, each run ended within seconds, perhaps before a sync could bring a smaller picture size."""
    bench.take()
    monkeypatch.setattr(bench.camera, "_patient", True)
    monkeypatch.setattr("hw.camera_watch.RETRY_LAST_S", 0.0)
    minutes, tries = [0.0], 0

    def no_memory() -> None:
        nonlocal tries
        tries += 1
        minutes[0] = 60.0 * tries
        raise MemoryError

    monkeypatch.setattr(bench.camera, "_monotonic", lambda: minutes[0])
    monkeypatch.setattr(bench.source, "open", no_memory)
    bench.source.raising = MemoryError()
    with pytest.raises(MemoryError, match="no memory for its frames"):
        bench.take(10)
    bench.camera.close()
    assert minutes[0] >= 300.0
    assert tries > 3


def test_blind_spell_that_still_runs_is_reported_at_close(bench: Bench) -> None:
    bench.take()
    bench.source.refuse_open = 1000
    bench.source.raising = PartFailedError("bus error")
    with pytest.raises(EndOfSourceError):
        take_until_closed(bench)
    assert len(bench.spells) == 1
    assert bench.spells[0].blind_s > 0


def take_until_closed(bench: Bench) -> None:
    def close_when_blind() -> None:
        while not bench.camera.blind_now:
            time.sleep(0.01)
        bench.camera.close()

    threading.Thread(target=close_when_blind).start()
    bench.take(100)


def test_a_blind_spell_names_its_cause_while_it_runs(bench: Bench) -> None:
    """Its event comes only when it ends, so a camera that never comes back would never be explained."""
    bench.take()
    assert bench.camera.why_blind is None
    bench.source.refuse_open = 1000
    bench.source.raising = PartFailedError("bus error")

    def read() -> None:
        with contextlib.suppress(EndOfSourceError):
            bench.take(100)

    reader = threading.Thread(target=read)
    reader.start()
    while bench.camera.why_blind != "bus error; now: still busy":
        assert reader.is_alive()
        time.sleep(0.01)
    bench.camera.close()
    reader.join()
    assert bench.camera.why_blind is None


def test_slow_reader_is_not_taken_for_a_stalled_camera(bench: Bench) -> None:
    bench.take()
    feeder = bench.camera._feeder
    assert feeder is not None
    until(feeder._handover.full)
    bench.time.step(round(2 * STALL_S * 1e6))
    bench.take(3)
    assert bench.spells == []
    assert bench.source.opened == 1
    bench.camera.close()


def test_broken_frame_passes_through_and_is_not_a_stall(bench: Bench) -> None:
    bench.take()
    bench.source.raising = BrokenFrameError("x.jpg", "torn")
    with pytest.raises(BrokenFrameError):
        bench.take(10)
    bench.source.raising = None
    bench.camera.close()
    assert bench.spells == []


def test_broken_frames_alone_are_a_blind_time_and_open_nothing_again(bench: Bench) -> None:
    bench.take()
    bench.source.raising = BrokenFrameError("x.jpg", "torn")
    for _ in range(6):
        with pytest.raises(BrokenFrameError):
            bench.take(10)
        bench.time.step(round(STALL_S * 500_000))
    bench.source.raising = None
    while not bench.spells:
        with contextlib.suppress(BrokenFrameError):
            bench.take()
    bench.camera.close()
    (spell,) = bench.spells
    assert spell.blind_s >= 2 * STALL_S
    assert spell.reason.startswith("only broken frames: torn")
    assert bench.source.opened == 1


def test_missing_driver_at_the_first_opening_is_raised() -> None:
    source = ScriptedSource(SystemClock())
    source.open = break_open  # type: ignore[method-assign, assignment]
    camera = WatchedCamera(source, clock=SystemClock(), on_blind=lambda spell: None)
    with pytest.raises(MissingDriverError), camera.borrow():
        pass
    camera.close()


def break_open() -> None:
    raise MissingDriverError("no camera")


def test_sequence_never_falls_when_the_camera_restarts_its_count(bench: Bench) -> None:
    before = bench.take(3)
    bench.source.sequence = -1
    bench.source.raising = PartFailedError("reset")
    after = bench.take(3)
    assert sorted(set(before + after)) == before + after
    bench.camera.close()


def test_rounds_of_a_replay_and_a_slow_replay_are_not_stalls(tmp_path: Path) -> None:
    spells: list[BlindSpell] = []
    hands = SetClock(START_US)

    def watched(source: ReplaySource, stall_s: float) -> WatchedCamera:
        return WatchedCamera(
            source,
            clock=hands,
            on_blind=spells.append,
            stall_s=stall_s,
            monotonic=lambda: hands.now().us / 1e6,
        )

    pictures = write_pictures(tmp_path, 2, (32, 24))
    camera = watched(ReplaySource(pictures, clock=SystemClock(), fps=20, live=True, rounds=2), 3.0)
    for number in range(4):
        with camera.borrow():
            hands.step(ROUND_GAP_US if number == 1 else 50_000)
    camera.close()
    camera = watched(ReplaySource(pictures, clock=SystemClock(), fps=0.8, live=True), 0.3)
    for _ in range(2):
        with camera.borrow():
            hands.step(3_000_000)  # the limit is 3.75 s, three times the interval
    camera.close()
    assert spells == []
