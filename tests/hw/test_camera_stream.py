"""A network camera over real RTSP on loopback: it plays, falls silent, goes away and comes back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest
from rtsp_server import PASSWORD, RtspCamera
from waiting import PATIENCE_S, until

from hw.camera_stream import StreamCamera, StreamSource, without_secret
from hw.camera_watch import BlindSpell, WatchedCamera
from hw.clock import SystemClock
from hw.errors import CameraStalledError, EndOfSourceError, NoSuchSourceError, PartFailedError


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw.camera_stream.OPEN_S", PATIENCE_S)


@pytest.fixture
def camera() -> Iterator[RtspCamera]:
    made = RtspCamera()
    yield made
    made.close()


def opened(address: str, rotation: int = 0, stall_s: float = PATIENCE_S) -> StreamCamera:
    return StreamSource(address, clock=SystemClock(), stall_s=stall_s, rotation=rotation).open()


def test_a_camera_mounted_upside_down_is_turned(camera: RtspCamera) -> None:
    stream = opened(camera.address, rotation=180)
    with stream.borrow() as frame:
        assert frame.luma[:, :20].mean() > 200
        assert frame.luma[:, -20:].mean() < 40
    stream.close()


def test_frames_come_with_luma_chroma_and_a_time_that_allows_for_the_way(camera: RtspCamera) -> None:
    stream = opened(camera.address)
    numbers = []
    for _ in range(5):
        with stream.borrow() as frame:
            assert frame.luma.shape == (48, 64)
            assert frame.chroma is not None
            assert frame.luma[:, :20].mean() < 40
            assert frame.luma[:, -20:].mean() > 200
            assert frame.captured.error_us >= 1_000_000
            assert 0 <= time.time_ns() // 1000 - frame.captured.us < PATIENCE_S * 1e6
            numbers.append(frame.sequence)
    assert numbers == [0, 1, 2, 3, 4]
    stream.close()
    stream.close()


def test_silence_is_a_stall_within_seconds(camera: RtspCamera) -> None:
    stream = opened(camera.address, stall_s=2.0)
    with stream.borrow():
        pass
    camera.silent.set()
    with pytest.raises((CameraStalledError, PartFailedError)):
        play_on(stream)
    stream.close()


def play_on(stream: StreamCamera) -> None:
    for _ in range(200):  # more than any buffer holds
        with stream.borrow():
            pass


def test_a_camera_that_goes_away_is_taken_up_again_when_it_is_back(camera: RtspCamera) -> None:
    spells: list[BlindSpell] = []
    source = StreamSource(camera.address, clock=SystemClock(), stall_s=1.0)
    watched = WatchedCamera(source, clock=SystemClock(), on_blind=spells.append, stall_s=1.0)
    stop = threading.Event()
    taken: list[int] = []

    def read() -> None:
        with contextlib.suppress(EndOfSourceError):
            while not stop.is_set():
                with watched.borrow() as frame:
                    taken.append(frame.sequence)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    until(lambda: len(taken) > 3)
    camera.close()
    until(lambda: watched.blind_now)
    before = len(taken)
    again = RtspCamera(port=camera.port)
    until(lambda: len(taken) > before + 3 and spells)
    stop.set()
    watched.close()
    reader.join(PATIENCE_S)
    again.close()
    assert taken == sorted(taken)
    assert "s3cret" not in spells[0].reason


def test_a_password_opens_the_camera_and_is_in_no_message() -> None:
    camera = RtspCamera(password=True)
    stream = opened(camera.address)
    with stream.borrow() as frame:
        assert PASSWORD not in frame.source
    stream.close()
    wrong = camera.address.replace(PASSWORD, "wr0ng")
    with pytest.raises(PartFailedError) as caught:
        opened(wrong)
    camera.close()
    assert "wr0ng" not in str(caught.value)
    with pytest.raises(PartFailedError) as caught:
        opened(camera.address)  # the camera is gone
    assert PASSWORD not in str(caught.value)
    assert f"127.0.0.1:{camera.port}/cam" in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["rtsp://", "rtsp:///cam", "rtsp://u:s3cret@", "rtsp://u:s3cret@cam:99999/1", "rtsp://u:s3/cret@cam/1"],
)
def test_an_address_that_no_camera_can_have_is_refused_at_once(address: str) -> None:
    with pytest.raises(NoSuchSourceError, match="not of the form rtsp://") as caught:
        StreamSource(address, clock=SystemClock())
    assert "s3" not in str(caught.value)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://u:p@10.0.0.2/a?x=y", "rtsp://10.0.0.2/a"),
        ("rtsps://10.0.0.2:322/a", "rtsps://10.0.0.2:322/a"),
        ("rtsp://token@cam/1", "rtsp://cam/1"),
        ("rtsp://u:p@ss@cam/1", "rtsp://cam/1"),
        ("rtsp://u:p/ss@cam/1", "rtsp://cam/1"),
        ("rtsp://u:p?ss@cam/1", "rtsp://cam/1"),
    ],
)
def test_what_is_shown_of_an_address_holds_no_secret(address: str, shown: str) -> None:
    assert without_secret(address) == shown
