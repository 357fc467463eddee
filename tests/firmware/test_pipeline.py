"""Pictures become signed reads in a real ledger, by a real tracker and scripted eyes; losses are counted."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pipeline_rig import THREE, Rig, drive
from scripted_eyes import DECODING, SIZE, ScriptedEyes, plate_text, write_drive
from tracker_twins import FLEET, Replay, near, texts
from waiting import PATIENCE_S, until

from detector.track import Tracker
from detector.way_up import WayUp
from firmware.frames.pictures import overview_jpeg
from firmware.frames.pipeline import EndedPass, PipelineCounts, ReadStage, RisingTime
from firmware.frames.record import jurisdiction_of
from hw.camera import Frame
from hw.camera_replay import ReplaySource
from hw.clock import SystemClock
from hw.errors import EndOfSourceError
from storage.errors import StoreFullError
from storage.home import Home
from storage.ledger import KEEP_FREE, Ledger
from storage.verify import verify_home


def test_each_vehicle_is_one_read_with_its_text_and_the_store_verifies(
    tmp_path: Path, ledger: Ledger
) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    rig.run()
    assert rig.texts == [text for text, _ in THREE]
    assert rig.pipeline.counts.dropped == 0
    assert rig.pipeline.counts.read == rig.pipeline.counts.frames
    assert verify_home(Home(tmp_path / "home")).ok


def test_reads_are_not_sure_once_vehicle_after_vehicle_shows_a_turned_plate(
    tmp_path: Path, ledger: Ledger
) -> None:
    texts = [f"7ABC12{number}" for number in range(10)]
    source, eyes = drive(tmp_path, [(text, 3) for text in texts])
    rig = Rig(ledger, eyes, source, way_up=WayUp(lambda _patch: 1))
    rig.run()
    sure = [read.confidence for _, read in rig.announced]
    assert rig.texts == texts
    assert sure[7:] == pytest.approx([0.4 * sure[0]] * 3)
    assert sure[:7] == pytest.approx([sure[0]] * 7)


def test_a_read_is_announced_only_once_it_is_in_the_log(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    rig.run()
    assert len(rig.announced) == len(THREE)
    for number, read in rig.announced:
        assert ledger.read(number) == read


def test_overview_is_the_very_frame_that_was_read(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    rig.run()
    assert len(rig.announced) == len(THREE)
    for number, read in rig.announced:
        with Image.open(io.BytesIO(ledger.element(number, "overview").content)) as overview:
            assert overview.size == SIZE
            luma = np.asarray(overview.convert("L"))
        x, y, w, h = (round(value) for value in read.plate_box)
        assert luma[y + 3 : y + h - 3, x + 3 : x + w - 3].mean() > 180
        assert luma[y + h + 4 :, :].mean() < 60


def test_record_says_where_when_and_how_it_was_read(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE[:1])
    rig = Rig(ledger, eyes, source)
    rig.run()
    ((_, read),) = rig.announced
    assert read.lane == 2
    assert read.camera == "test"
    assert 0 < read.first_us <= read.last_us <= SystemClock().now().us
    assert 1 <= read.frames_voted <= 8
    assert len(read.slots) == len("LS15EBC") * 37 * 4
    assert read.demo


def test_the_place_is_asked_for_the_time_of_the_frame_that_was_read(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    rig.run()
    assert len(rig.asked_us) == len(THREE)
    for asked_us, (_, read) in zip(rig.asked_us, rig.announced, strict=True):
        assert read.first_us - 1000 <= asked_us <= read.last_us + 1000


def test_slow_eyes_on_a_fast_replay_drop_nothing(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE[:2])
    eyes.before = lambda frame: time.sleep(0.01)
    rig = Rig(ledger, eyes, source)
    rig.run()
    assert rig.pipeline.counts.dropped == 0
    assert eyes.frames == rig.pipeline.counts.frames
    assert rig.texts == ["LS15EBC", "7ABC123"]


def test_slow_eyes_on_a_live_source_drop_frames_and_count_them(tmp_path: Path, ledger: Ledger) -> None:
    names = write_drive(tmp_path / "pictures", [("LS15EBC", 30)], empty=0)
    source = ReplaySource(tmp_path / "pictures", clock=SystemClock(), fps=60, live=True)
    eyes = ScriptedEyes(names)
    rig = Rig(ledger, eyes, source, live=True)
    # for each frame that is read, the source advances by two, and fills the queue of four
    eyes.before = lambda frame: until(lambda: rig.pipeline.counts.frames >= min(2 * frame + 4, 30))
    rig.run()
    counts = rig.pipeline.counts
    assert counts.dropped > 0
    assert counts.read + counts.dropped == counts.frames == 30
    assert rig.texts == ["LS15EBC"]


def test_stopping_in_the_middle_of_a_pass_stores_it(tmp_path: Path, ledger: Ledger) -> None:
    names = write_drive(tmp_path / "pictures", [("LS15EBC", 40)], empty=0)
    eyes = ScriptedEyes(names)
    rig = Rig(ledger, eyes, ReplaySource(tmp_path / "pictures", clock=SystemClock()))
    eyes.before = lambda frame: rig.pipeline.stop() if frame == 20 else None
    rig.run()
    assert rig.texts == ["LS15EBC"]
    assert rig.pipeline.counts.frames < 40
    assert verify_home(Home(tmp_path / "home")).ok


def test_eyes_that_break_stop_the_run_with_their_error_and_what_was_stored_stays(
    tmp_path: Path, ledger: Ledger
) -> None:
    source, eyes = drive(tmp_path, THREE)
    eyes.fail_at = 60
    rig = Rig(ledger, eyes, source)
    rig.pipeline.start()
    with pytest.raises(RuntimeError, match="the eyes broke"):
        rig.pipeline.join(PATIENCE_S)
    assert not rig.pipeline.running
    rig.camera.close()
    assert rig.texts == ["LS15EBC"]
    assert verify_home(Home(tmp_path / "home")).ok


def test_no_plate_is_in_the_event_log(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    ledger.free_bytes = lambda: KEEP_FREE - 1
    rig.run()
    assert "store_full" in rig.log.getvalue()
    assert not any(text in rig.log.getvalue() for text, _ in THREE)


def test_pass_shows_nothing_of_its_plate_in_repr(tmp_path: Path, ledger: Ledger) -> None:
    seen: list[str] = []
    source, eyes = drive(tmp_path, THREE[:1])
    rig = Rig(ledger, eyes, source)

    def store(passes: Sequence[EndedPass]) -> int:
        seen.append(repr(passes))
        raise StoreFullError("full", where="x")

    rig.pipeline._store = store  # the only way to see a pass between stages
    rig.pipeline.start()
    with pytest.raises(StoreFullError):
        rig.pipeline.join(PATIENCE_S)
    rig.camera.close()
    assert seen
    assert "LS15EBC" not in seen[0]


def test_overview_keeps_color_and_size_of_an_odd_frame() -> None:
    luma = np.full((31, 41), 120, dtype=np.uint8)
    blue = np.full((16, 21), 90, dtype=np.uint8)
    red = np.full((16, 21), 200, dtype=np.uint8)
    frame = Frame(
        luma=luma,
        chroma=(blue, red),
        lores=None,
        sequence=0,
        captured=SystemClock().now(),
        exposure_us=None,
        gain=None,
        source="test",
    )
    with Image.open(io.BytesIO(overview_jpeg(frame, quality=85))) as image:
        image.draft("YCbCr", None)
        assert image.size == (41, 31)
        planes = np.asarray(image).reshape(-1, 3).mean(axis=0)
    assert planes == pytest.approx([120, 90, 200], abs=3)


def test_threads_end_with_the_run(tmp_path: Path, ledger: Ledger) -> None:
    before = set(threading.enumerate())
    source, eyes = drive(tmp_path, THREE[:1])
    Rig(ledger, eyes, source).run()
    started = {thread.name for thread in set(threading.enumerate()) - before}
    assert started & {"capture", "read", "store", "camera"} == set()


@pytest.mark.parametrize(("chance", "state"), [(0.5, None), (0.94, None), (0.95, "US-OR"), (1.0, "US-OR")])
def test_a_state_that_is_a_guess_is_left_out_of_a_read(chance: float, state: str | None) -> None:
    text = replace(plate_text("7ABC123"), jurisdiction=(("US-OR", chance), ("US-VT", 1.0 - chance)))
    assert jurisdiction_of(text) == state
    assert jurisdiction_of(plate_text("7ABC123")) is None


@pytest.mark.parametrize(
    ("unsound", "read"),
    [
        pytest.param(range(3, 5), 3, id="for a moment"),
        pytest.param(range(1, 30), 2, id="while the first vehicle passes"),
        pytest.param(range(1, 1000), 0, id="always"),
    ],
)
def test_a_frame_of_which_a_net_gives_no_numbers_is_reported_and_never_becomes_a_read(
    tmp_path: Path, unsound: range, read: int
) -> None:
    source, eyes = drive(tmp_path, THREE)
    eyes.unsound_at = unsound
    ended: list[EndedPass] = []
    told: list[str] = []
    stage = ReadStage(
        eyes,
        Tracker(DECODING),
        counts=(counts := PipelineCounts()),
        on_progress=lambda progress: None,
        hand_on=lambda one: None if one.in_view else ended.append(one),
        on_unsound=lambda error: told.append(error.net),
    )
    camera = source.open()
    with suppress(EndOfSourceError):
        while True:
            with camera.borrow() as frame:
                stage.take(frame.owned())
    stage.finish()
    assert len(ended) == read
    assert set(told) == {"plate-reader.tflite"}
    assert counts.read == eyes.frames - len(told)


def test_nets_that_fail_for_good_leave_no_pass_in_view_unstored(tmp_path: Path) -> None:
    """Once, it ended only with the run, and was lost if the supervisor killed a reader without frames."""
    source, eyes = drive(tmp_path, THREE)
    eyes.unsound_at = range(5, 1000)
    ended: list[EndedPass] = []
    stage = ReadStage(
        eyes,
        Tracker(DECODING),
        counts=PipelineCounts(),
        on_progress=lambda progress: None,
        hand_on=lambda one: None if one.in_view else ended.append(one),
    )
    camera = source.open()
    with suppress(EndOfSourceError):
        while True:
            with camera.borrow() as frame:
                stage.take(frame.owned())
    assert len(ended) == 1


YEAR_S = 365 * 86_400


@pytest.mark.thorough_rows(every=3)
@pytest.mark.parametrize("step_s", [-3600, -5, 3600, -YEAR_S, YEAR_S, 230 * YEAR_S, "to 1970"])
def test_a_clock_that_is_set_while_vehicles_pass_stops_no_pass_from_ending(
    tmp_path: Path, step_s: int | str
) -> None:
    """After a step back by an hour, the next vehicle is read at once, with the clock's new time."""
    source, eyes = drive(tmp_path, THREE)
    ended: list[EndedPass] = []
    stage = ReadStage(
        eyes,
        Tracker(DECODING),
        counts=PipelineCounts(),
        on_progress=lambda progress: None,
        hand_on=lambda one: None if one.in_view else ended.append(one),
    )
    camera, frames = source.open(), list[Frame]()
    with suppress(EndOfSourceError):
        while True:
            with camera.borrow() as frame:
                frames.append(frame.owned())
    amid = 8 + 30 + 5  # the second vehicle is halfway
    step_us = -frames[amid].captured.us if isinstance(step_s, str) else step_s * 1_000_000
    stepped = [replace(frame, captured=frame.captured.shifted(step_us)) for frame in frames[amid:]]
    for frame in [*frames[:amid], *stepped]:
        stage.take(frame)
    assert [one.vehicle.text.text for one in ended][-1] == "XR72KLM"  # ended on the road, not by the flush
    assert {one.vehicle.text.text for one in ended} == {text for text, _ in THREE}
    third = ended[-1].vehicle
    seen = [frame.captured.us for frame in stepped[5 + 30 : 5 + 30 + 6]]
    assert abs(third.first_us - seen[0]) < 1_000_000
    assert abs(third.last_us - seen[-1]) < 1_000_000
    assert all(0 <= one.vehicle.first_us <= one.vehicle.last_us for one in ended)  # a record holds each
    assert len(ended) == (4 if step_us > 0 else 3)  # an hour ahead, the vehicle in view looks like a new one


