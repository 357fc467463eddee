"""Trains the plate detector: ``python -m detector.training.train_detector --data DIR --run DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..reader import PlateReader
from .datasets import Picture, read_all
from .detector_batches import detector_batches
from .detector_net import build_detector, detector_loss, targets_of
from .feeder import BatchMaker
from .metrics import overlap
from .run_command import begin, feed_of, run, run_options
from .warm_start import warm_start

DOUBTFUL = 0.15  # least score of an earlier net's box that is read
SURE_TEXT = 0.3  # least confidence of the text that makes an unlabeled box a plate


def second_opinions(
    models: Path, pictures: list[Picture]
) -> tuple[dict[Path, NDArray[np.float32]], dict[Path, NDArray[np.float32]]]:
    """Boxes of released models, (N, 4) x, y, w, h, by training picture: decoys, then unlabeled plates.

    Decoys are boxes in plate-free pictures, even doubtful ones. Unlabeled plates are boxes in scenes that
    match no label and whose text the models read with some confidence.
    """
    reader = PlateReader.from_models(models, every_box_from=DOUBTFUL)
    decoys, unlabeled = {}, {}
    for picture in pictures:
        luma = picture.luma()
        if not picture.plates:
            boxes = [box.box for box in reader.find(luma)]
            decoys[picture.path] = np.array(boxes, np.float32).reshape(-1, 4)
        elif picture.plates[0].box is not None:
            boxes = [
                reading.box.box
                for reading in reader.read(luma).readings
                if reading.text.confidence >= SURE_TEXT
                and all(overlap(reading.box.box, plate.box) < 0.1 for plate in picture.plates if plate.box)
            ]
            unlabeled[picture.path] = np.array(boxes, np.float32).reshape(-1, 4)
    return decoys, unlabeled


def main(argv: list[str] | None = None) -> int:
    """Command line; resumes the run it finds in ``--run``."""
    parser = run_options(__doc__, steps=4500)
    parser.add_argument("--start-from", type=Path, default=None, help="weights of an earlier run")
    parser.add_argument(
        "--go-on-from", type=Path, default=None, help="folder of released models: continue from its detector"
    )
    arguments = begin(parser, argv)
    released = arguments.go_on_from

    def maker() -> BatchMaker:
        pictures = list(read_all(arguments.data, "train", without=arguments.without))
        decoys, unlabeled = ({}, {}) if released is None else second_opinions(released, pictures)
        print(
            f"{sum(map(len, decoys.values()))} decoys, "
            f"{sum(map(len, unlabeled.values()))} plates without a label"
        )
        return detector_batches(
            arguments.data, pictures, without=arguments.without, decoys=decoys, unlabeled=unlabeled
        )

    feed = feed_of(arguments, maker)
    net = build_detector(None, None)
    print(f"{net.count_params()} parameters")
    if arguments.start_from is not None:
        net.load_weights(arguments.start_from)
    elif released is not None:
        start = next(feed)[0].astype(np.float32) / 255.0
        filled = warm_start(net, released / "plate-detector.tflite", start)
        print(f"{filled} layers continue from {released}")

    def loss(batch: tuple[Any, ...], out: dict[str, Any]) -> dict[str, Any]:
        heat, regress = targets_of(batch[1], *out["heat"].shape[1:3])
        return detector_loss(heat, regress, batch[2], out)

    return run(net, loss, feed, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
