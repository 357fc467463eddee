"""Trains the state namer: ``python -m detector.training.train_state --data DIR --run DIR``.

With ``--namer FILE`` the training continues from a released namer, whose first layers are then its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..reader import MODELS
from .feeder import Batch
from .run_command import begin, feed_of, run, run_options
from .state_net import FIRST_CONVOLUTIONS, build_state_namer, state_loss, take_first_layers
from .state_samples import state_batches
from .warm_start import warm_start

_SHIFT = (2, 4)  # px down and across, at most


def shifted(feed: Iterator[Batch], rng: np.random.Generator) -> Iterator[Batch]:
    """The batches with each patch moved a little, since a stored batch is drawn more than once."""
    down, across = _SHIFT
    for patches, places in feed:
        height, width = patches.shape[1:3]
        padded = np.pad(patches, ((0, 0), (down, down), (across, across), (0, 0)), mode="edge")
        moved = np.empty_like(patches)
        for row, one in enumerate(padded):
            y, x = int(rng.integers(2 * down + 1)), int(rng.integers(2 * across + 1))
            moved[row] = one[y : y + height, x : x + width]
        yield moved, places


def main(argv: list[str] | None = None) -> int:
    """Command line; resumes the run it finds in ``--run``."""
    parser = run_options(__doc__, steps=2500)
    parser.add_argument(
        "--reader", type=Path, default=MODELS, help="folder of the reader whose first layers it takes"
    )
    parser.add_argument("--namer", type=Path, default=None, help="released state namer to continue from")
    parser.add_argument(
        "--frozen", type=int, default=FIRST_CONVOLUTIONS, help="first convolutions that do not train"
    )
    arguments = begin(parser, argv)
    feed = feed_of(arguments, lambda: state_batches(arguments.data, without=arguments.without), 11)
    net = build_state_namer(frozen=arguments.frozen)
    start = next(feed)[0].astype(np.float32) / 255.0
    if arguments.namer is None:
        take_first_layers(net, arguments.reader / "plate-reader.tflite", start)
    else:
        warm_start(net, arguments.namer, start)
    print(f"{net.count_params()} parameters")

    def loss(batch: tuple[Any, ...], out: dict[str, Any]) -> dict[str, Any]:
        return state_loss(batch[1], out)

    moved = shifted(feed, np.random.default_rng([arguments.seed, 29]))
    return run(net, loss, moved, arguments, warm_up=50, ema_momentum=0.99)


if __name__ == "__main__":
    raise SystemExit(main())
