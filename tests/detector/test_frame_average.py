"""The average of a pass's looks shows what no single look does, makes no text surer, takes no other plate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from detector_twins import DECODING, box_at, evidence, frame, labels, reading
from numpy.typing import NDArray
from PIL import Image
from tracker_twins import Replay

from detector import frame_average
from detector.ctc import spelt
from detector.errors import NetAnswerError
from detector.frame_average import MOST, View, Views, average
from detector.plates import Evidence, VehiclePass
from detector.reader import KNOWN_PLATE, KNOWN_TEXT, PlateReader
from detector.training.evaluate_passes import play
from detector.training.render.passes import draw_clip
from detector.training.render.passes_picture import ClipPictures
from detector.vote import Vote

U8 = NDArray[np.uint8]


@pytest.fixture(scope="module")
def plate(shipped: PlateReader) -> U8:
    """A drawn plate as the reader's net sees it, (48, 144)."""
    with Image.open(KNOWN_PLATE) as picture:
        (seen,) = shipped.read(np.asarray(picture.convert("L"))).readings
    return seen.patch


def noisy(patch: U8, seed: int, *, noise: float = 25.0, moves: bool = True) -> View:
    """A look at the patch: moved, slightly larger or smaller, with its own noise."""
    rng = np.random.default_rng(seed)
    scale, x, y = rng.uniform(0.97, 1.03), rng.uniform(-2, 2), rng.uniform(-1, 1)
    affine = (scale, 0, x, 0, scale, y) if moves else (1, 0, 0, 0, 1, 0)
    size = patch.shape[1], patch.shape[0]
    moved = Image.fromarray(patch).transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
    luma = np.asarray(moved, np.float64) + rng.normal(0, noise, patch.shape)
    seen = np.asarray(np.clip(luma, 0, 255), np.uint8)
    return View(seen, KNOWN_TEXT, width_px=60.0, sureness=0.5)


def looks_at(plate: U8) -> list[View]:
    """Eight looks at a plate. All are worth the same, so the average is aligned with the first."""
    return [noisy(plate, seed, moves=seed > 0) for seed in range(8)]


def likeness(one: U8, other: U8) -> float:
    """Correlation of two patches without their edges."""
    return float(np.corrcoef(one[6:-6, 9:-9].ravel(), other[6:-6, 9:-9].ravel())[0, 1])


def test_the_average_is_more_like_the_plate_than_any_look_is(plate: U8) -> None:
    views = looks_at(plate)
    picture = average(views)
    assert picture is not None
    assert picture.shape == plate.shape
    best = max(likeness(view.patch, plate) for view in views)
    assert 1 - likeness(picture, plate) < (1 - best) / 2


def test_looks_that_are_not_moved_onto_each_other_say_less(plate: U8) -> None:
    views = looks_at(plate)
    moved, plain = average(views), np.mean([view.patch for view in views], axis=0).astype(np.uint8)
    assert moved is not None
    assert 1 - likeness(moved, plate) < (1 - likeness(plain, plate)) / 2


def test_a_look_at_another_plate_is_left_out(plate: U8) -> None:
    other = np.ascontiguousarray(plate[:, ::-1])
    assert average([noisy(plate, 1, noise=5), noisy(other, 2, noise=5)]) is None
    with_other = average([noisy(plate, 1), noisy(plate, 2), noisy(plate, 3), noisy(other, 4)])
    without = average([noisy(plate, 1), noisy(plate, 2), noisy(plate, 3)])
    assert with_other is not None
    assert without is not None
    assert np.array_equal(with_other, without)


@pytest.mark.parametrize("count", [0, 1])
def test_one_look_has_no_average(plate: U8, count: int) -> None:
    assert average([noisy(plate, 1)] * count) is None


def test_a_look_from_far_away_is_left_out(plate: U8) -> None:
    near = [noisy(plate, seed) for seed in range(3)]
    far = replace(noisy(plate, 9), width_px=30.0)
    pictures = average(near), average([*near, far])
    assert pictures[0] is not None
    assert pictures[1] is not None
    assert np.array_equal(pictures[0], pictures[1])


@pytest.mark.parametrize("luma", [0, 255, 128])
def test_patches_without_a_stroke_are_averaged_without_harm(luma: int) -> None:
    flat = View(np.full((48, 144), luma, np.uint8), "ABC123", width_px=60.0, sureness=0.5)
    picture = average([flat, flat, flat])
    assert picture is None or picture.shape == (48, 144)


def test_the_looks_worth_most_are_kept(plate: U8) -> None:
    kept = Views()
    for width in range(20, 60):
        kept.add([View(plate, KNOWN_TEXT, width_px=float(width), sureness=0.9)])
    other = Views()
    other.add([View(plate, "ABC", width_px=70.0, sureness=0.9), View(plate, KNOWN_TEXT, 65.0, 1e-9)])
    kept.join(other)
    widths = sorted(view.width_px for view in kept.as_long_as(KNOWN_TEXT))
    assert widths == [float(width) for width in range(60 - MOST + 1, 60)]
    assert [view.width_px for view in kept.as_long_as("XYZ")] == [70.0]


