"""Makes batches ahead and keeps them in files: many processes make them, and a training uses each often.

``python -m detector.training.stored reader --data DIR --out DIR --workers 4`` makes batches until it is
stopped, or for ``--stop-after-s``. ``train_reader --stored DIR`` trains on the batches that it finds, and
picks up new ones as they come. The same works with ``detector``, ``state`` and ``obstacles``. A batch is one
.npz file, which appears only when it is complete.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np

from .datasets import read_all
from .detector_batches import detector_batches
from .feeder import Batch, BatchMaker
from .obstacle_samples import obstacle_batches
from .reader_batches import reader_batches
from .state_samples import state_batches

LOOK_EVERY = 20  # batches drawn between two searches for new files
READ_AT_ONCE = 400  # most files loaded at a time, so that no search takes long


class StoredBatches(Iterator[Batch]):
    """Draws from a folder's files with equal chances; waits while there are fewer than ``least``."""

    def __init__(self, folder: Path, *, together: int = 1, seed: int = 1, least: int = 16) -> None:
        self._folder = folder
        self._together = together
        self._rng = np.random.default_rng([seed, 23])
        self._known: set[str] = set()
        self._by_shape: dict[tuple[int, ...], list[Batch]] = {}
        self._drawn = 0
        while len(self._known) < least:
            self._take_up()
            if len(self._known) < least:
                time.sleep(1.0)

    def __iter__(self) -> Self:
        return self

    def __len__(self) -> int:
        """How many batches have been loaded."""
        return len(self._known)

    def __next__(self) -> Batch:
        self._drawn += 1
        if self._drawn % LOOK_EVERY == 0:
            self._take_up()
        kinds = list(self._by_shape.values())
        weights = np.array([len(kind) for kind in kinds], np.float64)
        kind = kinds[int(self._rng.choice(len(kinds), p=weights / weights.sum()))]
        chosen = [kind[int(index)] for index in self._rng.integers(len(kind), size=self._together)]
        return tuple(np.concatenate(parts) for parts in zip(*chosen, strict=True))

    def _take_up(self) -> None:
        new = [entry.name for entry in os.scandir(self._folder) if entry.name.endswith(".npz")]
        for name in [name for name in new if name not in self._known][:READ_AT_ONCE]:
            with np.load(self._folder / name) as file:
                batch = tuple(file[part] for part in file.files)
            self._known.add(name)
            self._by_shape.setdefault(batch[0].shape[1:], []).append(batch)


def store(maker: BatchMaker, folder: Path, *, name: str, seed: list[int], stop_after_s: float | None) -> int:
    """Makes batches into files until the time is up; returns how many it made."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    started, count = time.monotonic(), 0
    while stop_after_s is None or time.monotonic() - started < stop_after_s:
        parts = {f"part_{number}": part for number, part in enumerate(maker(rng))}
        unfinished = folder / f"{name}-{count}.new"
        with unfinished.open("wb") as file:
            np.savez(file, **parts)  # type: ignore[arg-type] # its stub takes the names for options
        unfinished.rename(folder / f"{name}-{count}.npz")
        count += 1
    return count


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("net", choices=["detector", "reader", "state", "obstacles"])
    parser.add_argument("--data", type=Path, required=True, help="folder of the image sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for the batches")
    parser.add_argument("--without", nargs="*", default=[], metavar="DATASET", help="sets to leave out")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stop-after-s", type=float, default=None)
    arguments = parser.parse_args(argv)
    maker: BatchMaker
    if arguments.net == "reader":
        maker = reader_batches(arguments.data, without=arguments.without)
    elif arguments.net == "state":
        maker = state_batches(arguments.data, without=arguments.without)
    elif arguments.net == "obstacles":
        maker = obstacle_batches(arguments.data, without=arguments.without)
    else:
        pictures = list(read_all(arguments.data, "train", without=arguments.without))
        maker = detector_batches(arguments.data, pictures, without=arguments.without)
    run = time.time_ns() // 1_000_000_000
    processes = [
        mp.get_context("fork").Process(
            target=store,
            args=(maker, arguments.out),
            kwargs={
                "name": f"{run}-{index}",
                "seed": [arguments.seed, run, index],
                "stop_after_s": arguments.stop_after_s,
            },
        )
        for index in range(arguments.workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return max(int(process.exitcode != 0) for process in processes)


if __name__ == "__main__":
    raise SystemExit(main())
