"""The plate detector: one heat map with box and corners at stride 4, plain convolutions only.

The picture enters in blocks of 4x4 px with a channel for each px. A convolution over a single channel would
cost a third of the whole net, because the runtimes' kernels process eight channels at a time.

Outputs, all float32 in the net's px: ``heat`` (h/4, w/4, 1) logits; ``box`` (..., 4) = dx, dy,
log w, log h with plate center = cell center + (dx w, dy h); ``corners`` (..., 8) = the four
corners as offsets from the plate center in units of (w, h), clockwise from top-left.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from .detector_targets import STRIDE, UNJUDGED

SURE_PLATE = 0.7
LEAST_PLATES = 3.0  # the loss is divided by at least this, so that a batch with few plates does not dominate


class Blocks(layers.Layer):  # type: ignore[misc]
    """Reshapes (B, h, w, 1) into (B, h / side, w / side, side * side)."""

    def __init__(self, side: int, name: str) -> None:
        super().__init__(name=name)
        self._side = side

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The output's shape for an input's."""
        rows, columns = (None if side is None else side // self._side for side in shape[1:3])
        return shape[0], rows, columns, self._side**2

    def call(self, x: Any) -> Any:
        """The blocks, with each one's px row by row."""
        side, size = self._side, ops.shape(x)
        rows, columns = size[1] // side, size[2] // side
        x = ops.reshape(x, (-1, rows, side, columns, side))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4)), (-1, rows, columns, side * side))


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
    """Adds a coarser map to a finer one, with weights that start at zero."""
    added = layers.Conv2D(channels, 1, use_bias=False, name=name)(coarse)
    added = layers.BatchNormalization(momentum=0.98, gamma_initializer="zeros", name=f"{name}_norm")(added)
    return layers.ReLU()(layers.Add()([fine, layers.UpSampling2D(2)(added)]))


def build_detector(height: int | None, width: int | None) -> keras.Model:
    """The net for one input size, or with None for any; weights fit every size, by name.

    Raises ValueError for a size that is no multiple of 64: halving an odd map would keep other rows than in
    training.
    """
    if (height or 64) % 64 or (width or 64) % 64:
        raise ValueError(f"{height} x {width}: 64 must divide both sides")
    image = keras.Input((height, width, 1), name="luma")
    s4 = _conv(_conv(Blocks(STRIDE, "blocks")(image), 32, "s4_in"), 24, "s4")
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
    return ops.convert_to_tensor([0.0, 0.0, np.log(50.0), np.log(18.0)], dtype=dtype)


def _corner_prior(shape: Any, dtype: Any = None) -> Any:
    del shape
    return ops.convert_to_tensor([-0.5, -0.5, 0.5, -0.5, 0.5, 0.5, -0.5, 0.5], dtype=dtype)


def targets_of(plates: Any, rows: int, columns: int) -> tuple[Any, Any]:
    """``encode_targets`` for a batch, on the net's device: heat (B, h, w, 1) and regress (B, h, w, 14).

    plates: (B, N, 14) as ``detector_targets.packed`` gives it.
    """
    labeled = ops.cast(plates[..., 0] > 0.5, "float32")[:, :, None, None]
    unlabeled = ops.cast(plates[..., 0] < -0.5, "float32")[:, :, None, None]
    cx, cy, w, h = (plates[..., index, None, None] for index in range(1, 5))
    cell_x = (ops.arange(columns, dtype="float32") + 0.5) * STRIDE
    cell_y = ((ops.arange(rows, dtype="float32") + 0.5) * STRIDE)[:, None]
    dx, dy = cx - cell_x, cy - cell_y  # (B, N, 1, w) and (B, N, h, 1)
    sigma_x, sigma_y = ops.maximum(w * 0.12, 2.2), ops.maximum(h * 0.16, 2.2)
    bump = ops.exp(-0.5 * (ops.square(dx / sigma_x) + ops.square(dy / sigma_y)))
    column = ops.clip(ops.floor(cx / STRIDE), 0, columns - 1)
    row = ops.clip(ops.floor(cy / STRIDE), 0, rows - 1)
    center = (ops.floor(cell_x / STRIDE) == column) & (ops.floor(cell_y / STRIDE) == row)
    bump = ops.where(center, 1.0, bump) * labeled
    heat = ops.max(bump, axis=1)
    owner = ops.one_hot(ops.argmax(bump, axis=1), plates.shape[1], axis=1)
    owned = bump * owner * ops.cast(bump > 0.15, "float32")
    owns = ops.cast(owned > 0, "float32")
    weight = owned / ops.maximum(ops.sum(owned, axis=(2, 3), keepdims=True), 1e-6)
    known = plates[..., 13, None, None]
    values = [dx / w, dy / h, ops.log(w), ops.log(h)]
    for index in range(4):
        values += [
            (plates[..., 5 + 2 * index, None, None] - cx) / w,
            (plates[..., 6 + 2 * index, None, None] - cy) / h,
        ]
    maps = [ops.sum(owns * value, axis=1) for value in values]
    maps += [ops.sum(weight, axis=1), ops.sum(weight * known, axis=1)]
    there = ops.cast((ops.abs(dy) < h * 0.7) & (ops.abs(dx) < w * 0.7), "float32") * unlabeled
    heat = ops.maximum(heat, UNJUDGED * ops.max(there, axis=1))
    return heat[..., None], ops.stack(maps, axis=-1)


