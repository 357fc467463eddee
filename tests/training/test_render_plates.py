"""Rendered plates: every jurisdiction can be drawn, and a seed repeats its text and picture."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from detector.training.alphabet import JURISDICTIONS as JURISDICTION_CODES
from detector.training.alphabet import UNKNOWN, place_of
from detector.training.render import (
    JURISDICTIONS,
    faces,
    glyphs,
    lettering,
    line,
    looks,
    render_plate,
    serials,
)


@pytest.mark.thorough_rows("US-DC", every=12)
@pytest.mark.parametrize("jurisdiction", JURISDICTIONS)
def test_every_jurisdiction_renders_by_day_and_in_infrared(jurisdiction: str) -> None:
    rng = np.random.default_rng(1)
    for infrared in (False, True):
        for _ in range(4):
            plate = render_plate(rng, infrared=infrared, jurisdiction=jurisdiction)
            height, width = plate.luma.shape
            assert plate.luma.dtype == np.uint8
            assert plate.alpha.shape == plate.luma.shape
            assert 200 <= width <= 460
            assert 80 <= height <= 260
            assert re.fullmatch(r"[A-Z0-9]{1,10}", plate.text)
            for quad in (plate.corners, plate.text_corners):
                assert quad.shape == (4, 2)
                assert quad.min() >= 0
                assert np.all(quad.max(axis=0) <= (width, height))


def test_a_state_is_named_as_the_data_sets_name_it() -> None:
    rng = np.random.default_rng(2)
    assert len(looks.JURISDICTIONS) == 51
    for code in looks.JURISDICTIONS:
        assert render_plate(rng, jurisdiction=code).jurisdiction == code
    assert render_plate(rng, jurisdiction="GB").jurisdiction == "EU"


def test_a_province_is_never_taken_for_a_state() -> None:
    rng = np.random.default_rng(12)
    told = {render_plate(rng, jurisdiction="CA").jurisdiction for _ in range(60)}
    assert len(told) >= 8
    assert all(place.startswith("CA-") for place in told)
    assert {place_of(place) for place in told} == {JURISDICTION_CODES.index(UNKNOWN)}
    assert place_of("US-CA") == JURISDICTION_CODES.index("US-CA")
    assert place_of("") == -1


@pytest.mark.parametrize("kind", ["US", "EU", "BR", "square"])
def test_each_character_is_where_its_box_says(kind: str) -> None:
    """The strips between characters show far less print than the characters."""
    rng = np.random.default_rng(8)
    inside, between = [], []
    for _ in range(12):
        plate = render_plate(rng, jurisdiction=kind)
        assert len(plate.characters) == len(plate.text) == sum(plate.lines)
        assert len(plate.lines) == (2 if kind == "square" else 1)
        luma = plate.luma.astype(float)
        for index, (left, top, right, bottom) in enumerate(plate.characters.round().astype(int)):
            inside.append(np.ptp(luma[top:bottom, left:right], axis=None))
            last_of_line = index + 1 in np.cumsum(plate.lines)
            if not last_of_line:
                gap = luma[top:bottom, right : round(plate.characters[index + 1, 0])]
                if gap.shape[1] > 1:
                    between.append(np.abs(np.diff(gap.mean(axis=1))).mean())
    assert np.median(inside) > 60
    assert np.median(between) < 6


def test_lettering_is_a_plate_of_no_text() -> None:
    rng = np.random.default_rng(9)
    for _ in range(40):
        for thing in (lettering.bare_word(rng), lettering.board(rng)):
            assert thing.text == ""
            assert thing.jurisdiction == ""
            assert thing.luma.shape == thing.alpha.shape
            assert thing.alpha.max() > 100


@pytest.mark.parametrize("line", ["AB 123", "7ABC123", "XY-99*Z"])
def test_thin_ends_keep_marks_and_length(line: str) -> None:
    rng = np.random.default_rng(10)
    thinned = {serials.thin_ended(rng, line) for _ in range(60)}
    for one in thinned:
        assert len(one) == len(line)
        assert [sign in serials.MARKS for sign in one] == [sign in serials.MARKS for sign in line]
    assert any(one[-1] in "I1" for one in thinned)
    assert any(re.search("[I1][I1]", serials.bare(one)) for one in thinned)


def test_an_unknown_jurisdiction_is_refused() -> None:
    with pytest.raises(KeyError):
        render_plate(np.random.default_rng(0), jurisdiction="US-XX")


def test_the_same_seed_gives_the_same_plate_whatever_was_drawn_before() -> None:
    first = render_plate(np.random.default_rng(5))
    for seed in range(20):
        render_plate(np.random.default_rng(seed))
    again = render_plate(np.random.default_rng(5))
    assert again.text == first.text
    assert np.array_equal(again.luma, first.luma)
    assert np.array_equal(again.corners, first.corners)


def test_the_serial_is_inside_its_text_corners() -> None:
    """Where the text is, luma varies far more along a row than the sheet's own shading does."""
    rng = np.random.default_rng(3)
    contrasts = []
    for _ in range(60):
        plate = render_plate(rng)
        (left, top), (right, bottom) = plate.text_corners[0].astype(int), plate.text_corners[2].astype(int)
        strip = plate.luma[top:bottom, left:right].astype(float)
        contrasts.append(np.percentile(strip, 92) - np.percentile(strip, 8))
    assert np.median(contrasts) > 70


