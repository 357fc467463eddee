"""Draws the curves of a training from its log: ``python -m detector.training.curves RUN``.

RUN is a run's folder. Its ``log.csv`` becomes ``curves.png``, with a panel for each logged value. Each call
draws the picture again; it may run during a training.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from pathlib import Path
from typing import Any

LOG, PICTURE = "log.csv", "curves.png"
_COLUMNS = 3
_SMOOTHED_OVER = 9  # rows: the loss varies more from batch to batch than it falls in an hour of training


class LogError(Exception):
    """A run's log cannot be drawn."""


def read_log(path: Path) -> tuple[list[int], dict[str, list[float]]]:
    """The steps, and the values logged at each, by name. If a step was logged twice, the later row counts.

    A training that is interrupted while it writes leaves half a row at the end; it is ignored. Raises
    LogError.
    """
    if not path.is_file():
        raise LogError(f"{path} not found: name the folder of a run that has logged something")
    rows: dict[int, dict[str, float]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        names = next(reader, [])
        if names[:1] != ["step"] or len(names) < 2:
            raise LogError(f"{path}: the first column is not `step`")
        lines = list(reader)
    for number, line in enumerate(lines, start=2):
        try:
            values = [float(value) for value in line[1:]]
            rows[int(line[0])] = dict(zip(names[1:], values, strict=True))
        except (ValueError, IndexError) as error:
            if number == len(lines) + 1:
                break
            raise LogError(f"{path}:{number}: {error}") from error
    if not rows:
        raise LogError(f"{path}: nothing logged yet")
    steps = sorted(rows)
    return steps, {name: [rows[step][name] for step in steps] for name in names[1:]}


def smoothed(values: list[float], over: int = _SMOOTHED_OVER) -> list[float]:
    """Each value's mean with its neighbors, fewer near the ends."""
    out = []
    for index in range(len(values)):
        reach = min(over // 2, index, len(values) - 1 - index)
        part = values[index - reach : index + reach + 1]
        out.append(sum(part) / len(part))
    return out


def draw(run: Path) -> Path:
    """Writes a run's curves.png and returns its path. Raises LogError."""
    steps, values = read_log(run / LOG)
    pyplot = open_pyplot()
    rows = math.ceil(len(values) / _COLUMNS)
    figure, panels = pyplot.subplots(rows, _COLUMNS, figsize=(4 * _COLUMNS, 2.6 * rows), squeeze=False)
    for axes in panels.flat:
        axes.set_visible(False)
    for axes, (name, curve) in zip(panels.flat, values.items(), strict=False):
        axes.set_visible(True)
        axes.plot(steps, curve, color="C0", alpha=0.3)
        axes.plot(steps, smoothed(curve), color="C0")
        axes.set(title=name, xlabel="step")
        if min(curve) > 0 and max(curve) > 20 * min(curve):
            axes.set_yscale("log")
    figure.tight_layout()
    figure.savefig(run / PICTURE, dpi=110)
    pyplot.close(figure)
    return run / PICTURE


def open_pyplot() -> Any:
    """matplotlib's pyplot, set up to write pictures to files."""
    from matplotlib import pyplot  # noqa: PLC0415 - only the extra "train" installs it

    pyplot.switch_backend("Agg")
    return pyplot


def main(argv: list[str] | None = None) -> int:
    """Command line. Exit 2 when there is no log to draw, 3 without matplotlib."""
    parser = argparse.ArgumentParser(
        prog="python -m detector.training.curves",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m detector.training.curves run/train/reader",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    for run in parser.parse_args(argv).runs:
        try:
            print(draw(run))
        except LogError as error:
            print(f"curves: {error}", file=sys.stderr)
            return 2
        except ImportError:
            print("curves: matplotlib not found: install the extra 'train'", file=sys.stderr)
            return 3
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