def detector_loss(heat: Any, regress: Any, partly: Any, out: dict[str, Any]) -> dict[str, Any]:
    """Focal loss on the heat map (Zhou et al., arXiv 1904.07850, eq. 1), IoU and L1 on the shape.

    heat: (B, h, w, 1); regress: (B, h, w, 14) as ``encode_targets`` gives it; partly: (B,), 1 where there
    may be plates without a label: there, cells that the net itself takes for a plate do not count.
    """
    logits = out["heat"]
    p = ops.clip(ops.sigmoid(logits), 1e-5, 1 - 1e-5)
    positive = ops.cast(heat >= 0.999, "float32")
    plates = ops.maximum(ops.sum(positive), LEAST_PLATES)
    taken = ops.cast(ops.stop_gradient(p) > SURE_PLATE, "float32") * ops.cast(heat < 0.05, "float32")
    judged = 1 - partly[:, None, None, None] * taken
    focal = (
        -ops.sum(
            positive * ops.square(1 - p) * ops.log(p)
            + judged * (1 - positive) * ops.power(1 - heat, 4.0) * ops.square(p) * ops.log(1 - p)
        )
        / plates
    )
    weight, corner_weight = regress[..., 12], regress[..., 13]
    shapes = ops.maximum(ops.sum(weight), 1.0)
    iou = ops.sum(weight * (1 - _giou(regress[..., :4], out["box"]))) / shapes
    l1 = ops.sum(weight[..., None] * ops.abs(regress[..., :4] - out["box"])) / shapes
    corner = ops.sum(corner_weight[..., None] * ops.abs(regress[..., 4:12] - out["corners"])) / ops.maximum(
        ops.sum(corner_weight), 1.0
    )
    total = focal + 1.5 * iou + 0.5 * l1 + 0.8 * corner
    return {"loss": total, "focal": focal, "iou": iou, "l1": l1, "corner": corner}


def _giou(true: Any, pred: Any) -> Any:
    """Generalized IoU (Rezatofighi et al., arXiv 1902.09630) of boxes around a shared cell center."""

    def sides(b: Any) -> tuple[Any, Any, Any, Any]:
        w = ops.exp(ops.clip(b[..., 2], 0.0, 7.0))
        h = ops.exp(ops.clip(b[..., 3], 0.0, 7.0))
        x, y = b[..., 0] * w, b[..., 1] * h
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2

    tx0, ty0, tx1, ty1 = sides(true)
    px0, py0, px1, py1 = sides(pred)
    inter = ops.maximum(ops.minimum(tx1, px1) - ops.maximum(tx0, px0), 0.0) * ops.maximum(
        ops.minimum(ty1, py1) - ops.maximum(ty0, py0), 0.0
    )
    union = (tx1 - tx0) * (ty1 - ty0) + (px1 - px0) * (py1 - py0) - inter
    hull = (ops.maximum(tx1, px1) - ops.minimum(tx0, px0)) * (ops.maximum(ty1, py1) - ops.minimum(ty0, py0))
    return inter / (union + 1e-6) - (hull - union) / (hull + 1e-6)