@pytest.mark.thorough
def test_short_and_long_texts_and_hard_characters_are_all_drawn() -> None:
    rng = np.random.default_rng(4)
    texts = [render_plate(rng).text for _ in range(480)]
    lengths = [len(text) for text in texts]
    for length in range(2, 9):
        assert lengths.count(length) >= 3
    assert max(lengths.count(length) for length in range(2, 9)) < 0.5 * len(texts)
    letters = "".join(texts)
    assert min(letters.count(character) for character in glyphs.CHARACTERS) > 0.005 * len(letters)


@pytest.mark.parametrize(
    ("pattern", "shape"),
    [
        ("1LLL999", r"[1-9][A-HJ-NPR-Z]{3}\d{3}"),
        ("AA9*A9A", r"[A-Z]{2}\d\*[A-Z]\d[A-Z]"),
        ("{BC}99 A", r"BC\d\d [A-Z]"),
    ],
)
def test_patterns_are_filled_sign_by_sign(pattern: str, shape: str) -> None:
    rng = np.random.default_rng(6)
    for _ in range(50):
        printed = serials.fill(rng, pattern)
        assert re.fullmatch(shape, printed)
        assert re.fullmatch(r"[A-Z0-9]+", serials.bare(printed))


def test_every_pattern_of_the_table_can_be_filled() -> None:
    rng = np.random.default_rng(7)
    for look in looks.LOOKS:
        for pattern in look.patterns:
            assert 3 <= len(serials.bare(serials.fill(rng, pattern))) <= 8


@pytest.mark.thorough_rows(every=6)
@pytest.mark.parametrize("character", glyphs.CHARACTERS)
def test_drawn_characters_fill_their_height_in_every_style(character: str) -> None:
    for style in range(0, glyphs.STYLES, 24):
        mask = glyphs.stroke_mask(style, character)
        rows = np.flatnonzero(mask.max(axis=1) > 100)
        assert mask.shape[0] == glyphs.GLYPH_HEIGHT
        assert rows[0] <= 4
        assert rows[-1] >= glyphs.GLYPH_HEIGHT - 5
        assert mask.shape[1] >= 6


def test_drawn_characters_differ_from_each_other() -> None:
    def sampled(character: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return line.resized(glyphs.stroke_mask(3, character), 32, 64).astype(float)

    for index, one in enumerate(glyphs.CHARACTERS):
        for other in glyphs.CHARACTERS[index + 1 :]:
            if {one, other} != {"O", "0"}:  # many states use one die for both
                assert np.abs(sampled(one) - sampled(other)).mean() > 5, (one, other)


def test_without_font_files_serials_are_drawn_with_strokes(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    assert all(faces.draw_face(rng, folder=tmp_path) < glyphs.STYLES for _ in range(50))
    assert any(faces.draw_face(rng) >= glyphs.STYLES for _ in range(50))


@pytest.mark.thorough
def test_symbols_keep_their_place_between_the_groups() -> None:
    printed = line.set_line("ABC*123", 0, symbol=0.6)
    ((start, stop),) = printed.symbols
    assert stop - start == round(0.6 * glyphs.GLYPH_HEIGHT)
    assert not printed.mask[:, start:stop].any()
    assert printed.mask[:, :start].any()
    assert printed.mask[:, stop:].any()
