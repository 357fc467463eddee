"""What every camera promises: driver, folder, video and the watched camera pass the same tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from camera_twins import START_US, write_pictures, write_video
from pi_camera_bench import PiCameraBench, bench

from hw.camera import Camera, CameraSource, Frame
from hw.camera_pi import Picamera2Source, PiCameraSettings
from hw.camera_replay import ReplaySource
from hw.camera_watch import WatchedCamera
from hw.clock import SetClock, SystemClock
from hw.errors import EndOfSourceError, HardwareError

__all__ = ["bench"]
WIDTH, HEIGHT = 62, 46  # neither a multiple of four


class WatchedSource:
    """A source whose camera is watched."""

    def __init__(self, inner: CameraSource) -> None:
        self.inner = inner
        self.live = inner.live
        self.interval_s = inner.interval_s

    def open(self) -> Camera:
        return WatchedCamera(self.inner, clock=SetClock(START_US), on_blind=lambda spell: None)


@pytest.fixture(params=["pi", "folder", "video", "watched folder", "watched pi"])
def source(request: pytest.FixtureRequest, tmp_path: Path, bench: PiCameraBench) -> CameraSource:
    settings = PiCameraSettings(width=WIDTH, height=HEIGHT, lores_width=32, lores_height=24)
    clock = SystemClock()
    sources: dict[str, Callable[[], CameraSource]] = {
        "pi": lambda: Picamera2Source(settings, clock=clock, picamera2=bench.library),
        "folder": lambda: ReplaySource(write_pictures(tmp_path, 4, (WIDTH, HEIGHT)), clock=clock),
        "video": lambda: ReplaySource(write_video(tmp_path / "clip.mp4", 4, (WIDTH, HEIGHT)), clock=clock),
    }
    kind = request.param.removeprefix("watched ")
    return WatchedSource(sources[kind]()) if request.param != kind else sources[kind]()


@pytest.fixture
def camera(source: CameraSource) -> Iterator[Camera]:
    camera = source.open()
    yield camera
    camera.close()


def frames(camera: Camera, count: int) -> list[Frame]:
    kept = []
    for _ in range(count):
        with camera.borrow() as frame:
            kept.append(frame.owned())
    return kept


def test_frame_has_luma_and_half_size_chroma(camera: Camera) -> None:
    with camera.borrow() as frame:
        assert frame.luma.shape == (HEIGHT, WIDTH)
        assert frame.luma.dtype == np.uint8
        assert frame.chroma is not None
        assert {plane.shape for plane in frame.chroma} == {(HEIGHT // 2, WIDTH // 2)}
        assert frame.lores is None or frame.lores.ndim == 2
    del frame


def test_luma_is_full_range_and_the_picture_that_was_taken(camera: Camera) -> None:
    (frame,) = frames(camera, 1)
    left, right = frame.luma[:, : WIDTH // 3].mean(), frame.luma[:, -WIDTH // 3 :].mean()
    assert left < 12
    assert right > 243


def test_sequence_and_time_rise(camera: Camera) -> None:
    first, second, third = frames(camera, 3)
    assert first.sequence < second.sequence < third.sequence
    assert first.captured.us < second.captured.us < third.captured.us


def test_no_frame_was_taken_in_the_future(camera: Camera) -> None:
    for _ in range(3):
        (frame,) = frames(camera, 1)
        assert frame.captured.us <= time.time_ns() // 1000


def test_frame_carries_the_clock_s_state_and_bound(camera: Camera) -> None:
    (frame,) = frames(camera, 1)
    now = SystemClock().now()
    assert frame.captured.state == now.state
    assert frame.captured.error_us > 0


def test_owned_frame_outlives_the_camera_s_buffer(camera: Camera) -> None:
    with camera.borrow() as frame:
        kept = frame.owned()
        before = kept.luma.copy()
    del frame
    frames(camera, 2)
    assert np.array_equal(kept.luma, before)
    assert kept.luma.base is None


def test_close_twice_does_nothing_and_ends_the_source(source: CameraSource) -> None:
    camera = source.open()
    frames(camera, 1)
    camera.close()
    camera.close()
    with pytest.raises(HardwareError), camera.borrow():
        pass


def test_source_can_be_opened_again_after_close(source: CameraSource) -> None:
    first = source.open()
    (before,) = frames(first, 1)
    first.close()
    second = source.open()
    (after,) = frames(second, 1)
    second.close()
    assert after.captured.us >= before.captured.us


@pytest.mark.parametrize("source", ["folder", "video", "watched folder"], indirect=True)
def test_replay_ends_with_its_last_picture(camera: Camera) -> None:
    assert len(frames(camera, 4)) == 4
    for _ in range(2):
        with pytest.raises(EndOfSourceError), camera.borrow():
            pass
