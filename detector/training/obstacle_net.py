"""The obstacle finder: in which columns of a plate's patch something hides a character.

Plain convolutions reduce the patch to twelve rows of 36 columns, then to one row. Convolutions along that row
let each column see how far apart the characters beside it are. Input: luma patch (48, 144, 1) in 0..1,
normalized by ``patch_form.normalized``. Output: ``hidden``, float32 logits (36,).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ..lettering import SIZE
from .patch_form import COLUMNS
from .reader_net import convolution, residual

_HIDDEN_WEIGHT = 2.0  # added to a column's weight of 1 if it is hidden, since most columns are clear


def build_obstacle_finder() -> keras.Model:
    """The net, untrained."""
    patch = keras.Input((*SIZE, 1), name="luma")
    x = convolution(patch, 16, stride=(2, 2))
    x = residual(convolution(x, 32, stride=(2, 2)), 32)  # 12 x 36
    x = residual(convolution(x, 48, stride=(2, 1)), 48)  # 6 x 36
    x = convolution(x, 64, size=(6, 1), pad="valid")  # 1 x 36
    x = convolution(convolution(x, 64, size=(1, 7)), 64, size=(1, 7))
    x = layers.Conv2D(1, 1, dtype="float32")(layers.Dropout(0.2)(x))
    hidden = layers.Reshape((COLUMNS,), dtype="float32", name="hidden")(x)
    return keras.Model(patch, {"hidden": hidden}, name="obstacle_finder")


def obstacle_loss(hidden: Any, out: dict[str, Any]) -> dict[str, Any]:
    """The weighted cross-entropy of the columns. hidden: uint8 (B, 36), 0..255."""
    truth, logits = ops.cast(hidden, "float32") / 255.0, out["hidden"]
    entropy = ops.maximum(logits, 0.0) - logits * truth + ops.log1p(ops.exp(-ops.abs(logits)))
    return {"loss": ops.mean(entropy * (1.0 + _HIDDEN_WEIGHT * truth))}
