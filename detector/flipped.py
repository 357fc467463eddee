"""Sees whether a plate is shown in a mirror, in a shop's window or upside down, though it gives a text.

Flipped characters look like others: a 2 like an S, a 3 like an E, an L like a J. Some look like none, so that
the text of a flipped plate hardly has them; the same patch, flipped back, gives a surer text that has some.
"""

from __future__ import annotations

from .ctc import Labels
from .look import Look, Looker, Stopwatch
from .plates import ALPHABET

# What a look at a mirrored or a turned plate gives less than half as often as one at a plate.
_NEVER_MIRRORED = frozenset(map(ALPHABET.index, "24567BDFGKNZ"))
_NEVER_TURNED = frozenset(map(ALPHABET.index, "4567BDFGKMPRY"))
_LEAST = 3  # characters: of fewer, most are legible either way
_SURER = 1.1  # the flipped patch; as sure are some words that consist of such characters


def is_flipped(looker: Looker, look: Look, watch: Stopwatch) -> bool:
    """Whether the patch of a look shows a plate as a mirror does, or turned by 180 degrees.

    Only a text that may be a flipped one's costs a look: a fifth of all are tried either way. Raises
    NetAnswerError.
    """
    if len(look.path) < _LEAST:
        return False
    luma = look.patch.luma
    mirrored, turned = (luma[:, ::-1], _NEVER_MIRRORED, 1), (luma[::-1, ::-1], _NEVER_TURNED, 2)
    for flipped, never, times in (mirrored, turned):
        clear = _count(look.path, never)
        if clear <= 1:
            path, sureness = looker.look_at(flipped, watch)
            surer = sureness >= _SURER * look.sureness
            if surer and len(path) >= _LEAST and _count(path, never) > times * clear:
                return True
    return False


def _count(path: Labels, signs: frozenset[int]) -> int:
    return sum(label in signs for label in path)
