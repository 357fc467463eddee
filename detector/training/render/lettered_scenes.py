"""Words and numbers that are not on a plate but on bodywork, on a window or printed into the picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from . import camera
from .faces import FONTS
from .patches import record
from .surfaces import vehicle_surface

Luma = NDArray[np.uint8]
Quad = NDArray[np.float64]

_WORDS = """
TOYOTA HONDA FORD CHEVROLET SILVERADO CAMRY COROLLA CIVIC ACCORD ALTIMA SENTRA JETTA PASSAT GOLF
TURBO HYBRID 4WD AWD QUATTRO XDRIVE SPORT LIMITED TITANIUM EXPLORER ESCAPE FUSION FOCUS F150 RAM1500
TUNDRA TACOMA RAV4 CRV CX5 MAZDA KIA HYUNDAI SONATA TUCSON SORENTO POLICE SHERIFF TAXI AMBULANCE
FIRE RESCUE PLUMBER ELECTRIC ROOFING COURIER EXPRESS FORSALE SALE OPEN CLOSED CAFE PIZZA BAR HOTEL
BANK PARKING EXIT ONLY STOP SCHOOL BUS PRIVATE SECURITY K9 UNIT12 A320 GT500 Z71 V8 TDI 20TDI GLS300
E350 C250 328I A4 Q5 X5 M3 AMG GTI R32 TYPER SUBARU WRX STI OUTBACK FORESTER LEAF PRIUS TESLA MODEL3
VOLVO XC90 JEEP WRANGLER CHEROKEE RUBICON DODGE CHARGER HEMI MUSTANG COBRA BRONCO CAM01 CAM2 REC
"""
WORDS = tuple(_WORDS.split())
SCENE = (540, 960)
_BODY, _PANEL = 0.7, 0.85  # cumulative shares of the words: on bodywork, on a plain panel; else on plain luma


class LetteredScene(NamedTuple):
    """luma: uint8 (H, W); quad: (4, 2), around the word; text: the word as drawn."""

    luma: Luma
    quad: Quad
    text: str


def draw_text(rng: np.random.Generator) -> str:
    """A word, a phone number, a date or a time."""
    kind = rng.random()
    if kind < 0.75:
        return WORDS[int(rng.integers(len(WORDS)))]
    digits = "".join(str(digit) for digit in rng.integers(0, 10, 12))
    if kind < 0.82:
        return digits[:7] if rng.random() < 0.5 else digits[:10]
    if kind < 0.9:
        return f"{rng.integers(0, 24):02}:{rng.integers(0, 60):02}:{rng.integers(0, 60):02}"
    if kind < 0.96:
        return f"20{rng.integers(10, 30)}-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}"
    return digits[:6]


def lettered_scene(rng: np.random.Generator) -> LetteredScene:
    """A picture with one text that is not on a plate."""
    text = draw_text(rng)
    mask = _mask(rng, text)
    high = float(rng.uniform(18, 56))
    wide = high * mask.shape[1] / mask.shape[0]
    canvas = np.full(SCENE, int(rng.integers(40, 220)), np.uint8)
    x, y = float(rng.uniform(60, max(61, 900 - wide))), float(rng.uniform(80, 400))
    quad = np.array([(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)])
    kind = rng.random()
    if kind < _PANEL:
        reach = 2 * high if kind < _BODY else float(rng.uniform(1, 3)) * high
        left, top = int(max(x - reach, 0)), int(max(y - reach, 0))
        right, foot = int(min(x + wide + reach, SCENE[1])), int(min(y + 2 * high + reach, SCENE[0]))
        if kind < _BODY:
            canvas[top:foot, left:right] = vehicle_surface(
                rng, (foot - top, right - left), quad - (left, top)
            )
        else:
            canvas[top:foot, left:right] = int(rng.integers(30, 230))
    tone = int(rng.integers(0, 60) if rng.random() < 0.5 else rng.integers(190, 255))
    own = np.array([(0, 0), (mask.shape[1], 0), mask.shape[::-1], (0, mask.shape[0])], np.float64)
    canvas = camera.place(canvas, np.full(mask.shape, tone, np.uint8), mask, own, quad)
    blurred = record(rng, canvas, plate_px=100) if rng.random() < 0.7 else camera.defocus(canvas, 0.6)
    return LetteredScene(blurred, quad, text)


def _mask(rng: np.random.Generator, text: str) -> Luma:
    files = sorted((*FONTS.glob("*/*.woff2"), *FONTS.glob("*/*.ttf")))
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    font = (
        ImageFont.truetype(str(files[int(rng.integers(len(files)))]), 60)
        if files
        else ImageFont.load_default(60)
    )
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    image = Image.new("L", (max(1, right - left + 2), max(1, bottom - top + 2)))
    ImageDraw.Draw(image).text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(image)
