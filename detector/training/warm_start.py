"""Fills a net with the weights of a released int8 file, so that a training can continue from it.

In a released file, batch normalization is folded into the convolutions. Each convolution and dense layer
gets the dequantized weights. The normalization after it gets the mean and deviation that these weights give
on sample pictures, with scale and offset chosen to cancel them. So in inference the net answers as the file
does, and its training starts from there. Layers that are not in the file keep their initial weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
_WEIGHTED = {"CONV_2D", "FULLY_CONNECTED"}


class WarmStartError(Exception):
    """The released file does not fit the net."""


@dataclass(frozen=True, slots=True, eq=False)
class ReleasedLayer:
    """kernel: (h, w, in, out) of a convolution, (in, out) of a dense layer; bias: (out,).

    ``place``: hash of its shape, its output's and the places of the layers before it, to tell equal shapes
    apart.
    """

    kernel: F32
    bias: F32
    place: int


def released_layers(path: Path) -> list[ReleasedLayer]:
    """The layers of a file that have weights, in the order of execution."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # noqa: PLC0415 - not there for JAX

    interpreter = Interpreter(
        model_path=str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    tensors = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    before: dict[int, frozenset[int]] = {}  # by tensor: the places of the layers that it comes from
    layers = []
    for op in interpreter._get_ops_details():
        inputs = [int(index) for index in op["inputs"]]
        sources = frozenset().union(*(before.get(index, frozenset()) for index in inputs))
        if op["op_name"] in _WEIGHTED:
            kernel = np.moveaxis(_real(interpreter, tensors[inputs[1]]), 0, -1)
            shape = tuple(int(side) for side in tensors[int(op["outputs"][0])]["shape"][1:-1])
            layer = ReleasedLayer(
                kernel, _real(interpreter, tensors[inputs[2]]), hash((kernel.shape, shape, sources))
            )
            layers.append(layer)
            sources = frozenset({layer.place})
        before |= {int(index): sources for index in op["outputs"]}
    return layers


def _real(interpreter: Any, detail: dict[str, Any]) -> F32:
    value = interpreter.get_tensor(detail["index"]).astype(np.float32)
    scales = detail["quantization_parameters"]["scales"]
    zeros = detail["quantization_parameters"]["zero_points"]
    shape = (-1,) + (1,) * (value.ndim - 1)
    return np.asarray((value - zeros.reshape(shape)) * scales.reshape(shape), np.float32)


def warm_start(net: keras.Model, released: Path, pictures: F32) -> int:
    """Fills ``net`` layer by layer; returns how many of its layers were filled.

    pictures: a few, float32 (B, H, W, 1) in 0..1, for the normalizations' statistics. Layers are matched
    by place; those whose place has changed are matched by shape, in the order of execution. Raises
    WarmStartError if some of the file's layers fit nowhere.
    """
    waiting = released_layers(released)
    weighted = [one for one in net.layers if isinstance(one, keras.layers.Conv2D | keras.layers.Dense)]
    places = _places(net)
    chosen: dict[str, ReleasedLayer] = {}
    for same in (_same_place, _same_shape):
        for layer in weighted:
            fits = [one for one in waiting if layer.name not in chosen and same(layer, places, one)]
            if fits:
                chosen[layer.name] = fits[0]
                waiting.remove(fits[0])
    if waiting:
        raise WarmStartError(f"{released}: {len(waiting)} of its layers do not fit the net")
    for layer in weighted:
        if layer.name in chosen:
            _fill(net, layer, chosen[layer.name], pictures)
    return len(chosen)


def _same_place(layer: Any, places: dict[str, int], released: ReleasedLayer) -> bool:
    return places[layer.name] == released.place


def _same_shape(layer: Any, places: dict[str, int], released: ReleasedLayer) -> bool:
    del places
    return bool(tuple(layer.kernel.shape) == released.kernel.shape)


def _places(net: keras.Model) -> dict[str, int]:
    """The place of each layer with a kernel, by its name, computed as ``released_layers`` does."""
    before: dict[str, frozenset[int]] = {}
    places = {}
    for layer in net.layers:
        sources: frozenset[int] = frozenset().union(*(before[one.name] for one in _parents(layer)))
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            shape = tuple(layer.output.shape[1:-1])
            places[layer.name] = hash((tuple(layer.kernel.shape), shape, sources))
            sources = frozenset({places[layer.name]})
        before[layer.name] = sources
    return places


def _parents(layer: Any) -> Iterator[Any]:
    for node in layer._inbound_nodes:
        for parent in node.parent_nodes:
            yield parent.operation


def _fill(net: keras.Model, layer: Any, released: ReleasedLayer, pictures: F32) -> None:
    following = [node.operation for node in layer._outbound_nodes]
    normalization = next((one for one in following if isinstance(one, keras.layers.BatchNormalization)), None)
    if normalization is None:
        layer.set_weights([released.kernel, released.bias])
        return
    layer.set_weights([released.kernel])
    part = keras.Model(net.inputs[0], layer.output)
    values = keras.ops.convert_to_numpy(keras.ops.cast(part(pictures, training=False), "float32"))
    mean, variance = values.mean(axis=(0, 1, 2)), values.var(axis=(0, 1, 2))
    gamma = np.sqrt(variance + normalization.epsilon)
    normalization.set_weights([gamma, released.bias + mean, mean, variance])
