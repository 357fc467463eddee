"""One plate of one frame to evidence: cut out and read, and where in doubt a second time, cut otherwise."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .card import ReaderCard
from .ctc import Labels, beam_search, best_path, column_probabilities
from .errors import DegenerateCornersError, PictureError
from .more_looks import more_cuts
from .place_fit import runs_out
from .plateness import plateness, signs_of_look
from .plates import CLASSES, F32, U8, Corners, Evidence, PlateBox
from .rectify import Patch, corners_in_frame, cut_patch, normalized
from .runtime import Net, NetOutput
from .thin_strokes import count_thin
from .two_lines import (
    find_gap,
    has_two_lines,
    is_serial_line,
    join_columns,
    line_corners,
    may_have_two_lines,
)

F64 = NDArray[np.float64]

CANDIDATES_A_LOOK = 6
WORTH_NATS = 9.0  # a candidate this far behind the best of its look cannot win a vote back
_HEAD_SMOOTHING = 1e-3
LINE_OVERLAP, _OTHER_OVERLAP = 0.03, -0.01  # of the plate's height that the cuts of two lines share
LINES_TRUST = 0.8  # in the text of both: the net was trained on plates of one line
SPLITS = (-0.08, -0.04, 0.04, 0.08)  # where else the lines of a still may part, shares of the height
LINE_LOOKS = 4  # of a still's: where they differ, the text is in doubt
LINES_AGREE = 3  # of the looks at a line of a still
LINE_SURE = 0.4  # of each line's look, that both together are the text
ONE_OF_TWO_TRUST = 0.4  # in the text of one line, where the box shows signs of two
CUT_TRUST = 0.4  # in the text of a box that runs out of the picture: its ends may be missing
# What a second look may move: beyond it the corners are the net's fancy, not the plate's.
_LEAST_AREA, _MOST_AREA, _MOST_SHIFT = 0.35, 1.8, 0.35


@dataclass(slots=True)
class Stopwatch:
    """Milliseconds by stage, on the clock on the wall; ``lap`` books the time since the last lap."""

    ms: dict[str, float] = field(default_factory=dict)
    last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """Adds the time since the last lap to a stage."""
        now = time.perf_counter()
        self.ms[stage] = self.ms.get(stage, 0.0) + (now - self.last) * 1e3
        self.last = now


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What was seen of one plate: its evidence, its corners in the frame, the patch that was read last.

    ``plateness``: the probability that it is one.
    """

    evidence: Evidence
    corners: Corners
    patch: U8
    plateness: float


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    patch: Patch
    columns: F64
    path: Labels
    sureness: float
    outputs: dict[str, NetOutput]


