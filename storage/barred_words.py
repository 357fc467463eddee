"""Whether a text carries a word that it must not carry, however the word is dressed. No I/O.

A word counts with accents, in the plural, beside or within punctuation, and with digits that look like its
letters. Letters of another script are for the caller to refuse (`is_latin`). Other words for the same thing,
and letters set apart by blanks, are not found: a person reads the reason too.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

_ALIKE = str.maketrans("013457l", "oieasti")  # digits, and l and i, which one writes for the other
_NO_LETTER = re.compile(r"[^a-z]+")
_BEFORE = re.compile(r"(?<![a-z0-9])[0-9]+")
_AFTER = re.compile(r"[0-9]+(?![a-z0-9])")
_GLUE = re.compile(r"[^a-z0-9\s]+")


def is_latin(text: str) -> bool:
    """Whether every letter of a text is a Latin one, once compatibility forms are resolved."""
    return text.isascii() or all(
        unicodedata.name(one, "").startswith("LATIN ")
        for one in unicodedata.normalize("NFKC", text)
        if one.isalpha()
    )


def barred_in(words: Sequence[str], text: str) -> str | None:
    """The first of `words` that the text carries, or None."""
    plain = _plain(text)
    pressed = _pressed(plain)
    if not any(one in pressed for one in _all_pressed(tuple(words))):
        return None  # by far the most: a list has millions of lines
    forms = [plain, _GLUE.sub("", plain)]
    for edge in (_BEFORE, _AFTER):
        forms += [edge.sub(" ", one) for one in forms]
    spaced = " ".join(_NO_LETTER.sub(" ", one.translate(_ALIKE)) for one in forms)
    return next((one for one in words if _pattern(one).search(spaced)), None)


def _pressed(plain: str) -> str:
    """Its letters, and digits as the letters that they look like, without what is between them."""
    return _NO_LETTER.sub("", plain.translate(_ALIKE))


@functools.lru_cache(maxsize=256)
def _all_pressed(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_pressed(_plain(one)) for one in words)


@functools.lru_cache(maxsize=1024)
def _pattern(word: str) -> re.Pattern[str]:
    """The word between blanks, alone or as a plural."""
    alike = _NO_LETTER.sub(" ", _plain(word).translate(_ALIKE)).strip()
    return re.compile(rf"(?<![a-z]){re.escape(alike)}(?:e?s)?(?![a-z])")


def _plain(text: str) -> str:
    """Small letters without accents."""
    if text.isascii():
        return text.casefold()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in apart if not unicodedata.combining(one))
