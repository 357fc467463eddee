"""The Pi driver over picamera2's own classes; only libcamera and the DMA heap below are stand-ins."""

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
from collections.abc import Callable, Iterator
from pathlib import Path

import libcamera
import numpy as np
import pytest
from pi_camera_bench import PiCameraBench, bench
from waiting import PATIENCE_S, until

from hw.camera_pi import (
    EXPOSURE_EVERY,
    STEER_TRIES,
    Picamera2Camera,
    Picamera2Source,
    PiCameraSettings,
    ns_per_tick,
    yuv420_planes,
)
from hw.camera_watch import LEFT_BEHIND, BlindSpell, WatchedCamera
from hw.clock import SystemClock
from hw.errors import (
    BrokenFrameError,
    CameraStalledError,
    EndOfSourceError,
    MissingDriverError,
    PartFailedError,
)

__all__ = ["bench"]
SETTINGS = PiCameraSettings(
    width=64, height=48, lores_width=32, lores_height=24, fps=20, exposure_us=700, stall_s=PATIENCE_S
)
HASTY = dataclasses.replace(SETTINGS, stall_s=0.4)  # a busy machine may stall it, too


def opened(bench: PiCameraBench, settings: PiCameraSettings = SETTINGS) -> Picamera2Camera:
    return Picamera2Source(settings, clock=SystemClock(), picamera2=bench.library).open()


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
    """What is taken meanwhile finds the camera stalled."""
    camera._settings = HASTY
    with pytest.raises(CameraStalledError, match="no frame"):
        yield
    camera._settings = SETTINGS


def beyond(now: list[str], held: list[str]) -> Counter[str]:
    """Threads of now over those held before; fewer are none: a closing may still have run before."""
    return Counter(now) - Counter(held)


