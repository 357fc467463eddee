"""PNG or JPEG: the two formats in which a read keeps its pictures."""

from __future__ import annotations

from typing import Literal

_PNG = b"\x89PNG"  # ISO/IEC 15948, 5.2: what a PNG begins with


def picture_format(data: bytes) -> Literal["png", "jpeg"]:
    """By its first bytes, as an image/... media type names it."""
    return "png" if data.startswith(_PNG) else "jpeg"
