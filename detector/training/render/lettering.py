"""Lettering that is no plate: badges, fleet names, phone numbers, posters and burned-in clocks.

A reader's net must learn to read nothing there, and a detector to find nothing.
"""

from __future__ import annotations

import numpy as np

from .backdrops import blotches
from .clutter import draw_clutter
from .faces import Lettering, draw_face, lettering_mask
from .line import Mask, set_line
from .press import RenderedPlate

_MAKES = tuple(
    """TOYOTA HONDA NISSAN FORD CHEVROLET HYUNDAI SUBARU MAZDA VOLVO AUDI TESLA DODGE CHRYSLER CADILLAC BUICK
    LEXUS ACURA INFINITI GENESIS PORSCHE JAGUAR BENTLEY SUZUKI ISUZU MITSUBISHI PEUGEOT RENAULT CITROEN SKODA
    VOLKSWAGEN MERCEDES SCANIA IVECO FREIGHTLINER PETERBILT KENWORTH MACK INTERNATIONAL
    COROLLA CAMRY CIVIC ACCORD ALTIMA SENTRA FOCUS FUSION MALIBU IMPALA SONATA TUCSON FORESTER OUTBACK
    EXPLORER ESCAPE TAHOE SILVERADO SIERRA RANGER TACOMA TUNDRA RAV4 PILOT ODYSSEY SIENNA CARAVAN SORENTO
    SPORTAGE OPTIMA GOLF PASSAT JETTA TIGUAN POLO CLIO MEGANE FIESTA TRANSIT SPRINTER DUCATO BOXER MASTER
    F150 F-250 RAM 1500 HEMI V8 V6 TDI GTI TSI AWD 4WD 4X4 QUATTRO XDRIVE HYBRID ELECTRIC TURBO DIESEL
    ECOBOOST SPORT LIMITED TOURING PREMIUM EX-L SE XLE SLT LTZ RS GT 320d C200 X5 Q7 CX-5 CR-V""".split()  # noqa: SIM905
)
_FLEET = tuple(
    """POLICE SHERIFF AMBULANCE FIRE RESCUE TAXI SCHOOL BUS STOP TRANSIT METRO POST MAIL EXPRESS COURIER
    FREIGHT LOGISTICS RENTAL MOVERS TOWING PLUMBING ROOFING ELECTRIC HEATING COOLING PAINTING CLEANING
    SECURITY DELIVERY WASTE RECYCLE CONCRETE LUMBER BAKERY DAIRY FOODS PIZZA FLOWERS WATER OXYGEN FLAMMABLE
    CAUTION LONG VEHICLE OVERSIZE LOAD WIDE TURNS STUDENT DRIVER TRUCK TRAILER PRIVATE SERVICE UNIT
    VAN SALE SOLD FINANCE OPEN EXIT PARKING PUSH PULL DANGER""".split()  # noqa: SIM905
)
_MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()  # noqa: SIM905
_KINDS: tuple[Lettering, ...] = ("sans", "sans", "sans", "roman", "slab", "script")
_SERIAL_FACE_SHARE = 0.25  # of the words are set in a face that plates use too


def _digits(rng: np.random.Generator, count: int) -> str:
    return "".join(str(digit) for digit in rng.integers(0, 10, count))


def clock(rng: np.random.Generator) -> str:
    """A date or a time, or a part of one, as recorders burn it into a picture."""
    hour, minute, second = int(rng.integers(24)), int(rng.integers(60)), int(rng.integers(60))
    year, month, day = int(rng.integers(2009, 2030)), int(rng.integers(1, 13)), int(rng.integers(1, 29))
    times = (
        f"{hour:02d}:{minute:02d}:{second:02d}",
        f"{hour:02d}:{minute:02d}",
        f"{hour:02d}{minute:02d}{second:02d}",
    )
    dates = (
        f"{year}-{month:02d}-{day:02d}",
        f"{month:02d}/{day:02d}/{year}",
        f"{day:02d}.{month:02d}.{year % 100:02d}",
        f"{year}{month:02d}{day:02d}",
        f"{day:02d} {_MONTHS[month - 1]} {year}",
    )
    time, date = times[int(rng.integers(len(times)))], dates[int(rng.integers(len(dates)))]
    return (time, date, f"{date} {time}", f"CAM{int(rng.integers(1, 17)):02d}")[int(rng.integers(4))]


