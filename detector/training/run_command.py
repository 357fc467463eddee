"""What the training commands of all nets share: options, batches made or stored, and the run."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import keras

from .feeder import Batch, BatchMaker, batches
from .loop import TrainingPlan, train
from .steps import LossFunction
from .stored import StoredBatches


def run_options(doc: str | None, *, steps: int, peak_rate: float = 2e-3) -> argparse.ArgumentParser:
    """The options of every training; a net adds its own."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--data", type=Path, required=True, help="folder of the image sets")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoints and log")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--peak-rate", type=float, default=peak_rate)
    parser.add_argument("--without", nargs="*", default=[], metavar="DATASET", help="sets to leave out")
    parser.add_argument(
        "--stored", type=Path, default=None, help="folder of batches made by detector.training.stored"
    )
    parser.add_argument("--together", type=int, default=1, help="how many stored batches make one")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stop-after-s", type=float, default=None)
    return parser


def begin(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """Parses the options and seeds the random numbers."""
    arguments = parser.parse_args(argv)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    keras.utils.set_random_seed(arguments.seed)
    return arguments


def feed_of(arguments: argparse.Namespace, make: Callable[[], BatchMaker], *seed: int) -> Iterator[Batch]:
    """Batches from the folder of stored ones, or new ones. seed: the net's own, beside the command's."""
    if arguments.stored is not None:
        return StoredBatches(arguments.stored, together=arguments.together, seed=arguments.seed)
    return batches(make(), workers=arguments.workers, seed=[arguments.seed, *seed])


def run(
    net: keras.Model,
    loss: LossFunction,
    feed: Iterator[Batch],
    arguments: argparse.Namespace,
    *,
    warm_up: int = 300,
    ema_momentum: float = 0.998,
) -> int:
    """Trains as the options say, resuming the run in ``--run``; returns the exit status."""
    plan = TrainingPlan(
        steps=arguments.steps,
        peak_rate=arguments.peak_rate,
        warm_up=warm_up,
        ema_momentum=ema_momentum,
        checkpoint_every=max(250, arguments.steps // 20),
    )
    finished = train(net, loss, feed, arguments.run, plan, stop_after_s=arguments.stop_after_s)
    print("done" if finished else "stopped, resume with the same command")
    return 0