def test_stamps_of_whole_seconds_are_spread_over_them_and_date_no_pass_earlier() -> None:
    """Four pictures a second, plus the difference between two readings of a clock."""
    rising = RisingTime()
    told = [rising.of(number // 4 * 1_000_000 - number % 3) for number in range(40)]
    assert [before < after for before, after in pairwise(told)] == [True] * 39
    assert told[8:] == pytest.approx([number * 250_000 for number in range(8, 40)], abs=20)
    assert rising.shift_us <= 750_020


@pytest.mark.parametrize("back_us", [300_000, 900_000, 5_000_000])
def test_a_clock_set_back_by_any_time_tears_no_pass(back_us: int) -> None:
    replay, rising = Replay(fps=10), RisingTime()
    for number in range(40):
        told = rising.of(10**9 + number * 100_000 - (back_us if number >= 15 else 0))
        replay.now_us = told - replay.step_us
        replay.look(*(near(text, 100 + 30 * number + 160 * at, 300, 80) for at, text in enumerate(FLEET)))
    assert sorted(one.frames_seen for one in replay.finish()) == [40, 40, 40]


def test_a_clock_that_stopped_ends_a_pass_all_the_same() -> None:
    replay, rising = Replay(fps=20), RisingTime()
    for number in range(300):
        replay.now_us = rising.of(min(number, 20) * 50_000) - replay.step_us
        replay.look(*([near("7ABC123", 100 + 5 * number, 300, 80)] if number < 40 else []))
    assert texts(replay.ended) == ["7ABC123"]


def test_a_clock_set_back_shifts_the_frames_after_it() -> None:
    rising = RisingTime()
    told = [rising.of(us) for us in (0, 100_000, -5_000_000, -4_900_000)]
    assert told == [0, 100_000, 200_000, 300_000]
    assert rising.shift_us == 5_200_000
