"""CTC arithmetic (Graves et al. 2006) on columns of class probabilities: beam search, scores, slots.

Works with probabilities, not logarithms: each class of a column has a floor, so that a path over all columns
stays within a float64. The blank is the last class. Texts are tuples of class numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from .plates import ALPHABET, F32

F64 = NDArray[np.float64]
Labels = tuple[int, ...]
_SKIP_BELOW = 2e-3  # a class less likely than this in a column does not extend a text
_LEAST = 1e-290  # floor for a path over all columns: its reciprocal is still a float64
_DROP_BELOW = 1e-5  # a beam less likely than this share of the best is dropped
_MOST_CLASSES = 4  # that may extend a text in one column; the final scores use all classes


def labels_of(text: str) -> Labels:
    """Converts text to class numbers."""
    return tuple(ALPHABET.index(character) for character in text)


def spelt(text: Labels) -> str:
    """Converts class numbers to text."""
    return "".join(ALPHABET[label] for label in text)


def column_probabilities(logits: F32, temperature: float, smoothing: float) -> F64:
    """Softmax of logits (..., T, C) / temperature, with a share ``smoothing`` of a uniform distribution.

    Any column may be wrong; the share keeps a single frame from vetoing a text.
    """
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled *= (1 - smoothing) / scaled.sum(axis=-1, keepdims=True)
    scaled += smoothing / logits.shape[-1]
    return scaled


def beam_search(columns: F64, width: int) -> list[tuple[Labels, float]]:
    """The likeliest texts of columns (T, C), best first, with their (pruned) log-probability.

    Prefix beam search (Hannun et al. 2014, arXiv 1408.2873, algorithm 1, without a language model).
    """
    blank = columns.shape[1] - 1
    open_classes = _open_classes(columns)
    # prefix -> (probability ending in a blank, ending in its last character)
    beams: dict[Labels, tuple[float, float]] = {(): (1.0, 0.0)}
    for column, classes in zip(columns.tolist(), open_classes, strict=True):
        stay = column[blank]
        grown = {
            prefix: ((ends_blank + ends_label) * stay, ends_label * column[prefix[-1]] if prefix else 0.0)
            for prefix, (ends_blank, ends_label) in beams.items()
        }
        if classes:
            steps = [(label, (label,), column[label]) for label in classes]
            for prefix, (ends_blank, ends_label) in beams.items():
                last = prefix[-1] if prefix else -1
                either = ends_blank + ends_label
                for label, step, chance in steps:
                    longer = prefix + step
                    gain = (ends_blank if label == last else either) * chance
                    before = grown.get(longer)
                    grown[longer] = (0.0, gain) if before is None else (before[0], before[1] + gain)
            grown = _pruned(grown, width)
        beams = grown
    ranked = sorted(beams.items(), key=_weight, reverse=True)
    return [(prefix, math.log(max(sum(pair), 1e-300))) for prefix, pair in ranked]


def _open_classes(columns: F64) -> list[list[int]]:
    """The classes of each column that may extend a text, in no order."""
    labels = columns[:, :-1]
    out: list[list[int]] = [[] for _ in labels]
    for row, label in zip(*(places.tolist() for places in np.nonzero(labels > _SKIP_BELOW)), strict=True):
        out[row].append(label)
    for row, classes in enumerate(out):
        if len(classes) > _MOST_CLASSES:
            out[row] = np.argpartition(-labels[row], _MOST_CLASSES - 1)[:_MOST_CLASSES].tolist()
    return out


def _pruned(grown: dict[Labels, tuple[float, float]], width: int) -> dict[Labels, tuple[float, float]]:
    weights = [a + b for a, b in grown.values()]
    floor = max(weights) * _DROP_BELOW
    if len(weights) > width:
        weights.sort(reverse=True)
        floor = max(floor, weights[width - 1])
    elif min(weights) >= floor:
        return grown
    kept = {prefix: pair for prefix, pair in grown.items() if pair[0] + pair[1] >= floor}
    if len(kept) > width:  # ties at the floor
        kept = dict(sorted(kept.items(), key=_weight, reverse=True)[:width])
    return kept


def _weight(item: tuple[Labels, tuple[float, float]]) -> tuple[float, Labels]:
    return item[1][0] + item[1][1], item[0]


def _padded(texts: Sequence[Labels], blank: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Texts as one array (N, S), padded with blanks, and their lengths."""
    lengths = np.array([len(text) for text in texts], np.intp)
    out = np.full((len(texts), int(lengths.max(initial=0))), blank, np.intp)
    for row, text in enumerate(texts):
        out[row, : len(text)] = text
    return out, lengths


