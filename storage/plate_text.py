"""The normal form of plate text, which the reader writes, the log seals, and every search compares."""

from __future__ import annotations

import re

PLATE_TEXT = re.compile(r"[A-Z0-9?]{1,16}")
_LEFT_OUT = re.compile(r"[\s.\-·•]")
_FOLD = str.maketrans("OI", "01")


def normal_plate(text: str) -> str:
    """Plate text as the reader writes it: upper case, without spaces, hyphens, dots and raised dots."""
    return _LEFT_OUT.sub("", text).upper()


def fold(plate: str) -> str:
    """The form in which O and 0 are the same character, and I and 1 too."""
    return plate.translate(_FOLD)
