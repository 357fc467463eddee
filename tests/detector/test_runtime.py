"""The shipped nets load, give the same answers on every runtime, and refuse what does not fit them."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector.card import DetectorCard
from detector.errors import MissingRuntimeError, ModelShapeError, PictureError, SwappedModelError
from detector.reader import DETECTOR_CARD, MODELS
from detector.runtime import RUNTIMES, NetOutput, TfliteNet

CARD = MODELS / DETECTOR_CARD


def net(
    path: Path = CARD, *, runtime: str | None = None, plain_kernels: bool = False, **outputs: str
) -> TfliteNet:
    card = DetectorCard.load(path)
    named = replace(card, outputs=card.outputs | outputs)
    return TfliteNet(named, runtime=runtime, plain_kernels=plain_kernels)


def picture(size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 255, size, np.uint8)


def test_the_shipped_detector_answers_in_the_cards_shapes() -> None:
    loaded = net()
    card = DetectorCard.load(CARD)
    rows, columns = card.input.height // card.find.stride, card.input.width // card.find.stride
    outputs = loaded.invoke(picture(loaded.size))
    assert outputs["heat"].values.shape == (rows, columns, 1)
    assert outputs["box"].values.shape == (rows, columns, 4)
    assert outputs["corners"].values.shape == (rows, columns, 8)
    assert outputs["heat"].real().dtype == np.float32


def test_an_answer_does_not_change_when_the_net_runs_again() -> None:
    loaded = net()
    first = loaded.invoke(picture(loaded.size))["heat"]
    kept = first.values.copy()
    loaded.invoke(np.zeros(loaded.size, np.uint8))
    assert (first.values == kept).all()


def test_every_installed_runtime_answers_within_a_step() -> None:
    installed = [name for name in RUNTIMES if importlib.util.find_spec(name.partition(".")[0])]
    if len(installed) < 2:
        pytest.skip(f"only {installed} is installed; install the extra 'tflite' to compare runtimes")
    answers = [
        (loaded := net(runtime=name, plain_kernels=True)).invoke(picture(loaded.size)) for name in installed
    ]
    for role in answers[0]:
        first, second = (answer[role].values.astype(int) for answer in answers)
        assert np.abs(first - second).max() <= 1


def test_a_swapped_file_is_refused_before_it_is_run(tmp_path: Path) -> None:
    for file in (CARD, CARD.with_suffix(".tflite")):
        shutil.copy(file, tmp_path)
    model = tmp_path / CARD.with_suffix(".tflite").name
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(SwappedModelError):
        net(tmp_path / DETECTOR_CARD)


def test_a_runtime_that_is_not_installed_is_named_with_its_cure() -> None:
    with pytest.raises(MissingRuntimeError, match="ai-edge-litert"):
        net(runtime="no_such_runtime.interpreter")


def test_an_output_that_the_net_does_not_have_is_named() -> None:
    with pytest.raises(ModelShapeError, match="color"):
        net(box="color")


def test_an_input_of_another_size_than_the_cards_is_refused() -> None:
    card = DetectorCard.load(CARD)
    with pytest.raises(ModelShapeError, match="the card says"):
        TfliteNet(replace(card, input=replace(card.input, height=16)))


@pytest.mark.parametrize("bad", [np.zeros((10, 10), np.uint8), np.zeros((432, 768), np.float32)])
def test_a_picture_of_another_shape_or_type_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(PictureError):
        net().invoke(bad)


@pytest.mark.one_python
def test_a_quantised_value_is_scale_times_distance_from_zero_point() -> None:
    tensor = NetOutput(np.array([[-128, 0, 127]], np.int8), 0.5, -8)
    assert tensor.real().tolist() == [[-60.0, 4.0, 67.5]]
    assert tensor.real(np.array([0])).tolist() == [[-60.0, 4.0, 67.5]]
    for value in (-40.0, 3.9, 4.0, 4.1, 40.0):
        assert tensor.at_least(value).tolist() == (tensor.real() >= value).tolist()
