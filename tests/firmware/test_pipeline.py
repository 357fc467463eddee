"""Pictures in, signed reads in a real ledger, real tracker, scripted eyes: all is stored or counted."""

from __future__ import annotations

import io
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camera_twins import ScriptedSource
from PIL import Image
from scripted_eyes import DECODING, SIZE, ScriptedEyes, plate_text, write_drive

from detector.track import Tracker
from firmware.custody.bookkeeper import FAILED_LIMIT_S, Bookkeeper
from firmware.custody.opening import create_ledger
from firmware.frames.pictures import overview_jpeg
from firmware.frames.pipeline import EndedPass, Pipeline, PipelineCounts, ReadStage
from firmware.frames.record import Surroundings, jurisdiction_of
from hw.camera import Frame
from hw.camera_replay import ReplaySource
from hw.camera_watch import BlindSpell, WatchedCamera
from hw.clock import SystemClock
from hw.errors import EndOfSourceError
from storage.audit_records import Gap
from storage.errors import StoreFullError
from storage.home import Home
from storage.ledger import KEEP_FREE, Ledger
from storage.read_records import Position, Read
from storage.verify import verify_home
from sync.event_log import event_log

AROUND = Surroundings(camera="test", position=None, lane=2, models=(), software="test", demo=True)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with create_ledger(tmp_path / "home") as ledger:
        yield ledger


class Rig:
    """A pipeline over a folder of pictures."""

    def __init__(
        self,
        ledger: Ledger,
        eyes: ScriptedEyes,
        source: object,
        *,
        live: bool = False,
        gather_s: float = 0.0,
        wanted: str = "",
    ) -> None:
        """wanted: the text that a hot list has; what is met is kept in `met`."""
        self.met: list[str] = []
        self.announced: list[tuple[int, Read]] = []
        self.log = io.StringIO()
        self.clock = SystemClock()
        self.asked_us: list[int] = []
        self.ledger = ledger
        self.bookkeeper = Bookkeeper(
            ledger,
            AROUND,
            clock=self.clock,
            overview_quality=85,
            announce=lambda number, read: self.announced.append((number, read)),
            log=event_log(self.log),
            position=self.where,
            matches=lambda ended: ended.vehicle.text.text == wanted,
            met=lambda _number, read, _ended: self.met.append(read.text),
        )
        self.camera = WatchedCamera(
            source,  # type: ignore[arg-type]
            clock=self.clock,
            on_blind=self.bookkeeper.blind,
            stall_s=0.5,
        )
        self.pipeline = Pipeline(
            self.camera,
            eyes,
            Tracker(DECODING),
            store=self.bookkeeper.store,
            live=live,
            queue_frames=4,
            on_frame=lambda frame: None,
            on_broken=lambda error: None,
            on_progress=lambda progress: None,
            urgent=lambda ended: ended.vehicle.text.text == wanted,
            gather_s=gather_s,
        )

    def where(self, ago_s: float) -> Position | None:
        self.asked_us.append(self.clock.now().us - round(ago_s * 1e6))
        return None

    def run(self) -> None:
        self.pipeline.start()
        self.pipeline.join(60)
        self.camera.close()
        self.bookkeeper.close()

    @property
    def texts(self) -> list[str]:
        return [read.text for _, read in self.announced]


def drive(tmp_path: Path, passes: list[tuple[str, int]]) -> tuple[ReplaySource, ScriptedEyes]:
    names = write_drive(tmp_path / "pictures", passes)
    return ReplaySource(tmp_path / "pictures", clock=SystemClock()), ScriptedEyes(names)


THREE = [("LS15EBC", 8), ("7ABC123", 10), ("XR72KLM", 6)]


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


