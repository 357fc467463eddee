"""Sums up an evaluation: figures by set and by condition, ready for JSON, and as tables for people."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..jurisdictions import NAMED_FROM
from .measure import Measured
from .metrics import (
    PlateOutcome,
    chance_calibration_error,
    coverage_at_precision,
    expected_calibration_error,
    figures,
    precision_at_coverage,
    share_interval,
)

# How each condition is measured, and the edges of its parts. No label has the angle: it is that of the
# corners that the reader's net sees, so plates that were not found have none.
CONDITIONS: dict[str, tuple[Callable[[PlateOutcome], float], tuple[float, ...]]] = {
    "plate width px": (lambda o: o.plate_width_px, (0, 40, 60, 90, 140, 10_000)),
    "mean luma": (lambda o: o.mean_luma, (0, 60, 110, 256)),
    "angle deg": (lambda o: o.angle_deg, (0, 3, 6, 10, 180)),
}
KEPT_SHARES = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
_HEADS = {
    "plates": "plates",
    "recall_50": "rec.5",
    "recall_30": "rec.3",
    "box_precision": "prec.5",
    "exact": "exact",
    "exact_folded": "O0I1",
    "per_character": "char",
    "character_error_rate": "CER",
    "calibration_error": "ECE",
    "chance_calibration_error": "chance",
    "kept_at_95_precision": "kept95",
    "default_precision": "prec@d",
    "default_kept": "kept@d",
}


def summary(measured: Measured, report_from: float) -> dict[str, Any]:
    """All figures of a run, ready for JSON. report_from: the reader's default confidence threshold."""
    groups: dict[str, list[PlateOutcome]] = {}
    for outcome in measured.outcomes:
        groups.setdefault(outcome.dataset, []).append(outcome)
    if len(groups) > 1:
        groups["all"] = list(measured.outcomes)
    told = dict(measured.boxes)
    if told:
        told["all"] = (sum(n for n, _ in told.values()), sum(n for _, n in told.values()))
    out: dict[str, Any] = {
        "default_threshold": report_from,
        "sets": {},
        "precision_against_coverage": {},
        "intervals": {},
    }
    for name, group in groups.items():
        row = asdict(figures(group)) | trust(group, report_from)
        if not math.isnan(row["exact"]):
            out["intervals"][name] = _intervals(group)
        if name in told and told[name][0]:
            row["box_precision"] = told[name][1] / told[name][0]
        out["sets"][name] = row
        if rows := coverage_table(group):
            out["precision_against_coverage"][name] = rows
    out["conditions"] = {
        name: _split_by(measured.outcomes, report_from, *how) for name, how in CONDITIONS.items()
    }
    out["regions"] = {
        region: asdict(figures(group)) | trust(group, report_from)
        for region, group in _by_region(measured.outcomes).items()
    }
    states = [o for o in measured.outcomes if o.region.startswith("US-") and math.isnan(o.overlap)]
    if states:
        out["us_state_top1"] = {
            "crops": len(states),
            "right": float(np.mean([o.jurisdiction == o.region for o in states])),
            **_named([o for o in states if o.jurisdiction_chance >= NAMED_FROM], len(states)),
        }
    if measured.false_boxes:
        out["plate_free"] = {
            "pictures": len(measured.false_boxes),
            "false_boxes_a_picture": float(np.mean([len(scores) for scores in measured.false_boxes])),
        }
    out["ms_median"] = measured.ms
    return out


def _intervals(group: Sequence[PlateOutcome]) -> dict[str, tuple[float, float]]:
    """The 95 % intervals of the shares of whole texts."""
    texts = [o for o in group if o.truth]
    return {
        "exact": share_interval(sum(o.exact for o in texts), len(texts)),
        "exact_folded": share_interval(sum(o.exact_folded for o in texts), len(texts)),
    }


def _named(named: Sequence[PlateOutcome], plates: int) -> dict[str, Any]:
    """How many reads would name a state, and how many of them a wrong one, with the 95 % interval."""
    if not named:
        return {"named": 0.0}
    wrong = float(np.mean([o.jurisdiction != o.region for o in named]))
    between = share_interval(round(wrong * len(named)), len(named))
    return {"named": len(named) / plates, "wrong_of_named": wrong, "wrong_of_named_between": between}


def trust(group: Sequence[PlateOutcome], report_from: float) -> dict[str, float]:
    """How far the confidence of a group's texts can be trusted; a text is right with O/0 and I/1 folded.

    ``default_precision``: the share of right texts among those whose confidence is at least ``report_from``;
    ``default_kept``: their share of all plates with a known text.
    """
    texts = [o for o in group if o.truth]
    read = [o for o in texts if o.read is not None]
    if not read:
        return {}
    confidence = np.array([o.confidence for o in read])
    right = np.array([o.exact_folded for o in read])
    kept, threshold = coverage_at_precision(confidence, right, len(texts), 0.95)
    sure = confidence >= report_from
    return {
        "calibration_error": expected_calibration_error(confidence, right),
        "chance_calibration_error": chance_calibration_error(confidence),
        "kept_at_95_precision": kept,
        "threshold_at_95_precision": threshold,
        "default_precision": float(right[sure].mean()) if sure.any() else math.nan,
        "default_kept": float(sure.sum()) / len(texts),
    }


