"""PNG or JPEG: the two formats of a read's pictures."""

from __future__ import annotations

from typing import Literal

_PNG = b"\x89PNG"  # ISO/IEC 15948, 5.2: the beginning of a PNG


def picture_format(data: bytes) -> Literal["png", "jpeg"]:
    """The format by the first bytes, as in an image/... media type."""
    return "png" if data.startswith(_PNG) else "jpeg"
