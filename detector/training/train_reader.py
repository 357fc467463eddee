"""Trains the plate reader: ``python -m detector.training.train_reader --data DIR --run DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .feeder import BatchMaker
from .reader_batches import REAL_SHARE, reader_batches
from .reader_net import build_reader, reader_loss
from .run_command import begin, feed_of, run, run_options
from .warm_start import warm_start


def main(argv: list[str] | None = None) -> int:
    """Command line; resumes the run it finds in ``--run``."""
    parser = run_options(__doc__, steps=10_000)
    parser.add_argument("--real-share", type=float, default=REAL_SHARE)
    parser.add_argument("--start-from", type=Path, default=None, help="weights of an earlier run")
    parser.add_argument(
        "--go-on-from", type=Path, default=None, help="folder of released models: continue from its reader"
    )
    arguments = begin(parser, argv)

    def maker() -> BatchMaker:
        return reader_batches(arguments.data, without=arguments.without, real_share=arguments.real_share)

    feed = feed_of(arguments, maker, 7)
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

    return run(net, loss, feed, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
