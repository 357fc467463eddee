"""A net that computes wrongly is named and refused; none of its answers becomes a read or a confidence."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from detector_twins import FIND, DrawnDetector, ScriptedReader, detector_maps, quantised, reader_card
from numpy.typing import NDArray

from detector.card import ConfidenceRules, DetectorCard, ModelFile, NetInput, ReaderCard
from detector.confidence import Features, confidence, log_odds, within
from detector.errors import ModelShapeError, NetAnswerError
from detector.find import decode
from detector.reader import DETECTOR_CARD, MODELS, READER_CARD, PlateReader
from detector.runtime import Net, NetOutput, TfliteNet

BAD = [pytest.param(value, id=str(value)) for value in (math.nan, math.inf, -math.inf)]
NET = (180, 320)
QUAD = ((100.0, 60.0), (220.0, 60.0), (220.0, 120.0), (100.0, 120.0))
FRAME = np.full((360, 640), 90, np.uint8)


class FloatInterpreter:
    """The interpreter of a float detector, one of whose output values is `bad`."""

    role, bad = "heat", 0.0

    def __init__(self, *, model_content: bytes, num_threads: int) -> None:
        assert len(model_content) > num_threads
        self._shapes = list(DetectorCard.load(MODELS / DETECTOR_CARD).shapes.items())

    def allocate_tensors(self) -> None: ...

    def get_signature_list(self) -> dict[str, None]:
        return {"serve": None}

    def get_signature_runner(self, _key: str) -> FloatInterpreter:
        return self

    def get_input_details(self) -> dict[str, Any]:
        return {"luma": _detail("luma", 9, (1, 448, 768, 1))}

    def get_output_details(self) -> dict[str, Any]:
        return {role: _detail(role, index, shape) for index, (role, shape) in enumerate(self._shapes)}

    def set_tensor(self, _index: int, _values: NDArray[Any]) -> None: ...

    def invoke(self) -> None: ...

    def get_tensor(self, index: int) -> NDArray[np.float32]:
        role, shape = self._shapes[index]
        values = np.zeros([side or 1 for side in shape], np.float32)
        if role == self.role:
            values.flat[-1] = self.bad
        return values


def _detail(name: str, index: int, shape: tuple[int | None, ...]) -> dict[str, Any]:
    return {"name": name, "index": index, "shape": shape, "dtype": np.float32, "quantization": (0.0, 0)}


@pytest.fixture
def float_runtime(monkeypatch: pytest.MonkeyPatch) -> str:
    library = ModuleType("float_runtime")
    monkeypatch.setattr(library, "Interpreter", FloatInterpreter, raising=False)
    monkeypatch.setitem(sys.modules, "float_runtime", library)
    return "float_runtime"


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("role", ["heat", "box", "corners"])
def test_an_output_with_one_value_that_is_not_a_number_is_refused_by_net_and_output(
    float_runtime: str, monkeypatch: pytest.MonkeyPatch, role: str, bad: float
) -> None:
    net = TfliteNet(DetectorCard.load(MODELS / DETECTOR_CARD), runtime=float_runtime)
    picture = np.zeros(net.size, np.uint8)
    monkeypatch.setattr(FloatInterpreter, "role", role)
    assert set(net.invoke(picture)) == {"heat", "box", "corners"}
    monkeypatch.setattr(FloatInterpreter, "bad", bad)
    with pytest.raises(NetAnswerError, match=rf"plate-detector\.tflite: output '{role}'.*reader selftest"):
        net.invoke(picture)


@pytest.mark.parametrize(
    ("card", "role"),
    [
        pytest.param(lambda: _stride(8), "heat", id="maps of another stride"),
        pytest.param(lambda: _codes(-1), "jurisdiction", id="a state fewer on the card"),
        pytest.param(lambda: _codes(1), "jurisdiction", id="a state more on the card"),
        pytest.param(lambda: _output("slots"), "columns", id="the slots as columns of states"),
    ],
)
def test_a_net_whose_outputs_are_not_the_cards_is_refused_when_it_is_loaded(
    card: Callable[[], DetectorCard | ReaderCard], role: str
) -> None:
    with pytest.raises(ModelShapeError, match=f"for {role} is .*the card says"):
        TfliteNet(card())


def _stride(stride: int) -> DetectorCard:
    card = DetectorCard.load(MODELS / DETECTOR_CARD)
    return replace(card, find=replace(card.find, stride=stride))


def _codes(more: int) -> ReaderCard:
    card = ReaderCard.load(MODELS / READER_CARD)
    codes = (*card.text.jurisdictions, "MARS")[: len(card.text.jurisdictions) + more]
    return replace(card, text=replace(card.text, jurisdictions=codes))


def _output(_name: str) -> ReaderCard:
    card = ReaderCard.load(MODELS / READER_CARD)
    return replace(card, outputs=card.outputs | {"columns": card.outputs["jurisdiction"]})


@dataclass(slots=True)
class BrokenReader(ScriptedReader):
    """A reader's net, one of whose outputs has one value everywhere."""

    role: str = "columns"
    value: float = math.nan

    def invoke(self, luma: NDArray[np.uint8]) -> Mapping[str, NetOutput]:
        """The script's answer, except for one output."""
        answer = dict(ScriptedReader.invoke(self, luma))
        answer[self.role] = NetOutput(np.full_like(answer[self.role].values, self.value))
        return answer


