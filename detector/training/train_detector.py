"""Trains the plate detector: ``python -m detector.training.train_detector --data DIR --run DIR``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..reader import PlateReader
from .datasets import Picture, read_all
from .detector_net import build_detector, detector_loss
from .detector_samples import PLATE_SOURCE, Luma, SampleMaker
from .detector_targets import encode_targets
from .feeder import Batch, batches
from .loop import Plan, train
from .render.plates import render_plate

HEIGHT, WIDTH = 192, 320
BATCH = 24


class DetectorBatches:
    """Batches of (luma float32 0..1 (B, H, W, 1), heat (B, h, w, 1), regress (B, h, w, 14))."""

    def __init__(self, maker: SampleMaker) -> None:
        self._maker = maker

    def __call__(self, rng: np.random.Generator) -> Batch:
        """One batch."""
        lumas, heats, shapes = [], [], []
        for _ in range(BATCH):
            sample = self._maker.draw(rng)
            target = encode_targets(sample.boxes, sample.corners, sample.has_corners, HEIGHT, WIDTH)
            lumas.append(sample.luma)
            heats.append(target["heat"])
            shapes.append(target["regress"])
        return np.stack(lumas)[..., None], np.stack(heats), np.stack(shapes)


def real_crops(root: Path) -> PLATE_SOURCE:
    """Draws one real plate crop (train split) as a plate to paste."""
    crops = [
        picture.luma()
        for picture in read_all(
            root, "train", ["us-crops", "us-state-designs", "eu-crops", "br-crops", "ar-crops"]
        )
    ]

    def draw(rng: np.random.Generator) -> Luma:
        return crops[int(rng.integers(len(crops)))]

    return draw


def rendered_plates() -> PLATE_SOURCE:
    """Draws one rendered plate."""

    def draw(rng: np.random.Generator) -> Luma:
        return render_plate(rng).luma

    return draw


def false_boxes(models: Path, pictures: list[Picture]) -> dict[Path, NDArray[np.float32]]:
    """What released models take for plates on the plate-free pictures: (N, 4) x, y, w, h by picture."""
    reader = PlateReader.from_models(models)
    found = {}
    for picture in pictures:
        if not picture.plates:
            boxes = [box.box for box in reader.find(picture.luma())]
            found[picture.path] = np.array(boxes, np.float32).reshape(-1, 4)
    return found


def main(argv: list[str] | None = None) -> int:
    """Command line; resumes the run it finds in ``--run``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the image sets")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoints and log")
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peak-rate", type=float, default=2e-3)
    parser.add_argument("--start-from", type=Path, default=None, help="weights of an earlier run")
    parser.add_argument("--decoys-from", type=Path, default=None, help="models whose false boxes to unlearn")
    parser.add_argument("--stop-after-s", type=float, default=None)
    arguments = parser.parse_args(argv)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    sources = [real_crops(arguments.data), rendered_plates()]
    pictures = list(read_all(arguments.data, "train"))
    decoys = false_boxes(arguments.decoys_from, pictures) if arguments.decoys_from is not None else None
    maker = SampleMaker(pictures, sources, height=HEIGHT, width=WIDTH, decoys=decoys)
    net = build_detector(HEIGHT, WIDTH)
    print(f"{net.count_params()} parameters")
    if arguments.start_from is not None:
        net.load_weights(arguments.start_from)

    def loss(batch: tuple[Any, ...], out: dict[str, Any]) -> dict[str, Any]:
        return detector_loss(batch[1], batch[2], out)

    def as_floats(batch: Batch) -> Batch:
        return (batch[0].astype(np.float32) / 255.0, *batch[1:])

    feed = batches(DetectorBatches(maker), workers=arguments.workers, seed=[arguments.seed])
    tf.random.set_seed(arguments.seed)
    finished = train(
        net,
        loss,
        map(as_floats, feed),
        arguments.run,
        Plan(steps=arguments.steps, peak_rate=arguments.peak_rate),
        stop_after_s=arguments.stop_after_s,
    )
    print("done" if finished else "stopped, resume with the same command")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
