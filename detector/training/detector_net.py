"""The plate detector: one heat map with box and corners at stride 4, plain convolutions only.

Outputs, all float32 in the net's px: ``heat`` (h/4, w/4, 1) logits; ``box`` (..., 4) = dx, dy,
log w, log h with plate centre = cell centre + (dx w, dy h); ``corners`` (..., 8) = the four
corners as offsets from the plate centre in units of (w, h), clockwise from top-left.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

LEAST_PLATES = 3.0  # a batch of few plates must not shout


def _conv(x: Any, channels: int, name: str, *, stride: int = 1, size: int = 3) -> Any:
    x = layers.Conv2D(channels, size, stride, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.98, name=f"{name}_norm")(x)
    return layers.ReLU()(x)


def _residual(x: Any, channels: int, name: str) -> Any:
    y = _conv(x, channels, f"{name}_a")
    y = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"{name}_b")(y)
    y = layers.BatchNormalization(momentum=0.98, name=f"{name}_b_norm")(y)
    return layers.ReLU()(layers.Add()([x, y]))


def _merge(fine: Any, coarse: Any, channels: int, name: str) -> Any:
    """Adds a coarse map, doubled in size, to a finer one."""
    coarse = layers.UpSampling2D(2)(_conv(coarse, channels, f"{name}_coarse", size=1))
    return layers.ReLU()(layers.Add()([_conv(fine, channels, f"{name}_fine", size=1), coarse]))


def _wide_view(fine: Any, coarse: Any, channels: int, name: str) -> Any:
    """A finer map with what a coarser one adds, which is nothing at the start of the training."""
    added = layers.Conv2D(channels, 1, use_bias=False, name=name)(coarse)
    added = layers.BatchNormalization(momentum=0.98, gamma_initializer="zeros", name=f"{name}_norm")(added)
    return layers.ReLU()(layers.Add()([fine, layers.UpSampling2D(2)(added)]))


def build_detector(height: int | None, width: int | None) -> keras.Model:
    """The net for one input size, or with None for any; weights fit every size, by name.

    Raises ValueError for a size that 64 does not divide: an odd map is halved by other rows than in training.
    """
    if (height or 64) % 64 or (width or 64) % 64:
        raise ValueError(f"{height} x {width}: 64 must divide both sides")
    image = keras.Input((height, width, 1), name="luma")
    s2 = _conv(image, 12, "s2", stride=2)
    s4 = _conv(_conv(s2, 24, "s4_down", stride=2), 24, "s4")
    s8 = _residual(_conv(s4, 40, "s8_down", stride=2), 40, "s8")
    s16 = _residual(_conv(s8, 64, "s16_down", stride=2), 64, "s16")
    s32 = _residual(_conv(s16, 80, "s32_down", stride=2), 80, "s32")
    s64 = _residual(_conv(s32, 96, "s64_down", stride=2), 96, "s64")
    s32 = _wide_view(s32, s64, 80, "wide")
    up16 = _conv(_merge(s16, s32, 48, "merge16"), 48, "up16")
    up8 = _conv(_merge(s8, up16, 40, "merge8"), 40, "up8")
    up4 = _conv(_merge(s4, up8, 24, "merge4"), 32, "up4")
    heat = layers.Conv2D(
        1, 1, dtype="float32", bias_initializer=keras.initializers.Constant(-4.6), name="heat"
    )(up4)
    box = layers.Conv2D(4, 1, dtype="float32", bias_initializer=_box_prior, name="box")(up4)
    corners = layers.Conv2D(8, 1, dtype="float32", bias_initializer=_corner_prior, name="corners")(up4)
    return keras.Model(image, {"heat": heat, "box": box, "corners": corners}, name="plate_detector")


def with_weights_of(trained: keras.Model, height: int, width: int) -> keras.Model:
    """The net for one input size with the weights of another size's net."""
    net = build_detector(height, width)
    for layer in net.layers:
        if layer.weights:
            layer.set_weights(trained.get_layer(layer.name).get_weights())
    return net


def _box_prior(shape: Any, dtype: Any = None) -> Any:
    del shape
    return tf.constant([0.0, 0.0, np.log(50.0), np.log(18.0)], dtype=dtype)


def _corner_prior(shape: Any, dtype: Any = None) -> Any:
    del shape
    return tf.constant([-0.5, -0.5, 0.5, -0.5, 0.5, 0.5, -0.5, 0.5], dtype=dtype)


def detector_loss(heat: Any, regress: Any, out: dict[str, Any]) -> dict[str, Any]:
    """Focal loss on the heat map (Zhou et al., arXiv 1904.07850, eq. 1), IoU and L1 on the shape."""
    logits = out["heat"]
    p = tf.clip_by_value(tf.sigmoid(logits), 1e-5, 1 - 1e-5)
    positive = tf.cast(heat >= 0.999, tf.float32)
    plates = tf.maximum(tf.reduce_sum(positive), LEAST_PLATES)
    focal = (
        -tf.reduce_sum(
            positive * tf.square(1 - p) * tf.math.log(p)
            + (1 - positive) * tf.pow(1 - heat, 4.0) * tf.square(p) * tf.math.log(1 - p)
        )
        / plates
    )
    weight, corner_weight = regress[..., 12], regress[..., 13]
    shapes = tf.maximum(tf.reduce_sum(weight), 1.0)
    iou = tf.reduce_sum(weight * (1 - _giou(regress[..., :4], out["box"]))) / shapes
    l1 = tf.reduce_sum(weight[..., None] * tf.abs(regress[..., :4] - out["box"])) / shapes
    corner = tf.reduce_sum(
        corner_weight[..., None] * tf.abs(regress[..., 4:12] - out["corners"])
    ) / tf.maximum(tf.reduce_sum(corner_weight), 1.0)
    total = focal + 1.5 * iou + 0.5 * l1 + 0.8 * corner
    return {"loss": total, "focal": focal, "iou": iou, "l1": l1, "corner": corner}


def _giou(true: Any, pred: Any) -> Any:
    """Generalised IoU (Rezatofighi et al., arXiv 1902.09630) of boxes around a shared cell centre."""

    def sides(b: Any) -> tuple[Any, Any, Any, Any]:
        w = tf.exp(tf.clip_by_value(b[..., 2], 0.0, 7.0))
        h = tf.exp(tf.clip_by_value(b[..., 3], 0.0, 7.0))
        x, y = b[..., 0] * w, b[..., 1] * h
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2

    tx0, ty0, tx1, ty1 = sides(true)
    px0, py0, px1, py1 = sides(pred)
    inter = tf.maximum(tf.minimum(tx1, px1) - tf.maximum(tx0, px0), 0.0) * tf.maximum(
        tf.minimum(ty1, py1) - tf.maximum(ty0, py0), 0.0
    )
    union = (tx1 - tx0) * (ty1 - ty0) + (px1 - px0) * (py1 - py0) - inter
    hull = (tf.maximum(tx1, px1) - tf.minimum(tx0, px0)) * (tf.maximum(ty1, py1) - tf.minimum(ty0, py0))
    return inter / (union + 1e-6) - (hull - union) / (hull + 1e-6)
