"""Sources that people really have: drop folders, damaged videos, pictures of other kinds, pipes."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from camera_twins import scene, write_pictures, write_video
from PIL import Image
from waiting import PATIENCE_S, until

from hw.camera import Camera, CameraSource
from hw.camera_drop import DropFolder
from hw.camera_replay import ReplaySource
from hw.camera_watch import WatchedCamera, _Feeder
from hw.clock import SetClock, SystemClock
from hw.errors import BrokenFrameError, EndOfSourceError, NoSuchSourceError
from hw.picture_file import load_planes

SIZE = (320, 240)
TICK_S = 0.02  # a file's times come from the kernel's coarse clock, which is up to a tick behind time.time()


def played(path: Path) -> tuple[int, list[str]]:
    """The count of whole frames, and the reasons given for the others."""
    camera, frames, said = ReplaySource(path, clock=SystemClock()).open(), 0, []
    with contextlib.suppress(EndOfSourceError):
        while True:
            try:
                with camera.borrow():
                    frames += 1
            except BrokenFrameError as error:
                said.append(error.reason)
    return frames, said


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mkv", 60, SIZE)


def test_a_whole_video_is_called_whole(clip: Path) -> None:
    assert played(clip) == (60, [])


def test_a_video_that_is_cut_off_says_so(clip: Path) -> None:
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    frames, said = played(clip)
    assert 0 < frames < 60
    assert any("cut off or damaged" in reason for reason in said)


def test_a_video_with_noise_in_the_middle_says_so(clip: Path) -> None:
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4096] = random.Random(1).randbytes(4096)
    clip.write_bytes(data)
    frames, said = played(clip)
    assert frames < 60
    assert said


def test_webp_is_read_and_a_gif_is_named(tmp_path: Path) -> None:
    Image.fromarray(scene(SIZE)).save(tmp_path / "a.webp", lossless=True)
    assert load_planes(tmp_path / "a.webp").luma.shape == (240, 320)
    Image.fromarray(scene(SIZE)).save(tmp_path / "b.gif")
    (tmp_path / "b.gif").rename(tmp_path / "b.jpg")
    with pytest.raises(BrokenFrameError, match=r"is a GIF file.*JPEG, PNG or WebP"):
        load_planes(tmp_path / "b.jpg")
    (tmp_path / "c.png").write_bytes(b"hello")
    with pytest.raises(BrokenFrameError, match="is not a picture"):
        load_planes(tmp_path / "c.png")
    Image.fromarray(scene(SIZE)).save(tmp_path / "d.jpg")
    (tmp_path / "d.jpg").write_bytes((tmp_path / "d.jpg").read_bytes()[:-300])
    with pytest.raises(BrokenFrameError, match="damaged or cut off"):
        load_planes(tmp_path / "d.jpg")


def test_too_many_open_files_are_named(tmp_path: Path) -> None:
    Image.fromarray(scene(SIZE)).save(tmp_path / "a.png")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)  # the lowest free number
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(BrokenFrameError, match="EMFILE"):
            load_planes(tmp_path / "a.png")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_a_folder_holds_beside_its_pictures_is_reported(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, 2, SIZE)
    assert ReplaySource(folder, clock=SystemClock()).notes == ()
    (folder / "a.gif").touch()
    (folder / "gone.jpg").symlink_to("nowhere")
    (folder / ".hidden").touch()
    (folder / "truth.json").touch()
    (folder / "more").mkdir()
    notes = ReplaySource(folder, clock=SystemClock()).notes
    assert notes == (
        "not read, no JPEG, PNG or WebP: a.gif, gone.jpg",
        "not read, a folder in the folder: more",
    )


def test_a_pipe_and_a_device_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mkv")
    for path in (tmp_path / "pipe.mkv", Path("/dev/null")):
        with pytest.raises(NoSuchSourceError, match=r"pipe or a device.*rtsp://"):
            ReplaySource(path, clock=SystemClock())


# -- drop folders


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, ago_s: float = 5.0) -> Path:
    """Put a picture there that another program finished `ago_s` ago."""
    path = folder / name
    Image.fromarray(scene(SIZE)).save(path)
    moment = time.time() - ago_s
    os.utime(path, (moment, moment))
    return path


def test_pictures_are_read_as_they_come_and_taken_out(drop: Path) -> None:
    camera = DropFolder(drop, clock=SystemClock()).open()
    second, first = (
        put(drop, name, ago_s).stat().st_mtime for name, ago_s in (("2.png", 300), ("1.png", 900))
    )
    numbers = []
    for own_s in (first, second):
        with camera.borrow() as frame:
            assert frame.luma.shape == (240, 320)
            assert frame.captured.us / 1e6 == pytest.approx(own_s, abs=30)
            numbers.append(frame.sequence)
    assert numbers == [1, 2]
    assert list(drop.iterdir()) == []
    threading.Timer(0.3, lambda: put(drop, "3.jpg")).start()
    with camera.borrow():
        pass
    assert list(drop.iterdir()) == []
    camera.close()
    with pytest.raises(EndOfSourceError), camera.borrow():
        pass


@pytest.mark.parametrize("ago_s", [300, 3600, 25 * 365 * 86_400])
def test_the_error_of_a_pictures_own_time_reaches_to_when_it_came(drop: Path, ago_s: float) -> None:
    """A sender with a wrong clock, or a person who wants an alibi, can set the first but not the second."""
    put(drop, "a.png", ago_s)
    (ago, error_s) = dated(drop)
    assert ago_s <= ago
    assert error_s >= ago_s


def test_a_picture_from_the_future_is_dated_by_when_it_came(drop: Path) -> None:
    before = time.time()
    put(drop, "a.png", -3600)
    (ago, error_s) = dated(drop)
    assert 0 <= ago <= time.time() - before + TICK_S
    assert error_s < 3


def test_pictures_that_come_late_keep_their_order_and_the_time_between_them(drop: Path) -> None:
    """A camera sends what it took while its connection was down."""
    ages = enumerate((720, 660, 590, 300))
    own_s = [put(drop, f"{number}.png", ago_s).stat().st_mtime for number, ago_s in ages]
    clock = SystemClock()
    camera = DropFolder(drop, clock=clock).open()
    taken_us = []
    for _ in range(4):
        with camera.borrow() as frame:
            taken_us.append(frame.captured.us)
    camera.close()
    between_s = [(after - before) / 1e6 for before, after in pairwise(taken_us)]
    assert between_s == pytest.approx([after - before for before, after in pairwise(own_s)], abs=30)


def dated(drop: Path) -> tuple[float, float]:
    """How long ago the folder's next picture was taken, and the error of that, in seconds."""
    camera = DropFolder(drop, clock=SetClock(0)).open()
    with camera.borrow() as frame:
        captured = frame.captured
    camera.close()
    return -captured.us / 1e6, captured.error_us / 1e6