class PatchReader:
    """The reader net with the array code around it."""

    def __init__(self, net: Net, card: ReaderCard) -> None:
        self._net = net
        self._card = card

    def see_plate(self, luma: U8, box: PlateBox, watch: Stopwatch, *, still: bool = False) -> Sight | None:
        """Reads the plate at a box, or None where the first look sees none.

        luma: uint8 (H, W) full frame. ``still``: no other frame of this plate comes, so that a text in
        doubt is looked at in more cuts. Raises DegenerateCornersError.
        """
        first = self._first_look(luma, box, watch)
        sure = self._plateness(box, first)
        if sure < self._card.plate.least:
            sure = self._plateness_of_lines(luma, box, first, watch)
        if sure < self._card.plate.least:
            watch.lap("text")
            return None
        cut = runs_out(box, (luma.shape[0], luma.shape[1]))
        return self._see(luma, box, first, sure, watch, cut=cut, still=still)

    def _plateness(self, box: PlateBox, look: _Look) -> float:
        signs = signs_of_look(look.columns, look.path, box.width_px, box.confidence)
        return plateness(signs, self._card.plate)

    def _plateness_of_lines(self, luma: U8, box: PlateBox, first: _Look, watch: Stopwatch) -> float:
        """How sure either line is of a plate, where a box may have two: as a whole they give no text.

        Raises DegenerateCornersError.
        """
        gap = find_gap(first.patch.luma, self._card.patch.margin_y)
        if not may_have_two_lines(box.aspect, gap):
            return 0.0
        return max(self._plateness(box, line) for line in self._lines(luma, box.corners, gap.place, watch))

    def see(self, luma: U8, box: PlateBox, watch: Stopwatch) -> Sight:
        """Reads what is known to be a plate. luma: uint8 (H, W) of a still. Raises DegenerateCornersError."""
        return self._see(luma, box, self._first_look(luma, box, watch), 1.0, watch, still=True)

    def _first_look(self, luma: U8, box: PlateBox, watch: Stopwatch) -> _Look:
        margin = (self._card.patch.margin_x, self._card.patch.margin_y)
        return self._look(luma, box.corners, margin, watch)

    def _see(
        self,
        luma: U8,
        box: PlateBox,
        first: _Look,
        sure: float,
        watch: Stopwatch,
        *,
        cut: bool = False,
        still: bool = False,
    ) -> Sight:
        rules = self._card.patch
        looks = [first]
        corners = self._corners(box, looks[0]) if rules.trust_corners else box.corners
        if rules.second_look and looks[0].sureness < rules.second_look_below:
            try:
                looks.append(self._look(luma, corners, (rules.second_margin_x, rules.second_margin_y), watch))
            except DegenerateCornersError:
                corners = box.corners
        width_px = PlateBox(corners=corners, confidence=0.0).width_px
        trust, patch = CUT_TRUST if cut else 1.0, looks[-1].patch.luma
        strokes = max(count_thin(look.patch.luma, look.columns) for look in looks)
        gap = find_gap(first.patch.luma, rules.margin_y)
        if may_have_two_lines(box.aspect, gap):
            lines = self._lines(luma, box.corners, gap.place, watch)
            if has_two_lines(box.aspect, gap, _told(first), *(line.sureness for line in lines)):
                pairs = [lines, *(self._more_lines(luma, box.corners, gap.place, watch) if still else ())]
                pairs = _surest_lines(pairs)
                if pairs:
                    trust *= LINES_TRUST
                    strokes = 0  # of one line only
                    looks = [_joined(*pair) for pair in pairs[:LINE_LOOKS]]
                    if not still:
                        looks += self._second_lines(luma, box.corners, gap.place, watch)
                else:
                    trust *= ONE_OF_TWO_TRUST
        if still and trust == 1.0 and looks[-1].path and looks[-1].sureness < rules.more_looks_below:
            looks += self._more_looks(luma, corners, watch)
        evidence = replace(self._evidence(looks, width_px, box), cut=cut, trust=trust, strokes=strokes)
        watch.lap("text")
        return Sight(evidence, corners, patch, sure)

    def _more_looks(self, luma: U8, corners: Corners, watch: Stopwatch) -> list[_Look]:
        """The plate in other cuts, as the frames of a pass would show it; none that spans nothing."""
        margin = self._card.patch.second_margin_x, self._card.patch.second_margin_y
        found = []
        for cut in more_cuts(corners):
            with contextlib.suppress(DegenerateCornersError):
                found.append(self._look(luma, cut, margin, watch))
        return found

    def _lines(
        self, luma: U8, corners: Corners, place: float, watch: Stopwatch, *, overlap: float = LINE_OVERLAP
    ) -> tuple[_Look, _Look]:
        """The looks at the upper and at the lower line. Raises DegenerateCornersError."""
        margin = (self._card.patch.margin_x, self._card.patch.margin_y)
        upper, lower = line_corners(corners, place, overlap)
        return self._look(luma, upper, margin, watch), self._look(luma, lower, margin, watch)

    def _more_lines(
        self, luma: U8, corners: Corners, place: float, watch: Stopwatch
    ) -> list[tuple[_Look, _Look]]:
        """Both lines, parted a little higher and a little lower. Raises DegenerateCornersError."""
        return [self._lines(luma, corners, place + shift, watch) for shift in SPLITS]

    def _second_lines(self, luma: U8, corners: Corners, place: float, watch: Stopwatch) -> list[_Look]:
        """Both lines once more, cut otherwise: where the looks differ, the text is in doubt."""
        lines = self._lines(luma, corners, place, watch, overlap=_OTHER_OVERLAP)
        return [_joined(*lines)] if all(line.path for line in lines) else []

    def corners_at(self, luma: U8, box: PlateBox) -> Corners:
        """The corners that the net sees at a box, or the box's own. Raises DegenerateCornersError."""
        margin = self._card.patch.margin_x, self._card.patch.margin_y
        return self._corners(box, self._look(luma, box.corners, margin, Stopwatch()))

    def _corners(self, box: PlateBox, look: _Look) -> Corners:
        """The corners that the net saw in a patch, or the box's own where those are the net's fancy."""
        if "corners" not in look.outputs:
            return box.corners
        seen = corners_in_frame(look.outputs["corners"].real(), look.patch)
        return _as_corners(seen) if _plausible(np.array(box.corners), seen) else box.corners

    def invoke_bare(self, patch: U8) -> None:
        """The net alone on a patch of its size."""
        self._net.invoke(patch)

    def _look(self, luma: U8, corners: Corners | F64, margin: tuple[float, float], watch: Stopwatch) -> _Look:
        patch = cut_patch(luma, corners, self._net.size, margin)
        picture = normalized(patch.luma, self._card.patch)
        watch.lap("rectify")
        outputs = dict(self._net.invoke(picture))
        watch.lap("read")
        logits = outputs["columns"].real()
        if logits.ndim != 2 or logits.shape[1] != CLASSES:
            raise PictureError(f"the net's columns are {logits.shape}, expected (T, {CLASSES})")
        rules = self._card.text
        columns = column_probabilities(logits, rules.temperature, rules.smoothing)
        sureness = float(np.prod(columns.max(axis=1)))
        return _Look(patch, columns, best_path(columns), sureness, outputs)

    def _evidence(self, looks: list[_Look], width_px: float, box: PlateBox) -> Evidence:
        rules = self._card.text
        candidates: set[Labels] = set()
        for look in looks:
            beams = beam_search(look.columns, rules.beam)
            best = beams[0][1]
            candidates |= {text for text, score in beams[:CANDIDATES_A_LOOK] if score > best - WORTH_NATS}
        places = np.full(len(rules.jurisdictions), 1.0 / max(len(rules.jurisdictions), 1), np.float32)
        if "jurisdiction" in looks[0].outputs:
            places = _mean_probabilities([look.outputs["jurisdiction"].real() for look in looks], 1e-4)
        slots = None
        if "slots" in looks[0].outputs:
            slots = _mean_probabilities([look.outputs["slots"].real() for look in looks], _HEAD_SMOOTHING)
        return Evidence(
            columns=np.stack([look.columns for look in looks]).astype(np.float32),
            slots=slots,
            jurisdiction=places,
            candidates=tuple(sorted(candidates)),
            paths=tuple(look.path for look in looks),
            width_px=width_px,
            score=box.confidence,
            aspect=box.aspect,
        )


