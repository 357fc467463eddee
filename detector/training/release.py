"""Makes the shipped files from trained runs: int8 nets and their cards.

``python -m detector.training.release detector --run DIR --data DIR --out detector/models``, and the
same with ``reader``, ``state`` and ``obstacles``. Quantization ranges come from pictures of the train split;
thresholds are chosen on the calibration split, never on dev.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..card import card_text
from ..lettering import MARGIN, SIZE
from . import state_samples
from .alphabet import JURISDICTIONS
from .datasets import read_all
from .detector_batches import FRAMES, frame_maker
from .detector_net import build_detector, with_weights_of
from .detector_targets import NET_HEIGHT, NET_WIDTH
from .export import to_float, to_int8, write_model
from .feeder import Batch
from .loop import load_averaged, settle_statistics
from .obstacle_net import build_obstacle_finder
from .obstacle_samples import obstacle_batches
from .patch_form import DEVIATION, HEIGHT, LEAST_DEVIATION, MEAN, WIDTH, normalized
from .reader_net import build_reader
from .reader_samples import RealPatches
from .state_net import build_state_namer, fit_last_layer
from .state_samples import state_batches
from .stored import StoredBatches

STATISTICS_BATCHES = 64
QUANTISATION_SCENES = 160
QUANTISATION_PATCHES = 600
LAST_LAYER_BATCHES = 330
LEAST_NAMED_PX = 110.0  # on narrower plates the reader's own head does better
CLEAR_BELOW = 0.0  # until it is calibrated
PAD_LUMA = 114
LICENCES = "licences in each set's SOURCE.md"
PATCH_DATA = "plates rendered by this project, train split of the image sets"
CONTRAST = {"mean": MEAN, "deviation": DEVIATION, "least_deviation": LEAST_DEVIATION}

Sections = dict[str, dict[str, Any]]


def letterboxed(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The whole picture at the detector's input size, padded at the right and below."""
    scale = min(NET_WIDTH / luma.shape[1], NET_HEIGHT / luma.shape[0])
    width, height = round(luma.shape[1] * scale), round(luma.shape[0] * scale)
    canvas = np.full((NET_HEIGHT, NET_WIDTH), PAD_LUMA, np.uint8)
    canvas[:height, :width] = np.asarray(Image.fromarray(luma).resize((width, height), Image.Resampling.BOX))
    return canvas


def _frames(data: Path, without: Collection[str]) -> Iterator[NDArray[np.float32]]:
    """Batches of whole pictures, float32 (B, H, W, 1), like those that the detector trained on."""
    rng = np.random.default_rng(13)
    maker = frame_maker(data, list(read_all(data, "train", without=without)), without=without)
    for _ in range(STATISTICS_BATCHES):
        yield np.stack([maker.draw(rng).luma for _ in range(FRAMES)])[..., None].astype(np.float32) / 255.0


def _scenes(data: Path, without: Collection[str]) -> Iterator[NDArray[np.uint8]]:
    every = read_all(data, "train", without=without)
    pictures = [p for p in every if not p.plates or p.plates[0].box is not None]
    chosen = np.random.default_rng(11).permutation(len(pictures))[:QUANTISATION_SCENES]
    for index in chosen:
        yield letterboxed(pictures[index].luma())


def _patches(data: Path, without: Collection[str]) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(12)
    real = RealPatches(list(read_all(data, "train", without=without)))
    for _ in range(QUANTISATION_PATCHES):
        yield normalized(real.draw(rng).patch)


def _data(rest: str, without: Collection[str]) -> str:
    left_out = f", without {', '.join(without)} and all pictures of their plates" if without else ""
    return f"{rest}{left_out}; {LICENCES}"


