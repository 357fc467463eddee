"""A person who aims a camera sees the newest frame, however slow the reader, but none in a no-read zone."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from camera_twins import ScriptedSource, write_pictures

from firmware.frames.frame_tap import FrameTap, FrameWithheldError
from hw.camera import Frame
from hw.camera_replay import ReplaySource
from hw.camera_watch import WatchedCamera
from hw.clock import SystemClock, TimeState, UtcTime
from hw.errors import CameraStalledError, EndOfSourceError, PartFailedError

FRAME = Frame(
    luma=np.zeros((36, 64), np.uint8), chroma=None, lores=None, sequence=7, exposure_us=None, gain=None,
    captured=UtcTime(us=0, error_us=0, state=TimeState.UNKNOWN), source="test",
)  # fmt: skip


def watched(
    source: ScriptedSource | ReplaySource, stall_s: float, monotonic: Callable[[], float] = time.monotonic
) -> tuple[WatchedCamera, FrameTap]:
    camera = WatchedCamera(
        source, clock=SystemClock(), on_blind=lambda _spell: None, stall_s=stall_s, monotonic=monotonic
    )
    tap = FrameTap(first_frame_s=0.5)
    tap.follow(lambda: camera.silent_s)
    return camera, tap


def take(camera: WatchedCamera, tap: FrameTap) -> None:
    with camera.borrow() as frame:
        tap.offer(frame)


def test_a_frame_is_good_until_the_reader_has_time_for_the_next(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path, 3, (64, 36))
    now_s = [1000.0]
    camera, tap = watched(ReplaySource(pictures, clock=SystemClock()), 0.1, lambda: now_s[0])
    take(camera, tap)
    now_s[0] += 0.5  # five times a camera's longest silence: the reader is busy with this frame
    assert tap.newest().sequence == 0
    assert camera.silent_s is None
    camera.close()


def test_a_camera_that_was_asked_and_does_not_deliver_is_silent() -> None:
    source = ScriptedSource(SystemClock())
    camera, tap = watched(source, 0.3)
    take(camera, tap)
    source.refuse_open = 1000
    source.stalled.set()
    reading = threading.Thread(target=_read_until_closed, args=(camera, tap), daemon=True)
    reading.start()
    while camera.silent_s is None:
        time.sleep(0.01)
    with pytest.raises(CameraStalledError, match=r"^no frame for \d+ s: is the camera connected\?$"):
        tap.newest()
    camera.close()
    reading.join(timeout=300)


def test_a_camera_that_answers_wrongly_again_and_again_is_silent() -> None:
    source = ScriptedSource(SystemClock())
    camera, tap = watched(source, 0.2)
    take(camera, tap)
    source.refuse_open = 1000
    source.raising = PartFailedError("bus error")
    reading = threading.Thread(target=_read_until_closed, args=(camera, tap), daemon=True)
    reading.start()
    while not camera.blind_now:
        time.sleep(0.01)
    assert camera.silent_s is not None
    camera.close()
    reading.join(timeout=300)


def _read_until_closed(camera: WatchedCamera, tap: FrameTap) -> None:
    try:
        while True:
            take(camera, tap)
    except EndOfSourceError:
        return


def test_the_first_frame_is_waited_for() -> None:
    tap = FrameTap(first_frame_s=30.0)
    threading.Timer(0.2, tap.offer, (FRAME,)).start()
    assert tap.newest() is FRAME


def test_a_camera_that_never_gave_a_frame_is_reported() -> None:
    with pytest.raises(CameraStalledError, match="no frame yet"):
        FrameTap(first_frame_s=0.05).newest()


def test_a_frame_from_before_a_no_read_zone_is_not_shown_in_it() -> None:
    tap = FrameTap(first_frame_s=0.05)
    tap.offer(FRAME)
    tap.withhold()
    with pytest.raises(FrameWithheldError, match="no-read zone"):
        tap.newest()
    later = replace(FRAME, sequence=8)
    tap.offer(later)
    assert tap.newest() is later
