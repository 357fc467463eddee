"""Trains the obstacle finder: ``python -m detector.training.train_obstacles --data DIR --run DIR``."""

from __future__ import annotations

from typing import Any

from .obstacle_net import build_obstacle_finder, obstacle_loss
from .obstacle_samples import obstacle_batches
from .run_command import begin, feed_of, run, run_options


def main(argv: list[str] | None = None) -> int:
    """Command line; resumes the run it finds in ``--run``."""
    arguments = begin(run_options(__doc__, steps=6000, peak_rate=3e-3), argv)
    feed = feed_of(arguments, lambda: obstacle_batches(arguments.data, without=arguments.without), 12)
    net = build_obstacle_finder()
    print(f"{net.count_params()} parameters")

    def loss(batch: tuple[Any, ...], out: dict[str, Any]) -> dict[str, Any]:
        return obstacle_loss(batch[1], out)

    return run(net, loss, feed, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
