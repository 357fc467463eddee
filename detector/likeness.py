"""How alike two texts are: whether two readings can be of one plate."""

from __future__ import annotations

from typing import Literal, Protocol

Likeness = Literal["same", "different", "unclear"]

TRUSTED = 0.5  # confidence from which two texts need not be letter for letter the same
LEAST_CHARACTERS = 4  # shorter texts are fragments and prove nothing
SAME_SHARE = 0.8  # of the characters alike: one misread in five, two in ten
DIFFERENT_SHARE = 0.55
# Log-likelihood of another text below a frame's own best from which the frame contradicts it. On the
# train clips frames of one plate stay above -10, of two plates below -24; blur and clutter lie at -4 to -9.
DIFFERENT_NATS = -18.0


class Spelt(Protocol):
    """A text whose confidence may cost something to know: a PlateText, or a vote that is going on."""

    @property
    def leader(self) -> str:
        """The likeliest whole text, doubtful characters included."""

    @property
    def confidence(self) -> float:
        """Calibrated probability that the whole text is right."""


def same_plate(first: Spelt, second: Spelt) -> bool:
    """Whether two texts are the same, one misreading aside where both are trusted."""
    a, b = first.leader, second.leader
    if min(len(a), len(b)) < LEAST_CHARACTERS:
        return False
    if a == b:
        return True
    return shared(a, b) >= SAME_SHARE and min(first.confidence, second.confidence) >= TRUSTED


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
