"""How alike two readings of plates are: the same plate read twice, two plates, or impossible to say."""

from __future__ import annotations

from typing import Literal

from .plates import PlateText

Likeness = Literal["same", "different", "unclear"]

TRUSTED = 0.5  # confidence from which a text may say that two sightings are, or are not, one plate
_LEAST_CHARACTERS = 4  # shorter texts are fragments and prove nothing
_SAME_SHARE = 0.8  # of the characters alike: one misread in five, two in ten
_DIFFERENT_SHARE = 0.4


def likeness(first: PlateText, second: PlateText) -> Likeness:
    """Compares the likeliest texts. Only two trusted texts can be ``different``."""
    a, b = best_of(first), best_of(second)
    longest = max(len(a), len(b))
    if min(len(a), len(b)) < _LEAST_CHARACTERS:
        return "unclear"
    share = 1 - distance(a, b) / longest
    trusted = min(first.confidence, second.confidence) >= TRUSTED
    if share >= _SAME_SHARE and (trusted or share == 1.0):
        return "same"
    return "different" if trusted and share < _DIFFERENT_SHARE else "unclear"


def best_of(text: PlateText) -> str:
    """The likeliest whole text, doubtful characters included."""
    return text.candidates[0][0] if text.candidates else text.text


def distance(first: str, second: str) -> int:
    """Levenshtein distance: insertions, deletions and substitutions."""
    if first == second:
        return 0
    previous = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        current = [i]
        for j, b in enumerate(second, start=1):
            current.append(min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (a != b)))
        previous = current
    return previous[-1]