def log_scores(ratios: F64, blanks: F64, texts: Sequence[Labels]) -> F64:
    """log p(text) of each of N texts under each of L column sets (L, N).

    ratios (C, L, T), blanks (L,): from ``against_blank``, with the blank as the last class.
    Graves et al. 2006, eq. 5 to 8, for all pairs at once. A text that no path can spell scores -inf.
    """
    looks, blank = len(blanks), len(ratios) - 1
    if not texts:
        return np.empty((looks, 0))
    padded, lengths = _padded(texts, blank)
    spelt = ratios[padded.T].reshape(padded.shape[1], len(texts) * looks, ratios.shape[-1])
    label, gap = _forward(spelt, np.repeat(_follows(padded), looks, axis=1))
    rows, ends = np.arange(len(texts) * looks), np.repeat(lengths, looks)
    total = gap[ends, rows, -1]
    if len(label):
        total = total + np.where(ends > 0, label[ends - 1, rows, -1], 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(total).reshape(len(texts), looks).T + np.log(blanks)[:, None])


def against_blank(columns: F64, blank: int) -> tuple[F64, F64]:
    """Expresses columns relative to the path that is blank in every column.

    columns: (L, T, C). Returns (C, L, T), the probability of the path that stays in one class from the
    first column to the t-th, divided by that of the blank path; and (L,), the probability of the whole
    blank path. In these units, entering a state is one product and staying in it is a running sum over the
    columns, so that a text costs one step per character instead of one per column.
    """
    columns = np.maximum(columns, _LEAST ** (1.0 / columns.shape[1]))
    paths = np.cumprod(columns.transpose(2, 0, 1), axis=-1)
    blanks = paths[blank, :, -1].copy()
    return np.asarray(paths / paths[blank].copy()), np.asarray(blanks)


def _follows(padded: NDArray[np.intp]) -> F64:
    """(S, N): 1 where a character differs from the one before, so that no blank is needed between them."""
    out = np.zeros(padded.shape[::-1])
    out[1:] = (padded[:, 1:] != padded[:, :-1]).T
    return out


def _forward(ratios: F64, follows: F64) -> tuple[F64, F64]:
    """Forward probabilities of M texts over the blank path's: characters (S, M, T) and gaps (S + 1, M, T).

    ratios: (S, M, T), each character's column path over the blank's; follows: (S, M), see _follows.
    """
    slots, rows, steps = ratios.shape
    label, gap = np.empty((slots, rows, steps)), np.empty((slots + 1, rows, steps))
    gap[0] = 1.0
    inverse, before = 1.0 / ratios, _before(steps)
    for slot in range(slots):
        now = label[slot]
        if slot:
            enters = label[slot - 1] * follows[slot, :, None]
            enters += gap[slot]
            enters *= inverse[slot]
            np.matmul(enters, before, out=now)
        else:
            np.matmul(inverse[0], before, out=now)
            now += 1.0
        now *= ratios[slot]
        np.matmul(now, before, out=gap[slot + 1])
    return label, gap


@lru_cache(maxsize=4)
def _before(steps: int) -> F64:
    """Running sums as a product: (X @ this)[..., t] is the sum of X[..., :t], in a third of cumsum's time."""
    return np.triu(np.ones((steps, steps)), 1)


