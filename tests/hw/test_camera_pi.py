"""The Pi driver over a small picamera2 without a camera."""

from __future__ import annotations

import pytest
from camera_twins import START_US, FakePicamera2

from hw.camera_pi import Picamera2Camera, Picamera2Source, PiCameraSettings, ns_per_tick, yuv420_planes
from hw.clock import SetClock
from hw.errors import CameraStalledError, MissingDriverError, PartFailedError

SETTINGS = PiCameraSettings(width=64, height=48, lores_width=32, lores_height=24, fps=20, exposure_us=700)


def opened(library: FakePicamera2, settings: PiCameraSettings = SETTINGS) -> Picamera2Camera:
    source = Picamera2Source(settings, clock=library, picamera2=library, monotonic_ns=library.monotonic_ns)
    return source.open()


def test_shutter_gain_and_frame_rate_are_asked_for_by_hand() -> None:
    library = FakePicamera2()
    opened(library)
    controls = library.cameras[0].controls
    assert controls["AeEnable"] is False
    assert controls["ExposureTime"] == 700
    assert controls["FrameDurationLimits"] == (50_000, 50_000)
    assert controls["AnalogueGain"] <= SETTINGS.gain_max


def test_focus_is_fixed_only_where_it_was_asked_for() -> None:
    library = FakePicamera2()
    opened(library)
    opened(library, PiCameraSettings(focus_dioptres=0.1))
    assert "LensPosition" not in library.cameras[0].controls
    assert library.cameras[1].controls["LensPosition"] == 0.1
    assert library.cameras[1].controls["AfMode"] == 0


@pytest.mark.parametrize("unit", [pytest.param(1, id="nanoseconds"), pytest.param(1000, id="microseconds")])
def test_frame_time_is_utc_whatever_unit_the_library_stamps_in(unit: int) -> None:
    camera = opened(FakePicamera2(ns_per_tick=unit))
    with camera.borrow() as frame:
        assert frame.captured.us == pytest.approx(START_US + 20_000, abs=2)


def test_stamp_that_fits_no_unit_is_refused() -> None:
    camera = opened(FakePicamera2(ns_per_tick=1_000_000))
    with pytest.raises(PartFailedError, match="SensorTimestamp"), camera.borrow():
        pass


@pytest.mark.parametrize("uptime_s", [3, 40, 3600, 90 * 86400])
@pytest.mark.parametrize("unit", [1, 1000])
def test_unit_is_told_apart_at_any_uptime(uptime_s: int, unit: int) -> None:
    now_ns = uptime_s * 1_000_000_000
    assert ns_per_tick((now_ns - 40_000_000) // unit, now_ns) == unit


def test_every_request_goes_back_to_the_camera_even_after_an_error() -> None:
    library = FakePicamera2()
    camera = opened(library)
    for _ in range(20):
        with camera.borrow():
            pass
    with pytest.raises(ZeroDivisionError), camera.borrow():
        raise ZeroDivisionError
    assert library.cameras[0].out == 0


@pytest.mark.parametrize("told", [True, False], ids=["the camera tells its pace", "the pace asked for"])
def test_frames_that_nobody_fetched_in_time_leave_a_gap_in_the_numbers(told: bool) -> None:
    library = FakePicamera2()
    camera = opened(library)
    sensor, paced = library.cameras[0], library.cameras[0].metadata
    sensor.metadata = lambda number: paced(number) | ({"FrameDuration": 50_010} if told else {})
    numbers = []
    for missed in (0, 0, 3, 0):
        library.now_ns += missed * 50_000_000
        with camera.borrow() as frame:
            numbers.append(frame.sequence)
    assert numbers == [0, 1, 5, 6]


def test_black_and_white_are_0_and_255() -> None:
    camera = opened(FakePicamera2())
    with camera.borrow() as frame:
        assert frame.lores is not None
        for luma in (frame.luma, frame.lores):
            assert (luma.min(), luma.max()) == (0, 255)


def test_silent_camera_raises_stalled() -> None:
    library = FakePicamera2()
    camera = opened(library)
    library.silent = True
    with pytest.raises(CameraStalledError), camera.borrow():
        pass


def test_absent_camera_names_the_cure() -> None:
    with pytest.raises(MissingDriverError, match=r"ribbon cable.*camera\.source"):
        opened(FakePicamera2(present=False))


def test_absent_library_names_the_cure() -> None:
    with pytest.raises(MissingDriverError, match=r"python3-picamera2.*camera\.source"):
        Picamera2Source(SETTINGS, clock=SetClock(START_US))


def test_gain_follows_the_light_but_never_passes_its_cap() -> None:
    library = FakePicamera2()
    camera = opened(library, PiCameraSettings(width=64, height=48, lores_width=32, lores_height=24))
    for _ in range(60):
        with camera.borrow() as frame:
            assert frame.gain is not None
            assert 1.0 <= frame.gain <= 8.0
    assert library.cameras[0].controls["AnalogueGain"] == 1.0  # the scene is bright: mean 128


def test_short_buffer_is_refused() -> None:
    library = FakePicamera2()
    opened(library)
    stream = library.cameras[0].streams["main"]
    request = library.cameras[0].capture_request(1.0)
    with pytest.raises(PartFailedError, match="bytes"):
        yuv420_planes(request.buffers["main"][:-1], stream)
