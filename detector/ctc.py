"""CTC arithmetic (Graves et al. 2006) on columns of class probabilities: beam search, scores, slots.

Works with probabilities, not logarithms: ``column_probabilities`` keeps every class of every
column above a floor, so that a path over up to ``MOST_COLUMNS`` columns cannot underflow a float64.
The blank is the last class. Texts are tuples of class numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .plates import F32

F64 = NDArray[np.float64]
Labels = tuple[int, ...]
MOST_COLUMNS = 64
_SKIP_BELOW = 2e-3  # a class less likely than this in a column does not lengthen a text
_DROP_BELOW = 1e-5  # a beam less likely than this share of the best has no future
_MOST_CLASSES = 4  # that may lengthen a text in one column; scores are computed anew over all of them


def column_probabilities(logits: F32, temperature: float, smoothing: float) -> F64:
    """Softmax of logits (..., T, C) / temperature, mixed with a share ``smoothing`` of the uniform.

    The share says that any column may be deceived: no single frame can veto a text.
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
            for prefix, (ends_blank, ends_label) in beams.items():
                last = prefix[-1] if prefix else -1
                for label in classes:
                    longer = (*prefix, label)
                    gain = (ends_blank if label == last else ends_blank + ends_label) * column[label]
                    before = grown.get(longer, (0.0, 0.0))
                    grown[longer] = (before[0], before[1] + gain)
            grown = _pruned(grown, width)
        beams = grown
    ranked = sorted(beams.items(), key=_weight, reverse=True)
    return [(prefix, math.log(max(sum(pair), 1e-300))) for prefix, pair in ranked]


def _open_classes(columns: F64) -> list[list[int]]:
    """The classes of each column that may lengthen a text, in no order."""
    labels = columns[:, :-1]
    some = min(_MOST_CLASSES, labels.shape[1])
    best = np.argpartition(-labels, some - 1, axis=1)[:, :some]
    likely = np.take_along_axis(labels, best, axis=1) > _SKIP_BELOW
    return [
        [label for label, open_ in zip(row, flags, strict=True) if open_]
        for row, flags in zip(best.tolist(), likely.tolist(), strict=True)
    ]


def _pruned(grown: dict[Labels, tuple[float, float]], width: int) -> dict[Labels, tuple[float, float]]:
    weights = sorted([a + b for a, b in grown.values()], reverse=True)
    floor = max(weights[0] * _DROP_BELOW, weights[min(width, len(weights)) - 1])
    kept = {prefix: pair for prefix, pair in grown.items() if pair[0] + pair[1] >= floor}
    if len(kept) > width:  # ties at the floor
        kept = dict(sorted(kept.items(), key=_weight, reverse=True)[:width])
    return kept


def _weight(item: tuple[Labels, tuple[float, float]]) -> tuple[float, Labels]:
    return item[1][0] + item[1][1], item[0]


