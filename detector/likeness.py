"""Compares texts: whether two readings can be of one plate, and whether one is a part of the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

Likeness = Literal["same", "misread", "unclear", "neighbor", "different"]

TRUSTED = 0.59  # confidence from which a text may reappear far from where it was expected
TELLS_NOTHING = 0.47  # a vote less sure than this is not a plate's text: too far away, or blurred
SURE = 0.88  # confidence from which one different character proves a different plate
LEAST_CHARACTERS = 4  # shorter texts are fragments and prove nothing
NEAR_SHARE = 0.8  # of the characters are alike: one in five may differ, or two in ten
DIFFERENT_SHARE = 0.55
# A frame contradicts a text if its log-likelihood is this far below that of the frame's own best. On the
# train clips, frames of one plate stay above -10 and of two plates below -24; blur and clutter: -4 to -9.
DIFFERENT_NATS = -18.0
# For a text that differs in one character: down to here, the frame may have misread it.
MISREAD_NATS = -5.0
_PAIRS_KEPT = 128  # the texts in view are compared in every frame
LEAST_PART = 2  # characters in a part of a text, at least
_TWINS = str.maketrans("OI", "01")  # many jurisdictions press both with one die: no proof of another plate
_FAR_TWINS = str.maketrans("OQDIBSZG", "00018526")  # a letter and a digit that look alike in a few px


def same_text(first: str, second: str) -> bool:
    """Whether two texts are the same apart from O/0 and I/1; False for fragments."""
    return min(len(first), len(second)) >= LEAST_CHARACTERS and first.translate(_TWINS) == second.translate(
        _TWINS
    )


def from_afar(text: str) -> str:
    """A text as it looks from afar: letters and digits that look alike become one."""
    return text.translate(_FAR_TWINS)


def near_text(first: str, second: str) -> bool:
    """Whether two texts differ so little that one may be a misreading of the other."""
    return (
        min(len(first), len(second)) >= LEAST_CHARACTERS
        and shared(first.translate(_TWINS), second.translate(_TWINS)) >= NEAR_SHARE
    )


def of_other_kinds(first: str, second: str) -> bool:
    """Whether two texts differ only where one has a letter and the other a digit that looks like it.

    Two plates of one series never do: a series has its letters and digits in fixed places. Plates of two
    series may, so this proves nothing for texts read at close range.
    """
    differ = [(a, b) for a, b in zip(first, second, strict=False) if a != b]
    alike = len(first) == len(second) and from_afar(first) == from_afar(second)
    return alike and all(a.isdigit() != b.isdigit() for a, b in differ)


def is_part(part: Sequence[object], whole: Sequence[object]) -> bool:
    """Whether a text is what remains of another if something hides one stretch of it, or both ends."""
    missing = len(whole) - len(part)
    if missing < 1 or len(part) < LEAST_PART:
        return False
    ahead = 0
    while ahead < len(part) and part[ahead] == whole[ahead]:
        ahead += 1
    if ahead and part[ahead:] == whole[ahead + missing :]:
        return True
    return any(part == whole[start : start + len(part)] for start in range(missing + 1))


def is_rest(part: Sequence[object], whole: Sequence[object]) -> bool:
    """Whether a longer text begins or ends with this one, except for one half-hidden character."""
    if not LEAST_CHARACTERS <= len(part) < len(whole):
        return False
    shown = len(part) - 1
    return part[1:] == whole[-shown:] or part[:-1] == whole[:shown]


def is_misread_end(part: Sequence[object], whole: Sequence[object]) -> bool:
    """Whether a text is an end of a longer one whose half-hidden character was read as another."""
    return is_rest(part, whole) and not is_part(part, whole)


def shared(first: str, second: str) -> float:
    """Share of the characters that two texts have in common, 0..1."""
    longest = max(len(first), len(second))
    return 1.0 - distance(first, second) / longest if longest else 0.0


@lru_cache(_PAIRS_KEPT)
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
