"""Finds the frames of a pass that show only a part of the plate, so that they do not outvote the others.

A frame that shows a part of a text is no evidence against the rest if other frames clearly show the whole:
the plate came out from behind a post, or drove in from the edge of the picture. In a narrower box, the
character at the side of the part may be cut and misread. Such an end contradicts the whole text in a
character that both show, so that many ends outvote few wholes: the longer text may count a bolt or a sticker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ctc import Labels
from .frame_counts import FrameCounts
from .likeness import is_misread_end, is_part
from .plates import Evidence

F64 = NDArray[np.float64]
WITNESSES = 2  # frames that must show the whole text
_ENDS_PER_WHOLE = 6  # misread ends of one text that a frame with the whole text explains
_CLEAR_NATS = 6.0  # by which each of them must prefer it to any part of it
_HIDDEN_NATS = 3.0  # cost of the assumption that a frame shows only a part: one reading in twenty does
_NARROW_NATS, _NARROW_IN_ALL = 0.5, 4.0  # less if the box was narrower; at most, for all
_NARROWER = 0.93  # width over height, of the frames that show the whole
_WHOLE_LINE = 5  # characters that a look at both lines of a two-line plate never surely gives


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """scores: (F, N), at least the log-likelihoods. hidden: (F, N) bool, the frame shows a part of the text.

    narrow: (F, N) bool, the same, and its box was narrower too.
    """

    scores: F64
    hidden: NDArray[np.bool_]
    narrow: NDArray[np.bool_]


def explain_hidden(
    scores: F64, texts: Sequence[Labels], frames: Sequence[Evidence], counts: FrameCounts
) -> Explained | None:
    """Finds partly hidden frames; None if no text is a part of another, however many frames are counted.

    scores: log-likelihoods (F, N); counts: more frames, which are not weighed.
    """
    if len(frames) <= WITNESSES or len(texts) < 2:
        return None
    own = scores.argmax(axis=1)
    shown_by = Counter(own.tolist())
    one_line = _read_in_one_line(own.tolist(), texts, frames)
    parts_of = {
        whole: parts
        for whole, count in shown_by.items()
        if count >= WITNESSES
        and (
            parts := [
                other
                for other in shown_by
                if _shows_part(texts[other], texts[whole]) and (whole in one_line or other not in one_line)
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
        if witnesses.sum() < WITNESSES:
            continue
        usual = float(np.median(aspects[witnesses]))
        slim = (aspects > 0) & (aspects < _NARROWER * usual)
        cheap = min(_NARROW_NATS, _NARROW_IN_ALL / max(int(slim.sum()), 1))
        # with a misread character only if the box is narrower too, and not in too many frames
        pure = [part for part in parts if is_part(texts[part], texts[whole])]
        best_pure = scores[:, pure].max(axis=1, initial=-np.inf)
        most = _ENDS_PER_WHOLE * (int(witnesses.sum()) + counts.of(texts[whole]))
        few = [part for part in parts if shown_by[part] + counts.of(texts[part]) <= most]
        best_slim = scores[:, sorted({*pure, *few})].max(axis=1, initial=-np.inf)
        explained = np.where(slim, best_slim - cheap, best_pure - _HIDDEN_NATS)
        hidden[:, whole] = explained > scores[:, whole]
        narrow[:, whole] = hidden[:, whole] & slim
        out[:, whole] = np.maximum(scores[:, whole], explained)
    return Explained(out, hidden, narrow)


def _shows_part(part: Labels, whole: Labels) -> bool:
    """Whether a text is a part of another, or an end of it with one character that is half hidden."""
    return is_part(part, whole) or is_misread_end(part, whole)


def _read_in_one_line(own: Sequence[int], texts: Sequence[Labels], frames: Sequence[Evidence]) -> set[int]:
    """Indices of the texts that some frame gave for the plate as one line. own: each frame's text.

    If there is such a text, one from readings line by line is not a partly hidden whole: its other line is
    the name of a state or a dealer.
    """
    return {
        text
        for text, frame in zip(own, frames, strict=True)
        if frame.lines == 1 and len(texts[text]) >= _WHOLE_LINE
    }


def longer_text_shown(winner: Labels, frames: Sequence[Evidence]) -> bool:
    """Whether a look at any frame gave a text of which the winner is a part."""
    return any(is_part(winner, path) for frame in frames for path in frame.paths)
