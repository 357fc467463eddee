"""The plate reader: columns for CTC, a second head of fixed slots, jurisdiction, and the plate's corners.

Plain convolutions and two small dense layers. Input: luma patch (48, 144, 1) in 0..1, normalized by
``patch_form.normalized``. Outputs, float32 logits: ``columns`` (36, 37), blank last; ``slots`` (10, 37),
"no character" last; ``jurisdiction`` (64,); ``corners`` (8,): the plate's corners in the patch,
from its center in units of (width, height), clockwise from top-left.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from detector.plates import CLASSES
from detector.training.alphabet import BLANK, JURISDICTIONS, SLOTS

from .patch_form import COLUMNS, HEIGHT, WIDTH


def convolution(
    x: Any,
    channels: int,
    *,
    size: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    pad: str = "same",
) -> Any:
    """A convolution with its normalization and ReLU."""
    x = layers.Conv2D(channels, size, stride, padding=pad, use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.98)(x)
    return layers.ReLU()(x)


def residual(x: Any, channels: int) -> Any:
    """Two convolutions with a skip connection."""
    y = convolution(x, channels)
    y = layers.Conv2D(channels, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(momentum=0.98)(y)
    return layers.ReLU()(layers.Add()([x, y]))


def first_layers(patch: Any) -> Any:
    """The layers that all heads share, down to a quarter of the patch's size: (h / 4, w / 4, 72)."""
    x = convolution(patch, 32, stride=(2, 2))
    x = convolution(x, 40)
    x = convolution(x, 72, stride=(2, 2))
    return residual(x, 72)


def build_reader() -> keras.Model:
    """The net, untrained."""
    patch = keras.Input((HEIGHT, WIDTH, 1), name="luma")
    fine = first_layers(patch)  # 12 x 36
    x = residual(convolution(fine, 112, stride=(2, 1)), 112)  # 6 x 36
    deep = residual(convolution(x, 160, stride=(2, 1)), 160)  # 3 x 36
    text = convolution(deep, 192, size=(3, 1), pad="valid")  # 1 x 36
    text = layers.Dropout(0.1)(text)
    text = convolution(text, 160, size=(1, 5))
    columns = layers.Conv2D(CLASSES, 1, dtype="float32")(text)
    columns = layers.Reshape((COLUMNS, CLASSES), name="columns", dtype="float32")(columns)

    narrow = convolution(convolution(deep, 64, size=(3, 1), pad="valid"), 32, size=(1, 1))
    slots = layers.Dense(SLOTS * CLASSES, dtype="float32")(layers.Dropout(0.2)(layers.Flatten()(narrow)))
    slots = layers.Reshape((SLOTS, CLASSES), name="slots", dtype="float32")(slots)

    look = convolution(convolution(fine, 64, stride=(2, 2)), 96, stride=(2, 2))  # 3 x 9
    look = layers.Dropout(0.3)(layers.Flatten()(look))
    jurisdiction = layers.Dense(len(JURISDICTIONS), name="jurisdiction", dtype="float32")(look)

    place = convolution(convolution(deep, 48, stride=(1, 2)), 32, stride=(1, 2))  # 3 x 9
    place = layers.Flatten()(convolution(place, 64, size=(3, 9), pad="valid"))
    corners = layers.Dense(8, name="corners", dtype="float32", bias_initializer=_corner_prior)(place)
    return keras.Model(
        patch,
        {"columns": columns, "slots": slots, "jurisdiction": jurisdiction, "corners": corners},
        name="plate_reader",
    )


def _corner_prior(shape: Any, dtype: Any = None) -> Any:
    del shape
    return ops.convert_to_tensor([-0.45, -0.45, 0.45, -0.45, 0.45, 0.45, -0.45, 0.45], dtype=dtype)


def reader_loss(truth: Any, out: dict[str, Any]) -> dict[str, Any]:
    """CTC (Graves et al. 2006) on the columns, cross-entropy on slots and jurisdiction, L1 on corners.

    ``truth`` (B, 10 + 1 + 8 + 2): class numbers padded with BLANK, jurisdiction (-1 unknown), corners,
    weight of the text, weight of the corners. Only BLANKs mean that there is no text to read.
    """
    labels = ops.cast(truth[:, :SLOTS], "int32")
    place = ops.cast(truth[:, SLOTS], "int32")
    corners = truth[:, SLOTS + 1 : SLOTS + 9]
    text_weight, corner_weight = truth[:, SLOTS + 9], truth[:, SLOTS + 10]
    texts = ops.maximum(ops.sum(text_weight), 1.0)
    ctc = ops.sum(text_weight * _column_loss(labels, out["columns"])) / texts
    slots = ops.categorical_crossentropy(
        0.95 * ops.one_hot(labels, CLASSES) + 0.05 / CLASSES, out["slots"], from_logits=True
    )
    slots = ops.sum(text_weight * ops.sum(slots, axis=1)) / texts
    known = ops.cast(place >= 0, "float32")
    named = ops.sparse_categorical_crossentropy(ops.maximum(place, 0), out["jurisdiction"], from_logits=True)
    named = ops.sum(known * named) / ops.maximum(ops.sum(known), 1.0)
    corner = ops.sum(corner_weight[:, None] * ops.abs(out["corners"] - corners)) / ops.maximum(
        ops.sum(corner_weight), 1.0
    )
    total = ctc + 0.25 * slots + 0.3 * named + 2.0 * corner
    return {"loss": total, "ctc": ctc, "slots": slots, "jurisdiction": named, "corner": corner}


def _column_loss(labels: Any, columns: Any) -> Any:
    """-log p of each text (B,) under the columns' logits. labels: (B, 10), padded with BLANK.

    CTC does not accept an empty text: its probability is that of a blank in every column.
    """
    lengths = ops.sum(ops.cast(labels < BLANK, "int32"), axis=1)
    empty = lengths == 0
    first = ops.where(empty, 0, labels[:, 0])
    labels = ops.concatenate([first[:, None], labels[:, 1:]], axis=1)
    lengths = ops.maximum(lengths, 1)
    nothing = -ops.sum(ops.log_softmax(columns, axis=-1)[:, :, BLANK], axis=1)
    return ops.where(empty, nothing, _ctc(labels, lengths, columns))


def _ctc(labels: Any, lengths: Any, columns: Any) -> Any:
    if keras.backend.backend() == "tensorflow":  # its own kernel is many times faster than Keras's on a CPU
        import tensorflow as tf  # noqa: PLC0415 - absent where another framework trains

        where = tf.where(tf.sequence_mask(lengths, SLOTS))
        sparse = tf.SparseTensor(where, tf.gather_nd(labels, where), tf.cast(tf.shape(labels), tf.int64))
        times = tf.fill([tf.shape(labels)[0]], COLUMNS)
        return tf.compat.v1.nn.ctc_loss(
            sparse, columns, times, time_major=False, ignore_longer_outputs_than_inputs=True
        )
    times = ops.full((ops.shape(labels)[0],), COLUMNS, dtype="int32")
    return ops.ctc_loss(labels, columns, lengths, times, mask_index=BLANK)
