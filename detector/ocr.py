"""Reads one plate of one frame: cuts it out, and in doubt reads it again, cut differently."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .card import ReaderCard
from .ctc import Labels, beam_search
from .errors import DegenerateCornersError
from .flipped import is_flipped, turned
from .frame_average import View, read_average
from .halves import MARGINS, as_long, halve, join_halves
from .line_reader import LineReader, Pair
from .look import Look, Looker, Stopwatch
from .place_fit import runs_out
from .plateness import plateness, signs_of_look
from .plates import F32, U8, Corners, Evidence, PlateBox, Point, as_corners
from .rectify import corners_in_frame
from .runtime import Net
from .still_cuts import more_cuts
from .thin_strokes import count_thin, lacks_strokes

F64 = NDArray[np.float64]

CANDIDATES_A_LOOK = 6
HALVES_SURE = 0.3  # a reading of halves that is less sure than this is ignored
WORTH_NATS = 9.0  # a candidate this far behind the best of its look cannot win a vote back
_HEAD_SMOOTHING = 1e-3
CUT_TRUST = (
    0.4  # in the text of a flipped plate, or of a box that runs out of the picture: ends may be missing
)
# How far a second look may move the corners: beyond that, they are not those of the plate.
_LEAST_AREA, _MOST_AREA, _MOST_SHIFT = 0.35, 1.8, 0.35


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What was seen of one plate: its evidence, its corners in the frame and the last patch read.

    ``plateness``: the probability that it is a plate.
    """

    evidence: Evidence
    corners: Corners
    patch: U8
    plateness: float


