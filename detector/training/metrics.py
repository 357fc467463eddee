"""The figures of an evaluation, as pure functions: overlap, calibration, coverage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.likeness import distance

Box = tuple[float, float, float, float]


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes x, y, w, h."""
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (first[2] * first[3] + second[2] * second[3] - shared)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateOutcome:
    """One labeled plate and what was read there. If nothing was found, ``overlap`` is 0 and ``read`` None.

    ``overlap`` is NaN if the whole picture is the plate; ``angle_deg`` is NaN if no corners were found.
    """

    image: str
    dataset: str
    region: str
    truth: str
    read: str | None
    confidence: float
    overlap: float
    plate_width_px: float
    mean_luma: float
    angle_deg: float = math.nan
    jurisdiction: str | None = None
    jurisdiction_chance: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether every character is right, with O/0, Q/0 and I/1 as different characters."""
        return self.read == self.truth

    @property
    def exact_folded(self) -> bool:
        """Whether every character is right, with O/0 and I/1 taken as the same (Q stays apart)."""
        return self.read is not None and folded(self.read) == folded(self.truth)


def share_interval(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score (Wilson 1927, J. Am. Stat. Assoc. 22); NaN of none."""
    if of == 0:
        return math.nan, math.nan
    z = 1.959964
    share, spread = hits / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def folded(text: str) -> str:
    """Reads O as 0 and I as 1, as the figures of other readers do."""
    return text.replace("O", "0").replace("I", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Shares of one group of outcomes, 0..1; NaN if the group has no plates for a share.

    ``exact``: whole texts, strictly. All others but ``*_strict`` take O/0 and I/1 as the same.
    """

    plates: int
    recall_50: float
    recall_30: float
    exact: float
    exact_folded: float
    per_character: float
    character_error_rate: float
    per_character_strict: float
    character_error_rate_strict: float


def figures(outcomes: Sequence[PlateOutcome]) -> Accuracy:
    """Sums up outcomes: those with a known text for the shares of reading, all for those of finding."""
    if not outcomes:
        raise ValueError("no outcomes to sum up")
    texts = [outcome for outcome in outcomes if outcome.truth]
    boxed = [outcome.overlap for outcome in outcomes if not math.isnan(outcome.overlap)]
    loose = _characters([(folded(o.read or ""), folded(o.truth)) for o in texts])
    strict = _characters([(o.read or "", o.truth) for o in texts])
    return Accuracy(
        plates=len(outcomes),
        recall_50=float(np.mean([share >= 0.5 for share in boxed])) if boxed else math.nan,
        recall_30=float(np.mean([share >= 0.3 for share in boxed])) if boxed else math.nan,
        exact=float(np.mean([o.exact for o in texts])) if texts else math.nan,
        exact_folded=float(np.mean([o.exact_folded for o in texts])) if texts else math.nan,
        per_character=loose[0],
        character_error_rate=loose[1],
        per_character_strict=strict[0],
        character_error_rate_strict=strict[1],
    )


def _characters(pairs: Sequence[tuple[str, str]]) -> tuple[float, float]:
    """The share of the characters that were read, and errors per character; pairs: (read, truth)."""
    errors = [distance(read, truth) for read, truth in pairs]
    characters = sum(len(truth) for _, truth in pairs)
    if not characters:
        return math.nan, math.nan
    right = sum(max(len(truth) - error, 0) for (_, truth), error in zip(pairs, errors, strict=True))
    return right / characters, sum(errors) / characters


def expected_calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10
) -> float:
    """The ECE with bins of equal count (Guo et al. 2017, arXiv 1706.04599, eq. 3, adaptive bins)."""
    if len(confidence) == 0:
        return float("nan")
    order = np.argsort(confidence)
    parts = np.array_split(order, min(bins, len(order)))
    return float(
        sum(len(p) * abs(confidence[p].mean() - right[p].mean()) for p in parts if len(p)) / len(order)
    )


def chance_calibration_error(confidence: NDArray[np.float64]) -> float:
    """The mean calibration error of texts that are right exactly as often as their confidence says.

    A measurement on few texts cannot be lower, however good the confidence is: about 0.04 on 50 texts.
    """
    if len(confidence) == 0:
        return float("nan")
    rng = np.random.default_rng(len(confidence))
    drawn = rng.random((200, len(confidence))) < confidence
    return float(np.mean([expected_calibration_error(confidence, right) for right in drawn]))


def precision_at_coverage(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], plates: int
) -> list[tuple[float, float, float]]:
    """Rows (threshold, precision of the reported texts, share of plates kept) by falling threshold."""
    order = np.argsort(-confidence)
    hits = np.cumsum(right[order])
    return [
        (float(confidence[index]), float(hits[rank] / (rank + 1)), float((rank + 1) / plates))
        for rank, index in enumerate(order)
    ]


def coverage_at_precision(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], plates: int, precision: float
) -> tuple[float, float]:
    """The largest share of plates kept with at least ``precision``, and its threshold."""
    best = (0.0, 1.0)
    for threshold, got, kept in precision_at_coverage(confidence, right, plates):
        if got >= precision and kept > best[0]:
            best = (kept, threshold)
    return best