def reader_of(detector: Net, reader: Net) -> PlateReader:
    card = DetectorCard(
        path=MODELS / DETECTOR_CARD,
        model=ModelFile(kind="plate-detector", file="plate-detector.tflite", sha256="1" * 64),
        input=NetInput(height=NET[0], width=NET[1]),
        outputs={name: name for name in ("heat", "box", "corners")},
        find=FIND,
    )
    return PlateReader(detector, card, reader, reader_card())


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("role", ["columns", "slots", "jurisdiction"])
def test_no_confidence_comes_of_an_answer_without_numbers(role: str, bad: float) -> None:
    broken = BrokenReader(["7ABC123"], role=role, value=bad)
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(NetAnswerError, match=r"plate-reader\.tflite|plate reader"),
    ):
        _ = reader_of(DrawnDetector(NET, [(QUAD, 0.9)]), broken).read(FRAME).readings[0].confidence


def test_corners_without_numbers_leave_the_detectors_own() -> None:
    whole = reader_of(DrawnDetector(NET, [(QUAD, 0.9)]), ScriptedReader(["7ABC123"]))
    broken = reader_of(DrawnDetector(NET, [(QUAD, 0.9)]), BrokenReader(["7ABC123"], role="corners"))
    (seen,), (usual,) = broken.read(FRAME).readings, whole.read(FRAME).readings
    assert np.abs(np.array(seen.box.corners) - np.array(usual.box.corners)).max() < 20
    assert seen.confidence == usual.confidence


def test_a_box_without_numbers_is_refused() -> None:
    maps = detector_maps([(QUAD, 0.9)], NET)
    maps["box"] = NetOutput(np.full(maps["box"].values.shape, np.nan, np.float32))
    with pytest.raises(NetAnswerError, match="plate detector"):
        decode(maps, FIND)


@pytest.mark.parametrize(
    "judge",
    [
        pytest.param(lambda: within(math.nan, 0.0, 1.0), id="a bounded value"),
        pytest.param(lambda: log_odds(math.nan), id="log-odds"),
        *(
            pytest.param(
                lambda name=name: confidence(_features(name), ConfidenceRules(likelihood=1.0)), id=name
            )
            for name in ("posterior", "likelihood")
        ),
    ],
)
def test_what_is_no_number_has_no_bounds(judge: Callable[[], float]) -> None:
    with pytest.raises(NetAnswerError, match="plate reader"):
        judge()


def _features(bad: str) -> Features:
    names = ("posterior", "likelihood", "weakest", "agreement", "slots", "width", "score", "format", "frames")
    return Features(**{name: math.nan if name == bad else 0.0 for name in names})


@dataclass(slots=True)
class FlatDetector:
    """A detector's net that answers the same everywhere, whatever it is shown."""

    size: tuple[int, int]
    heat: float

    def invoke(self, luma: NDArray[np.uint8]) -> Mapping[str, NetOutput]:
        """Maps of one value."""
        assert luma.shape == self.size
        maps = detector_maps([], self.size)
        return maps | {"heat": quantised(np.full(maps["heat"].values.shape, self.heat), 0.05, 40)}


@pytest.mark.parametrize(
    ("detector", "reader", "named"),
    [
        pytest.param(
            FlatDetector(NET, -8.0), ScriptedReader(["1GRZ717"]), "plate-detector", id="finds nothing"
        ),
        pytest.param(
            DrawnDetector(NET, [(QUAD, 0.9)]), ScriptedReader(["1GRZ718"]), "plate-reader", id="misreads"
        ),
        pytest.param(
            DrawnDetector(NET, [(QUAD, 0.9)]),
            BrokenReader(["7ABC123"], role="columns", value=0.0),
            "plate-reader",
            id="all zero",
        ),
    ],
)
def test_nets_that_do_not_read_the_drawn_plate_are_refused_by_name(
    detector: Net, reader: Net, named: str
) -> None:
    with pytest.raises(NetAnswerError, match=rf"{named}\.tflite: .*known-plate\.png"):
        reader_of(detector, reader).prove()


def test_the_shipped_nets_read_the_drawn_plate_whatever_the_runtime_rounds() -> None:
    for plain in (False, True):
        finding, reading = DetectorCard.load(MODELS / DETECTOR_CARD), ReaderCard.load(MODELS / READER_CARD)
        nets = [TfliteNet(card, plain_kernels=plain) for card in (finding, reading)]
        PlateReader(nets[0], finding, nets[1], reading).prove()
