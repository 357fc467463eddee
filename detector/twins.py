"""Texts that differ only in O/0 and I/1, which many jurisdictions press with one die."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .ctc import Labels
from .plates import ALPHABET

F64 = NDArray[np.float64]

_TWIN_OF = {ALPHABET.index(a): ALPHABET.index(b) for a, b in ("O0", "I1")}
TWIN_CLASSES = tuple([ALPHABET.index(a), ALPHABET.index(b)] for a, b in ("O0", "I1"))


def among_twins(summed: F64, mean: F64, lifts: F64, prior_weight: float) -> F64:
    """Totals of texts that differ only in O/0 and I/1, along the last axis.

    With one die for both, every frame errs alike. So the frames decide what the twins get together; between
    the twins, all frames count as one and the formats count in full.
    """
    together = np.logaddexp.reduce(summed + prior_weight * lifts, axis=-1, keepdims=True)
    share = mean + lifts
    return np.asarray(together + share - np.logaddexp.reduce(share, axis=-1, keepdims=True))


def twins_among(texts: list[Labels]) -> list[list[int]]:
    """Groups the indices of texts that differ only in O/0 and I/1; texts without a twin are left out."""
    groups: dict[Labels, list[int]] = {}
    for index, text in enumerate(texts):
        groups.setdefault(as_twin(text), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def as_twin(text: Labels) -> Labels:
    """Replaces each O by 0 and each I by 1."""
    return tuple(_TWIN_OF.get(label, label) for label in text)
