"""Encodes frames and patches as image files: the overview as color JPEG, the patch as lossless PNG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hw.camera import Frame


def overview_jpeg(frame: Frame, *, quality: int) -> bytes:
    """The whole frame as JPEG, from its luma and chroma without a conversion to RGB."""
    luma = Image.fromarray(np.ascontiguousarray(frame.luma))
    if frame.chroma is not None:
        blue, red = (_full_size(plane, luma.size) for plane in frame.chroma)
        luma = Image.merge("YCbCr", (luma, blue, red))
    file = io.BytesIO()
    luma.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return file.getvalue()


def patch_png(patch: NDArray[np.uint8]) -> bytes:
    """A rectified plate, luma uint8 (h, w), as PNG."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(patch)).save(file, "PNG")
    return file.getvalue()


def _full_size(plane: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    """A chroma plane with each value doubled in both directions; JPEG's 4:2:0 reverses that without loss."""
    doubled = np.repeat(np.repeat(plane, 2, axis=0), 2, axis=1)
    return Image.fromarray(np.ascontiguousarray(doubled[: size[1], : size[0]]))
