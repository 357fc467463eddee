"""Small drawn JPEGs of a pass: the plate patch and the overview that a twin of a unit seals."""

from __future__ import annotations

import functools
import io

from PIL import Image, ImageDraw, ImageFont

PATCH_SIZE = (192, 96)
OVERVIEW_SIZE = (640, 360)


def _jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    return out.getvalue()


def _plate(text: str) -> Image.Image:
    picture = Image.new("RGB", PATCH_SIZE, (240, 240, 236))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((2, 2, PATCH_SIZE[0] - 3, PATCH_SIZE[1] - 3), outline=(30, 40, 110), width=3)
    draw.text(
        (PATCH_SIZE[0] // 2, PATCH_SIZE[1] // 2),
        text,
        fill=(20, 30, 100),
        font=ImageFont.load_default(40),
        anchor="mm",
    )
    return picture


@functools.cache
def patch(text: str) -> bytes:
    """The plate patch: JPEG, 192x96."""
    return _jpeg(_plate(text))


@functools.cache
def overview(text: str) -> bytes:
    """The vehicle with its plate: JPEG, 640x360."""
    picture = Image.new("RGB", OVERVIEW_SIZE, (92, 104, 112))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 250, *OVERVIEW_SIZE), fill=(60, 62, 66))
    draw.rounded_rectangle((190, 110, 450, 300), radius=28, fill=(120, 32, 36))
    draw.rectangle((215, 125, 425, 190), fill=(30, 36, 44))
    picture.paste(_plate(text).resize((96, 48)), (272, 235))
    return _jpeg(picture)
