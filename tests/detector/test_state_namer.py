"""The state namer: what its answer changes, when it is asked, and which files and answers are refused."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from detector_twins import CODES, DECODING, DrawnDetector, ScriptedReader, evidence, reader_card
from numpy.typing import NDArray

from detector.card import ModelFile, NamerCard, NamingRules, NetInput, PatchRules
from detector.errors import CardError, MissingModelError, ModelShapeError, NetAnswerError, SwappedModelError
from detector.plates import Corners
from detector.reader import MODELS, NAMER_CARD, PlateReader
from detector.runtime import NetOutput, TfliteNet
from detector.state_namer import StateNamer
from detector.training.render.plates import render_plate
from detector.training.trials import Kind, draw_picture
from detector.vote import Vote
from tests.detector.test_reader import FRAME, NET, QUAD, finding_card

WIDE: Corners = ((100.0, 100.0), (300.0, 100.0), (300.0, 200.0), (100.0, 200.0))


class ScriptedNamer:
    """A namer's net that always gives one answer and counts how often it is asked."""

    size = (96, 192)

    def __init__(self, *logits: float) -> None:
        self.logits = logits
        self.asked = 0

    def invoke(self, luma: NDArray[np.uint8]) -> Mapping[str, NetOutput]:
        assert luma.shape == self.size
        self.asked += 1
        return {"jurisdiction": NetOutput(np.array(self.logits, np.float32))}


def namer_card(**rules: float) -> NamerCard:
    return NamerCard(
        path=Path(NAMER_CARD),
        model=ModelFile(kind="state-namer", file="state-namer.tflite", sha256="2" * 64),
        input=NetInput(height=96, width=192),
        outputs={"jurisdiction": "jurisdiction"},
        patch=PatchRules(margin_x=0.1, margin_y=0.12),
        naming=NamingRules(jurisdictions=CODES, **rules),
    )


def reader_with(net: ScriptedNamer, text: str = "ABC1234", **rules: float) -> PlateReader:
    return PlateReader(
        DrawnDetector(NET, [(QUAD, 0.9)]),
        finding_card(),
        ScriptedReader([text]),
        reader_card(),
        namer=StateNamer(net, namer_card(**rules)),
    )


def test_both_nets_name_the_state_and_the_text_stays_as_it_was() -> None:
    (alone,) = reader_with(ScriptedNamer(0.0, 12.0, 0.0, 0.0), namer_weight=0.0).read(FRAME).readings
    (named,) = reader_with(ScriptedNamer(0.0, 12.0, 0.0, 0.0)).read(FRAME).readings
    assert alone.text.jurisdiction[0][0] == "US-CA"
    assert named.text.jurisdiction[0][0] == "US-TX"
    assert named.text.jurisdiction[0][1] > 0.9
    assert (named.text.text, named.text.confidence) == (alone.text.text, alone.text.confidence)


def test_known_corners_are_asked_about_too() -> None:
    seen = reader_with(ScriptedNamer(0.0, 12.0, 0.0, 0.0)).read_at(FRAME, WIDE)
    assert seen.text.jurisdiction[0][0] == "US-TX"


@pytest.mark.parametrize(("least", "asked"), [(150.0, 1), (250.0, 0)])
def test_a_narrow_plate_is_left_to_the_reader(least: float, asked: int) -> None:
    net = ScriptedNamer(0.0, 12.0, 0.0, 0.0)
    (seen,) = reader_with(net, least_width_px=least).read(FRAME).readings
    assert net.asked == asked
    assert (seen.evidence.place is not None) == bool(asked)


def test_of_a_pass_the_frames_that_the_namer_saw_decide() -> None:
    far = replace(evidence("ABC1234"), jurisdiction=np.array([0.97, 0.01, 0.01, 0.01], np.float32))
    near = replace(far, place=np.array([0.01, 0.97, 0.01, 0.01], np.float32))
    assert Vote(DECODING, [far, far, far]).text.jurisdiction[0][0] == "US-CA"
    assert Vote(DECODING, [far, near, far]).text.jurisdiction[0][0] == "US-TX"


def test_an_answer_that_is_not_a_number_is_refused_by_name() -> None:
    with pytest.raises(NetAnswerError, match=r"state-namer\.tflite: .*no number"):
        reader_with(ScriptedNamer(0.0, float("nan"), 0.0, 0.0)).read(FRAME)


def test_a_namer_that_computes_wrongly_is_refused_by_name_at_start() -> None:
    reader = reader_with(ScriptedNamer(0.0, 12.0, 0.0, 0.0), text="1GRZ717", least_width_px=0.0)
    with pytest.raises(NetAnswerError, match=r"state-namer\.tflite: .*known-plate\.png"):
        reader.prove()


def test_a_namer_that_names_the_drawn_plates_state_is_accepted_at_start() -> None:
    reader_with(ScriptedNamer(12.0, 0.0, 0.0, 0.0), text="1GRZ717", least_width_px=0.0).prove()


def test_a_namer_of_other_codes_than_the_reader_is_refused() -> None:
    card = namer_card()
    other = replace(card, naming=replace(card.naming, jurisdictions=CODES[::-1]))
    with pytest.raises(CardError, match=r"state-namer\.toml: key 'naming\.jurisdictions'"):
        PlateReader(
            DrawnDetector(NET, []),
            finding_card(),
            ScriptedReader(["A"]),
            reader_card(),
            namer=StateNamer(ScriptedNamer(0.0), other),
        )


def _copied(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in (NAMER_CARD, "state-namer.tflite", "plate-reader.tflite"):
        shutil.copyfile(MODELS / name, folder / name)
    return folder


def test_a_swapped_a_missing_and_a_misshapen_file_are_refused(tmp_path: Path) -> None:
    folder = _copied(tmp_path)
    path = folder / "state-namer.tflite"
    card = NamerCard.load(folder / NAMER_CARD)
    tall = replace(card, input=replace(card.input, height=100))
    with pytest.raises(ModelShapeError, match="the card says"):
        TfliteNet(tall)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(SwappedModelError):
        TfliteNet(card)
    path.unlink()
    with pytest.raises(MissingModelError):
        TfliteNet(card)


def test_a_card_with_a_weight_that_none_can_have_is_refused(tmp_path: Path) -> None:
    path = _copied(tmp_path) / NAMER_CARD
    path.write_text(path.read_text().replace("[naming]", "[naming]\nnamer_share = 1.0"))
    with pytest.raises(CardError, match=r"naming\.namer_share"):
        NamerCard.load(path)


def test_the_shipped_namer_is_loaded_and_its_hash_listed() -> None:
    hashes = PlateReader.from_models().model_hashes
    assert hashes["state-namer.tflite"] == NamerCard.load(MODELS / NAMER_CARD).model.sha256
    assert len(hashes) == 4


def test_the_shipped_namer_sees_a_state_that_the_reader_alone_takes_for_another() -> None:
    kind = Kind(draw=lambda rng: render_plate(rng, jurisdiction="US"), width=(180.0, 220.0))
    luma, _ = draw_picture(np.random.default_rng(302), kind)
    reader = PlateReader.from_models()
    (seen,) = reader.read(luma).readings
    assert seen.text.jurisdiction[0][0] == "US-PA"
    alone = Vote(reader.decoding, [replace(seen.evidence, place=None)])
    assert alone.text.jurisdiction[0][0] != "US-PA"
