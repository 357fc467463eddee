"""The training loop of all nets: cosine schedule, EMA, checkpoints to resume from, and a log.

It runs on Keras with TensorFlow, or with JAX if KERAS_BACKEND=jax.

A run's folder holds the net's, the optimizer's and the averaged weights of the newest checkpoint,
``progress.json`` and ``log.csv``. A run that is killed resumes from its last checkpoint.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from .feeder import Batch
from .steps import LossFunction, compiled_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """How long and how fast to train."""

    steps: int
    peak_rate: float = 2e-3
    warm_up: int = 300
    weight_decay: float = 1e-4
    clip_norm: float = 5.0
    ema_momentum: float = 0.998
    checkpoint_every: int = 250
    log_every: int = 50


def train(
    net: keras.Model,
    loss: LossFunction,
    batches: Iterator[Batch],
    folder: Path,
    plan: TrainingPlan,
    *,
    stop_after_s: float | None = None,
) -> bool:
    """Trains up to ``plan.steps``, or for ``stop_after_s``; returns whether the plan is done.

    ``loss(batch, outputs)`` returns a dict whose ``loss`` is minimized; all its values are logged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    schedule = keras.optimizers.schedules.CosineDecay(
        plan.peak_rate * 0.02,
        decay_steps=max(plan.steps - plan.warm_up, 1),
        alpha=1e-3,
        warmup_target=plan.peak_rate,
        warmup_steps=plan.warm_up,
    )
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=plan.weight_decay,
        global_clipnorm=plan.clip_norm,
        use_ema=True,
        ema_momentum=plan.ema_momentum,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(net.trainable_variables)
    done = _restore(net, optimizer, folder)

    steps = compiled_steps(net, optimizer, loss)
    started = time.monotonic()
    seen: list[dict[str, Any]] = []
    since = time.monotonic()
    while done < plan.steps:
        seen.append(steps.take(next(batches)))
        done += 1
        if done % plan.log_every == 0 or done == plan.steps:
            row = {name: float(np.mean([float(parts[name]) for parts in seen])) for name in seen[0]}
            row["seconds_a_step"] = (time.monotonic() - since) / len(seen)
            if not np.isfinite(row["loss"]):
                raise FloatingPointError(f"loss is {row['loss']} at step {done}: lower the rate and resume")
            _log(folder / "log.csv", done, row)
            seen, since = [], time.monotonic()
        late = stop_after_s is not None and time.monotonic() - started > stop_after_s
        if done % plan.checkpoint_every == 0 or done == plan.steps or late:
            steps.write_back()
            _save(net, optimizer, folder, done)
        if late and done < plan.steps:
            return False
    return True


def load_averaged(net: keras.Model, folder: Path) -> int:
    """Fills ``net`` with the averaged (EMA) weights of a run's newest checkpoint; returns its step."""
    progress = json.loads((folder / "progress.json").read_text())
    net.load_weights(folder / f"averaged-{progress['step']}.weights.h5")
    return int(progress["step"])


def settle_statistics(net: keras.Model, inputs: Iterable[NDArray[np.float32]]) -> None:
    """Recomputes the batch normalizations' statistics as the plain mean over batches of ``inputs``.

    The stored statistics are those of other weights, since the averaged ones never trained. If batches differ
    in kind, they also describe a mixture that a unit never sees.
    """
    normalizations = [one for one in net.layers if isinstance(one, keras.layers.BatchNormalization)]
    kept = [one.momentum for one in normalizations]
    for count, batch in enumerate(inputs):
        for one in normalizations:
            one.momentum = count / (count + 1)
        net(batch, training=True)
    for one, momentum in zip(normalizations, kept, strict=True):
        one.momentum = momentum


def _save(net: keras.Model, optimizer: Any, folder: Path, step: int) -> None:
    net.save_weights(folder / f"net-{step}.weights.h5")
    values = {f"v{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(optimizer.variables)}
    np.savez(folder / f"optimizer-{step}.npz", **values)
    kept = [keras.ops.convert_to_numpy(v) for v in net.trainable_variables]
    optimizer.finalize_variable_values(net.trainable_variables)
    net.save_weights(folder / f"averaged-{step}.weights.h5")
    for variable, value in zip(net.trainable_variables, kept, strict=True):
        variable.assign(value)
    temporary = folder / "progress.json.new"
    temporary.write_text(json.dumps({"step": step}))
    temporary.replace(folder / "progress.json")
    for old in folder.glob("*-*.*"):
        number = old.name.split("-")[1].split(".")[0]
        if number.isdigit() and int(number) < step:
            old.unlink()


def _restore(net: keras.Model, optimizer: Any, folder: Path) -> int:
    if not (folder / "progress.json").is_file():
        return 0
    step = int(json.loads((folder / "progress.json").read_text())["step"])
    net.load_weights(folder / f"net-{step}.weights.h5")
    with np.load(folder / f"optimizer-{step}.npz") as saved:
        for i, variable in enumerate(optimizer.variables):
            variable.assign(saved[f"v{i}"])
    return step


def _log(path: Path, step: int, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", *row])
        writer.writerow([step, *(f"{value:.5g}" for value in row.values())])
