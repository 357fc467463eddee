"""How alike two texts are: whether two readings can be of one plate."""

from __future__ import annotations

from typing import Literal

from .plates import PlateText

Likeness = Literal["same", "different", "unclear"]

TRUSTED = 0.5  # confidence from which two texts need not be letter for letter the same
LEAST_CHARACTERS = 4  # shorter texts are fragments and prove nothing
SAME_SHARE = 0.8  # of the characters alike: one misread in five, two in ten
DIFFERENT_SHARE = 0.55
# Log-likelihood of another text below a frame's own best from which the frame contradicts it. On the
# train clips frames of one plate stay above -10, of two plates below -24; blur and clutter lie at -4 to -9.
DIFFERENT_NATS = -18.0


def same_plate(first: PlateText, second: PlateText) -> bool:
    """Whether two texts are the same, one misreading aside where both are trusted."""
    a, b = best_of(first), best_of(second)
    if min(len(a), len(b)) < LEAST_CHARACTERS:
        return False
    trusted = min(first.confidence, second.confidence) >= TRUSTED
    return a == b or (trusted and shared(a, b) >= SAME_SHARE)


def best_of(text: PlateText) -> str:
    """The likeliest whole text, doubtful characters included."""
    return text.candidates[0][0] if text.candidates else text.text


def shared(first: str, second: str) -> float:
    """Share of the characters that two texts have in common, 0..1."""
    longest = max(len(first), len(second))
    return 1.0 - distance(first, second) / longest if longest else 0.0


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
