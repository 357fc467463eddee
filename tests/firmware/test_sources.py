"""A source whose settings change while it runs."""

import contextlib
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from camera_twins import write_pictures

from firmware.errors import UsageError
from firmware.frames.sources import RETUNED, TunableSource, is_replay, open_source, shown_source
from firmware.settings.config import CameraSettings
from hw.camera import Camera, CameraSource
from hw.clock import SystemClock
from hw.errors import MissingDriverError, PartFailedError


def replay(clip: Path, settings: CameraSettings) -> CameraSource:
    return open_source(
        str(clip), settings, clock=SystemClock(), once=False, at_source_pace=False, net_size=(360, 640)
    )


def test_the_next_opening_takes_the_newest_settings_and_the_reading_hears_of_it(tmp_path: Path) -> None:
    clip = write_pictures(tmp_path, 3, (64, 48))
    made: list[CameraSettings] = []

    def make(settings: CameraSettings) -> CameraSource:
        made.append(settings)
        return replay(clip, settings)

    source, told, turned = TunableSource(make, CameraSettings()), list[str](), list[bool]()
    source.on_retuned(told.append, lambda: turned.append(True))
    source.retune(CameraSettings(gain_max=3.0))
    assert [settings.gain_max for settings in made] == [8.0, 3.0]
    assert (told, turned) == (
        [RETUNED],
        [],
    )  # what is known of the view stays: a covered lens is still covered
    for rotation in (180, 180, 0):
        source.retune(CameraSettings(rotation=rotation))
    assert (told, turned) == ([RETUNED] * 4, [True] * 2)
    camera = source.open()
    with camera.borrow() as frame:
        assert frame.sequence == 0
    camera.close()


def test_settings_that_no_camera_takes_leave_the_old_ones(tmp_path: Path) -> None:
    clip = write_pictures(tmp_path, 1, (64, 48))
    told: list[str] = []

    def make(settings: CameraSettings) -> CameraSource:
        if settings.gain_max > 8:
            raise MissingDriverError("no such camera")
        return replay(clip, settings)

    source = TunableSource(make, CameraSettings())
    source.on_retuned(told.append, lambda: told.append("turned"))
    with pytest.raises(MissingDriverError):
        source.retune(CameraSettings(gain_max=9.0))
    assert told == []
    source.open().close()


class Lens:
    """A camera that refuses a gain over 8, and cannot set a focus."""

    live, interval_s = True, 0.05

    def __init__(self, clip: Path, settings: CameraSettings) -> None:
        self._clip, self._settings = clip, settings
        self.trouble = "" if settings.focus_dioptres is None else "no motor"

    def open(self) -> Camera:
        if self._settings.gain_max > 8:
            raise PartFailedError("refused its configuration")
        return replay(self._clip, self._settings).open()


@pytest.mark.parametrize("runs", [True, False])
def test_a_change_says_what_the_camera_that_opens_with_it_does_not_take(tmp_path: Path, runs: bool) -> None:
    clip = write_pictures(tmp_path, 1, (64, 48))
    source = TunableSource(partial(Lens, clip), CameraSettings())

    def reopen(_reason: str) -> None:
        def opening() -> None:
            with contextlib.suppress(PartFailedError):
                source.open().close()

        if runs:
            threading.Thread(target=opening).start()

    source.on_retuned(reopen, lambda: None)
    if runs:
        source.open().close()
    said = [source.retune(CameraSettings(gain_max=gain)) for gain in (9.0, 3.0)]
    assert said == ["refused its configuration" if runs else "", ""]
    assert source.retune(CameraSettings(focus_dioptres=0.1)) == source.trouble == "no motor"
    assert source.retune(CameraSettings()) == source.trouble == ""


def test_a_replay_of_a_camera_mounted_upside_down_is_turned(tmp_path: Path) -> None:
    clip = write_pictures(tmp_path, 1, (64, 48))
    planes = {}
    for rotation in (0, 180):
        camera = replay(clip, CameraSettings(rotation=rotation)).open()
        with camera.borrow() as frame:
            planes[rotation] = (frame.luma, *(frame.chroma or ()))
        camera.close()
    assert len(planes[0]) == len(planes[180])
    for upright, turned in zip(planes[0], planes[180], strict=True):
        assert np.array_equal(upright[::-1, ::-1], turned)
        assert turned.flags.c_contiguous


@pytest.mark.parametrize("text", ["rtsp://u:p@10.0.0.9/1", "drop:/srv/drop", "camera"])
def test_a_source_without_an_end_is_not_played_once(text: str) -> None:
    with pytest.raises(UsageError, match="no end"):
        open_source(
            text, CameraSettings(), clock=SystemClock(), once=True, at_source_pace=True, net_size=(448, 768)
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("drop:", "names no folder"),
        ("drop: ", "names no folder"),
        ("http://u:s3cret@10.0.0.9/1", "http://10.0.0.9/1: .* only rtsp://"),
    ],
)
def test_a_source_that_cannot_be_is_refused_with_the_way_on(text: str, said: str) -> None:
    """`drop:` alone would mean the current folder, whose pictures would be removed."""
    with pytest.raises(UsageError, match=said) as caught:
        open_source(
            text, CameraSettings(), clock=SystemClock(), once=False, at_source_pace=True, net_size=(448, 768)
        )
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown", "replay"),
    [
        ("rtsp://u:p@10.0.0.9/1?k=s", "rtsp://10.0.0.9/1", False),
        ("drop:/srv/drop", "drop:/srv/drop", False),
        ("camera:1", "camera:1", False),
        ("./frames", "./frames", True),
    ],
)
def test_no_secret_of_a_source_is_shown(text: str, shown: str, replay: bool) -> None:
    assert (shown_source(text), is_replay(text)) == (shown, replay)
