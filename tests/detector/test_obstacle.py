"""A plate of which something hides an end is not sure; a whole one stays as sure as it was."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from detector.lettering import SIZE
from detector.obstacle import hides_an_end
from detector.reader import PlateReader
from detector.training.render.patches import photograph
from detector.training.render.plates import render_plate

SEED = 7654


def edges(*, left: str = "", right: str = "") -> np.ndarray:
    """A plate's sheet with a text, in a darker body; edge of each side: how far it goes beyond the plate."""
    wide = np.full(SIZE, 60, np.uint8)
    wide[11:37, 24:120] = 200
    wide[16:32, 30:114:8] = 30
    for side, columns in ((left, slice(0, 24)), (right, slice(120, 144))):
        rows = {"": None, "both": slice(0, 48), "above": slice(0, 30), "below": slice(18, 48)}[side]
        if rows is not None:
            wide[rows, columns] = 5
    return wide


@pytest.mark.parametrize("how", ["both", "above", "below"])
def test_an_edge_that_goes_beyond_the_plate_is_an_obstacles(how: str) -> None:
    assert hides_an_end(edges(left=how), 1.6)
    assert hides_an_end(edges(right=how), 1.6)


def test_a_whole_plate_and_a_wider_format_are_left_alone() -> None:
    assert not hides_an_end(edges(), 1.6)
    assert not hides_an_end(edges(left="both"), 1.85)
    assert not hides_an_end(edges(left="both", right="both"), 1.6), "a recess, or the sides of a bumper"
    assert not hides_an_end(np.full(SIZE, 90, np.uint8), 1.6)


@pytest.mark.slow
def test_the_text_that_a_post_leaves_is_hardly_ever_sure(shipped: PlateReader) -> None:
    trusting = PlateReader.from_models(doubt=False)
    sure = {(hidden, trusted): 0 for hidden in (False, True) for trusted in (False, True)}
    for number in range(24):
        rng = np.random.default_rng([SEED, number])
        plate = render_plate(rng, jurisdiction="US")
        picture, quad = photograph(rng, plate, infrared=False, width=float(rng.uniform(100, 160)))
        scene = Image.fromarray(picture)
        (x0, _), (x1, _) = quad.min(axis=0), quad.max(axis=0)
        post = x0 + rng.uniform(0.14, 0.26) * (x1 - x0)
        for hidden in (False, True):
            if hidden:
                ImageDraw.Draw(scene).rectangle((x0 - 30, 0, post, scene.height), fill=40)
            for trusted, reader in ((False, shipped), (True, trusting)):
                seen = reader.read(np.asarray(scene)).readings
                right = any(one.leader == plate.text for one in seen)
                told = any(one.confidence >= reader.report_from for one in seen)
                sure[hidden, trusted] += told and right != hidden
    assert sure[True, True] >= 8, "without the look for an obstacle such texts are sure"
    assert sure[True, False] <= sure[True, True] / 4
    assert sure[False, False] >= sure[False, True] - 1
    assert sure[False, True] >= 12