def _padded(texts: Sequence[Labels], blank: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Texts as one array (N, S) filled up with blanks, and their lengths."""
    lengths = np.array([len(text) for text in texts], np.intp)
    out = np.full((len(texts), int(lengths.max(initial=0))), blank, np.intp)
    for row, text in enumerate(texts):
        out[row, : len(text)] = text
    return out, lengths


def log_scores(columns: F64, texts: Sequence[Labels]) -> F64:
    """log p(text) of each of N texts under each of L column sets (L, T, C); returns (L, N).

    Graves et al. 2006, eq. 5 to 8, for all pairs at once. A text that no path can spell scores -inf.
    """
    if not texts:
        return np.empty((len(columns), 0))
    padded, lengths = _padded(texts, columns.shape[-1] - 1)
    forward = _forward(columns, padded, lengths.max())[:, -1]
    rows = np.arange(len(texts))
    total = forward[:, rows, 2 * lengths]
    total = total + np.where(lengths > 0, forward[:, rows, np.maximum(2 * lengths - 1, 0)], 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(total))


def _forward(columns: F64, padded: NDArray[np.intp], longest: int) -> F64:
    """Forward probabilities (L, T, N, 2S + 1) of N texts (N, S) under L column sets."""
    looks, steps, classes = columns.shape
    blank = classes - 1
    states = np.full((len(padded), 2 * longest + 1), blank, np.intp)
    states[:, 1::2] = padded
    emission = columns[:, :, states]
    skip = np.zeros(states.shape)  # may state s be entered from s - 2?
    skip[:, 3::2] = padded[:, 1:] != padded[:, :-1]
    out = np.empty((looks, steps, *states.shape))
    out[:, 0] = 0.0
    out[:, 0, :, :2] = emission[:, 0, :, :2]
    hop = np.empty((looks, len(padded), max(states.shape[1] - 2, 0)))
    for t in range(1, steps):
        before, now = out[:, t - 1], out[:, t]
        np.copyto(now, before)
        now[..., 1:] += before[..., :-1]
        np.multiply(before[..., :-2], skip[:, 2:], out=hop)
        now[..., 2:] += hop
        now *= emission[:, t]
    return out


def slot_scores(columns: F64, text: Labels) -> F64:
    """log p of ``text`` with one slot replaced by each class in turn, (L, S, C), or left out (class blank).

    columns: (L, T, C). The forward and backward probabilities of a slot's neighbours do not depend
    on its own class, so all replacements cost one pass over the columns. Classes that no column
    shows share one figure, that of the least likely class of each column.
    """
    looks, _, classes = columns.shape
    slots, blank = len(text), classes - 1
    if not slots:
        return np.empty((looks, 0, classes))
    label = np.array(text, np.intp)
    both = np.concatenate([columns, columns[:, ::-1]])
    pair = _forward(both, np.stack([label, label[::-1]]), slots)
    ahead, behind = pair[:looks, :, 0], pair[looks:, ::-1, 1, ::-1]  # both (L, T, 2S + 1)

    shown = np.asarray((columns > _SKIP_BELOW).any(axis=(0, 1)), np.bool_)
    shown[label] = True
    shown[blank] = False
    shown_classes = np.flatnonzero(shown)
    emission = np.concatenate([columns[..., shown_classes], columns.min(axis=-1, keepdims=True)], axis=-1)
    inside, leave = _enter_and_leave(ahead, behind, label, shown_classes)
    state = np.zeros((looks, slots, emission.shape[-1]))
    for entered, seen in zip(inside.swapaxes(0, 1), emission.swapaxes(0, 1), strict=True):
        state += entered
        state *= seen[:, None, :]
        entered[...] = state
    some = np.einsum("ltsc,ltsc->lsc", inside, leave)
    total = np.repeat(some[..., -1:], classes, axis=-1)
    total[..., shown_classes] = some[..., :-1]
    total[..., blank] = _without_slot(ahead, behind, label)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(total))


def _enter_and_leave(
    ahead: F64, behind: F64, label: NDArray[np.intp], classes: NDArray[np.intp]
) -> tuple[F64, F64]:
    """Probability (L, T, S, K + 1) of entering each slot at t as each class, and of going on after t.

    The last class stands for one that no neighbour equals. A neighbour may be followed without a
    blank between only when it is another class.
    """
    looks, steps, slots = *ahead.shape[:2], len(label)
    differs = np.ones((slots, len(classes) + 1))
    differs[:, :-1] = label[:, None] != classes
    enter = np.zeros((looks, steps, slots, len(classes) + 1))
    enter[:, 1:] = ahead[:, :-1, :-1:2, None]
    enter[:, 1:, 1:] += ahead[:, :-1, 1:-2:2, None] * differs[:-1]
    enter[:, 0, 0] = 1.0
    leave = np.zeros_like(enter)
    leave[:, :-1] = behind[:, 1:, 2::2, None]
    leave[:, :-1, :-1] += behind[:, 1:, 3::2, None] * differs[1:]
    leave[:, -1, -1] = 1.0
    return enter, leave


def _without_slot(ahead: F64, behind: F64, label: NDArray[np.intp]) -> F64:
    """p (L, S) of the text without each slot: every way to reach the next label past the slot."""
    looks, _, states = ahead.shape
    slots = len(label)
    total = np.zeros((looks, slots))
    total[:, -1] = ahead[:, -1, states - 3] + (ahead[:, -1, states - 4] if slots > 1 else 0.0)
    if slots > 1:
        reach = ahead[:, :-1, 0:-3:2].copy()
        reach[..., 1:] += ahead[:, :-1, 1:-4:2] * (label[:-2] != label[2:])
        total[:, :-1] = (reach * behind[:, 1:, 3::2]).sum(axis=1)
        total[:, 0] += behind[:, 0, 3]
    return total


def best_path(columns: F64) -> Labels:
    """The text of the likeliest class of each column: repeats merged, blanks dropped."""
    blank = columns.shape[1] - 1
    classes = columns.argmax(axis=1)
    changes = np.concatenate([[True], classes[1:] != classes[:-1]])
    return tuple(int(label) for label in classes[changes & (classes != blank)])
