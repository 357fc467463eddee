"""Explains the frames of a pass that show a part of the plate, so that they outvote none that shows it whole.

A frame that shows a part of a text says nothing against the rest of it, where other frames clearly show
the whole: the plate came out from behind a post, or drove in from the edge of the picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ctc import Labels
from .likeness import is_part
from .plates import Evidence

F64 = NDArray[np.float64]
_LEAST_WITNESSES = 2  # frames that show the whole text
_CLEAR_NATS = 6.0  # by which each of them prefers it to any part of it
_HIDDEN_NATS = 3.0  # what it costs to say that a frame shows a part only: one reading in twenty does
_NARROW_NATS, _NARROW_IN_ALL = 0.5, 4.0  # less if the box itself was narrower, and one event for all
_NARROWER = 0.93  # width over height, of the frames that show the whole
_WHOLE_LINE = 5  # characters that a look at a plate of two lines as a whole never surely gives


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """scores: (F, N), at least the log-likelihoods. hidden: (F, N) bool, frames that show a part of a text.

    narrow: (F, N) bool, those of them whose boxes were narrower too.
    """

    scores: F64
    hidden: NDArray[np.bool_]
    narrow: NDArray[np.bool_]


def explain_hidden(scores: F64, texts: Sequence[Labels], frames: Sequence[Evidence]) -> Explained | None:
    """scores: log-likelihoods (F, N) of N texts under F frames. None if no frame shows a part."""
    if len(frames) <= _LEAST_WITNESSES or len(texts) < 2:
        return None
    own = scores.argmax(axis=1)
    shown_by = Counter(own.tolist())
    one_line = _read_in_one_line(own.tolist(), texts, frames)
    parts_of = {
        whole: parts
        for whole, count in shown_by.items()
        if count >= _LEAST_WITNESSES
        and (
            parts := [
                other
                for other in shown_by
                if is_part(texts[other], texts[whole]) and (whole in one_line or other not in one_line)
            ]
        )
    }
    if not parts_of:
        return None
    out, hidden, narrow = scores.copy(), np.zeros(scores.shape, bool), np.zeros(scores.shape, bool)
    aspects = np.array([frame.aspect for frame in frames])
    for whole, parts in parts_of.items():
        best_part = scores[:, parts].max(axis=1)
        witnesses = (own == whole) & (scores[:, whole] - best_part >= _CLEAR_NATS)
        if witnesses.sum() < _LEAST_WITNESSES:
            continue
        usual = float(np.median(aspects[witnesses]))
        slim = (aspects > 0) & (aspects < _NARROWER * usual)
        cheap = min(_NARROW_NATS, _NARROW_IN_ALL / max(int(slim.sum()), 1))
        explained = best_part - np.where(slim, cheap, _HIDDEN_NATS)
        hidden[:, whole] = explained > scores[:, whole]
        narrow[:, whole] = hidden[:, whole] & slim
        out[:, whole] = np.maximum(scores[:, whole], explained)
    return Explained(out, hidden, narrow)


def _read_in_one_line(own: Sequence[int], texts: Sequence[Labels], frames: Sequence[Evidence]) -> set[int]:
    """The texts, by number, that some frame gave of the plate as one line. own: each frame's text.

    Beside such a text, one that only readings line by line give is no whole that something hides in part: its
    other line is a state's name, or a dealer's.
    """
    return {
        text
        for text, frame in zip(own, frames, strict=True)
        if frame.lines == 1 and len(texts[text]) >= _WHOLE_LINE
    }


def longer_text_shown(winner: Labels, frames: Sequence[Evidence]) -> bool:
    """Whether a look at any frame gave a text of which the winner is a part."""
    return any(is_part(winner, path) for frame in frames for path in frame.paths)
