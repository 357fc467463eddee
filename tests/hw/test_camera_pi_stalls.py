"""The Pi driver, over picamera2's own classes, releases everything when a camera stalls, hangs or goes."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import libcamera
import pytest
from pi_camera_bench import SETTINGS, PiCameraBench, bench, opened, take
from waiting import PATIENCE_S, until

from hw.camera_pi import (
    Picamera2Camera,
    Picamera2Source,
)
from hw.camera_watch import LEFT_BEHIND, BlindSpell, WatchedCamera
from hw.clock import SystemClock
from hw.errors import (
    CameraStalledError,
    EndOfSourceError,
    MissingDriverError,
    PartFailedError,
)

__all__ = ["bench"]
HASTY = dataclasses.replace(SETTINGS, stall_s=0.4)  # a busy machine may cause a stall too


def take_watched(camera: WatchedCamera, count: int) -> None:
    for _ in range(count):
        with camera.borrow():
            pass


@contextlib.contextmanager
def watched(bench: PiCameraBench, spells: list[BlindSpell]) -> Iterator[WatchedCamera]:
    source = Picamera2Source(HASTY, clock=SystemClock(), picamera2=bench.library)
    camera = WatchedCamera(source, clock=SystemClock(), on_blind=spells.append, stall_s=0.8)
    try:
        yield camera
    finally:
        bench.sensor.released.set()
        camera.close()


@contextlib.contextmanager
def stalling(camera: Picamera2Camera) -> Iterator[None]:
    """Assert that taking frames in this block reports a stall."""
    camera._settings = HASTY
    with pytest.raises(CameraStalledError, match="no frame"):
        yield
    camera._settings = SETTINGS


def beyond(now: list[str], held: list[str]) -> Counter[str]:
    """The threads that were not there before. Fewer are no difference: a close may have been running then."""
    return Counter(now) - Counter(held)


def test_a_stalled_camera_closes_and_is_free_again(bench: PiCameraBench) -> None:
    camera = opened(bench)
    with camera.borrow():
        pass
    bench.sensor.silent = True
    with stalling(camera):
        take(camera, 10)
    closing = threading.Thread(target=camera.close, daemon=True)
    closing.start()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert bench.sensor.state[-2:] == ["stop", "release"]
    bench.sensor.silent = False
    again = opened(bench)
    take(again, 2)
    again.close()


def test_a_camera_that_went_in_the_middle_of_a_call_is_free_once_it_is_back(
    bench: PiCameraBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, picamera2 could not close a half-made camera, so this process held it against later openings."""

    def gone(*_words: object) -> None:
        raise OSError(19, "No such device")

    with monkeypatch.context() as broken:
        broken.setattr(libcamera.Camera, "create_request", gone)
        with pytest.raises(PartFailedError, match="refused its configuration"):
            opened(bench)
    camera = opened(bench)
    take(camera, 1)
    camera.close()


