"""Trains the plate reader: ``python -m detector.training.train_reader --data DIR --run DIR``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .alphabet import ALPHABET, BLANK, JURISDICTIONS, SLOTS, indices
from .datasets import Picture, read_all
from .feeder import Batch, batches
from .loop import Plan, train
from .patch_form import HEIGHT, WIDTH, normalised
from .reader_net import build_reader, reader_loss
from .reader_samples import RealPatches
from .rendered_patches import RenderedPatches
from .warm_start import warm_start

BATCH = 64
REAL_SHARE = 0.3


class ReaderBatches:
    """Batches of (patch uint8 (B, 48, 144, 1), truth float32 (B, 21)), truth as ``reader_loss`` takes it."""

    def __init__(self, real: RealPatches, backgrounds: list[Picture], real_share: float) -> None:
        self._real = real
        self._real_share = real_share
        self._rendered = RenderedPatches([picture.luma() for picture in backgrounds])

    def __call__(self, rng: np.random.Generator) -> Batch:
        """One batch."""
        patches = np.empty((BATCH, HEIGHT, WIDTH, 1), np.uint8)
        truth = np.empty((BATCH, SLOTS + 11), np.float32)
        for row in range(BATCH):
            source = self._real if rng.random() < self._real_share else self._rendered
            sample = source.draw(rng)
            patches[row, :, :, 0] = normalised(sample.patch)
            truth[row, :SLOTS] = BLANK
            # CTC takes no empty text: a plate whose text is unknown has a weight of 0 instead
            text = sample.text or ALPHABET[0]
            truth[row, : len(text)] = indices(text)
            place = sample.jurisdiction
            truth[row, SLOTS] = JURISDICTIONS.index(place) if place in JURISDICTIONS else -1
            truth[row, SLOTS + 1 : SLOTS + 9] = sample.corners.reshape(8)
            truth[row, SLOTS + 9 :] = (float(bool(sample.text)), sample.corner_weight)
        return patches, truth


def main(argv: list[str] | None = None) -> int:
    """Command line; resumes the run it finds in ``--run``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the image sets")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoints and log")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--peak-rate", type=float, default=2e-3)
    parser.add_argument("--real-share", type=float, default=REAL_SHARE)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start-from", type=Path, default=None, help="weights of an earlier run")
    parser.add_argument(
        "--go-on-from", type=Path, default=None, help="folder of released models whose reader to go on from"
    )
    parser.add_argument("--stop-after-s", type=float, default=None)
    arguments = parser.parse_args(argv)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    pictures = list(read_all(arguments.data, "train"))
    clean = [picture for picture in pictures if not picture.plates][:150]
    maker = ReaderBatches(RealPatches(pictures, clean), clean, arguments.real_share)
    net = build_reader()
    print(f"{net.count_params()} parameters")
    if arguments.start_from is not None:
        net.load_weights(arguments.start_from, skip_mismatch=True)
    elif arguments.go_on_from is not None:
        start = maker(np.random.default_rng(arguments.seed))[0].astype(np.float32) / 255.0
        filled = warm_start(net, arguments.go_on_from / "plate-reader.tflite", start)
        print(f"{filled} layers go on from {arguments.go_on_from}")

    def loss(batch: tuple[Any, ...], out: dict[str, Any]) -> dict[str, Any]:
        return reader_loss(batch[1], out)

    def as_floats(batch: Batch) -> Batch:
        return (batch[0].astype(np.float32) / 255.0, *batch[1:])

    tf.random.set_seed(arguments.seed)
    feed = batches(maker, workers=arguments.workers, seed=[arguments.seed, 7])
    plan = Plan(steps=arguments.steps, peak_rate=arguments.peak_rate)
    finished = train(
        net, loss, map(as_floats, feed), arguments.run, plan, stop_after_s=arguments.stop_after_s
    )
    print("done" if finished else "stopped, resume with the same command")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