def _surest_lines(pairs: list[tuple[_Look, _Look]]) -> list[tuple[_Look, _Look]]:
    """The surest looks at the upper line beside the surest at the lower; none where one line is unsure.

    Of several looks at a line a few must agree on its text: halves of characters give another with every cut.
    """
    sides = []
    for side in zip(*pairs, strict=True):
        told = sorted((one for one in side if is_serial_line(one.path)), key=lambda one: -one.sureness)
        agreed = sum(one.path == told[0].path for one in told) if told else 0
        if not told or told[0].sureness < LINE_SURE or agreed < min(len(pairs), LINES_AGREE):
            return []
        sides.append(told)
    return list(zip(*sides, strict=False))


def _told(look: _Look) -> float:
    """How sure a look is of the text that it gives: not at all where it gives none."""
    return look.sureness if look.path else 0.0


def _joined(upper: _Look, lower: _Look) -> _Look:
    """Both lines of a plate as one look; the patch is still one line's."""
    columns = join_columns(upper.columns, lower.columns).astype(np.float64)
    outputs = {name: value for name, value in lower.outputs.items() if name == "jurisdiction"}
    return _Look(lower.patch, columns, best_path(columns), upper.sureness * lower.sureness, outputs)


def _mean_probabilities(logits: list[F32], smoothing: float) -> F32:
    """Softmax of the mean of several looks' logits (..., C), mixed with a little of the uniform."""
    mean = np.mean(logits, axis=0)
    values = np.exp(mean - mean.max(axis=-1, keepdims=True))
    values *= (1 - smoothing) / values.sum(axis=-1, keepdims=True)
    return np.asarray(values + smoothing / values.shape[-1], np.float32)


def _plausible(first: F64, seen: F64) -> bool:
    """Whether the corners seen in a patch are still those of the plate that was cut out."""
    if not np.isfinite(seen).all():
        return False
    sides = np.roll(seen, -1, axis=0) - seen
    turns = sides[:, 0] * np.roll(sides[:, 1], -1) - sides[:, 1] * np.roll(sides[:, 0], -1)
    ratio = _area(seen) / max(_area(first), 1e-9)
    span = np.hypot(*(first[1] - first[0])), np.hypot(*(first[3] - first[0]))
    shift = np.hypot(*(seen.mean(axis=0) - first.mean(axis=0)))
    return bool((turns > 0).all() and _LEAST_AREA < ratio < _MOST_AREA and shift < _MOST_SHIFT * max(span))


def _area(quad: F64) -> float:
    """Area of a quad (4, 2), shoelace formula."""
    x, y = quad.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def _as_corners(quad: F64) -> Corners:
    a, b, c, d = ((float(x), float(y)) for x, y in quad)
    return (a, b, c, d)