def test_a_camera_that_its_driver_does_not_let_go_is_named_and_is_back_once_it_does(
    bench: PiCameraBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, the error blamed another program, and the camera was never released."""

    def keep(*_words: object) -> None:
        raise RuntimeError("the firmware does not answer")

    source = Picamera2Source(SETTINGS, clock=SystemClock(), picamera2=bench.library)
    camera = source.open()
    take(camera, 1)
    before = bench.descriptors()
    with monkeypatch.context() as failing:
        failing.setattr(libcamera.Camera, "release", keep)
        with pytest.raises(PartFailedError, match="did not close"):
            camera.close()
        for _ in range(3):
            with pytest.raises(PartFailedError, match="its driver does not let it go"):
                source.open()
        assert bench.descriptors() <= before
    again = source.open()
    take(again, 1)
    again.close()


def test_a_camera_whose_constructor_and_close_both_fail_is_free_again(
    bench: PiCameraBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_words: object, **_named: object) -> None:
        raise OSError(19, "No such device")

    with monkeypatch.context() as broken:
        broken.setattr(bench.library.Picamera2, "create_preview_configuration", fail)
        broken.setattr(bench.library.Picamera2, "close", fail)
        with pytest.raises(PartFailedError, match="cannot be opened"):
            opened(bench)
    camera = opened(bench)
    take(camera, 1)
    camera.close()


@pytest.mark.thorough
def test_a_stalled_camera_comes_back_through_the_watch_and_leaves_no_thread_or_descriptor(
    bench: PiCameraBench,
) -> None:
    spells: list[BlindSpell] = []
    with watched(bench, spells) as camera:
        take_watched(camera, 3)
        gc.collect()
        held, before = (bench.threads(), bench.descriptors()), None
        while "sensor" not in held[0] or held != before:  # a busy machine may cause a stall too
            take_watched(camera, 1)
            gc.collect()
            held, before = (bench.threads(), bench.descriptors()), held
        for number in range(1, 4):
            bench.sensor.silent = True
            timer = threading.Timer(3 * HASTY.stall_s, lambda: setattr(bench.sensor, "silent", False))
            timer.start()
            while len(spells) < number:
                take_watched(camera, 1)
            timer.join()
        until_s = time.monotonic() + PATIENCE_S
        now = bench.threads(), bench.descriptors()
        while time.monotonic() < until_s and (beyond(now[0], held[0]) or now[1] > held[1]):
            take_watched(camera, 1)  # no stall may happen while we count
            gc.collect()  # a reopening's remains are garbage only once its last frame is taken
            now = bench.threads(), bench.descriptors()
        assert not beyond(now[0], held[0])
        assert now[1] <= held[1]
    assert bench.sensor.state.count("release") == bench.sensor.state.count("acquire")
    assert all(spell.reopened for spell in spells)


def test_a_late_frame_is_not_swallowed_by_the_capture_that_gave_up(bench: PiCameraBench) -> None:
    camera = opened(bench)
    bench.sensor.silent = True
    with stalling(camera):
        take(camera, 10)
    bench.sensor.silent = False
    for _ in range(20):  # more than there are buffers
        take(camera, 1)
    camera.close()


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # picamera2's, that hangs
def test_a_driver_that_hangs_for_ever_holds_a_bounded_number_of_threads(
    bench: PiCameraBench, request: pytest.FixtureRequest
) -> None:
    """In a separate process: a driver that wakes up closes its descriptors by number, which others may
    use by then."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        # what the driver still has open at the end is its own: no warning
        without_plugins = (f"-pno:{name}" for name in ("xdist", "cacheprovider", "unraisableexception"))
        words = ["-m", "pytest", "-q", *without_plugins, request.node.nodeid]
        without = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [sys.executable, *words], cwd=request.config.rootpath, env=without, capture_output=True,
            text=True, check=False, timeout=2 * PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return
    spells: list[BlindSpell] = []
    with watched(bench, spells) as camera:
        take_watched(camera, 1)
        bench.sensor.hangs_in = frozenset({"stop", "acquire"})
        bench.sensor.silent = True
        reader = threading.Thread(target=lambda: suppress_end(camera), daemon=True)
        reader.start()
        while camera._tries <= LEFT_BEHIND + 1:
            assert bench.threads().count("camera") <= LEFT_BEHIND
            time.sleep(0.02)
        bench.sensor.hangs_in, bench.sensor.silent = frozenset(), False
        bench.sensor.released.set()  # the driver wakes up, and the camera is used again
        until(lambda: spells and spells[-1].reopened > LEFT_BEHIND)
        camera.close()
        reader.join(PATIENCE_S)


def suppress_end(camera: WatchedCamera) -> None:
    with contextlib.suppress(EndOfSourceError):
        while True:
            with camera.borrow():
                pass


@pytest.mark.thorough_rows
@pytest.mark.parametrize("trouble", ["held elsewhere", "gone"])
def test_openings_that_fail_leave_nothing_behind(bench: PiCameraBench, trouble: str) -> None:
    bench.sensor.held_elsewhere, bench.sensor.present = trouble == "held elsewhere", trouble != "gone"
    with pytest.raises((PartFailedError, MissingDriverError)):
        opened(bench)
    gc.collect()
    before = bench.descriptors()
    for _ in range(10):
        with pytest.raises((PartFailedError, MissingDriverError)):
            opened(bench)

    def left_nothing() -> bool:
        gc.collect()  # a thread of an opening may still be releasing its own
        return bench.descriptors() <= before

    until(left_nothing)
    bench.sensor.held_elsewhere, bench.sensor.present = False, True
    camera = opened(bench)
    take(camera, 1)
    camera.close()


def test_a_camera_that_another_program_holds_is_not_called_absent(bench: PiCameraBench) -> None:
    bench.sensor.held_elsewhere = True
    with pytest.raises(PartFailedError, match=r"busy.*another program") as caught:
        opened(bench)
    assert "ribbon" not in str(caught.value)


def test_a_dead_event_loop_is_a_stall_and_closes(bench: PiCameraBench) -> None:
    camera = opened(bench)
    take(camera, 1)
    camera._camera._preview._abort.set()
    with stalling(camera):
        take(camera, 20)
    closing = threading.Thread(target=camera.close, daemon=True)
    closing.start()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()


def test_the_process_ends_while_the_driver_hangs() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING_END], timeout=PATIENCE_S, check=False)
    assert done.returncode == 0


HANGING_END = f"""
import sys, warnings
sys.path[:0] = {[str(Path(libcamera.__file__).parent), str(Path(__file__).parents[2])]!r}
warnings.simplefilter("ignore")
import pytest
from pi_camera_bench import PiCameraBench
from hw.camera_pi import Picamera2Source, PiCameraSettings
from hw.clock import SystemClock
bench = PiCameraBench(pytest.MonkeyPatch())
settings = PiCameraSettings(width=64, height=48, lores_width=32, lores_height=24)
camera = Picamera2Source(settings, clock=SystemClock(), picamera2=bench.library).open()
bench.sensor.hangs_in = frozenset({{"stop", "release"}})
bench.sensor.hangs_s = 1e6
"""
