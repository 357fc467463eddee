"""Texts that differ in nothing but O/0 and I/1: many jurisdictions press both with one die."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .ctc import Labels
from .plates import ALPHABET

F64 = NDArray[np.float64]

_TWIN_OF = {ALPHABET.index(a): ALPHABET.index(b) for a, b in ("O0", "I1")}
TWIN_CLASSES = tuple([ALPHABET.index(a), ALPHABET.index(b)] for a, b in ("O0", "I1"))


def among_twins(summed: F64, mean: F64, lifts: F64, prior_weight: float) -> F64:
    """Totals of texts that differ in nothing but O/0 and I/1, along the last axis.

    Many jurisdictions press both with one die, and then every frame errs alike: what the twins have
    together is as all frames say; between them all frames count as one, and the formats in full.
    """
    together = np.logaddexp.reduce(summed + prior_weight * lifts, axis=-1, keepdims=True)
    share = mean + lifts
    return np.asarray(together + share - np.logaddexp.reduce(share, axis=-1, keepdims=True))


def twins_among(texts: list[Labels]) -> list[list[int]]:
    """Indices of texts that differ in nothing but O/0 and I/1, a list each; of those that have a twin."""
    groups: dict[Labels, list[int]] = {}
    for index, text in enumerate(texts):
        groups.setdefault(as_twin(text), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def as_twin(text: Labels) -> Labels:
    """The text with each O a 0 and each I a 1."""
    return tuple(_TWIN_OF.get(label, label) for label in text)
