"""Bounded queues and the capture thread: a slow stage drops the oldest frame and counts it."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from camera_twins import START_US, ScriptedSource, write_pictures
from hypothesis import given
from hypothesis import strategies as st
from waiting import PATIENCE_S, until

from firmware.frames.capture import BoundedQueue, Capture, Stage
from hw.camera import Camera, Frame
from hw.camera_replay import ReplaySource
from hw.clock import SetClock, SystemClock
from hw.errors import BrokenFrameError, PartFailedError


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5))
def test_dropping_queue_never_grows_and_every_item_is_taken_or_counted(steps: list[bool], limit: int) -> None:
    queue: BoundedQueue[int] = BoundedQueue(limit, dropping=True)
    put = 0
    taken: list[int | None] = []
    for is_put in steps:
        if is_put:
            queue.put(put)
            put += 1
        elif len(taken) + queue.dropped < put:
            taken.append(queue.get())
    queue.close()
    while (item := queue.get()) is not None:
        taken.append(item)
    assert queue.deepest <= limit
    assert len(taken) + queue.dropped == put
    assert taken == sorted(one for one in taken if one is not None)


def test_waiting_queue_holds_the_source_and_drops_nothing() -> None:
    queue: BoundedQueue[int] = BoundedQueue(2, dropping=False)
    taken: list[int] = []

    def take_slowly() -> None:
        while (item := queue.get()) is not None:
            time.sleep(0.002)
            taken.append(item)

    taker = threading.Thread(target=take_slowly)
    for number in range(2):
        queue.put(number)
    taker.start()
    for number in range(2, 40):
        queue.put(number)
    queue.close()
    taker.join()
    assert taken == list(range(40))
    assert queue.dropped == 0
    assert queue.deepest == 2


def test_closed_queue_lets_a_waiting_source_go() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1, dropping=False)
    queue.put(1)
    threading.Timer(0.05, queue.close).start()
    assert queue.put(2) is False
    assert queue.get() == 1
    assert queue.get() is None


class Captured:
    """A capture over a camera, with what it reported."""

    def __init__(self, camera: Camera, queue: BoundedQueue[Frame]) -> None:
        self.stop = threading.Event()
        self.queue = queue
        self.broken: list[BrokenFrameError] = []
        self.seen: list[int] = []
        self.capture = Capture(
            camera,
            queue,
            stop=self.stop,
            on_frame=lambda frame: self.seen.append(frame.sequence),
            on_broken=self.broken.append,
        )


def test_slow_stage_loses_the_oldest_frames_of_a_live_camera_and_they_are_counted() -> None:
    source = ScriptedSource(SystemClock(), fps=200)
    captured = Captured(source.open(), BoundedQueue(3, dropping=True))
    stage = Stage("capture", captured.capture.run, at_end=captured.queue.close)
    stage.start()
    taken = []
    for number in range(10):
        until(lambda least=number: captured.queue.dropped > least)  # type: ignore[misc]
        frame = captured.queue.get()
        assert frame is not None
        taken.append(frame.sequence)
    captured.stop.set()
    stage.join(PATIENCE_S)
    while (frame := captured.queue.get()) is not None:
        taken.append(frame.sequence)
    assert captured.queue.deepest <= 3
    assert len(taken) + captured.queue.dropped == captured.capture.frames
    assert taken == sorted(taken)


def test_broken_pictures_are_counted_and_named_and_the_rest_arrives(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, 5, (32, 24))
    (folder / "frame_3.png").write_bytes(b"torn")
    captured = Captured(
        ReplaySource(folder, clock=SetClock(START_US)).open(), BoundedQueue(10, dropping=False)
    )
    captured.capture.run()
    assert captured.capture.broken == 1
    assert captured.broken[0].source.endswith("frame_3.png")
    assert captured.seen == [0, 1, 3, 4]
    assert captured.capture.lost_by_source == 0


class SkippingCamera:
    """A camera whose frame numbers show that it lost frames."""

    def __init__(self, inner: Camera) -> None:
        self.inner = inner

    def borrow(self) -> AbstractContextManager[Frame]:
        with self.inner.borrow():
            pass
        return self.inner.borrow()

    def close(self) -> None:
        self.inner.close()


def test_frames_that_the_camera_itself_lost_are_counted(tmp_path: Path) -> None:
    source = ReplaySource(write_pictures(tmp_path, 6, (32, 24)), clock=SetClock(START_US))
    captured = Captured(SkippingCamera(source.open()), BoundedQueue(10, dropping=False))
    captured.capture.run()
    assert captured.seen == [1, 3, 5]
    assert captured.capture.lost_by_source == 2


def test_stage_keeps_what_it_died_of_and_still_closes_its_queue() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1, dropping=False)

    def die() -> None:
        raise PartFailedError("bus error")

    stage = Stage("dying", die, at_end=queue.close)
    stage.start()
    stage.join(PATIENCE_S)
    assert isinstance(stage.failure, PartFailedError)
    assert queue.get() is None


@pytest.mark.parametrize("dropping", [True, False])
def test_stop_ends_the_capture_of_an_endless_camera(dropping: bool) -> None:
    source = ScriptedSource(SystemClock(), fps=100)
    captured = Captured(source.open(), BoundedQueue(4, dropping=dropping))
    stage = Stage("capture", captured.capture.run, at_end=captured.queue.close)
    stage.start()
    time.sleep(0.1)
    captured.stop.set()
    while captured.queue.get() is not None:
        pass
    stage.join(PATIENCE_S)
    assert not stage.is_alive()
