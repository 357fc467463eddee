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
from .metrics import overlap
from .render.plates import render_plate
from .warm_start import warm_start

WINDOW = (192, 320)
WINDOWS = 24
FRAME = (448, 768)  # the net's whole picture, to a size that 64 divides
FRAMES = 4
FRAME_SHARE = 0.5
DOUBTFUL = 0.15  # score from which an earlier net's boxes are looked at again
SURE_TEXT = 0.3  # confidence of a text from which an unlabelled box counts as a plate


class DetectorBatches:
    """Batches of (luma uint8 (B, H, W, 1), heat (B, h, w, 1), regress (B, h, w, 14)).

    Many small windows, or a few whole pictures: plates that fill a picture, and a picture's worth of
    clutter, are seen in the second alone.
    """

    def __init__(self, windows: SampleMaker, frames: SampleMaker) -> None:
        self._windows, self._frames = windows, frames

    def __call__(self, rng: np.random.Generator) -> Batch:
        """One batch."""
        whole = rng.random() < FRAME_SHARE
        maker, count, size = (self._frames, FRAMES, FRAME) if whole else (self._windows, WINDOWS, WINDOW)
        lumas, heats, shapes = [], [], []
        for _ in range(count):
            sample = maker.draw(rng)
            target = encode_targets(
                sample.boxes, sample.corners, sample.has_corners, *size, unlabelled=sample.unlabelled
            )
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


def frame_maker(data: Path, pictures: list[Picture]) -> SampleMaker:
    """Draws whole pictures alone, nothing weighed anew."""
    sources = [real_crops(data), rendered_plates()]
    return SampleMaker(pictures, sources, height=FRAME[0], width=FRAME[1])


def second_opinions(
    models: Path, pictures: list[Picture]
) -> tuple[dict[Path, NDArray[np.float32]], dict[Path, NDArray[np.float32]]]:
    """What released models say of the training pictures, (N, 4) x, y, w, h by picture.

    Decoys: what they take for plates on plate-free pictures, in doubt too. Unlabelled plates: boxes
    on scenes whose text they read with some confidence, where no label is.
    """
    reader = PlateReader.from_models(models, every_box_from=DOUBTFUL)
    decoys, unlabelled = {}, {}
    for picture in pictures:
        luma = picture.luma()
        if not picture.plates:
            boxes = [box.box for box in reader.find(luma)]
            decoys[picture.path] = np.array(boxes, np.float32).reshape(-1, 4)
        elif picture.plates[0].box is not None:
            boxes = [
                reading.box.box
                for reading in reader.read(luma).readings
                if reading.text.confidence >= SURE_TEXT
                and all(overlap(reading.box.box, plate.box) < 0.1 for plate in picture.plates if plate.box)
            ]
            unlabelled[picture.path] = np.array(boxes, np.float32).reshape(-1, 4)
    return decoys, unlabelled


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
    parser.add_argument(
        "--go-on-from", type=Path, default=None, help="folder of released models whose detector to go on from"
    )
    parser.add_argument("--stop-after-s", type=float, default=None)
    arguments = parser.parse_args(argv)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    sources = [real_crops(arguments.data), rendered_plates()]
    pictures = list(read_all(arguments.data, "train"))
    released = arguments.go_on_from
    decoys, unlabelled = ({}, {}) if released is None else second_opinions(released, pictures)
    windows, frames = (
        SampleMaker(pictures, sources, height=height, width=width, decoys=decoys, unlabelled=unlabelled)
        for height, width in (WINDOW, FRAME)
    )
    maker = DetectorBatches(windows, frames)
    net = build_detector(None, None)
    print(f"{net.count_params()} parameters")
    print(
        f"{sum(map(len, decoys.values()))} decoys, "
        f"{sum(map(len, unlabelled.values()))} plates without a label"
    )
    if arguments.start_from is not None:
        net.load_weights(arguments.start_from)
    elif released is not None:
        rng = np.random.default_rng(arguments.seed)
        start = np.stack([frames.draw(rng).luma for _ in range(16)])[..., None].astype(np.float32) / 255.0
        filled = warm_start(net, released / "plate-detector.tflite", start)
        print(f"{filled} layers go on from {released}")

    def loss(batch: tuple[Any, ...], out: dict[str, Any]) -> dict[str, Any]:
        return detector_loss(batch[1], batch[2], out)

    def as_floats(batch: Batch) -> Batch:
        return (batch[0].astype(np.float32) / 255.0, *batch[1:])

    feed = batches(maker, workers=arguments.workers, seed=[arguments.seed])
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
