"""A mirrored, reflected or upside-down plate is not sure; one that reads the same either way stays sure."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import pytest
from detector_twins import column_logits, reader_card
from numpy.typing import NDArray

from detector import ocr
from detector.flipped import is_flipped, turned
from detector.look import Looker, Stopwatch
from detector.reader import PlateReader
from detector.runtime import NetOutput
from detector.training.render.patches import photograph
from detector.training.render.plates import render_plate

SEED = 8642
PLATES = 40 if os.environ.get("ALPR_FAULTS") == "full" else 20
PICTURE = np.full((192, 320), 90, np.uint8)
CORNERS = ((100.0, 60.0), (160.0, 60.0), (160.0, 90.0), (100.0, 90.0))
UNSURE, SURE = 4.0, 8.0


class Looks:
    """A reader net that gives the texts of a script, with the script's confidence."""

    size = (48, 144)

    def __init__(self, *script: tuple[str, float]) -> None:
        self.script = list(script)

    def invoke(self, luma: NDArray[np.uint8]) -> Mapping[str, NetOutput]:
        assert luma.shape == self.size
        text, sure = self.script.pop(0)
        return {"columns": NetOutput(column_logits(text, sure=sure))}


@pytest.mark.parametrize(
    ("script", "flipped"),
    [
        pytest.param([("ST88MA", UNSURE), ("4N3972", SURE)], True, id="mirrored"),
        pytest.param([("99LCHZ", UNSURE), ("ZHJ156", SURE)], True, id="turned"),
        pytest.param([("L6979W", UNSURE), ("MGL697", SURE)], True, id="turned, with a 9 like a 6"),
        pytest.param([("4T88MA", UNSURE), ("4N3972", SURE)], True, id="mirrored, but for one character"),
        pytest.param(
            [("069A018", UNSURE), ("810A960", UNSURE), ("8TUB65K", SURE)], True, id="turned, but for one"
        ),
        pytest.param([("MIBWA2", UNSURE), ("SAW81W", SURE), ("WIBNY5", SURE)], True, id="in water"),
        pytest.param(
            [("ST88XA", SURE), ("4N3972", UNSURE), ("VW88L5", UNSURE), ("ZUNRYK", UNSURE)],
            False,
            id="surer as it is",
        ),
        pytest.param([("HINOTAX", UNSURE), ("XATOIIH", SURE), ("XVLONIH", SURE)], False, id="alike"),
        pytest.param(
            [("AAAC", UNSURE), ("CAAA", SURE), ("OAAA", SURE), ("VVVC", SURE)], False, id="an A for a V"
        ),
        pytest.param([("7GKY452", UNSURE)], False, id="characters that no flipped plate shows"),
        pytest.param(
            [("ST8A", UNSURE), ("47", SURE), ("47", SURE), ("7Z", SURE)], False, id="too short when flipped"
        ),
        pytest.param([("ST", UNSURE)], False, id="too short to say"),
    ],
)
def test_a_text_is_a_flipped_one_if_the_patch_flipped_back_gives_another_one(
    script: list[tuple[str, float]], flipped: bool
) -> None:
    net, watch = Looks(*script), Stopwatch()
    looker = Looker(net, reader_card())
    assert is_flipped(looker, looker.first(PICTURE, CORNERS, watch), watch) == flipped
    assert not net.script, "as many looks as that takes, and no more"


@pytest.mark.parametrize(
    ("shown", "other", "says"),
    [
        pytest.param(("Z090HL", UNSURE), ("7HU4602", SURE), 1, id="turned"),
        pytest.param(("7HU4602", SURE), ("Z090HL", UNSURE), -1, id="upright"),
        pytest.param(("Z090HL", SURE), ("7HU4602", UNSURE), 0, id="like a turned one, but surer as it is"),
        pytest.param(("7HU4602", UNSURE), ("Z090HL", SURE), 0, id="like an upright one, but surer turned"),
        pytest.param(("NOXH60", UNSURE), ("09HXON", SURE), 0, id="alike"),
        pytest.param(("", UNSURE), ("7HU4602", SURE), 0, id="no text as it is"),
        pytest.param(("7HU4602", SURE), ("", UNSURE), 0, id="no text turned"),
    ],
)
def test_a_patch_says_how_it_is_shown_if_one_of_its_texts_is_surer_and_more_like_an_upright_one(
    shown: tuple[str, float], other: tuple[str, float], says: int
) -> None:
    assert turned(Looker(Looks(shown, other), reader_card()), PICTURE[:48, :144], Stopwatch()) == says


@pytest.mark.slow
def test_a_plate_in_a_mirror_is_seldom_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = PlateReader.from_models(doubt=False)

    def sure(*, mirrored: bool) -> int:
        told = 0
        for number in range(PLATES):
            rng = np.random.default_rng([SEED, number])
            plate = render_plate(rng, jurisdiction="US")
            picture, _ = photograph(rng, plate, infrared=False, width=float(rng.uniform(100, 160)))
            shown = np.ascontiguousarray(picture[:, ::-1] if mirrored else picture)
            readings = reader.read(shown, wanted=lambda _box: True).readings
            told += any(one.confidence >= reader.report_from for one in readings)
        return told

    doubted, whole = sure(mirrored=True), sure(mirrored=False)
    monkeypatch.setattr(ocr, "is_flipped", lambda _looker, _look, _watch: False)
    trusted, whole_trusted = sure(mirrored=True), sure(mirrored=False)
    assert trusted >= PLATES / 7, "without the look at the flipped patch such texts are sure"
    assert doubted <= trusted / 2
    assert whole >= whole_trusted - 1
