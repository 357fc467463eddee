"""Trains the state namer: ``python -m detector.training.train_state --data DIR --run DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..reader import MODELS
from .run_command import begin, feed_of, run, run_options
from .state_net import build_state_namer, state_loss, take_first_layers
from .state_samples import state_batches


def main(argv: list[str] | None = None) -> int:
    """Command line; resumes the run it finds in ``--run``."""
    parser = run_options(__doc__, steps=2500)
    parser.add_argument(
        "--reader", type=Path, default=MODELS, help="folder of the reader whose first layers it takes"
    )
    arguments = begin(parser, argv)
    feed = feed_of(arguments, lambda: state_batches(arguments.data, without=arguments.without), 11)
    net = build_state_namer()
    start = next(feed)[0].astype(np.float32) / 255.0
    take_first_layers(net, arguments.reader / "plate-reader.tflite", start)
    print(f"{net.count_params()} parameters")

    def loss(batch: tuple[Any, ...], out: dict[str, Any]) -> dict[str, Any]:
        return state_loss(batch[1], out)

    return run(net, loss, feed, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
