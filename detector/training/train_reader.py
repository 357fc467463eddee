"""Trains the plate reader: ``python -m detector.training.train_reader --data DIR --run DIR``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from .feeder import Batch, batches
from .loop import TrainingPlan, train
from .reader_batches import REAL_SHARE, reader_batches
from .reader_net import build_reader, reader_loss
from .stored import StoredBatches
from .warm_start import warm_start


def main(argv: list[str] | None = None) -> int:
    """Command line; resumes the run it finds in ``--run``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the image sets")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoints and log")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--peak-rate", type=float, default=2e-3)
    parser.add_argument("--real-share", type=float, default=REAL_SHARE)
    parser.add_argument("--without", nargs="*", default=[], metavar="DATASET", help="sets to leave out")
    parser.add_argument(
        "--stored", type=Path, default=None, help="folder of batches made by detector.training.stored"
    )
    parser.add_argument("--together", type=int, default=1, help="how many stored batches make one")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start-from", type=Path, default=None, help="weights of an earlier run")
    parser.add_argument(
        "--go-on-from", type=Path, default=None, help="folder of released models: continue from its reader"
    )
    parser.add_argument("--stop-after-s", type=float, default=None)
    arguments = parser.parse_args(argv)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    keras.utils.set_random_seed(arguments.seed)
    if arguments.stored is not None:
        feed: Iterator[Batch] = StoredBatches(
            arguments.stored, together=arguments.together, seed=arguments.seed
        )
    else:
        maker = reader_batches(arguments.data, without=arguments.without, real_share=arguments.real_share)
        feed = batches(maker, workers=arguments.workers, seed=[arguments.seed, 7])
    net = build_reader()
    print(f"{net.count_params()} parameters")
    if arguments.start_from is not None:
        net.load_weights(arguments.start_from, skip_mismatch=True)
    elif arguments.go_on_from is not None:
        start = next(feed)[0].astype(np.float32) / 255.0
        filled = warm_start(net, arguments.go_on_from / "plate-reader.tflite", start)
        print(f"{filled} layers continue from {arguments.go_on_from}")

    def loss(batch: tuple[Any, ...], out: dict[str, Any]) -> dict[str, Any]:
        return reader_loss(batch[1], out)

    plan = TrainingPlan(
        steps=arguments.steps,
        peak_rate=arguments.peak_rate,
        checkpoint_every=max(250, arguments.steps // 20),
    )
    finished = train(net, loss, feed, arguments.run, plan, stop_after_s=arguments.stop_after_s)
    print("done" if finished else "stopped, resume with the same command")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
