"""Replay: order, pace, time, and pictures that do not decode."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from camera_twins import START_US, scene, write_pictures, write_video
from PIL import Image

from hw.camera import Camera, Frame
from hw.camera_replay import ReplaySource
from hw.clock import SetClock, SystemClock
from hw.errors import BrokenFrameError, EndOfSourceError, NoSuchSourceError
from hw.picture_file import STRIP, load_planes

SIZE = (32, 24)


def play(camera: Camera) -> tuple[list[Frame], list[BrokenFrameError]]:
    frames: list[Frame] = []
    broken: list[BrokenFrameError] = []
    while True:
        try:
            with camera.borrow() as frame:
                frames.append(frame.owned())
        except BrokenFrameError as error:
            broken.append(error)
        except EndOfSourceError:
            return frames, broken


def folder_of(tmp_path: Path, count: int) -> ReplaySource:
    return ReplaySource(write_pictures(tmp_path, count, SIZE), clock=SetClock(START_US))


def test_pictures_come_in_natural_order(tmp_path: Path) -> None:
    frames, _ = play(folder_of(tmp_path, 11).open())
    assert [frame.source.split("_")[-1] for frame in frames] == [f"{n}.png" for n in range(1, 12)]


def test_broken_picture_is_named_and_the_rest_continues(tmp_path: Path) -> None:
    source = folder_of(tmp_path, 4)
    (tmp_path / "pictures" / "frame_2.png").write_bytes(b"not a picture")
    whole = (tmp_path / "pictures" / "frame_3.png").read_bytes()
    (tmp_path / "pictures" / "frame_3.png").write_bytes(whole[: len(whole) // 2])
    frames, broken = play(source.open())
    assert [frame.sequence for frame in frames] == [0, 3]
    assert [Path(error.source).name for error in broken] == ["frame_2.png", "frame_3.png"]


def test_frame_times_are_the_stream_s_and_end_now(tmp_path: Path) -> None:
    frames, _ = play(folder_of(tmp_path, 3).open())
    assert [frame.captured.us - START_US for frame in frames] == [-300_000, -200_000, -100_000]


def test_video_times_are_the_stream_s(tmp_path: Path) -> None:
    source = ReplaySource(write_video(tmp_path / "v.mp4", 3, (64, 48)), clock=SetClock(START_US))
    frames, _ = play(source.open())
    steps = np.diff([frame.captured.us for frame in frames])
    assert steps.tolist() == [100_000, 100_000]


def test_cut_off_video_ends_with_what_was_there(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "v.ts", 30, (64, 48)).read_bytes()
    (tmp_path / "cut.ts").write_bytes(whole[: len(whole) // 2])
    frames, _ = play(ReplaySource(tmp_path / "cut.ts", clock=SetClock(START_US)).open())
    assert 1 <= len(frames) < 30


def test_source_s_pace_takes_the_stream_s_time(tmp_path: Path) -> None:
    source = ReplaySource(write_pictures(tmp_path, 5, SIZE), clock=SystemClock(), fps=20, live=True)
    started = time.monotonic()
    frames, _ = play(source.open())
    assert time.monotonic() - started >= 0.2
    ages = [SystemClock().now().us - frame.captured.us for frame in frames]
    assert ages[-1] >= 0


def test_replay_resumes_where_it_was_when_opened_again(tmp_path: Path) -> None:
    source = folder_of(tmp_path, 4)
    first = source.open()
    for _ in range(2):
        with first.borrow():
            pass
    first.close()
    frames, _ = play(source.open())
    assert [frame.sequence for frame in frames] == [2, 3]


def test_rounds_follow_each_other_with_a_gap(tmp_path: Path) -> None:
    source = ReplaySource(write_pictures(tmp_path, 2, SIZE), clock=SetClock(START_US), rounds=3)
    frames, _ = play(source.open())
    assert [frame.sequence for frame in frames] == list(range(6))
    steps = np.diff([frame.captured.us for frame in frames])
    assert steps.tolist() == [100_000, 2_500_000, 100_000, 2_500_000, 100_000]


def test_a_clock_that_is_set_back_stops_no_live_replay(tmp_path: Path) -> None:
    clock = SetClock(START_US)
    pictures = write_pictures(tmp_path, 2, SIZE)
    source = ReplaySource(pictures, clock=clock, fps=100, live=True, rounds=None)
    camera = source.open()
    with camera.borrow() as before:
        times = [before.captured.us]
    camera.close()
    clock.step(-3_600_000_000)
    camera = source.open()
    began_s = time.monotonic()
    for _ in range(2):
        with camera.borrow() as frame:
            times.append(frame.captured.us)
    assert time.monotonic() - began_s < 60  # the gap between two rounds, not the hour
    assert times[1] <= START_US - 3_500_000_000
    camera.close()


def test_folder_without_pictures_is_refused_with_a_hint(tmp_path: Path) -> None:
    for lane in ("lane_1", "lane_2"):
        (tmp_path / lane).mkdir()
        write_pictures(tmp_path / lane, 1, SIZE).rename(tmp_path / lane / "here")
        Image.fromarray(scene(SIZE)).save(tmp_path / lane / "x.png")
    with pytest.raises(NoSuchSourceError, match=r"did you mean .*lane_1"):
        ReplaySource(tmp_path, clock=SetClock(START_US))


def test_folder_that_holds_one_folder_of_pictures_is_read_as_it(tmp_path: Path) -> None:
    write_pictures(tmp_path, 3, SIZE)
    frames, _ = play(ReplaySource(tmp_path, clock=SetClock(START_US)).open())
    assert len(frames) == 3


@pytest.mark.parametrize("name", ["nothing", "text.mp4"])
def test_what_is_not_a_source_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(NoSuchSourceError, match=name):
        ReplaySource(tmp_path / name, clock=SetClock(START_US))


@pytest.mark.parametrize(
    ("mode", "color"),
    [("RGB", True), ("RGBA", True), ("P", True), ("CMYK", True), ("L", False), ("1", False), ("I;16", False)],
)
def test_every_picture_mode_gives_full_range_luma(tmp_path: Path, mode: str, color: bool) -> None:
    picture = Image.fromarray(scene((40, 30)))
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    if mode == "I;16":
        Image.fromarray(np.asarray(picture.convert("L"), dtype=np.uint16) * 257).save(path)
    else:
        picture.convert(mode).save(path)
    planes = load_planes(path)
    assert planes.luma.shape == (30, 40)
    assert planes.luma[:, :10].mean() < 6
    assert planes.luma[:, -10:].mean() > 249
    assert (planes.chroma is not None) == color


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "YCbCr"])
def test_planes_made_in_strips_are_those_of_the_whole_picture(tmp_path: Path, mode: str) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (2 * STRIP + 5, 31, 3), dtype=np.uint8)
    path = tmp_path / ("x.jpg" if mode == "YCbCr" else "x.png")
    Image.fromarray(noise).convert(mode).save(path)
    with Image.open(path) as direct:
        if mode == "YCbCr":
            direct.draft("YCbCr", None)
        whole = (direct if direct.mode == "YCbCr" else direct.convert("RGB").convert("YCbCr")).split()
    planes = load_planes(path)
    assert np.array_equal(planes.luma, np.asarray(whole[0]))
    assert planes.chroma is not None
    for plane, part in zip(planes.chroma, whole[1:], strict=True):
        assert np.array_equal(plane, np.asarray(part.reduce(2)))


@pytest.mark.one_python
@pytest.mark.parametrize("mode", ["I;16", "RGBA"])
def test_a_small_file_of_many_pixels_takes_little_more_memory_than_its_pixels(
    tmp_path: Path, mode: str
) -> None:
    side = 3000
    if mode == "I;16":
        Image.frombytes(mode, (side, side), bytes(2 * side * side)).save(tmp_path / "x.png")
    else:
        Image.new(mode, (side, side)).save(tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size < 100_000
    program = (
        "import resource, sys; from pathlib import Path; from hw.picture_file import load_planes as look\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "look(Path(sys.argv[1])); before = peak(); look(Path(sys.argv[2])); print(peak() - before)"
    )
    Image.new(mode, (8, 8)).save(tmp_path / "small.png")
    words = [sys.executable, "-c", program, str(tmp_path / "small.png"), str(tmp_path / "x.png")]
    made = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
    assert int(made.stdout) * 1024 < 10 * side * side


def test_jpeg_luma_is_the_file_s_own(tmp_path: Path) -> None:
    picture = Image.fromarray(scene((40, 30), shift=3))
    picture.save(tmp_path / "x.jpg", quality=95)
    with Image.open(tmp_path / "x.jpg") as direct:
        direct.draft("L", None)
        expected = np.asarray(direct)
    assert np.array_equal(load_planes(tmp_path / "x.jpg").luma, expected)
    assert np.array_equal(load_planes(tmp_path / "x.jpg", color=False).luma, expected)


def test_a_picture_on_its_side_is_set_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scene((40, 30))).save(tmp_path / "x.jpg", exif=exif)
    assert load_planes(tmp_path / "x.jpg").luma.shape == (40, 30)


def test_giant_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (5001, 4000)).save(tmp_path / "giant.png")
    with pytest.raises(BrokenFrameError, match="megapixels"):
        load_planes(tmp_path / "giant.png")
