"""The state namer: which state or country issued a plate, from a larger patch than the reader's.

Its first layers come from the released reader, which learned strokes of every size from far more patches.
Above them are plain convolutions and one dense layer. At first only these train, and ``fit_last_layer`` fits
the dense layer in closed form. Then the training continues with all but the first two convolutions. Input:
luma patch (96, 192, 1) in 0..1, normalized by ``patch_form.normalized``. Output: ``jurisdiction``, float32
logits (64,), in the order of ``alphabet.JURISDICTIONS``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from . import patch_form
from .alphabet import JURISDICTIONS
from .feeder import Batch
from .reader_net import build_reader, convolution, first_layers, residual
from .state_samples import HEIGHT, WIDTH
from .warm_start import warm_start

LAST_FEATURES = "features"
_RIDGE = 0.1  # of the mean variance of a feature
_SHARPNESS = 8.0  # logits per unit of the regression, whose output is about 0 for no and 1 for yes


FIRST_CONVOLUTIONS = 5  # of the reader, in first_layers


def build_state_namer(*, frozen: int = FIRST_CONVOLUTIONS) -> keras.Model:
    """The net, untrained until it is filled. frozen: how many of the first convolutions do not train."""
    patch = keras.Input((HEIGHT, WIDTH, 1), name="luma")
    fine = first_layers(patch)  # 24 x 48
    convolutions = 0
    for layer in keras.Model(patch, fine).layers:
        convolutions += isinstance(layer, layers.Conv2D)
        layer.trainable = convolutions > frozen
    x = convolution(fine, 64, stride=(2, 2))  # 12 x 24
    x = residual(convolution(x, 96, stride=(2, 2)), 96)  # 6 x 12
    x = layers.Dropout(0.3)(layers.Flatten(name=LAST_FEATURES)(x))
    named = layers.Dense(len(JURISDICTIONS), name="jurisdiction", dtype="float32")(x)
    return keras.Model(patch, {"jurisdiction": named}, name="state_namer")


def take_first_layers(net: keras.Model, released: Path, pictures: NDArray[Any]) -> None:
    """Fills the frozen layers from a released reader. pictures: a few, float32 (B, 96, 192, 1) in 0..1.

    Raises WarmStartError if the file is no reader of this shape.
    """
    top, left = (HEIGHT - patch_form.HEIGHT) // 2, (WIDTH - patch_form.WIDTH) // 2
    middle = pictures[:, top : top + patch_form.HEIGHT, left : left + patch_form.WIDTH]
    reader = build_reader()
    warm_start(reader, released, middle)
    frozen = [layer for layer in net.layers if layer.weights and not layer.trainable]
    for layer, source in zip(frozen, [one for one in reader.layers if one.weights], strict=False):
        layer.set_weights(source.get_weights())


def fit_last_layer(net: keras.Model, batches: Iterable[Batch]) -> None:
    """Replaces the dense layer by the ridge regression of the classes on its features, in closed form.

    The result is better than the layer trained in steps, which has seen each patch only a few times.
    """
    below = keras.Model(net.inputs[0], net.get_layer(LAST_FEATURES).output)
    seen, places = [], []
    for patches, place in batches:
        told = below(patches.astype(np.float32) / 255.0, training=False)
        seen.append(keras.ops.convert_to_numpy(keras.ops.cast(told, "float32")))
        places.append(place)
    features = np.concatenate(seen)
    mean = features.mean(axis=0)
    features -= mean
    truth = np.eye(len(JURISDICTIONS), dtype=np.float32)[np.concatenate(places)]
    shares = truth.mean(axis=0)
    spread = features.T @ features / len(features)
    spread[np.diag_indices_from(spread)] += _RIDGE * np.trace(spread) / len(spread)
    kernel = np.linalg.solve(spread, features.T @ (truth - shares) / len(features))
    net.get_layer("jurisdiction").set_weights([_SHARPNESS * kernel, _SHARPNESS * (shares - mean @ kernel)])


def state_loss(places: Any, out: dict[str, Any]) -> dict[str, Any]:
    """Cross-entropy, and the share of patches assigned to a wrong place. places: class numbers (B,)."""
    logits = out["jurisdiction"]
    loss = ops.mean(ops.sparse_categorical_crossentropy(places, logits, from_logits=True))
    likeliest = ops.cast(ops.argmax(logits, axis=-1), "int32")
    wrong = ops.cast(likeliest != ops.cast(places, "int32"), "float32")
    return {"loss": loss, "wrong": ops.mean(wrong)}
