"""Detects plates that are shown in a mirror, in water or upside down but still give a text.

Flipped characters look like others: a 2 like an S, a 3 like an E, a turned 9 like a 6. So the text of a
flipped plate has many of some characters and few of others; for the same patch flipped back, it is the
reverse. Each character has log odds: how much more often it is read on an upright plate than on a flipped
one. ``python -m detector.training.fit_flipped`` counts them on drawn US plates.
"""

from __future__ import annotations

from collections.abc import Mapping

from .look import Look, Looker, Stopwatch
from .plates import ALPHABET, U8

# Log odds, upright over flipped, in nats; 0 for all other characters. A mirrored T and an X are at the edge
# of rounding: the command prints -2 for that T, -1 for a mirrored X and 0 for a turned one. For a reflected A
# it prints -1: an A and a V are each other's reflection, and AAAC is as good a text as VVVC.
_MIRRORED = {-1: "08AIOQST", 1: "126BDENPR", 2: "G", 3: "457KZ"}
_TURNED = {-2: "Z", -1: "9AILOSWX", 1: "7BDEFGP", 2: "24RUY", 3: "5K"}
_REFLECTED = {-1: "3BCIW", 1: "456GPRY", 2: "NU", 3: "7Z"}
_LEAST = 3  # characters: most shorter texts are legible either way
_DOUBTFUL = 0  # nats: a text with more is upright, and the flipped patch is not read
_FLIPPED = 3  # nats by which the text of the flipped patch must be better


def _by_label(odds: Mapping[int, str]) -> tuple[int, ...]:
    """The odds of each label, from a table of the characters with each odds."""
    by_sign = {sign: nats for nats, signs in odds.items() for sign in signs}
    return tuple(by_sign.get(sign, 0) for sign in ALPHABET)


# Steps through the rows and the columns of a patch that show its plate flipped, and the odds.
_UPSIDE_DOWN = (-1, -1)
_FLIPS = {
    (1, -1): _by_label(_MIRRORED),
    _UPSIDE_DOWN: _by_label(_TURNED),
    (-1, 1): _by_label(_REFLECTED),
}


def is_flipped(looker: Looker, look: Look, watch: Stopwatch) -> bool:
    """Whether the patch of a look shows a plate in a mirror, in still water or turned by 180 degrees.

    Only a text that may be flipped costs another look: one for two drawn US plates. Raises NetAnswerError.
    """
    if len(look.path) < _LEAST:
        return False
    for (down, across), odds in _FLIPS.items():
        upright = sum(odds[label] for label in look.path)
        if upright <= _DOUBTFUL:
            path, sureness = looker.look_at(look.patch.luma[::down, ::across], watch)
            gain = sum(odds[label] for label in path) - upright
            # the true text of a plate is nearly always surer than that of its flipped patch
            if len(path) >= _LEAST and sureness >= look.sureness and gain >= _FLIPPED:
                return True
    return False


def turned(looker: Looker, patch: U8, watch: Stopwatch) -> int:
    """Returns 1 if a patch of the net's size shows its plate turned, -1 if upright, 0 if that is unclear.

    patch: uint8 (h, w). Costs two looks. Raises NetAnswerError.
    """
    odds = _FLIPS[_UPSIDE_DOWN]
    shown, sure = looker.look_at(patch, watch)
    other, other_sure = looker.look_at(patch[::-1, ::-1], watch)
    if min(len(shown), len(other)) < _LEAST:
        return 0
    gain = sum(odds[label] for label in other) - sum(odds[label] for label in shown)
    if gain >= _FLIPPED and other_sure >= sure:
        return 1
    return -1 if gain <= -_FLIPPED and other_sure <= sure else 0
