"""Log-likelihoods of texts under the evidence of a frame. Each is computed once and kept with the evidence.

A reading is weighed twice, on its own and in the vote of its pass; the second time reuses the first results.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .ctc import Labels, against_blank, log_scores, slot_scores
from .plates import NO_CHARACTER, Evidence

F64 = NDArray[np.float64]
_LEAST = -700.0  # floor for log-likelihoods, so that sums stay finite
_SLOTS_KEPT = 2  # texts whose slots are kept per evidence: its own and that of its pass's vote


def text_scores(evidence: Evidence, texts: Sequence[Labels], slots_weight: float) -> F64:
    """Log-likelihood (N,) of texts: the mean over the frame's looks plus the second head's share."""
    known = evidence.known.texts
    missing = [text for text in texts if text not in known]
    if missing:
        looks, heads = _looks_and_head([evidence], missing)
        known.update(zip(missing, zip(looks[0].tolist(), heads[0].tolist(), strict=True), strict=True))
    scores = [looks + slots_weight * head for looks, head in map(known.__getitem__, texts)]
    return np.maximum(np.array(scores, np.float64), _LEAST)


def many_text_scores(frames: Sequence[Evidence], texts: Sequence[Labels], slots_weight: float) -> F64:
    """As ``text_scores`` for many frames at once, (F, N); nothing is kept."""
    looks, heads = _looks_and_head(frames, texts)
    return np.maximum(looks + slots_weight * heads, _LEAST)


def _looks_and_head(frames: Sequence[Evidence], texts: Sequence[Labels]) -> tuple[F64, F64]:
    """Log-likelihoods (F, N) of texts under each frame's looks (their mean) and its second head."""
    if not frames or not texts:
        return np.zeros((len(frames), len(texts))), np.zeros((len(frames), len(texts)))
    looks = np.empty((len(frames), len(texts)))
    for length in sorted({frame.columns.shape[1] for frame in frames}):  # two lines have more columns
        rows = [row for row, frame in enumerate(frames) if frame.columns.shape[1] == length]
        ratios, blanks = zip(*(_paths(frames[row]) for row in rows), strict=True)
        counts = [len(one) for one in blanks]
        scores = log_scores(np.concatenate(ratios, axis=1), np.concatenate(blanks), texts)
        starts = np.cumsum([0, *counts[:-1]])
        looks[rows] = np.add.reduceat(scores, starts, axis=0) / np.array(counts)[:, None]
    return looks, head_scores(frames, texts)


def _paths(evidence: Evidence) -> tuple[F64, F64]:
    """See ``ctc.against_blank``."""
    known = evidence.known
    if known.paths is None:
        known.paths = against_blank(evidence.columns.astype(np.float64), NO_CHARACTER)
    return known.paths


def head_scores(frames: Sequence[Evidence], texts: Sequence[Labels]) -> F64:
    """log p (F, N) of texts under each frame's second head: one character per slot, then "no character".

    0 for a frame without a second head.
    """
    logs = [_head(frame) for frame in frames]
    rows = [row for row, log in enumerate(logs) if log is not None]
    out = np.zeros((len(frames), len(texts)))
    if not rows or not texts:
        return out
    heads = np.array([log for log in logs if log is not None])
    places = heads.shape[1]
    spelt = np.array([(*text[:places], *(NO_CHARACTER,) * (places - len(text))) for text in texts], np.intp)
    beyond = np.array([max(len(text) - places, 0) for text in texts])
    out[rows] = heads[:, np.arange(places), spelt].sum(axis=-1) - 10.0 * beyond
    return out


def _head(evidence: Evidence) -> F64 | None:
    """Logarithms (S, 37) of the second head."""
    known = evidence.known
    if known.head is None and evidence.slots is not None:
        known.head = np.log(evidence.slots.astype(np.float64))
    return known.head


def one_slot_scores(evidence: Evidence, text: Labels, slots_weight: float) -> F64:
    """Log-likelihood (S, 37) of a text with one slot replaced by each class; the last leaves the slot out."""
    known = evidence.known.slots
    if text not in known:
        while len(known) >= _SLOTS_KEPT:
            del known[next(iter(known))]
        looks = np.maximum(slot_scores(evidence.columns.astype(np.float64), text).mean(axis=0), _LEAST)
        known[text] = looks, _one_slot_head_scores(evidence, text)
    looks, head = known[text]
    return looks if head is None or slots_weight <= 0 else np.asarray(looks + slots_weight * head)


def _one_slot_head_scores(evidence: Evidence, text: Labels) -> F64 | None:
    """The second head's share of ``one_slot_scores``."""
    logs = _head(evidence)
    if logs is None:
        return None
    fits = min(len(text), len(logs))
    shorter = [text[:slot] + text[slot + 1 :] for slot in range(len(text))]
    whole, *without = head_scores([evidence], [text, *shorter])[0].tolist()
    out = np.full((len(text), logs.shape[1]), whole)
    out[:fits] += logs[:fits] - logs[np.arange(fits), list(text[:fits])][:, None]
    out[:, NO_CHARACTER] = without
    return out