def coverage_table(group: Sequence[PlateOutcome]) -> list[dict[str, float]]:
    """Precision at rising shares of plates kept, surest first; the last row keeps every plate read."""
    texts = [o for o in group if o.truth]
    read = [o for o in texts if o.read is not None]
    if not read:
        return []
    confidence = np.array([o.confidence for o in read])
    right = np.array([o.exact_folded for o in read])
    rows = precision_at_coverage(confidence, right, len(texts))
    table: list[dict[str, float]] = []
    for share in KEPT_SHARES:
        threshold, precision, kept = rows[min(math.ceil(share * len(texts)), len(rows)) - 1]
        if not table or kept > table[-1]["kept"]:
            table.append({"kept": kept, "precision": precision, "threshold": threshold})
    return table


def _by_region(outcomes: Sequence[PlateOutcome]) -> dict[str, list[PlateOutcome]]:
    """Groups outcomes by country, with the US states as one; those of unknown region are left out."""
    groups: dict[str, list[PlateOutcome]] = {}
    for outcome in outcomes:
        if outcome.region:
            groups.setdefault(outcome.region.partition("-")[0], []).append(outcome)
    return dict(sorted(groups.items()))


def _split_by(
    outcomes: Sequence[PlateOutcome],
    report_from: float,
    value: Callable[[PlateOutcome], float],
    edges: Sequence[float],
) -> dict[str, dict[str, float]]:
    parts = {}
    for low, high in itertools.pairwise(edges):
        group = [o for o in outcomes if low <= value(o) < high]
        if group:
            parts[f"{low:g} to {high:g}"] = asdict(figures(group)) | trust(group, report_from)
    return parts


def rows_of(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """All rows of the table by name: sets, conditions, regions."""
    rows = dict(result["sets"])
    for condition, parts in result["conditions"].items():
        rows |= {f"{condition} {part}": row for part, row in parts.items()}
    return rows | {f"region {region}": row for region, row in result["regions"].items()}


def table(result: dict[str, Any]) -> str:
    """The summary as text."""
    rows = rows_of(result)
    wide = max(len(name) for name in rows) + 1 if rows else 1
    lines = [" " * wide + "".join(f"{head:>8}" for head in _HEADS.values())]
    lines += [f"{name:{wide}}" + "".join(_cell(row, key) for key in _HEADS) for name, row in rows.items()]
    coverage = result["precision_against_coverage"]
    for name in ["all"] if "all" in coverage else coverage:
        lines.append(f"\nprecision against coverage, {name}:")
        lines += [
            f"  kept {row['kept']:.3f}  precision {row['precision']:.3f}  threshold {row['threshold']:.3f}"
            for row in coverage[name]
        ]
    lines.append("\n95 % intervals of exact and O0I1:")
    lines += [
        f"  {name}: {between['exact'][0]:.3f} and {between['exact'][1]:.3f}, "
        f"{between['exact_folded'][0]:.3f} and {between['exact_folded'][1]:.3f}"
        for name, between in result["intervals"].items()
    ]
    lines += [""] + [
        f"{key}: {json.dumps(result[key])}"
        for key in ("default_threshold", "us_state_top1", "plate_free", "ms_median")
        if key in result
    ]
    lines.append(
        "rec, prec: boxes at IoU 0.5 (0.3); a box on an unlabeled plate counts against prec. exact: strict; "
        "O0I1: O/0 and I/1 as one, as in all that follows. chance: the ECE of so few texts if they were "
        "right just as often as their confidence says. @d: texts at the default threshold."
    )
    return "\n".join(lines)


def comparison(int8: dict[str, Any], real: dict[str, Any]) -> str:
    """Compares float with int8, a line for each set."""
    keys = ("recall_50", "exact", "exact_folded", "per_character", "calibration_error")
    names = [name for name in int8["sets"] if name in real["sets"]]
    wide = max(len(name) for name in names) + 1 if names else 1
    lines = ["\nfloat / int8 / difference", " " * wide + "".join(f"{_HEADS[key]:>24}" for key in keys)]
    for name in names:
        cells = []
        for key in keys:
            a, b = real["sets"][name].get(key, math.nan), int8["sets"][name].get(key, math.nan)
            told = "-" if math.isnan(a + b) else f"{a:.3f} {b:.3f} {b - a:+.3f}"
            cells.append(told.rjust(24))
        lines.append(f"{name:{wide}}" + "".join(cells))
    return "\n".join(lines)


def _cell(row: dict[str, float], key: str) -> str:
    value = row.get(key, math.nan)
    if key == "plates":
        return f"{int(value):8d}"
    return f"{'-':>8}" if math.isnan(value) else f"{value:8.3f}"
