"""Fills a net with the weights of a released int8 file, so that a training can go on from it.

A released file has its batch normalisation folded into the convolutions. Each convolution gets the
dequantised weights, and the normalisation after it the mean and deviation that these weights give on
sample pictures, with scale and offset chosen so that the two cancel: in inference the net answers as
the file does, and in training it starts from there. Layers that the file lacks keep their own start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

F32 = NDArray[np.float32]


class WarmStartError(Exception):
    """The released file and the net have too little in common."""


def released_convolutions(path: Path) -> list[tuple[F32, F32]]:
    """Weights (h, w, in, out) and bias (out,) of the file's convolutions, in the order of execution."""
    interpreter = Interpreter(
        model_path=str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    tensors = {detail["index"]: detail for detail in interpreter.get_tensor_details()}

    def real(index: int) -> F32:
        detail = tensors[index]
        value = interpreter.get_tensor(index).astype(np.float32)
        scales = detail["quantization_parameters"]["scales"]
        zeros = detail["quantization_parameters"]["zero_points"]
        shape = (-1,) + (1,) * (value.ndim - 1)
        return np.asarray((value - zeros.reshape(shape)) * scales.reshape(shape), np.float32)

    return [
        (real(int(op["inputs"][1])).transpose(1, 2, 3, 0), real(int(op["inputs"][2])))
        for op in interpreter._get_ops_details()
        if op["op_name"] == "CONV_2D"
    ]


def warm_start(net: keras.Model, released: Path, pictures: F32) -> int:
    """Fills ``net`` (float32 policy or not) layer by layer; how many convolutions were filled.

    pictures: float32 (B, H, W, 1) in 0..1, a few, on which the normalisation's statistics are taken.
    Raises WarmStartError when under half of the file's convolutions found their place.
    """
    found = released_convolutions(released)
    filled = 0
    for layer in net.layers:
        if not isinstance(layer, keras.layers.Conv2D):
            continue
        shape = tuple(layer.kernel.shape)
        index = next((i for i in range(len(found)) if found[i][0].shape == shape), None)
        if index is None:
            continue
        kernel, bias = found.pop(index)
        normalisation = _normalisation(layer)
        if normalisation is None:
            layer.set_weights([kernel, bias])
        else:
            layer.set_weights([kernel])
            _cancel(net, layer, normalisation, bias, pictures)
        filled += 1
    if filled < len(found):
        raise WarmStartError(f"{released}: only {filled} of its convolutions fit the net")
    return filled


def _normalisation(layer: Any) -> Any | None:
    """The batch normalisation that follows a convolution, if one does."""
    nodes = layer._outbound_nodes
    following = [node.operation for node in nodes]
    return next((one for one in following if isinstance(one, keras.layers.BatchNormalization)), None)


def _cancel(net: keras.Model, layer: Any, normalisation: Any, bias: F32, pictures: F32) -> None:
    part = keras.Model(net.inputs, layer.output)
    values = keras.ops.convert_to_numpy(keras.ops.cast(part({"luma": pictures}, training=False), "float32"))
    mean = values.mean(axis=(0, 1, 2))
    variance = values.var(axis=(0, 1, 2))
    gamma = np.sqrt(variance + normalisation.epsilon)
    normalisation.set_weights([gamma, bias + mean, mean, variance])
