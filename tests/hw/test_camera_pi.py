"""The Pi driver over picamera2's own classes; only libcamera and the DMA heap below are stand-ins."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import numpy as np
import pytest
from pi_camera_bench import SETTINGS, PiCameraBench, bench, opened, take
from waiting import until

from hw.camera_pi import (
    EXPOSURE_EVERY,
    STEER_TRIES,
    Picamera2Source,
    PiCameraSettings,
    ns_per_tick,
    yuv420_planes,
)
from hw.clock import SystemClock
from hw.errors import (
    BrokenFrameError,
    MissingDriverError,
    PartFailedError,
)

__all__ = ["bench"]


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


@pytest.mark.parametrize("lacking", [{"LensPosition", "AfMode"}, {"AfMode"}])
def test_a_camera_whose_lens_cannot_focus_reads_on_and_says_so(
    bench: PiCameraBench, lacking: set[str]
) -> None:
    """A focus that such a camera was given, at the unit or for all of a department, made it blind."""
    bench.sensor.unadvertised = frozenset(lacking)
    settings = PiCameraSettings(width=64, height=48, lores_width=32, lores_height=24, focus_dioptres=0.1)
    source = Picamera2Source(settings, clock=SystemClock(), picamera2=bench.library)
    for _ in range(2):
        camera = source.open()
        take(camera, 2)
        camera.close()
        assert not {"LensPosition", "AfMode"} & bench.sensor.applied.keys()
        assert "its lens has no motor" in source.trouble
    bench.sensor.unadvertised = frozenset()
    source.open().close()
    assert source.trouble == ""


def test_a_camera_that_refuses_its_configuration_is_released(bench: PiCameraBench) -> None:
    bench.sensor.unadvertised = frozenset({"ExposureTime"})
    with pytest.raises(PartFailedError, match=r"refused its configuration.*ExposureTime"):
        opened(bench)
    bench.sensor.unadvertised = frozenset()
    opened(bench).close()


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
    """A read would be signed with a false time, so the watchdog reopens the camera and says why."""
    with contextlib.closing(opened(bench)) as camera:
        take(camera, 1)
        last_ns = bench.sensor.stamped_ns
        bench.sensor.stamps_as = stamps_as or (lambda _ns: last_ns)
        with pytest.raises(PartFailedError, match="SensorTimestamp jumped"):
            take(camera, 20)  # frames stamped before the jump are good


def test_a_pixel_format_that_was_not_asked_for_is_named_and_never_read(bench: PiCameraBench) -> None:
    bench.sensor.adjusts_to = "XBGR8888"
    with pytest.raises(PartFailedError, match=r"refused its configuration .*XBGR8888"):
        opened(bench)
    bench.sensor.adjusts_to = ""
    with contextlib.closing(opened(bench)) as camera:  # the refusal released it
        take(camera, 1)


@pytest.mark.parametrize("uptime_s", [3, 40, 3600, 90 * 86400])
@pytest.mark.parametrize("unit", [1, 1000])
@pytest.mark.parametrize("late_ms", [40, 2900])  # how long a busy machine leaves a frame in the camera
def test_unit_is_distinguished_at_any_uptime(uptime_s: int, unit: int, late_ms: int) -> None:
    now_ns = uptime_s * 1_000_000_000
    assert ns_per_tick((now_ns - late_ms * 1_000_000) // unit, now_ns) == unit


def test_every_request_goes_back_to_the_camera_even_after_an_error(bench: PiCameraBench) -> None:
    camera = opened(bench)
    for _ in range(20):  # the camera has 6 buffers: losing one each time would exhaust them
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
    assert bench.sensor.applied["AnalogueGain"] == 1.0  # the scene is bright: its mean is 128


def test_a_camera_that_takes_no_new_exposure_is_opened_again_twice(
    bench: PiCameraBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_camera: object, _controls: object) -> None:
        raise RuntimeError("Control AnalogueGain is not advertised by libcamera")

    source = Picamera2Source(SETTINGS, clock=SystemClock(), picamera2=bench.library)
    monkeypatch.setattr(bench.library.Picamera2, "set_controls", refuse)
    for _ in range(STEER_TRIES):  # a single failure may pass
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
