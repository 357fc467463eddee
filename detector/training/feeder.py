"""Worker processes that keep a queue of ready batches, so that the net never waits.

Batches are plain numpy arrays from a picklable maker. A worker that dies raises an error instead of slowing
the training down silently.
"""

from __future__ import annotations

import multiprocessing as mp
import queue
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Batch = tuple[NDArray[np.generic], ...]


class BatchMaker(Protocol):
    """Makes one batch per call; a worker process calls it repeatedly."""

    def __call__(self, rng: np.random.Generator) -> Batch: ...


class FeederError(Exception):
    """A worker process ended before the training did."""


def _work(maker: BatchMaker, seed: list[int], out: mp.Queue[Batch]) -> None:
    rng = np.random.default_rng(seed)
    while True:
        out.put(maker(rng))


def batches(maker: BatchMaker, *, workers: int, seed: list[int], ready: int = 6) -> Iterator[Batch]:
    """Yields batches from ``workers`` processes without end. Raises FeederError if a worker dies."""
    context = mp.get_context("fork")
    out: mp.Queue[Batch] = context.Queue(maxsize=ready)
    processes = [
        context.Process(target=_work, args=(maker, [*seed, index], out), daemon=True)
        for index in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        while True:
            try:
                yield out.get(timeout=5)
            except queue.Empty:
                dead = [process.exitcode for process in processes if not process.is_alive()]
                if dead:
                    raise FeederError(f"a worker that makes training pictures ended with {dead[0]}") from None
    finally:
        for process in processes:
            process.terminate()