def slot_scores(columns: F64, text: Labels) -> F64:
    """log p (L, S, C) of ``text`` with one slot replaced by each class, or left out (class blank).

    columns: (L, T, C). The forward and backward probabilities of a slot's neighbors do not depend on its
    own class, so all replacements together cost one pass over the columns. Classes that no column shows
    share one value, that of the least likely class of each column.
    """
    looks, _, classes = columns.shape
    slots, blank = len(text), classes - 1
    if not slots:
        return np.empty((looks, 0, classes))
    label = np.array(text, np.intp)
    shown = columns.reshape(-1, classes).max(axis=0) > _SKIP_BELOW
    shown[label] = True
    shown[blank] = False
    seen = np.flatnonzero(shown)

    both = np.concatenate([columns, columns[:, ::-1]])
    both = np.concatenate([both[..., [blank]], both[..., seen], both.min(axis=-1, keepdims=True)], axis=-1)
    ratios, blanks = against_blank(both, 0)
    place = np.searchsorted(seen, label) + 1
    spelt = np.concatenate([ratios[place, :looks], ratios[place[::-1], looks:]], axis=1)
    follows = np.repeat(_follows(np.stack([label, label[::-1]])), looks, axis=1)
    path, gap = _forward(spelt, follows)
    ahead, gap_ahead = path[:, :looks], gap[:, :looks]
    behind, gap_behind = path[::-1, looks:, ::-1], gap[::-1, looks:, ::-1]

    some = _replaced(ratios[1:, :looks], place - 1, (ahead, gap_ahead), (behind, gap_behind))
    total = np.empty((slots, classes, looks))
    total[:] = some[:, -1:]
    total[:, seen] = some[:, :-1]
    total[:, blank] = _without_slot((ahead, gap_ahead), behind, label)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(total).transpose(2, 0, 1) + np.log(blanks[:looks, None, None]))


def _replaced(ratios: F64, place: NDArray[np.intp], ahead: tuple[F64, F64], behind: tuple[F64, F64]) -> F64:
    """p (S, K, L) of a text over the blank path's, with each slot replaced by each of K classes.

    ratios: (K, L, T), see against_blank. place: (S,), the index in K of each slot's class. ahead and
    behind: characters (S, L, T) and gaps (S + 1, L, T), up to and from each column. Neighbors of the same
    class need a blank between them.
    """
    slots, own = len(place), np.arange(len(place) - 1)
    enters = ahead[1][:-1].copy()
    enters[1:] += ahead[0][:-1]
    every = enters[:, None] / ratios
    every[own + 1, place[:-1]] = ahead[1][1:-1] / ratios[place[:-1]]
    steps = every.shape[-1]  # one product per slot: small enough that BLAS starts no threads
    inside = (every.reshape(slots, -1, steps) @ _before(steps)).reshape(every.shape)
    inside[0] += 1.0
    inside *= ratios
    leaves = np.zeros((slots, *ratios.shape[1:]))
    leaves[..., :-1] = behind[1][1:, :, 1:]
    leaves[-1, :, -1] = 1.0
    alone = np.einsum("sklt,slt->skl", inside, leaves)
    beside = np.einsum("sklt,slt->skl", inside[:-1, ..., :-1], behind[0][1:, :, 1:])
    beside[own, place[1:]] = 0.0
    alone[:-1] += beside
    return np.asarray(alone)


def _without_slot(ahead: tuple[F64, F64], behind: F64, label: NDArray[np.intp]) -> F64:
    """p (S, L) of the text without each slot, over the blank path's."""
    path, gap = ahead
    slots = len(label)
    total = np.empty((slots, path.shape[1]))
    total[-1] = gap[slots - 1, :, -1]
    if slots > 1:
        total[-1] += path[slots - 2, :, -1]
        reach = gap[: slots - 1, :, :-1].copy()
        reach[1:] += path[: slots - 2, :, :-1] * (label[:-2] != label[2:])[:, None, None]
        total[:-1] = (reach * behind[1:, :, 1:]).sum(axis=-1)
        total[0] += behind[1, :, 0]
    return total


def best_path(columns: F64) -> Labels:
    """The text of the likeliest class of each column: repeats merged, blanks dropped."""
    blank = columns.shape[1] - 1
    classes = columns.argmax(axis=1)
    return tuple(label for label, _ in groupby(classes.tolist()) if label != blank)


def character_runs(columns: NDArray[np.floating]) -> list[tuple[int, int, int]]:
    """Each character of the best path: its first column, the column after its last, and its class."""
    blank, runs, start = columns.shape[1] - 1, [], 0
    for label, run in groupby(columns.argmax(axis=1).tolist()):
        stop = start + sum(1 for _ in run)
        if label != blank:
            runs.append((start, stop, label))
        start = stop
    return runs


def sure_gaps(count: int, classes: int) -> F64:
    """Columns (count, classes) that certainly show no character."""
    gaps = np.full((count, classes), 1e-6)
    gaps[:, -1] = 1.0 - 1e-6 * (classes - 1)
    return gaps
