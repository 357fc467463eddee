"""An upright stroke for which the text has no I or 1 makes the text unsure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from detector_twins import DECODING, evidence, labels

from detector.thin_strokes import count_thin, lacks_strokes, thin_strokes
from detector.training.render.faces import serial_mask
from detector.vote import STROKE_TRUST, Vote


def printed(text: str, *, dark: bool = True, face: int = 0) -> np.ndarray:
    """A patch with a text in a stroke font on a plain sheet."""
    patch = np.full((48, 144), 200.0)
    x = 10
    for sign in text:
        mask = serial_mask(face, sign).astype(np.float64) / 255
        rows = np.linspace(0, mask.shape[0] - 1, 26).astype(int)
        columns = np.linspace(0, mask.shape[1] - 1, max(round(mask.shape[1] * 26 / mask.shape[0]), 3)).astype(
            int
        )
        glyph = mask[np.ix_(rows, columns)]
        patch[11:37, x : x + glyph.shape[1]] -= 160 * glyph
        x += glyph.shape[1] + 4
    return (patch if dark else 255 - patch).astype(np.uint8)


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize(
    ("text", "strokes"), [("8BI5", 1), ("8II5", 2), ("HDEN", 0), ("UOJL", 0), ("5I8I", 2)]
)
def test_upright_strokes_are_counted_and_parts_of_letters_are_not(
    text: str, strokes: int, *, dark: bool
) -> None:
    assert len(thin_strokes(printed(text, dark=dark))) == strokes


def test_a_plain_sheet_has_no_strokes() -> None:
    assert thin_strokes(np.full((48, 144), 128, np.uint8)) == []
    noise = np.random.default_rng(1).integers(0, 255, (48, 144)).astype(np.uint8)
    assert len(thin_strokes(noise)) <= 1


def test_a_rim_that_is_higher_than_the_characters_is_not_a_stroke() -> None:
    patch = printed("8B5E")
    patch[:, 120:124] = 30
    assert thin_strokes(patch) == []


def look(text: str, places: list[int]) -> np.ndarray:
    """Columns (36, 37) that give each character in its place."""
    columns = np.full((36, 37), 1e-3)
    columns[:, 36] = 0.9
    for sign, place in zip(text, places, strict=True):
        columns[place] = 1e-3
        columns[place, labels(sign)[0]] = 0.96
    return columns


def with_strokes(*places: int) -> np.ndarray:
    """A patch with only upright strokes at these px, between where ``look`` has its characters."""
    patch = np.full((48, 144), 200, np.uint8)
    for x in places:
        patch[11:37, x : x + 4] = 30
    return patch


@pytest.mark.parametrize(
    ("text", "strokes", "count"),
    [
        pytest.param("BE92", (132,), 1, id="one after the last character"),
        pytest.param("BE92", (16,), 1, id="one before the first"),
        pytest.param("BE92", (36, 44), 0, id="two within a character, as an H has"),
        pytest.param("BI92", (60, 70), 2, id="two where one I was read"),
        pytest.param("BI92", (64,), 1, id="one where one I was read"),
        pytest.param("BI92", (), 1, id="an I of which no stroke shows"),
    ],
)
def test_strokes_are_left_out_characters_only_where_no_other_character_is(
    text: str, strokes: tuple[int, ...], count: int
) -> None:
    assert count_thin(with_strokes(*strokes), look(text, [10, 16, 22, 28])) == count


def test_a_text_lacks_a_stroke_that_most_frames_show() -> None:
    text = labels("V14KRD")
    assert lacks_strokes(text, [2, 2, 1])
    assert not lacks_strokes(text, [2, 1, 1])
    assert not lacks_strokes(labels("V114KRD"), [2, 2, 2])
    assert not lacks_strokes(text, [])


def test_a_text_with_a_stroke_too_few_is_not_sure() -> None:
    frames = [replace(evidence("V14KRD", seed=seed), strokes=2) for seed in range(4)]
    assert Vote(DECODING, frames).confidence <= STROKE_TRUST
    assert Vote(DECODING, [replace(one, strokes=1) for one in frames]).confidence > 0.9