# -- a camera that stalls
# -----------------------------------------------------------------------------------------------


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
    """picamera2 failed to close it half-made, and each later opening found it held, by this process."""

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
    """It was called one that another program holds, and was not let go again."""

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
        while "sensor" not in held[0] or held != before:  # a busy machine may stall it too
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
            take_watched(camera, 1)  # nor may it be stalled while we count
            gc.collect()  # what a reopening left is garbage only once its last frame is taken
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
    """In a process of its own: a driver that wakes up closes what it had open, by numbers that others may
    use by then."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        # what the driver still has open at the end is its own, and no warning of ours
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
        bench.sensor.released.set()  # the driver wakes up: the camera is taken up again
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
        gc.collect()  # a thread of an opening may still let go of its own
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


# -- what it asks for, and what it gives
# -----------------------------------------------------------------------------------------------


def take(camera: Picamera2Camera, count: int) -> list[int]:
    numbers = []
    for _ in range(count):
        with camera.borrow() as frame:
            numbers.append(frame.sequence)
        del frame
    return numbers


def take_watched(camera: WatchedCamera, count: int) -> None:
    for _ in range(count):
        with camera.borrow():
            pass


def test_shutter_gain_and_frame_rate_are_asked_for_by_hand(bench: PiCameraBench) -> None:
    camera = opened(bench)
    asked = bench.sensor.applied
    assert asked["AeEnable"] is False
    assert (asked["ExposureTime"], asked["ExposureTimeMode"]) == (700, 1)
    assert asked["FrameDurationLimits"] == (50_000, 50_000)
    assert asked["AnalogueGain"] <= SETTINGS.gain_max
    assert asked["AnalogueGainMode"] == 1
    camera.close()


@pytest.mark.parametrize("dioptres", [None, 0.1])
def test_focus_is_fixed_only_where_it_was_asked_for(bench: PiCameraBench, dioptres: float | None) -> None:
    camera = opened(
        bench, PiCameraSettings(width=64, height=48, lores_width=32, lores_height=24, focus_dioptres=dioptres)
    )
    assert bench.sensor.applied.get("LensPosition") == dioptres
    assert bench.sensor.applied.get("AfMode") == (None if dioptres is None else 0)
    camera.close()


@pytest.mark.parametrize("rotation", [0, 180])
def test_a_camera_mounted_upside_down_is_turned_by_the_sensor(bench: PiCameraBench, rotation: int) -> None:
    camera = opened(
        bench, PiCameraSettings(width=64, height=48, lores_width=32, lores_height=24, rotation=rotation)
    )
    transform = bench.library.Picamera2.camera_configuration(camera._camera)["transform"]
    assert (bool(transform.hflip), bool(transform.vflip)) == (rotation == 180, rotation == 180)
    camera.close()


def test_a_lens_that_cannot_focus_is_named(bench: PiCameraBench) -> None:
    bench.sensor.unadvertised = frozenset({"LensPosition", "AfMode"})
    with pytest.raises(PartFailedError, match=r"refused its configuration.*(LensPosition|AfMode)"):
        opened(
            bench, PiCameraSettings(width=64, height=48, lores_width=32, lores_height=24, focus_dioptres=0.1)
        )
    camera = opened(bench)  # and it was given back
    camera.close()


@pytest.mark.parametrize("unit", [pytest.param(1, id="nanoseconds"), pytest.param(1000, id="microseconds")])
def test_frame_time_is_utc_whatever_unit_the_library_stamps_in(bench: PiCameraBench, unit: int) -> None:
    bench.sensor.ns_per_tick = unit
    before_us = time.time_ns() // 1000
    camera = opened(bench)
    with camera.borrow() as frame:
        captured_us = frame.captured.us
    del frame
    camera.close()
    assert before_us - 2_000_000 < captured_us <= time.time_ns() // 1000


def test_stamp_that_fits_no_unit_is_refused(bench: PiCameraBench) -> None:
    bench.sensor.ns_per_tick = 1_000_000
    camera = opened(bench)
    with pytest.raises(PartFailedError, match="SensorTimestamp"):
        take(camera, 1)
    camera.close()


HOUR_NS = 3600 * 1_000_000_000


@pytest.mark.parametrize(
    "stamps_as",
    [
        pytest.param(lambda ns: ns - HOUR_NS, id="back"),
        pytest.param(None, id="stuck"),
        pytest.param(lambda ns: ns + HOUR_NS, id="ahead"),
    ],
)
def test_stamps_that_jump_are_never_a_frames_time(
    bench: PiCameraBench, stamps_as: Callable[[int], int] | None
) -> None:
    """A read would be signed with a false time; the watch opens the camera again, and says why."""
    with contextlib.closing(opened(bench)) as camera:
        take(camera, 1)
        last_ns = bench.sensor.stamped_ns
        bench.sensor.stamps_as = stamps_as or (lambda _ns: last_ns)
        with pytest.raises(PartFailedError, match="SensorTimestamp jumped"):
            take(camera, 20)  # frames stamped before are good


def test_a_pixel_format_that_was_not_asked_for_is_named_and_never_read(bench: PiCameraBench) -> None:
    bench.sensor.adjusts_to = "XBGR8888"
    with pytest.raises(PartFailedError, match=r"refused its configuration .*XBGR8888"):
        opened(bench)
    bench.sensor.adjusts_to = ""
    with contextlib.closing(opened(bench)) as camera:  # it was let go
        take(camera, 1)


@pytest.mark.parametrize("uptime_s", [3, 40, 3600, 90 * 86400])
@pytest.mark.parametrize("unit", [1, 1000])
@pytest.mark.parametrize("late_ms", [40, 2900])  # how long a busy machine leaves a frame in the camera
def test_unit_is_distinguished_at_any_uptime(uptime_s: int, unit: int, late_ms: int) -> None:
    now_ns = uptime_s * 1_000_000_000
    assert ns_per_tick((now_ns - late_ms * 1_000_000) // unit, now_ns) == unit


def test_every_request_goes_back_to_the_camera_even_after_an_error(bench: PiCameraBench) -> None:
    camera = opened(bench)
    for _ in range(20):  # the camera has 6 buffers: one that is kept each time would end it
        with pytest.raises(ZeroDivisionError), camera.borrow():
            raise ZeroDivisionError
    take(camera, 8)
    camera.close()


def test_a_frame_that_did_not_arrive_whole_is_never_read(bench: PiCameraBench) -> None:
    camera = opened(bench)
    take(camera, 2)
    bench.sensor.torn = 1
    with pytest.raises(BrokenFrameError, match="did not arrive whole"):
        take(camera, 20)
    take(camera, 8)
    camera.close()


@pytest.mark.parametrize("told", [True, False], ids=["the camera tells its pace", "the pace asked for"])
def test_frames_not_fetched_in_time_leave_a_gap_in_the_numbers(bench: PiCameraBench, told: bool) -> None:
    bench.sensor.frame_us, bench.sensor.tells_duration = 50_000, told
    camera = opened(bench)
    (first,) = take(camera, 1)
    stamp_ns = bench.sensor.stamped_ns
    until(lambda: bench.sensor.stamped_ns >= stamp_ns + 10 * 50_000_000)  # ten frames
    later = take(camera, 2)
    assert later[0] - first > 3
    camera.close()


def test_black_and_white_are_0_and_255(bench: PiCameraBench) -> None:
    camera = opened(bench)
    with camera.borrow() as frame:
        assert frame.lores is not None
        reached = [(int(luma.min()), int(luma.max())) for luma in (frame.luma, frame.lores)]
    del frame
    camera.close()
    assert reached == [(0, 255), (0, 255)]


def test_absent_camera_names_the_cure(bench: PiCameraBench) -> None:
    bench.sensor.present = False
    with pytest.raises(MissingDriverError, match=r"ribbon cable.*camera\.source"):
        opened(bench)


def test_gain_follows_the_light_but_never_passes_its_cap(bench: PiCameraBench) -> None:
    camera = opened(bench)
    gains = []
    for _ in range(60):
        with camera.borrow() as frame:
            gains.append(frame.gain)
        del frame
    camera.close()
    assert all(gain is not None and 1.0 <= gain <= 8.0 for gain in gains)
    assert bench.sensor.applied["AnalogueGain"] == 1.0  # the scene is bright: mean 128


def test_a_camera_that_takes_no_new_exposure_is_opened_again_twice(
    bench: PiCameraBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_camera: object, _controls: object) -> None:
        raise RuntimeError("Control AnalogueGain is not advertised by libcamera")

    source = Picamera2Source(SETTINGS, clock=SystemClock(), picamera2=bench.library)
    monkeypatch.setattr(bench.library.Picamera2, "set_controls", refuse)
    for _ in range(STEER_TRIES):  # once may be a passing fault
        with contextlib.closing(source.open()) as camera:
            for _ in range(EXPOSURE_EVERY - 1):
                with camera.borrow():
                    pass
            with (
                pytest.raises(PartFailedError, match="takes no new exposure"),
                camera.borrow(),
            ):
                pass
    with contextlib.closing(source.open()) as camera:
        for _ in range(2 * EXPOSURE_EVERY):
            with camera.borrow():
                pass


def test_short_buffer_is_refused() -> None:
    stream = {"size": (64, 48), "stride": 64}
    whole = np.zeros(64 * 48 * 3 // 2, dtype=np.uint8)
    yuv420_planes(whole, stream)
    with pytest.raises(PartFailedError, match="bytes"):
        yuv420_planes(whole[:-1], stream)
