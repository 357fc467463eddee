"""Whether a text contains a barred word, even in disguise. No I/O.

A word is also found with accents, in the plural, next to or within punctuation, and with digits that look
like its letters. The caller must refuse letters of other scripts (`is_latin`). Synonyms and letters separated
by spaces are not found: a person also reads the text.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

_ALIKE = str.maketrans("013457l", "oieasti")  # digits that look like letters; l and i count as one letter
_NO_LETTER = re.compile(r"[^a-z]+")
_BEFORE = re.compile(r"(?<![a-z0-9])[0-9]+")
_AFTER = re.compile(r"[0-9]+(?![a-z0-9])")
_GLUE = re.compile(r"[^a-z0-9\s]+")


def is_latin(text: str) -> bool:
    """Whether all letters of a text are Latin, after compatibility forms are resolved."""
    return text.isascii() or all(
        unicodedata.name(one, "").startswith("LATIN ")
        for one in unicodedata.normalize("NFKC", text)
        if one.isalpha()
    )


def barred_in(words: Sequence[str], text: str) -> str | None:
    """The first of `words` in the text, or None."""
    plain = _plain(text)
    pressed = _pressed(plain)
    if not any(one in pressed for one in _all_pressed(tuple(words))):
        return None  # nearly always: a list has millions of lines
    forms = [plain, _GLUE.sub("", plain)]
    for edge in (_BEFORE, _AFTER):
        forms += [edge.sub(" ", one) for one in forms]
    spaced = " ".join(_NO_LETTER.sub(" ", one.translate(_ALIKE)) for one in forms)
    return next((one for one in words if _pattern(one).search(spaced)), None)


def _pressed(plain: str) -> str:
    """Its letters, with digits replaced by the letters that they look like, and nothing in between."""
    return _NO_LETTER.sub("", plain.translate(_ALIKE))


@functools.lru_cache(maxsize=256)
def _all_pressed(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_pressed(_plain(one)) for one in words)


@functools.lru_cache(maxsize=1024)
def _pattern(word: str) -> re.Pattern[str]:
    """A pattern for the word between spaces, also in the plural."""
    alike = _NO_LETTER.sub(" ", _plain(word).translate(_ALIKE)).strip()
    return re.compile(rf"(?<![a-z]){re.escape(alike)}(?:e?s)?(?![a-z])")


def _plain(text: str) -> str:
    """The text in lower case, without accents."""
    if text.isascii():
        return text.casefold()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in apart if not unicodedata.combining(one))
