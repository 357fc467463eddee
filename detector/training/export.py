"""Turns a trained Keras net into an int8 TFLite file with its card.

Full-integer post-training quantization: uint8 in, int8 out, with ranges from real training pictures. Every
output keeps the name that it has in the Keras net.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def to_int8(net: keras.Model, calibration: Iterable[NDArray[np.uint8]]) -> bytes:
    """The int8 flatbuffer. ``calibration``: uint8 (H, W) inputs as a unit would feed them."""
    height, width = net.inputs[0].shape[1:3]
    pictures = [
        np.asarray(picture, np.float32).reshape(1, height, width, 1) / 255.0 for picture in calibration
    ]

    def representative() -> Iterator[dict[str, NDArray[np.float32]]]:
        yield {"luma": np.zeros((1, height, width, 1), np.float32)}
        yield {"luma": np.ones((1, height, width, 1), np.float32)}
        for picture in pictures:
            yield {"luma": picture}

    with _converter(net) as converter:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.int8
        return bytes(converter.convert())


def to_float(net: keras.Model) -> bytes:
    """The float flatbuffer, for the float column of the tables."""
    with _converter(net) as converter:
        return bytes(converter.convert())


@contextmanager
def _converter(net: keras.Model) -> Iterator[Any]:
    """A converter for a saved copy of the net, whose signature names input and outputs."""
    height, width = net.inputs[0].shape[1:3]
    archive = keras.export.ExportArchive()
    archive.track(net)
    archive.add_endpoint(
        "serve",
        lambda luma: net(luma, training=False),
        input_signature=[tf.TensorSpec((1, height, width, 1), tf.float32, name="luma")],
    )
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        yield tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serve"])


def write_model(path: Path, flatbuffer: bytes) -> str:
    """Writes the file and returns the sha256 (hex) that its card must name."""
    path.write_bytes(flatbuffer)
    return hashlib.sha256(flatbuffer).hexdigest()
