"""Reads a two-line plate line by line, and marks a box that seems to have two lines but cannot be read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ctc import best_path
from .look import Look, Looker, Stopwatch
from .plates import ALPHABET, U8, Corners, PlateBox
from .two_lines import (
    MOST_ASPECT,
    RowGap,
    find_gap,
    has_two_lines,
    is_serial_line,
    join_columns,
    line_corners,
    may_have_two_lines,
    shows_one_line,
)

LINE_OVERLAP, _OTHER_OVERLAP = 0.03, -0.01  # of the plate's height that the cuts of two lines share
LINES_TRUST = 0.8  # in the text of both lines: the net was trained on single lines
SPLITS = (-0.08, -0.04, 0.04, 0.08)  # other places to divide the lines of a still, as shares of the height
LINE_LOOKS = 4  # at a line of a still: if they differ, the text is doubtful
LINES_AGREE = 3  # of the looks at a line of a still must give the same text
LINE_SURE = 0.4  # least sureness of each line's look for both to be the text
ONE_OF_TWO_TRUST = 0.4  # in the text of one line, if the box seems to have two
# An exception is a look at the whole box that gives so many characters so surely: on two lines it would give
# none, or scraps of the larger one. Then a steep view, or print above and below the line, causes the signs.
WHOLE_CHARACTERS, WHOLE_SURE, WHOLE_TRUST = 5, 0.5, 0.8

Pair = tuple[Look, Look]  # at the upper and the lower line


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """A plate with two lines. ``looks``: both lines as one text; empty if a line cannot be read for sure.

    ``trust``: the factor for the confidence of the text.
    """

    looks: tuple[Look, ...]
    trust: float


class LineReader:
    """Looks at the lines of plates that may have two."""

    def __init__(self, looker: Looker) -> None:
        self._looker = looker

    def each(self, luma: U8, box: PlateBox, first: Look, watch: Stopwatch) -> Pair | None:
        """The looks at both lines of a box that may have two, else None. Raises DegenerateCornersError."""
        gap = self._gap(box, first)
        if gap is None:
            return None
        return self._pair(luma, box.corners, gap.place, watch)

    def read(
        self,
        luma: U8,
        box: PlateBox,
        first: Look,
        watch: Stopwatch,
        *,
        still: bool,
        pair: Pair | None = None,
    ) -> Lines | None:
        """Reads both lines of a plate; None if it has one.

        ``first``: the look at the whole box. ``still``: there is no other frame of this plate, so the lines
        are divided at more places. ``pair``: what ``each`` gave. Raises DegenerateCornersError.
        """
        gap = self._gap(box, first)
        if gap is None:
            return None
        pair = pair or self._pair(luma, box.corners, gap.place, watch)
        whole, upper, lower = ("".join(ALPHABET[label] for label in one.path) for one in (first, *pair))
        if shows_one_line(box.aspect, whole, upper, lower):
            return None
        if not has_two_lines(box.aspect, gap, first.text_sureness, *(line.sureness for line in pair)):
            return None
        pairs = [pair]
        if still:
            pairs += [self._pair(luma, box.corners, gap.place + shift, watch) for shift in SPLITS]
        surest = _surest(pairs)
        if not surest:
            one_line = len(first.path) >= WHOLE_CHARACTERS and first.sureness >= WHOLE_SURE
            return Lines(looks=(), trust=WHOLE_TRUST if one_line else ONE_OF_TWO_TRUST)
        looks = [_joined(*one) for one in surest[:LINE_LOOKS]]
        if not still:  # again, cut differently: if the looks differ, the text is doubtful
            other = self._pair(luma, box.corners, gap.place, watch, overlap=_OTHER_OVERLAP)
            looks += [_joined(*other)] if all(line.path for line in other) else []
        return Lines(looks=tuple(looks), trust=LINES_TRUST)

    def _gap(self, box: PlateBox, first: Look) -> RowGap | None:
        """The gap between the lines, or None if the box cannot have two."""
        if box.aspect >= MOST_ASPECT:
            return None
        gap = find_gap(first.patch.luma, self._looker.card.patch.margin_y)
        return gap if may_have_two_lines(box.aspect, gap) else None

    def _pair(
        self, luma: U8, corners: Corners, place: float, watch: Stopwatch, *, overlap: float = LINE_OVERLAP
    ) -> Pair:
        upper, lower = line_corners(corners, place, overlap)
        return self._looker.first(luma, upper, watch), self._looker.first(luma, lower, watch)


def _surest(pairs: list[Pair]) -> list[Pair]:
    """Pairs the surest looks at the upper line with the surest at the lower; none if a line is unsure.

    Some of several looks at a line must agree on its text: half characters read differently in every cut.
    """
    sides = []
    for side in zip(*pairs, strict=True):
        surest = sorted((one for one in side if is_serial_line(one.path)), key=lambda one: -one.sureness)
        agreed = sum(one.path == surest[0].path for one in surest) if surest else 0
        if not surest or surest[0].sureness < LINE_SURE or agreed < min(len(pairs), LINES_AGREE):
            return []
        sides.append(surest)
    return list(zip(*sides, strict=False))


def _joined(upper: Look, lower: Look) -> Look:
    """Joins both lines of a plate into one look; the patch remains that of one line."""
    columns = join_columns(upper.columns, lower.columns).astype(np.float64)
    outputs = {name: value for name, value in lower.outputs.items() if name == "jurisdiction"}
    return Look(lower.patch, columns, best_path(columns), upper.sureness * lower.sureness, outputs)
