"""Loads and checks one net, and runs it on luma: the only module that knows a TFLite runtime.

Input and outputs are found by the names in the model's own signature. Outputs stay as the net wrote them
(usually int8) until a value is needed, so that a map of a million values costs little when only a handful
is used.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .card import NetCard, checked_model
from .errors import MissingRuntimeError, ModelShapeError, NetAnswerError, PictureError
from .plates import F32, U8

RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")  # the first runs int8 4 times faster


@dataclass(frozen=True, slots=True, eq=False)
class NetOutput:
    """One output tensor without its batch axis. ``scale`` 0 means that the values are real numbers."""

    values: NDArray[Any] = field(repr=False)
    scale: float = 0.0
    zero_point: int = 0

    def real(self, cells: NDArray[np.intp] | None = None) -> F32:
        """Real values, float32: all of them, or (..., C) for some cells of a map (h, w, C), row-major."""
        picked = self.values
        if cells is not None:
            picked = picked.reshape(-1, picked.shape[-1]).take(cells, axis=0)
        if not self.scale:
            return np.asarray(picked, np.float32)
        return (np.asarray(picked, np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)

    def at_least(self, value: float) -> NDArray[np.bool_]:
        """Where the real values are at least ``value``, without the conversion: a tenth of the time."""
        if not self.scale:
            return np.asarray(self.values >= value)
        limits = np.iinfo(self.values.dtype)
        least = math.ceil(value / self.scale + self.zero_point)
        if least > limits.max:
            return np.zeros(self.values.shape, np.bool_)
        return np.asarray(self.values >= self.values.dtype.type(max(least, limits.min)))


class Net(Protocol):
    """The interface of a net."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the input."""

    def invoke(self, luma: U8) -> Mapping[str, NetOutput]:
        """Runs the net on uint8 (height, width) luma and returns its outputs by role."""


class TfliteNet:
    """A .tflite file, run by the installed runtime."""

    def __init__(
        self,
        card: NetCard,
        *,
        threads: int = 1,
        runtime: str | None = None,
        plain_kernels: bool = False,
    ) -> None:
        """Loads and checks the file. ``runtime``: one of RUNTIMES; the default is the first one installed.

        ``plain_kernels``: run ai-edge-litert without its fast XNNPACK kernels. It then gives the same bits
        as tflite-runtime, so that the two can be compared.
        Raises MissingRuntimeError, MissingModelError, SwappedModelError, ModelShapeError.
        """
        path, shape = card.path.parent / card.model.file, card.input
        content = checked_model(card.path, card.model)
        library = _runtime(RUNTIMES if runtime is None else (runtime,))
        try:
            plain = {}
            if plain_kernels and hasattr(library, "OpResolverType"):
                resolver = library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
                plain = {"experimental_op_resolver_type": resolver}
            self._interpreter = library.Interpreter(model_content=content, num_threads=threads, **plain)
            self._interpreter.allocate_tensors()
            signature = self._interpreter.get_signature_runner(_only_signature(path, self._interpreter))
        except (ValueError, RuntimeError) as error:
            raise _misshapen(path, f"is not a model that the runtime can load ({error})") from error
        inputs, named = signature.get_input_details(), signature.get_output_details()
        if shape.name not in inputs:
            raise _misshapen(path, f"has no input {shape.name!r}, only {sorted(inputs)}")
        detail = inputs[shape.name]
        wanted = (1, shape.height, shape.width, 1)
        if tuple(detail["shape"]) != wanted:
            raise _misshapen(
                path, f"input {shape.name!r} is {tuple(detail['shape'])}, the card says {wanted}"
            )
        for role, name in card.outputs.items():
            if name not in named:
                raise _misshapen(path, f"has no output {name!r} for {role}, only {sorted(named)}")
            found, expected = tuple(int(side) for side in named[name]["shape"]), card.shapes[role]
            if len(found) != len(expected) or any(
                b not in (None, a) for a, b in zip(found, expected, strict=True)
            ):
                raise _misshapen(path, f"output {name!r} for {role} is {found}, the card says {expected}")
        self.runtime = library.__name__
        self._file = card.model.file
        self._size = (shape.height, shape.width)
        self._input = int(detail["index"])
        self._table = _input_table(path, detail)
        self._outputs = {
            role: (int(named[name]["index"]), *_scale(path, name, named[name]))
            for role, name in card.outputs.items()
        }

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the input."""
        return self._size

    def invoke(self, luma: U8) -> dict[str, NetOutput]:
        """Runs the net on uint8 (height, width) luma.

        Raises PictureError for another shape or type, NetAnswerError for an output that is not all numbers.
        """
        if luma.shape != self._size or luma.dtype != np.uint8:
            raise PictureError(f"net takes uint8 {self._size}, was given {luma.dtype} {luma.shape}")
        values = luma if self._table is None else self._table[luma]
        self._interpreter.set_tensor(self._input, values[None, :, :, None])
        self._interpreter.invoke()
        answer = {
            role: NetOutput(self._interpreter.get_tensor(index)[0], scale, zero)
            for role, (index, scale, zero) in self._outputs.items()
        }
        for role, output in answer.items():
            if not output.scale and not np.isfinite(output.values).all():  # integers are always finite
                raise NetAnswerError(self._file, f"output {role!r} has values that are not finite")
        return answer


def _runtime(names: tuple[str, ...]) -> ModuleType:
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise MissingRuntimeError(tuple(name.partition(".")[0].replace("_", "-") for name in names))


def _only_signature(path: Path, interpreter: Any) -> str:
    keys = list(interpreter.get_signature_list())
    if len(keys) != 1:
        raise _misshapen(path, f"has {len(keys)} signatures, one is needed to name its tensors")
    return str(keys[0])


def _scale(path: Path, name: str, detail: Mapping[str, Any]) -> tuple[float, int]:
    """Scale and zero point of a tensor; (0, 0) if its values are real numbers."""
    if detail["dtype"] == np.float32:
        return 0.0, 0
    if detail["dtype"] not in (np.int8, np.uint8):
        raise _misshapen(
            path, f"tensor {name!r} is {np.dtype(detail['dtype'])}, known are int8, uint8, float32"
        )
    scale, zero = detail["quantization"]
    if not 0 < scale < math.inf:
        raise _misshapen(path, f"tensor {name!r} is quantized without a scale")
    return float(scale), int(zero)


def _input_table(path: Path, detail: Mapping[str, Any]) -> NDArray[Any] | None:
    """The input value for each luma value (the net takes luma / 255); None if they are the same."""
    luma = np.arange(256, dtype=np.float64) / 255.0
    scale, zero = _scale(path, str(detail["name"]), detail)
    if not scale:
        return luma.astype(np.float32)
    limits = np.iinfo(detail["dtype"])
    table = np.clip(np.rint(luma / scale) + zero, limits.min, limits.max).astype(detail["dtype"])
    return None if table.dtype == np.uint8 and np.array_equal(table, np.arange(256)) else table


def _misshapen(path: Path, what: str) -> ModelShapeError:
    return ModelShapeError(path, what, "restore the model file and the card from one release")