def test_a_picture_that_is_still_being_written_is_waited_for(
    drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hw.camera_drop.PAUSE_S", PATIENCE_S)
    whole = put(drop.parent, "whole.png").read_bytes()
    camera = DropFolder(drop, clock=SystemClock()).open()
    done = threading.Event()

    def write_slowly() -> None:
        with (drop / "a.png").open("wb", buffering=0) as file:
            for at in range(0, len(whole), max(1, len(whole) // 8)):
                file.write(whole[at : at + max(1, len(whole) // 8)])
                time.sleep(0.2)
        done.set()

    threading.Thread(target=write_slowly).start()
    with camera.borrow() as frame:
        assert done.is_set()
        assert frame.luma.shape == (240, 320)
    camera.close()


def test_a_picture_whose_sender_pauses_for_longer_is_waited_for(
    drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over a lossy connection: half a picture is not a picture, and not a broken one either."""
    monkeypatch.setattr("hw.camera_drop.PAUSE_S", PATIENCE_S)
    whole = put(drop.parent, "whole.png").read_bytes()
    camera = DropFolder(drop, clock=SystemClock()).open()

    def send(file: BinaryIO) -> None:
        until(lambda: camera._cut)
        with file:
            file.write(whole[len(whole) // 2 :])

    file = (drop / "a.png").open("wb", buffering=0)
    file.write(whole[: len(whole) // 2])
    sender = threading.Thread(target=send, args=(file,))
    sender.start()
    with camera.borrow() as frame:
        assert frame.luma.shape == (240, 320)
    sender.join()
    assert list(drop.iterdir()) == []
    camera.close()


def test_a_picture_that_is_broken_stays_and_stops_nothing(
    drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hw.camera_drop.PAUSE_S", 0.0)
    (drop / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    os.utime(drop / "a.jpg", (1, 1))
    put(drop, "b.png")
    camera = DropFolder(drop, clock=SystemClock()).open()
    with pytest.raises(BrokenFrameError, match=r"; kept under a name that ends in \.broken") as broken:
        camera.borrow().__enter__()
    assert "a.jpg" not in broken.value.reason  # which is logged, and cameras name their files by plates
    with camera.borrow():
        pass
    assert [path.name for path in drop.iterdir()] == ["a.jpg.broken"]
    camera.close()


@pytest.mark.one_python
def test_a_picture_that_ends_the_reader_is_read_once_more_and_then_left(drop: Path) -> None:
    """As when the kernel kills a process for lack of memory: no error reaches Python."""
    put(drop, "bomb.png", 9)
    put(drop, "b.png")
    for name in ("bomb.png", "again.bomb.png"):
        process = (
            "import os, sys; from pathlib import Path; import hw.camera_drop as drops\n"
            "from hw.clock import SystemClock\n"
            "drops.load_planes = lambda path: os._exit(9)\n"
            "with drops.DropFolder(Path(sys.argv[1]), clock=SystemClock()).open().borrow(): pass"
        )
        assert (drop / name).exists()
        words = [sys.executable, "-c", process, str(drop)]
        assert subprocess.run(words, check=False, timeout=300).returncode == 9
        assert (drop / f"{name}.reading").exists()
        source = DropFolder(drop, clock=SystemClock())
        camera = source.open()
    why = r"again\.bomb\.png: ended the reader twice.*kept under a name that ends in \.broken"
    with pytest.raises(BrokenFrameError, match=why), camera.borrow():
        pass
    with camera.borrow() as frame:
        assert frame.luma.shape == (240, 320)
    assert [path.name for path in drop.iterdir()] == ["again.bomb.png.broken"]
    camera.close()


def test_a_picture_that_was_being_read_at_a_power_cut_is_read_at_the_next_start(drop: Path) -> None:
    put(drop, "a.png").rename(drop / "a.png.reading")
    camera = DropFolder(drop, clock=SystemClock()).open()
    with camera.borrow() as frame:
        assert frame.luma.shape == (240, 320)
    assert list(drop.iterdir()) == []
    camera.close()


def test_pictures_that_no_one_took_before_the_reader_ended_are_still_in_their_folder(drop: Path) -> None:
    for number in range(5):
        put(drop, f"{number}.png")
    camera = WatchedCamera(DropFolder(drop, clock=SystemClock()), clock=SystemClock(), on_blind=print)
    with camera.borrow():
        pass
    until((drop / "1.png.held").exists)  # the next picture is being held
    camera.close()
    until(lambda: sorted(path.name for path in drop.iterdir()) == [f"{number}.png" for number in range(1, 5)])


def test_a_picture_that_is_put_back_replaces_no_newer_one_of_its_name(drop: Path) -> None:
    """As with a camera that sends latest.jpg again and again."""
    put(drop, "latest.png", 9)
    camera = DropFolder(drop, clock=SystemClock()).open()

    def send_another() -> None:
        put(drop, "latest.png", 3)
        raise EndOfSourceError("closed")

    with pytest.raises(EndOfSourceError), camera.borrow():
        send_another()
    assert sorted(path.name for path in drop.iterdir()) == ["latest.1.png", "latest.png"]
    for left in (["latest.png"], []):
        with camera.borrow():
            pass
        assert [path.name for path in drop.iterdir()] == left


def test_a_file_system_without_links_puts_back_too(drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw.camera_drop.os.link", refuse)
    for name in ("latest.png", "latest.png.held"):
        put(drop.parent, "whole.png").rename(drop / name)
    DropFolder(drop, clock=SystemClock()).open()
    assert sorted(path.name for path in drop.iterdir()) == ["latest.1.png", "latest.png"]


def refuse(*_words: object, **_names: object) -> None:
    raise PermissionError(errno.EPERM, "no")


@pytest.mark.parametrize("owner", ["reader", "sender"])
def test_a_picture_from_the_future_that_is_put_back_keeps_when_it_came(
    drop: Path, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    put(drop, "a.png", -3600)
    came_ns = (drop / "a.png").stat().st_ctime_ns
    camera = DropFolder(drop, clock=SystemClock()).open()
    real = os.utime
    monkeypatch.setattr(
        "hw.camera_drop.os.utime",
        lambda path, **named: refuse() if owner == "sender" and path.name[0] != "." else real(path, **named),
    )
    with pytest.raises(EndOfSourceError), camera.borrow():
        raise EndOfSourceError("closed")
    (path,) = drop.iterdir()
    assert path.name == "a.png"
    assert path.stat().st_mtime_ns == came_ns // 1000 * 1000


def test_a_picture_that_there_is_no_memory_for_is_broken_after_two_tries(drop: Path) -> None:
    put(drop, "a.png", 9)
    put(drop, "b.png")
    source = DropFolder(drop, clock=SystemClock())
    for _ in range(2):
        with pytest.raises(MemoryError), source.open().borrow():
            raise MemoryError
    camera = source.open()
    with (
        pytest.raises(BrokenFrameError, match=r"again\.a\.png: .*; kept under"),
        camera.borrow(),
    ):
        pass
    with camera.borrow():
        pass
    assert [path.name for path in drop.iterdir()] == ["again.a.png.broken"]


def test_a_picture_that_waited_for_the_store_at_each_power_cut_is_read(drop: Path) -> None:
    put(drop, "a.png")
    for _ in range(2):
        (drop / "a.png").rename(drop / "a.png.held")
        DropFolder(drop, clock=SystemClock()).open()
    assert [path.name for path in drop.iterdir()] == ["a.png"]


def test_a_camera_that_is_closed_while_it_is_opened_again_holds_no_picture(
    drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = WatchedCamera(DropFolder(drop, clock=SystemClock()), clock=SystemClock(), on_blind=print)
    put(drop, "a.png")

    def opened(source: CameraSource) -> _Feeder:
        camera.close()
        return _Feeder(source)

    monkeypatch.setattr("hw.camera_watch._Feeder", opened)
    camera.reopen("settings")
    with pytest.raises(EndOfSourceError), camera.borrow():
        pass
    assert camera._feeder is not None
    assert not camera._feeder.hangs
    assert [path.name for path in drop.iterdir()] == ["a.png"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoSuchSourceError, match="no such folder to watch"):
        DropFolder(tmp_path / "none", clock=SystemClock())


@pytest.mark.parametrize(
    ("name", "left"),
    [
        (".held", [".held"]),
        ("..held", ["..held"]),
        (f"{'x' * 251}.jpg", []),
        (f"{'ö' * 110}.jpg", []),
    ],
    ids=["held", "dot", "long", "long in bytes"],
)
def test_no_name_that_a_sender_gives_keeps_the_others_from_being_read(
    drop: Path, name: str, left: list[str]
) -> None:
    picture = put(drop.parent, "whole.png").read_bytes()
    for given in (name, "after.jpg.held"):
        (drop / given).write_bytes(picture)
    os.utime(drop / name, (0, 0))  # so that it is the oldest
    camera = DropFolder(drop, clock=SystemClock()).open()
    for _ in range(2 - len(left)):
        with camera.borrow():
            pass
    assert [path.name for path in drop.iterdir()] == left


def test_a_picture_of_a_long_name_that_ends_the_reader_is_read_once_more_and_no_oftener(drop: Path) -> None:
    (drop / f"{'x' * 214}.png").write_bytes(put(drop.parent, "whole.png").read_bytes())
    source = DropFolder(drop, clock=SystemClock())
    for _ in range(2):
        with pytest.raises(MemoryError), source.open().borrow():
            raise MemoryError
    with pytest.raises(BrokenFrameError, match="ended the reader twice"), source.open().borrow():
        pass


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.EIO, "Input/output error", "/drop/7ABC123.jpg.held"), "OSError: Input/output error"),
        (TimeoutError("7ABC123.jpg"), "TimeoutError: failed"),
    ],
)
def test_a_source_that_fails_at_a_file_does_not_name_it(error: OSError, says: str) -> None:
    """Its message is logged and shown at a console, and cameras name their files by plates."""

    class Source:
        interval_s = 0.1

        def open(self) -> Camera:
            raise error

    feeder = _Feeder(cast(Any, Source()))
    said = feeder.take(PATIENCE_S)
    assert str(said) == says
    feeder.give_up()
