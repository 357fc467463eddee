"""The compiled step of a training, for TensorFlow and for JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import keras

from .feeder import Batch

LossFunction = Callable[[tuple[Any, ...], Any], dict[str, Any]]


def as_input(luma: Any) -> Any:
    """Scales uint8 luma to 0..1 for the nets, on the net's device, so that fewer bytes are copied there."""
    # TensorFlow's name of a type differs from Keras's
    bytes_ = keras.backend.standardize_dtype(luma.dtype) == "uint8"
    return keras.ops.cast(luma, "float32") / 255.0 if bytes_ else luma


class Steps(Protocol):
    """Takes steps; the net's and the optimizer's variables may lag behind until ``write_back``."""

    def take(self, batch: Batch) -> dict[str, Any]: ...

    def write_back(self) -> None: ...


def compiled_steps(net: keras.Model, optimizer: Any, loss: LossFunction) -> Steps:
    """Steps that minimize ``loss(batch, outputs)["loss"]``. Raises ValueError for another backend."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _TensorFlowSteps(net, optimizer, loss)
    if backend == "jax":
        return _JaxSteps(net, optimizer, loss)
    raise ValueError(f"KERAS_BACKEND is {backend}: set it to tensorflow or jax")


class _TensorFlowSteps:
    def __init__(self, net: keras.Model, optimizer: Any, loss: LossFunction) -> None:
        import tensorflow as tf  # noqa: PLC0415 - not installed where JAX trains

        def step(batch: tuple[Any, ...]) -> dict[str, Any]:
            with tf.GradientTape() as tape:
                parts = loss(batch, net(as_input(batch[0]), training=True))
            gradients = tape.gradient(parts["loss"], net.trainable_variables)
            optimizer.apply_gradients(zip(gradients, net.trainable_variables, strict=True))
            return parts

        self._constant = tf.constant
        self._step = tf.function(step)

    def take(self, batch: Batch) -> dict[str, Any]:
        parts: dict[str, Any] = self._step(tuple(self._constant(array) for array in batch))
        return parts

    def write_back(self) -> None:
        """Does nothing: each step updates the variables."""


class _JaxSteps:
    """Between steps the weights are outside the variables, as a compiled function needs them."""

    def __init__(self, net: keras.Model, optimizer: Any, loss: LossFunction) -> None:
        import jax  # noqa: PLC0415 - not installed where TensorFlow trains

        def objective(trained: Any, others: Any, batch: tuple[Any, ...]) -> Any:
            out, others = net.stateless_call(trained, others, as_input(batch[0]), training=True)
            parts = loss(batch, out)
            return parts["loss"], (others, parts)

        slope = jax.value_and_grad(objective, has_aux=True)

        def step(state: Any, batch: tuple[Any, ...]) -> Any:
            trained, others, optimizing = state
            (_, (others, parts)), gradients = slope(trained, others, batch)
            trained, optimizing = optimizer.stateless_apply(optimizing, gradients, trained)
            return (trained, others, optimizing), parts

        self._groups = (net.trainable_variables, net.non_trainable_variables, optimizer.variables)
        self._state: Any = tuple([one.value for one in group] for group in self._groups)
        self._step = jax.jit(step)

    def take(self, batch: Batch) -> dict[str, Any]:
        self._state, parts = self._step(self._state, batch)
        return dict(parts)

    def write_back(self) -> None:
        for group, values in zip(self._groups, self._state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
