"""Measures the shipped models on labeled pictures: ``python -m detector.training.evaluate [DATASET...]``.

A DATASET is a folder with images/ and labels.csv (columns image, x, y, w, h, text, region, split), or the
name of one below --data. Scenes go through the whole reader, frame by frame; whole-picture crops go through
rectifier and reader; plate-free pictures show how many boxes are false. The command prints tables; --out DIR
adds figures.json, plots (PNG, extra train) and mistakes.png, a contact sheet of the worst mistakes. --float
RUN also measures the float nets that a release wrote into a run's folder (plate-detector-float.tflite,
plate-reader-float.tflite) and compares them with the int8 ones.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import sys
import time
from pathlib import Path
from typing import Any, Literal

from ..errors import DetectorError
from ..reader import MODELS, PlateReader
from .datasets import DataSetError, Picture, Split, read_all, read_set
from .evaluation_pictures import contact_sheet, float_plot, plots
from .float_models import FloatModelsError, float_reader
from .measure import Measured, measure
from .report import comparison, summary, table


def chosen_pictures(data: Path, split: Split | Literal["all"], sets: list[str]) -> list[Picture]:
    """The chosen pictures. Raises DataSetError for a set, a label or a picture that is missing."""
    parts: tuple[Split, ...] = ("train", "calibration", "dev") if split == "all" else (split,)
    if not sets:
        if not any(data.glob("*/labels.csv")):
            raise DataSetError(
                f"no folder with a labels.csv below {data}: name a DATASET, or their folder with --data"
            )
        pictures = [one for part in parts for one in read_all(data, part)]
    else:
        folders = [Path(one) if (Path(one) / "labels.csv").is_file() else data / one for one in sets]
        pictures = [one for folder in folders for one in read_set(folder) if one.split in parts]
    if not pictures:
        raise DataSetError(f"no picture of split {split} in {', '.join(sets) or data}: try another --split")
    missing = [picture.path for picture in pictures if not picture.path.is_file()]
    if missing:
        raise DataSetError(f"{missing[0]} not found ({len(missing)} pictures missing): labels.csv names it")
    return pictures


def run(reader: PlateReader, pictures: list[Picture]) -> tuple[Measured, dict[str, Any]]:
    """Runs a reader over pictures; returns what it read and the figures of that."""
    started = time.monotonic()
    measured = measure(reader, pictures)
    print(f"{len(pictures)} pictures in {time.monotonic() - started:.0f} s", file=sys.stderr)
    return measured, summary(measured, reader.report_from)


def write(folder: Path, pictures: list[Picture], measured: Measured, figures: dict[str, Any]) -> None:
    """Writes figures.json, mistakes.png and, with matplotlib, the plots."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(json.dumps(_finite(figures), indent=1) + "\n", encoding="utf-8")
    contact_sheet(measured.outcomes, pictures).save(folder / "mistakes.png")
    if importlib.util.find_spec("matplotlib") is None:
        print("evaluate: no plots: matplotlib not found, install the extra 'train'", file=sys.stderr)
        return
    plots(measured, figures["int8"], folder)
    if "float" in figures:
        float_plot(figures["int8"], figures["float"], folder)


def _finite(value: Any) -> Any:
    """Replaces NaN by null, since JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m detector.training.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m detector.training.evaluate us-scenes us-crops --out run/evaluation",
    )
    parser.add_argument("sets", nargs="*", metavar="DATASET", help="default: every set below --data")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the image sets")
    parser.add_argument("--split", choices=["train", "calibration", "dev", "all"], default="dev")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of the models (default: shipped)")
    parser.add_argument(
        "--float",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="folders with the float nets of a training",
    )
    parser.add_argument("--out", type=Path, help="folder for figures.json, plots, contact sheet")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Command line. Exit 2 when a set or a picture cannot be read, 3 when a model or runtime is missing."""
    arguments = build_parser().parse_args(argv)
    try:
        pictures = chosen_pictures(arguments.data, arguments.split, arguments.sets)
        reader = PlateReader.from_models(arguments.models)
        floats = float_reader(arguments.models, arguments.float) if arguments.float else None
        measured, int8 = run(reader, pictures)
        figures: dict[str, Any] = {
            "split": arguments.split,
            "pictures": len(pictures),
            "models": reader.model_hashes,
            "int8": int8,
        }
        print(table(int8))
        if floats is not None:
            _, figures["float"] = run(floats, pictures)
            print(comparison(int8, figures["float"]))
        if arguments.out is not None:
            write(arguments.out, pictures, measured, figures)
    except DataSetError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    except FloatModelsError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    except DetectorError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
