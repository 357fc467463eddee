"""Counts the frames of a pass that gave a text but are not weighed: they confirm it, or another text won."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Self

from .ctc import Labels
from .likeness import is_misread_end
from .twins import as_twin

MOST_TEXTS = 48


class FrameCounts:
    """How many frames without a vote gave each text."""

    __slots__ = ("_by_text",)

    def __init__(self) -> None:
        self._by_text: Counter[Labels] = Counter()

    def add(self, text: Labels, frames: int) -> None:
        """Counts frames that gave a text. Above MOST_TEXTS texts, the rarest half is dropped."""
        self._by_text[text] += frames
        if len(self._by_text) > MOST_TEXTS:
            self._by_text = Counter(dict(self._by_text.most_common(MOST_TEXTS // 2)))

    def join(self, other: FrameCounts) -> None:
        """Adds the counts of another vote on the same plate."""
        self._by_text += other._by_text

    def with_each(self, texts: Iterable[Labels]) -> Self:
        """These counts and one more frame for each of the texts."""
        more = type(self)()
        more._by_text = self._by_text + Counter(texts)
        return more

    def of(self, text: Labels) -> int:
        """How many frames gave exactly this text."""
        return self._by_text[text]

    def given(self, own: Iterable[Labels]) -> Counter[Labels]:
        """How many frames gave each text, O and 0, I and 1 alike. own: the texts of frames with a vote."""
        given: Counter[Labels] = Counter(as_twin(text) for text in own)
        for text, frames in self._by_text.items():
            given[as_twin(text)] += frames
        return given

    def contradict(self, winner: Labels, own: Iterable[Labels]) -> bool:
        """Whether more frames gave an end of the text, with another character at its side, than the text."""
        mine, given = as_twin(winner), self.given(own)
        return sum(count for text, count in given.items() if is_misread_end(text, mine)) > given[mine]