def test_a_read_is_announced_only_once_it_is_in_the_log(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    rig.run()
    for number, read in rig.announced:
        assert ledger.read(number) == read


def test_overview_is_the_very_frame_that_was_read(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    rig.run()
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
    eyes.delay_s = 0.01
    rig = Rig(ledger, eyes, source)
    rig.run()
    assert rig.pipeline.counts.dropped == 0
    assert eyes.frames == rig.pipeline.counts.frames
    assert rig.texts == ["LS15EBC", "7ABC123"]


def test_slow_eyes_on_a_live_source_drop_frames_and_count_them(tmp_path: Path, ledger: Ledger) -> None:
    names = write_drive(tmp_path / "pictures", [("LS15EBC", 30)], empty=5)
    source = ReplaySource(tmp_path / "pictures", clock=SystemClock(), fps=60, live=True)
    rig = Rig(ledger, ScriptedEyes(names, delay_s=0.05), source, live=True)
    rig.run()
    counts = rig.pipeline.counts
    assert counts.dropped > 0
    assert counts.read + counts.dropped == counts.frames == 35
    assert rig.texts == ["LS15EBC"]


def test_stopping_in_the_middle_of_a_pass_stores_it(tmp_path: Path, ledger: Ledger) -> None:
    names = write_drive(tmp_path / "pictures", [("LS15EBC", 40)], empty=0)
    source = ReplaySource(tmp_path / "pictures", clock=SystemClock(), fps=10, live=True)
    rig = Rig(ledger, ScriptedEyes(names), source, live=True)
    rig.pipeline.start()
    time.sleep(1.0)
    rig.pipeline.stop()
    rig.camera.close()
    rig.pipeline.join(120)
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
        rig.pipeline.join(120)
    assert not rig.pipeline.running
    rig.camera.close()
    assert rig.texts == ["LS15EBC"]
    assert verify_home(Home(tmp_path / "home")).ok


def test_full_store_loses_reads_for_a_recorded_time_and_goes_on(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    free = iter([KEEP_FREE - 1, KEEP_FREE - 1])
    real = ledger.free_bytes
    ledger.free_bytes = lambda: next(free, real())
    rig.run()
    counts = rig.pipeline.counts
    assert rig.texts == ["XR72KLM"]
    assert counts.lost_passes == 2
    assert counts.passes == counts.stored + counts.lost_passes
    (gap,) = gaps_of(ledger)
    assert gap.reason == "store full"
    assert gap.lost == 2
    assert gap.from_us <= gap.to_us


def counted_batches(ledger: Ledger) -> list[int]:
    """How many reads each call stored, from now on."""
    counts: list[int] = []
    one, several = ledger.append_read, ledger.append_reads

    def append_read(*words: Any, **named: Any) -> Any:
        counts.append(1)
        return one(*words, **named)

    def append_reads(new: Any) -> Any:
        refs = several(new)
        counts.append(len(refs))
        return refs

    ledger.append_read, ledger.append_reads = append_read, append_reads  # type: ignore[method-assign]
    return counts


def test_passes_that_end_within_the_time_are_stored_together_and_announced_in_order(
    tmp_path: Path, ledger: Ledger
) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig, counts = Rig(ledger, eyes, source, gather_s=60.0), counted_batches(ledger)
    rig.run()
    assert counts == [3]
    assert rig.texts == [text for text, _ in THREE]
    assert [ledger.read(number).text for number, _ in rig.announced] == rig.texts
    assert rig.pipeline.counts.stored == 3
    ledger.close()
    assert verify_home(Home(tmp_path / "home")).ok


def test_a_pass_that_a_hot_list_wants_waits_for_no_other(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source, gather_s=60.0, wanted="7ABC123")
    counts = counted_batches(ledger)
    rig.run()
    assert counts == [1, 1, 1]  # those before it, itself, those after it
    assert rig.met == ["7ABC123"]
    assert rig.texts == [text for text, _ in THREE]


def test_what_cannot_be_stored_together_is_stored_or_counted_by_itself(
    tmp_path: Path, ledger: Ledger
) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source, gather_s=60.0)
    real = ledger.append_read

    def append_reads(_new: Any) -> Any:
        raise StoreFullError("full", where="x")

    def append_read(read: Read, **named: Any) -> Any:
        if read.text == "7ABC123":
            raise StoreFullError("full", where="x")
        return real(read, **named)

    ledger.append_reads, ledger.append_read = append_reads, append_read  # type: ignore[method-assign, assignment]
    rig.run()
    assert rig.texts == ["LS15EBC", "XR72KLM"]
    (gap,) = gaps_of(ledger)
    assert gap.lost == rig.pipeline.counts.lost_passes == 1


def test_a_store_that_fails_for_a_moment_loses_reads_for_a_recorded_time_and_goes_on(
    tmp_path: Path, ledger: Ledger
) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    failures: list[Exception] = [OSError(5, "Input/output error"), sqlite3.OperationalError("disk I/O error")]
    real = ledger.append_read

    def append_read(*words: Any, **named: Any) -> Any:
        if failures:
            raise failures.pop(0)
        return real(*words, **named)

    ledger.append_read = append_read  # type: ignore[method-assign]
    rig.run()
    assert rig.texts == ["XR72KLM"]
    (gap,) = gaps_of(ledger)
    assert gap.reason == "store failed: OSError"
    assert gap.lost == rig.pipeline.counts.lost_passes == 2
    assert "store_failed" in rig.log.getvalue()


def test_a_store_that_fails_for_long_ends_the_run_with_what_is_wrong(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE)
    rig = Rig(ledger, eyes, source)
    times = iter((0.0, FAILED_LIMIT_S / 2, FAILED_LIMIT_S))
    rig.bookkeeper._monotonic = lambda: next(times)

    def append_read(*_words: Any, **_named: Any) -> Any:
        raise sqlite3.DatabaseError("database disk image is malformed")

    ledger.append_read = append_read  # type: ignore[method-assign]
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        rig.run()
    rig.camera.close()
    rig.bookkeeper.close()
    assert gaps_of(ledger)[0].lost == 3


def test_a_blind_spell_that_finds_no_room_is_recorded_once_there_is(tmp_path: Path, ledger: Ledger) -> None:
    source, eyes = drive(tmp_path, THREE[:1])
    rig = Rig(ledger, eyes, source)
    real, now = ledger.append, rig.clock.now()

    def append(_record: Any) -> Any:
        raise StoreFullError("full", where="x")

    ledger.append = append  # type: ignore[method-assign, assignment]
    rig.bookkeeper.blind(BlindSpell(began=now, ended=now, blind_s=5.0, reason="no frame", reopened=1))
    ledger.append = real  # type: ignore[method-assign]
    assert gaps_of(ledger) == []
    rig.run()
    (gap,) = gaps_of(ledger)
    assert gap.reason == "camera: no frame"


def test_blind_spell_of_the_camera_is_a_record_in_the_log(ledger: Ledger) -> None:
    source = ScriptedSource(SystemClock())
    rig = Rig(ledger, ScriptedEyes({}), source, live=True)
    rig.pipeline.start()
    time.sleep(0.3)
    source.stalled.set()
    until = time.monotonic() + 10
    while source.opened < 2 and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    rig.pipeline.stop()
    rig.camera.close()
    rig.pipeline.join(120)
    (gap,) = gaps_of(ledger)
    assert gap.reason.startswith("camera: ")
    assert 500_000 <= gap.to_us - gap.from_us <= 10_000_000
    assert "camera_blind" in rig.log.getvalue()


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

    rig.pipeline._store = store  # the only way to see a pass between the stages
    rig.pipeline.start()
    with pytest.raises(StoreFullError):
        rig.pipeline.join(120)
    rig.camera.close()
    assert seen
    assert "LS15EBC" not in seen[0]


def gaps_of(ledger: Ledger) -> list[Gap]:
    numbers = range(ledger.status().records)
    records = [ledger.store.record(n) for n in numbers if ledger.store.leaf(n).kind == Gap.KIND]
    return [record for record in records if isinstance(record, Gap)]


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


@pytest.mark.parametrize(("chance", "state"), [(0.5, None), (0.79, None), (0.8, "US-OR"), (1.0, "US-OR")])
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
def test_a_frame_of_which_a_net_gives_no_numbers_is_told_and_never_becomes_a_read(
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
        hand_on=lambda one: None if one.goes_on else ended.append(one),
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


@pytest.mark.parametrize("step_s", [-3600, -5, 3600])
def test_a_clock_that_is_set_while_vehicles_pass_stops_no_pass_from_ending(
    tmp_path: Path, step_s: int
) -> None:
    """After a step back by an hour the next vehicle is read at once, under the clock's new time."""
    source, eyes = drive(tmp_path, THREE)
    ended: list[EndedPass] = []
    stage = ReadStage(
        eyes,
        Tracker(DECODING),
        counts=PipelineCounts(),
        on_progress=lambda progress: None,
        hand_on=lambda one: None if one.goes_on else ended.append(one),
    )
    camera, frames = source.open(), list[Frame]()
    with suppress(EndOfSourceError):
        while True:
            with camera.borrow() as frame:
                frames.append(frame.owned())
    amid = 8 + 30 + 5  # the second vehicle is half-way
    stepped = [replace(frame, captured=frame.captured.shifted(step_s * 1_000_000)) for frame in frames[amid:]]
    for frame in [*frames[:amid], *stepped]:
        stage.take(frame)
    assert [one.vehicle.text.text for one in ended][-1] == "XR72KLM"  # ended on the road, not by the flush
    assert {one.vehicle.text.text for one in ended} == {text for text, _ in THREE}
    third = ended[-1].vehicle
    seen = [frame.captured.us for frame in stepped[5 + 30 : 5 + 30 + 6]]
    assert abs(third.first_us - seen[0]) < 1_000_000
    assert abs(third.last_us - seen[-1]) < 1_000_000
    assert all(one.vehicle.first_us <= one.vehicle.last_us for one in ended)
    assert len(ended) == (4 if step_s > 0 else 3)  # an hour ahead the vehicle in view looks like a new one
