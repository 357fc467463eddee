"""A recorded clip gives the same result as live, and a file that cannot be used is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from detector_twins import DECODING, box_at, reading
from tracker_twins import Replay, near

from detector.plates import PlateBox
from detector.reader import PlateReader
from detector.training import evaluate_passes as passes
from detector.training.evaluate_passes import load_outcomes, play
from detector.training.recordings import RecordedBox, RecordedFrame, RecordingError, load, save
from detector.training.render.passes import draw_clip
from detector.training.render.passes_picture import ClipPictures

MODELS = {"plate-reader.tflite": "0" * 64}
SHAPE = (540, 960)


def recorded(*boxes: RecordedBox, number: int = 0, repeats: bool = False) -> RecordedFrame:
    return RecordedFrame(
        number=number, time_us=100_000 * number, shape=SHAPE, repeats=repeats, boxes=boxes, plates=()
    )


def seen(text: str, x: float) -> RecordedBox:
    return RecordedBox(box=box_at(x, 300), reading=reading(text, box_at(x, 300)))


@pytest.mark.slow
def test_a_recorded_clip_comes_to_what_it_came_to_live(tmp_path: Path) -> None:
    seed = 300032  # two vehicles, a few frames
    live = play(PlateReader.from_models(), draw_clip(seed), ClipPictures(draw_clip(seed)))
    assert any(one.passes for one in live.vehicles)
    for out in ("first.jsonl", "again.jsonl"):
        call = ["--first", str(seed), "--passes", "1", "--recordings", str(tmp_path / "clips")]
        assert passes.main([*call, "--out", str(tmp_path / out)]) == 0
        (clip,) = load_outcomes(tmp_path / out)
        assert asdict(clip) == asdict(live)
    assert [path.name for path in (tmp_path / "clips").iterdir()] == [f"{seed}.npz"]


def test_what_is_kept_of_a_frame_comes_back(tmp_path: Path) -> None:
    frames = [
        recorded(seen("7ABC123", 200), RecordedBox(box=box_at(700, 90, 41.5), reading=None)),
        recorded(RecordedBox(box=box_at(200, 300), reading=None), number=1, repeats=True),
    ]
    save(tmp_path / "1.npz", frames, MODELS)
    first, second = load(tmp_path / "1.npz", DECODING, MODELS)
    assert [one.box for one in first.boxes] == [one.box for one in frames[0].boxes]
    (read, refused), (kept, _) = first.boxes, frames[0].boxes
    assert refused.reading is None
    assert read.reading is not None
    assert kept.reading is not None
    assert read.reading.leader == "7ABC123"
    assert read.reading.confidence == pytest.approx(kept.reading.confidence, abs=1e-6)
    assert (second.repeats, second.number, second.time_us) == (True, 1, 100_000)


def test_a_recorded_box_is_read_confirmed_or_left_as_the_tracker_wants() -> None:
    replay = Replay(fps=10)
    frame = recorded(seen("7ABC123", 200), RecordedBox(box=box_at(700, 90), reading=None))
    assert len(frame.as_asked(replay.tracker).readings) == 1
    for _ in range(6):
        replay.show(frame.as_asked(replay.tracker))
    later = frame.as_asked(replay.tracker)
    assert (len(later.readings), len(later.unread), len(later.refused)) == (0, 1, 1)

    class Wanting(type(replay.tracker)):  # type: ignore[misc]
        def wants_text(self, box: PlateBox) -> bool | str:
            return "7ABC123"

    confirmed = frame.as_asked(Wanting(DECODING)).confirmed
    assert [one.box for one in confirmed] == [box_at(200, 300)]
    assert confirmed[0].sureness == pytest.approx(near("7ABC123", 0, 0).evidence.sureness, rel=1e-3)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("no archive")


@pytest.mark.parametrize("damage", [cut, emptied, text, Path.unlink])
def test_a_damaged_recording_is_named_with_a_cure(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "7.npz"
    save(path, [recorded(seen("7ABC123", 200))], MODELS)
    damage(path)
    with pytest.raises(RecordingError, match=r"7\.npz.*delete the file") as error:
        list(load(path, DECODING, MODELS))
    assert "7ABC" not in str(error.value)


def test_a_recording_of_other_nets_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "7.npz", [recorded(seen("7ABC123", 200))], MODELS)
    with pytest.raises(RecordingError, match="other nets"):
        list(load(tmp_path / "7.npz", DECODING, {"plate-reader.tflite": "1" * 64}))