def _command(without: Collection[str]) -> str:
    return "make train" + (f' WITHOUT="{" ".join(without)}"' if without else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Release:
    """One net's files and its card's provenance. ranges: which pictures set the int8 ranges."""

    kind: str
    step: int
    architecture: str
    data: str
    ranges: str
    without: Collection[str]

    def write(
        self, net: Any, shown: Iterable[NDArray[np.uint8]], run: Path, out: Path, sections: Sections
    ) -> None:
        """Writes the int8 net and its card to ``out``, the float net to ``run``. shown: sets the ranges."""
        digest = write_model(out / f"{self.kind}.tflite", to_int8(net, shown))
        write_model(run / f"{self.kind}-float.tflite", to_float(net))
        card: Sections = {
            "model": {
                "kind": self.kind,
                "file": f"{self.kind}.tflite",
                "sha256": digest,
                "version": f"step-{self.step}",
            },
            **sections,
            "provenance": {
                "architecture": self.architecture,
                "parameters": int(net.count_params()),
                "data": _data(self.data, self.without),
                "quantisation": f"int8 after training, ranges from {self.ranges}",
                "command": _command(self.without),
            },
        }
        (out / f"{self.kind}.toml").write_text(card_text(card), encoding="utf-8")


def release_detector(
    run: Path, data: Path, out: Path, threshold: float, *, without: Collection[str] = ()
) -> None:
    """Writes plate-detector.tflite and plate-detector.toml."""
    trained = build_detector(None, None)
    step = load_averaged(trained, run)
    settle_statistics(trained, _frames(data, without))
    net = with_weights_of(trained, NET_HEIGHT, NET_WIDTH)
    release = _Release(
        kind="plate-detector",
        step=step,
        architecture="plain convolutions, heat map, box and corners at stride 4: detector_net.py",
        data="train split of the image sets, with rendered and real plates pasted",
        ranges=f"{QUANTISATION_SCENES} train pictures",
        without=without,
    )
    sections: Sections = {
        "input": {"name": "luma", "height": NET_HEIGHT, "width": NET_WIDTH},
        "outputs": {name: name for name in ("heat", "box", "corners")},
        "find": {"stride": 4, "threshold": threshold, "padding": PAD_LUMA},
    }
    release.write(net, _scenes(data, without), run, out, sections)


def release_reader(run: Path, data: Path, out: Path, *, without: Collection[str] = ()) -> None:
    """Writes plate-reader.tflite and plate-reader.toml."""
    net = build_reader()
    release = _Release(
        kind="plate-reader",
        step=load_averaged(net, run),
        architecture="plain convolutions; CTC columns, slots, jurisdiction, corners: reader_net.py",
        data=PATCH_DATA,
        ranges=f"{QUANTISATION_PATCHES} train patches",
        without=without,
    )
    sections: Sections = {
        "input": {"name": "luma", "height": HEIGHT, "width": WIDTH},
        "outputs": {name: name for name in ("columns", "slots", "jurisdiction", "corners")},
        "patch": {**CONTRAST, "trust_corners": True},
        "text": {"jurisdictions": list(JURISDICTIONS)},
        "confidence": {},
    }
    release.write(net, _patches(data, without), run, out, sections)


def _state_feed(data: Path, without: Collection[str], stored: Path | None) -> Iterator[Batch]:
    if stored is not None:
        yield from StoredBatches(stored, seed=14)
    maker, rng = state_batches(data, without=without), np.random.default_rng(14)
    while True:
        yield maker(rng)


def release_state(
    run: Path,
    data: Path,
    out: Path,
    *,
    without: Collection[str] = (),
    stored: Path | None = None,
    keep_last_layer: bool = False,
) -> None:
    """Writes state-namer.tflite and state-namer.toml; ``calibrate_state`` then fits the card's weights.

    stored: folder of stored batches to take patches from, instead of making them. keep_last_layer: as it was
    trained, instead of in closed form.
    """
    net = build_state_namer()
    release = _Release(
        kind="state-namer",
        step=load_averaged(net, run),
        architecture="the reader's first layers, then plain convolutions: state_net.py",
        data=PATCH_DATA,
        ranges=f"{QUANTISATION_PATCHES} train patches",
        without=without,
    )
    feed = _state_feed(data, without, stored)
    settle_statistics(
        net, (patches.astype(np.float32) / 255.0 for patches, _ in islice(feed, STATISTICS_BATCHES))
    )
    if not keep_last_layer:
        fit_last_layer(net, islice(feed, LAST_LAYER_BATCHES))
    whole = QUANTISATION_PATCHES // state_samples.BATCH
    shown = (patch for patches, _ in islice(feed, whole) for patch in patches[..., 0])
    sections: Sections = {
        "input": {"name": "luma", "height": state_samples.HEIGHT, "width": state_samples.WIDTH},
        "outputs": {"jurisdiction": "jurisdiction"},
        "patch": {"margin_x": 0.1, "margin_y": 0.12, **CONTRAST},
        "naming": {"jurisdictions": list(JURISDICTIONS), "least_width_px": LEAST_NAMED_PX},
    }
    release.write(net, shown, run, out, sections)


def release_obstacles(run: Path, data: Path, out: Path, *, without: Collection[str] = ()) -> None:
    """Writes obstacle-finder.tflite and .toml; ``calibrate_obstacles`` then sets the card's limit."""
    net = build_obstacle_finder()
    release = _Release(
        kind="obstacle-finder",
        step=load_averaged(net, run),
        architecture="plain convolutions, one logit a column: obstacle_net.py",
        data=f"{PATCH_DATA}, with obstacles drawn before them",
        ranges=f"{QUANTISATION_PATCHES} train patches",
        without=without,
    )
    maker, rng = obstacle_batches(data, without=without), np.random.default_rng(15)
    drawn = [maker(rng)[0] for _ in range(STATISTICS_BATCHES)]
    settle_statistics(net, (patches.astype(np.float32) / 255.0 for patches in drawn))
    shown = np.concatenate(drawn)[:QUANTISATION_PATCHES, ..., 0]
    sections: Sections = {
        "input": {"name": "luma", "height": SIZE[0], "width": SIZE[1]},
        "outputs": {"hidden": "hidden"},
        "patch": {"margin_x": MARGIN[0], "margin_y": MARGIN[1], **CONTRAST},
        "hiding": {"clear_below": CLEAR_BELOW},
    }
    release.write(net, shown, run, out, sections)


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net", choices=["detector", "reader", "state", "obstacles"])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("detector/models"))
    parser.add_argument("--threshold", type=float, default=0.35, help="least score of a box")
    parser.add_argument("--without", nargs="*", default=[], metavar="DATASET", help="sets to leave out")
    parser.add_argument(
        "--stored", type=Path, default=None, help="state: folder of batches made by detector.training.stored"
    )
    parser.add_argument(
        "--keep-last-layer", action="store_true", help="state: as it was trained, not in closed form"
    )
    arguments = parser.parse_args(argv)
    if arguments.net == "detector":
        release_detector(
            arguments.run, arguments.data, arguments.out, arguments.threshold, without=arguments.without
        )
    elif arguments.net == "state":
        release_state(
            arguments.run,
            arguments.data,
            arguments.out,
            without=arguments.without,
            stored=arguments.stored,
            keep_last_layer=arguments.keep_last_layer,
        )
    else:
        release = {"obstacles": release_obstacles, "reader": release_reader}
        release[arguments.net](arguments.run, arguments.data, arguments.out, without=arguments.without)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