def phone(rng: np.random.Generator) -> str:
    """A phone number or a part of one, as on a plumber's van."""
    forms = (
        f"555-01{_digits(rng, 2)}",
        f"(555) 555-01{_digits(rng, 2)}",
        f"555 01{_digits(rng, 2)}",
        f"1-800-555-01{_digits(rng, 2)}",
        f"0{_digits(rng, 3)} {_digits(rng, 6)}",
        f"{_digits(rng, 3)}-{_digits(rng, 4)}",
    )
    return forms[int(rng.integers(len(forms)))]


def words(rng: np.random.Generator) -> str:
    """Text on a vehicle, on a window or in a picture's corner that is not a plate's text."""
    kind = rng.random()
    if kind < 0.36:
        text = _MAKES[int(rng.integers(len(_MAKES)))]
    elif kind < 0.62:
        text = _FLEET[int(rng.integers(len(_FLEET)))]
        if rng.random() < 0.25:
            text += " " + _FLEET[int(rng.integers(len(_FLEET)))]
    elif kind < 0.74:
        text = phone(rng)
    elif kind < 0.84:
        text = clock(rng)
    elif kind < 0.92:  # a fleet's own number
        head = ("", "", "NO ", "UNIT ", "#", "BUS ", "T")[int(rng.integers(7))]
        text = head + _digits(rng, int(rng.integers(2, 6)))
    else:  # any word, so that no list can be memorized
        text = _coined(rng)
    if kind < 0.62 and rng.random() < 0.2:
        text = text.title()
    return text


def _coined(rng: np.random.Generator) -> str:
    """A word that could be a maker's or a town's."""
    heads, tails = "B C D F G H K L M N P R S T V W ST TR BR CH".split(), "A E I O U AI OO EA".split()  # noqa: SIM905
    word = ""
    for _ in range(int(rng.integers(2, 4))):
        word += heads[int(rng.integers(len(heads)))] + tails[int(rng.integers(len(tails)))]
    return word + ("", "N", "R", "S", "T", "LER", "X")[int(rng.integers(7))]


def word_mask(rng: np.random.Generator, text: str) -> Mask:
    """Coverage of the text in a face for names, or for serials if that face can set it; uint8 (h, w)."""
    if rng.random() < _SERIAL_FACE_SHARE:
        line = "".join(sign for sign in text.upper() if sign.isascii() and (sign.isalnum() or sign in " -."))
        if line.strip(" -."):
            return set_line(line, draw_face(rng, stroke_share=0.3), gap=float(rng.uniform(0.08, 0.22))).mask
    return lettering_mask(text, _KINDS[int(rng.integers(len(_KINDS)))], int(rng.integers(5)))


def bare_word(rng: np.random.Generator) -> RenderedPlate:
    """A word without a board, as a plate without a text; its corners are the word's."""
    mask = word_mask(rng, words(rng))
    tone = float(rng.choice([rng.uniform(3, 70), rng.uniform(150, 252)]))
    field = tone + 15 * blotches(rng, mask.shape, (2, 4))
    if rng.random() < 0.3:  # chrome, lit from above
        field = field + np.linspace(rng.uniform(0, 60), rng.uniform(-60, 0), mask.shape[0])[:, None]
    return _no_plate(np.clip(field, 0, 255).astype(np.uint8), mask)


def board(rng: np.random.Generator) -> RenderedPlate:
    """A sign, a sticker, a grille or the like, as a plate without a text."""
    thing = draw_clutter(rng)
    return _no_plate(thing.luma, thing.alpha)


def _no_plate(luma: Mask, alpha: Mask) -> RenderedPlate:
    height, width = luma.shape
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    return RenderedPlate(
        luma=luma,
        alpha=alpha,
        corners=corners,
        text_corners=corners,
        characters=np.zeros((0, 4), np.float32),
        lines=(),
        text="",
        jurisdiction="",
        layout="lettering",
    )
