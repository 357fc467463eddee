"""Trains the obstacle finder: ``python -m detector.training.train_obstacles --data DIR --run DIR``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from .feeder import Batch, batches
from .loop import TrainingPlan, train
from .obstacle_net import build_obstacle_finder, obstacle_loss
from .obstacle_samples import obstacle_batches
from .stored import StoredBatches


def main(argv: list[str] | None = None) -> int:
    """Command line; resumes the run it finds in ``--run``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the image sets")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoints and log")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--peak-rate", type=float, default=3e-3)
    parser.add_argument("--without", nargs="*", default=[], metavar="DATASET", help="sets to leave out")
    parser.add_argument(
        "--stored", type=Path, default=None, help="folder of batches made by detector.training.stored"
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stop-after-s", type=float, default=None)
    arguments = parser.parse_args(argv)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    keras.utils.set_random_seed(arguments.seed)
    if arguments.stored is not None:
        feed: Iterator[Batch] = StoredBatches(arguments.stored, seed=arguments.seed)
    else:
        maker = obstacle_batches(arguments.data, without=arguments.without)
        feed = batches(maker, workers=arguments.workers, seed=[arguments.seed, 12])
    net = build_obstacle_finder()
    print(f"{net.count_params()} parameters")

    def loss(batch: tuple[Any, ...], out: dict[str, Any]) -> dict[str, Any]:
        return obstacle_loss(batch[1], out)

    plan = TrainingPlan(steps=arguments.steps, peak_rate=arguments.peak_rate)
    finished = train(net, loss, feed, arguments.run, plan, stop_after_s=arguments.stop_after_s)
    print("done" if finished else "stopped, resume with the same command")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
