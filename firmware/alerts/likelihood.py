"""The probability, by the vote, that a plate has the text of a hot-list entry. Pure; no I/O.

A vote gives the calibrated confidence of its text, whole texts with weights, and a probability for each slot.
O and 0 count as one character, and so do I and 1. The folded form of the text has the confidence as its
probability; every other form has confidence * (its weight / the text's weight), but together they have at
most 1 - confidence.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from detector.plates import ALPHABET, NO_CHARACTER, UNREADABLE, PlateText
from storage.plate_text import fold

F64 = NDArray[np.float64]
_FOLDED = tuple(dict.fromkeys(fold(character) for character in ALPHABET))
_COLUMNS = tuple([at for at, one in enumerate(ALPHABET) if fold(one) == folded] for folded in _FOLDED)
MOST_FORMS = 64  # of one text; a threshold of 0.01 allows at most 100


def likely_forms(text: PlateText, least: float, *, exact_only: bool = False) -> list[tuple[str, float]]:
    """(folded text, probability) of each form with a probability of at least `least`, likeliest first.

    exact_only: only the folded text, and none if one of its slots is unreadable.
    """
    own = fold(text.text)
    if UNREADABLE in own:
        if exact_only:
            return []
        own = ""
    sure = min(1.0, max(0.0, text.confidence))
    if exact_only:
        return [(own, sure)] if sure >= least else []
    weights = _weights(text, least)
    mine = weights.pop(own, 0.0)
    found = [(own, sure)] if own and sure >= least else []
    others = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))
    total = sum(weights.values())
    left = 1.0 - sure if own else 1.0
    for form, weight in others[:MOST_FORMS]:
        share = sure * weight / mine if own and mine > 0 else weight
        probability = min(share, left * weight / total if total else 0.0, left) if own else share
        if probability >= least:
            found.append((form, probability))
    return sorted(found, key=lambda pair: -pair[1])


def _weights(text: PlateText, least: float) -> dict[str, float]:
    """Folded forms with their weights: those of the whole texts or the products of the slots, if larger."""
    weights: dict[str, float] = {}
    for candidate, probability in text.candidates:
        if UNREADABLE not in candidate:
            form = fold(candidate)
            weights[form] = weights.get(form, 0.0) + probability
    for form, probability in _slot_forms(np.asarray(text.slots, dtype=np.float64), least / 4):
        weights[form] = max(weights.get(form, 0.0), probability)
    return weights


def _slot_forms(slots: F64, least: float) -> Iterator[tuple[str, float]]:
    """(form, product) of the slots' folded probabilities, best first, down to `least`.

    A form may skip a slot; its factor is then the slot's probability of "no character".
    """
    if not len(slots):
        return
    choices: list[list[tuple[float, str]]] = []
    for row in slots:
        folded = [
            (float(sum(row[at] for at in columns)), one)
            for one, columns in zip(_FOLDED, _COLUMNS, strict=True)
        ]
        folded.append((float(row[NO_CHARACTER]), ""))
        choices.append(sorted(folded, key=lambda pair: (-pair[0], pair[1])))
    first = tuple([0] * len(choices))
    queue = [(-_product(choices, first), first)]
    seen = {first}
    for _ in range(MOST_FORMS):
        if not queue:
            return
        negative, ranks = heapq.heappop(queue)
        if -negative < least:
            return
        form = "".join(choice[rank][1] for choice, rank in zip(choices, ranks, strict=True))
        if form:
            yield form, -negative
        for at, rank in enumerate(ranks):
            after = (*ranks[:at], rank + 1, *ranks[at + 1 :])
            if rank + 1 < len(choices[at]) and after not in seen:
                seen.add(after)
                heapq.heappush(queue, (-_product(choices, after), after))


def _product(choices: list[list[tuple[float, str]]], ranks: tuple[int, ...]) -> float:
    made = 1.0
    for choice, rank in zip(choices, ranks, strict=True):
        made *= choice[rank][0]
    return made