class PatchReader:
    """The reader net with the array code around it."""

    def __init__(self, net: Net, card: ReaderCard) -> None:
        self._card = card
        self._looker = Looker(net, card)
        self._lines = LineReader(self._looker)

    def first(self, luma: U8, box: PlateBox, watch: Stopwatch) -> Look:
        """The first look at a box. luma: uint8 (H, W) full frame. Raises DegenerateCornersError."""
        return self._looker.first(luma, box.corners, watch)

    def read_together(self, views: Sequence[View]) -> Evidence | None:
        """Reads the average of a pass's looks. Raises NetAnswerError."""
        return read_average(views, self._looker)

    def turned(self, patch: U8) -> int:
        """Whether a patch shows its plate turned by 180 degrees. Raises NetAnswerError."""
        return turned(self._looker, patch, Stopwatch())

    def see_plate(
        self, luma: U8, box: PlateBox, first: Look, watch: Stopwatch, *, still: bool
    ) -> Sight | None:
        """Reads the plate in a box; None if the first look sees no plate.

        luma: uint8 (H, W) full frame. ``still``: there is no other frame of this plate, so a doubtful text
        is read in more cuts. Raises DegenerateCornersError.
        """
        sure, lines = self._plateness(box, first), None
        if sure < self._card.plate.least:  # as a whole, two lines give no text
            lines = self._lines.each(luma, box, first, watch)
            sure = max((self._plateness(box, line) for line in lines or ()), default=0.0)
        if sure < self._card.plate.least:
            watch.lap("text")
            return None
        cut = runs_out(box, (luma.shape[0], luma.shape[1]))
        return self._see(luma, box, first, sure, watch, cut=cut, still=still, pair=lines)

    def _plateness(self, box: PlateBox, look: Look) -> float:
        signs = signs_of_look(look.columns, look.path, box.width_px, box.confidence)
        return plateness(signs, self._card.plate)

    def see(self, luma: U8, box: PlateBox, watch: Stopwatch) -> Sight:
        """Reads what is known to be a plate. luma: uint8 (H, W) of a still. Raises DegenerateCornersError.

        The box's confidence is ignored: it is not a detector's score.
        """
        box = replace(box, confidence=self._card.confidence.usual_score)
        first = self.first(luma, box, watch)
        return self._see(luma, box, first, 1.0, watch, cut=False, still=True)

    def _see(
        self,
        luma: U8,
        box: PlateBox,
        first: Look,
        sure: float,
        watch: Stopwatch,
        *,
        cut: bool,
        still: bool,
        pair: Pair | None = None,
    ) -> Sight:
        strokes = count_thin(first.patch.luma, first.columns)
        # a stroke without a character in the look is a missed character or, more often, the plate's rim
        corners, looks = self._whole(luma, box, first, watch, doubt=lacks_strokes(first.path, [strokes]))
        patch = looks[-1].patch.luma
        strokes = min([strokes, *(count_thin(look.patch.luma, look.columns) for look in looks[1:])])
        trust = CUT_TRUST if cut or is_flipped(self._looker, first, watch) else 1.0
        lines, count = self._lines.read(luma, box, first, watch, still=still, pair=pair), 1
        if lines is not None:
            trust *= lines.trust
            if lines.looks:  # strokes were counted over both lines at once
                looks, strokes, count = list(lines.looks), 0, 2
        halves: list[F64] = []
        if (
            still
            and trust == 1.0
            and looks[-1].path
            and looks[-1].sureness < self._card.patch.more_looks_below
        ):
            more = self._more_looks(luma, corners, watch)
            looks += more
            if more and len({look.path for look in looks}) > 1:
                halves = self._halves(luma, more[0], watch)
        width_px = PlateBox(corners=corners, confidence=0.0).width_px
        evidence = replace(
            self._evidence(looks, halves, width_px, box), cut=cut, trust=trust, strokes=strokes, lines=count
        )
        watch.lap("text")
        return Sight(evidence, corners, patch, sure)

    def _whole(
        self, luma: U8, box: PlateBox, first: Look, watch: Stopwatch, *, doubt: bool
    ) -> tuple[Corners, list[Look]]:
        """The corners of the plate and the looks at it; a doubtful first look is followed by a second."""
        rules = self._card.patch
        corners = self._corners(box, first) if rules.trust_corners else box.corners
        if rules.second_look and (doubt or first.sureness < rules.second_look_below):
            margin = rules.second_margin_x, rules.second_margin_y
            try:
                return corners, [first, self._looker.look(luma, corners, margin, watch)]
            except DegenerateCornersError:
                return box.corners, [first]
        return corners, [first]

    def _more_looks(self, luma: U8, corners: Corners, watch: Stopwatch) -> list[Look]:
        """Looks at the plate in other cuts, as the frames of a pass would; skips cuts without an area."""
        margin = self._card.patch.second_margin_x, self._card.patch.second_margin_y
        found = []
        for cut in more_cuts(corners):
            with contextlib.suppress(DegenerateCornersError):
                found.append(self._looker.look(luma, cut, margin, watch))
        return found

    def _halves(self, luma: U8, whole: Look, watch: Stopwatch) -> list[F64]:
        """Columns of the plate read in two halves, once per margin; none if it cannot be halved."""
        found = []
        for margin in MARGINS:
            halves = halve(whole.patch, whole.columns, margin)
            if halves is None:
                return []
            with contextlib.suppress(DegenerateCornersError):
                left, right = (self._looker.look(luma, half.corners, (0.0, 0.0), watch) for half in halves)
                joined = join_halves(halves, (left.columns, right.columns))
                if float(np.prod(joined.max(axis=1))) >= HALVES_SURE:
                    found.append(joined)
        return found

    def corners_at(self, luma: U8, box: PlateBox) -> Corners:
        """The corners that the net sees in a box, or the box's own. Raises DegenerateCornersError."""
        return self._corners(box, self.first(luma, box, Stopwatch()))

    def _corners(self, box: PlateBox, look: Look) -> Corners:
        """The corners that the net saw in a patch, or the box's own if those are implausible."""
        if "corners" not in look.outputs:
            return box.corners
        seen = as_corners(corners_in_frame(look.outputs["corners"].real(), look.patch))
        return seen if _plausible(box.corners, seen) else box.corners

    def invoke_bare(self, patch: U8) -> None:
        """Runs only the net, on a patch of its input size."""
        self._looker.net.invoke(patch)

    def _evidence(self, looks: list[Look], halves: list[F64], width_px: float, box: PlateBox) -> Evidence:
        rules = self._card.text
        candidates: set[Labels] = set()
        columns = [look.columns for look in looks]
        if halves:
            columns = [as_long(one) for one in columns] + halves
        for one in columns:
            beams = beam_search(one, rules.beam)
            best = beams[0][1]
            candidates |= {text for text, score in beams[:CANDIDATES_A_LOOK] if score > best - WORTH_NATS}
        places = np.full(len(rules.jurisdictions), 1.0 / max(len(rules.jurisdictions), 1), np.float32)
        if "jurisdiction" in looks[0].outputs:
            places = _mean_probabilities([look.outputs["jurisdiction"].real() for look in looks], 1e-4)
        slots = None
        if "slots" in looks[0].outputs:
            slots = _mean_probabilities([look.outputs["slots"].real() for look in looks], _HEAD_SMOOTHING)
        return Evidence(
            columns=np.stack(columns).astype(np.float32),
            slots=slots,
            jurisdiction=places,
            candidates=tuple(sorted(candidates)),
            paths=tuple(look.path for look in looks),
            width_px=width_px,
            score=box.confidence,
            aspect=box.aspect,
        )


def _mean_probabilities(logits: list[F32], smoothing: float) -> F32:
    """Softmax of the mean of several looks' logits (..., C), mixed with a small uniform share."""
    mean = logits[0] if len(logits) == 1 else np.mean(logits, axis=0)
    values = np.exp(mean - mean.max(axis=-1, keepdims=True))
    values *= (1 - smoothing) / values.sum(axis=-1, keepdims=True)
    return np.asarray(values + smoothing / values.shape[-1], np.float32)


def _plausible(first: Corners, seen: Corners) -> bool:
    """Whether the corners seen in a patch can be those of the plate that was cut out."""
    if not all(math.isfinite(value) for point in seen for value in point):
        return False
    sides = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(seen, (*seen[1:], seen[0]), strict=True)]
    turns = [a[0] * b[1] - a[1] * b[0] for a, b in zip(sides, (*sides[1:], sides[0]), strict=True)]
    ratio = _area(seen) / max(_area(first), 1e-9)
    span = max(math.dist(first[1], first[0]), math.dist(first[3], first[0]))
    shift = math.dist(_middle(seen), _middle(first))
    return min(turns) > 0 and _LEAST_AREA < ratio < _MOST_AREA and shift < _MOST_SHIFT * span


def _middle(quad: Corners) -> Point:
    return sum(x for x, _ in quad) / 4, sum(y for _, y in quad) / 4


def _area(quad: Corners) -> float:
    """Area of a quad, shoelace formula."""
    return 0.5 * abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(quad, (*quad[1:], quad[0]), strict=True)))