def seen_as(text: str, *, looks: int = 4, against: str = "", count: int = 0) -> Evidence:
    """An average that gives a text; `count` of its looks give another one."""
    one, other = evidence(text), evidence(against or text)
    rows = [other if index < count else one for index in range(looks)]
    return replace(
        one,
        columns=np.concatenate([row.columns for row in rows]),
        candidates=tuple(sorted({text for row in rows for text in row.candidates})),
        paths=tuple(row.paths[0] for row in rows),
        slots=None,
    )


def between(text: str, other: str, share: float) -> Evidence:
    """The evidence of a frame that could show either text."""
    one, two = evidence(text), evidence(other)
    columns = share * one.columns + (1 - share) * two.columns
    candidates = tuple(sorted({*one.candidates, *two.candidates}))
    return replace(one, columns=columns, candidates=candidates, slots=None)


def test_an_average_decides_between_two_texts_that_the_frames_leave_open() -> None:
    vote = Vote(DECODING, [between("7ABC123", "7A8C123", 0.6)] * 3)
    decided = vote.with_average(seen_as("7A8C123"))
    assert vote.text.leader == "7ABC123"  # and the vote keeps it, as the pass may continue
    assert decided.text.leader == "7A8C123"
    assert decided.confidence < DECODING.confidence.report_from


def test_an_average_does_not_outvote_frames_that_are_sure() -> None:
    vote = Vote(DECODING, [evidence("7ABC123")] * 3)
    doubted = vote.with_average(seen_as("7A8C123"))
    assert doubted.text.leader == "7ABC123"
    assert doubted.confidence == pytest.approx(0.6 * vote.confidence, rel=0.1)


@pytest.mark.parametrize(("against", "doubted"), [(0, False), (1, False), (2, True), (4, True)])
def test_a_text_that_half_of_the_looks_at_the_average_deny_is_doubted(against: int, *, doubted: bool) -> None:
    vote = Vote(DECODING, [evidence("7ABC123")] * 3)
    average = seen_as("7ABC123", against="7A8C123", count=against)
    assert (vote.with_average(average).confidence < 0.8 * vote.confidence) is doubted


def test_an_o_for_a_zero_is_not_another_text() -> None:
    vote = Vote(DECODING, [evidence("7ABC120")] * 3)
    assert vote.with_average(seen_as("7ABC12O")).confidence > 0.8 * vote.confidence


def test_an_average_makes_no_text_longer_or_shorter() -> None:
    vote = Vote(DECODING, [between("7ABC123", "7ABC12", 0.6)] * 3)
    for text in ("7ABC12", "7ABC1234"):
        assert len(vote.with_average(seen_as(text)).text.leader) == len(vote.text.leader)


class Eyes:
    """A reader that answers for several looks together, and remembers what it was shown."""

    def __init__(self, text: str | None) -> None:
        self.seen = None if text is None else seen_as(text)
        self.asked: list[list[str]] = []

    def __call__(self, views: Sequence[View]) -> Evidence | None:
        self.asked.append([view.text for view in views])
        return self.seen


def drive_by(eyes: Eyes, *, width: float = 60.0, text: str = "7ABC123") -> VehiclePass:
    """A car in five frames. It is asked for twice while in view, as for an alert."""
    replay = Replay(together=eyes)
    for number in range(5):
        replay.show(frame(reading(text, box_at(200 + 60 * number, 300, width))))
    before, again = replay.tracker.so_far(1), replay.tracker.so_far(1)
    assert before is not None
    assert again is not None
    assert before.text.leader == again.text.leader
    (ended,) = replay.tracker.flush()
    return ended


def test_a_pass_is_looked_at_together_once_however_often_it_is_asked_for() -> None:
    eyes = Eyes("7ABC123")
    drive_by(eyes)
    assert eyes.asked == [["7ABC123"] * 5]


def test_a_wide_plate_is_not_looked_at_together() -> None:
    eyes = Eyes("7A8C123")
    assert drive_by(eyes, width=120.0).text.leader == "7ABC123"
    assert not eyes.asked


def test_an_average_that_agrees_makes_no_pass_surer() -> None:
    agreed, alone = (drive_by(Eyes(text)).text.confidence for text in ("7ABC123", None))
    assert agreed <= alone
    assert agreed == pytest.approx(alone, rel=0.05)


def test_an_average_that_disagrees_makes_a_pass_unsure() -> None:
    doubted, alone = (drive_by(Eyes(text)).text.confidence for text in ("7A8C123", None))
    assert alone > DECODING.confidence.report_from
    assert doubted < 0.7 * alone


def test_a_net_that_gives_no_number_there_loses_no_pass(
    plate: U8, shipped: PlateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise NetAnswerError("plate-reader.tflite", "is no number")

    views = [noisy(plate, seed) for seed in range(3)]
    seen = shipped.see_together(views)
    assert seen is not None
    assert KNOWN_TEXT in map(spelt, seen.paths)
    assert labels(KNOWN_TEXT) in seen.candidates
    assert len(seen.paths) == len(seen.columns) == len(frame_average.SHARPENED)
    monkeypatch.setattr("detector.ocr.read_average", broken)
    assert shipped.see_together(views) is None


@pytest.mark.thorough
def test_two_frames_that_no_one_can_read_are_read_together(shipped: PlateReader) -> None:
    """A moving car at two frames a second; each frame alone gives 912RFF."""
    clip = draw_clip(370031)
    texts = {one.truth: one for one in play(shipped, clip, ClipPictures(clip)).vehicles}
    assert texts["912RFT"].right
    assert texts["912RFT"].confidence < shipped.report_from
