"""Answers of nets and reader on a folder of pictures: recorded with one runtime, compared with another.

``python -m detector.answers note FILE`` writes the answers. ``... compare FILE``, run with another runtime or
on another machine, gives the nets the same inputs and the reader the same frames; it prints by how many
quantization steps the outputs differ and which texts are the same. It exits with 1 if an output differs by
more than a step, or if a text differs that the reader was sure of.

With --plain-kernels, ai-edge-litert runs without XNNPACK, as tflite-runtime does. XNNPACK rounds differently
between layers, so that answers with and without it differ by more than a step.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .card import DetectorCard, NamerCard, ObstacleCard, ReaderCard
from .errors import DetectorError
from .find import letterbox
from .obstacle import ObstacleFinder
from .plates import U8
from .reader import DETECTOR_CARD, MODELS, NAMER_CARD, OBSTACLE_CARD, READER_CARD, PlateReader
from .rectify import cut_patch, normalized
from .runtime import RUNTIMES, TfliteNet
from .state_namer import StateNamer

CLIP = Path(__file__).resolve().parent.parent / "tests" / "replay" / "drive_by"
PICTURES = 4  # enough for a dozen plates; an emulated processor takes half a minute for them
MOST_STEPS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One output over all inputs. ``steps``: largest difference; ``share``: share of values that differ."""

    steps: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runtimes compared: the difference of each output, and how many of the noted texts are the same."""

    noted_by: str
    compared_by: str
    outputs: Mapping[str, Difference]
    sure_texts: int
    sure_same: int
    other_texts: int
    other_same: int

    @property
    def agree(self) -> bool:
        """Whether no output differs by more than a step and no sure text differs."""
        near = all(one.steps <= MOST_STEPS for one in self.outputs.values())
        return near and self.sure_same == self.sure_texts


class Answers:
    """The shipped nets and the reader around them, on one runtime."""

    def __init__(self, runtime: str | None = None, *, plain_kernels: bool = False) -> None:
        """Raises what PlateReader.from_models raises."""
        self._plain = plain_kernels
        self._finding = DetectorCard.load(MODELS / DETECTOR_CARD)
        self._reading = ReaderCard.load(MODELS / READER_CARD)
        self._naming = NamerCard.load(MODELS / NAMER_CARD)
        self._hiding = ObstacleCard.load(MODELS / OBSTACLE_CARD)
        self._nets = {
            name: TfliteNet(card, runtime=runtime, plain_kernels=plain_kernels)
            for name, card in (
                ("detector", self._finding),
                ("reader", self._reading),
                ("namer", self._naming),
                ("obstacles", self._hiding),
            )
        }
        self._reader = PlateReader(
            self._nets["detector"],
            self._finding,
            self._nets["reader"],
            self._reading,
            namer=StateNamer(self._nets["namer"], self._naming),
            obstacles=ObstacleFinder(self._nets["obstacles"], self._hiding),
        )

    @property
    def where(self) -> str:
        """Names the runtime and the machine."""
        runtime = self._nets["detector"].runtime.partition(".")[0] + " (plain kernels)" * self._plain
        return f"{runtime}, {platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}"

    def inputs(self, frames: Sequence[U8]) -> dict[str, U8]:
        """The inputs of each net, uint8 (N, height, width): whole frames, and the patches found in them."""
        net = self._nets["detector"]
        found = [(frame, box.corners) for frame in frames for box in self._reader.find(frame)]
        patches = {
            name: np.stack(
                [
                    normalized(
                        cut_patch(
                            frame, corners, self._nets[name].size, (rules.margin_x, rules.margin_y)
                        ).luma,
                        rules,
                    )
                    for frame, corners in found
                ]
            )
            for name, rules in (
                ("reader", self._reading.patch),
                ("namer", self._naming.patch),
                ("obstacles", self._hiding.patch),
            )
        }
        seen = [letterbox(frame, net.size, self._finding.find.padding)[0] for frame in frames]
        return {"detector": np.stack(seen), **patches}

    def outputs(self, net: str, inputs: U8) -> dict[str, NDArray[Any]]:
        """Every output of one net, unchanged, (N, ...) by role."""
        told = [self._nets[net].invoke(picture) for picture in inputs]
        return {role: np.stack([one[role].values for one in told]) for role in told[0]}

    def texts(self, frames: Sequence[U8]) -> list[tuple[list[str], list[str]]]:
        """The texts of each frame: those that the reader is sure of and the others, each sorted."""
        told = []
        for frame in frames:
            sure: list[str] = []
            others: list[str] = []
            for reading in self._reader.read(frame).readings:
                text = reading.text
                (sure if text.confidence >= self._reader.report_from else others).append(text.text)
            told.append((sorted(sure), sorted(others)))
        return told


def note(answers: Answers, frames: Sequence[U8]) -> dict[str, NDArray[Any]]:
    """Frames, inputs, outputs and texts as arrays by name."""
    out: dict[str, NDArray[Any]] = {"frames": np.stack(frames)}
    for net, inputs in answers.inputs(frames).items():
        out[f"{net}/input"] = inputs
        out |= {f"{net}/{role}": values for role, values in answers.outputs(net, inputs).items()}
    facts = {"where": answers.where, "texts": answers.texts(frames)}
    out["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    return out


def compare(answers: Answers, noted: Mapping[str, NDArray[Any]]) -> Comparison:
    """Compares the answers of this runtime with those noted."""
    outputs = {}
    for net in ("detector", "reader", "namer"):
        for role, values in answers.outputs(net, noted[f"{net}/input"]).items():
            apart = np.abs(values.astype(np.int64) - noted[f"{net}/{role}"].astype(np.int64))
            outputs[f"{net} {role}"] = Difference(steps=int(apart.max()), share=float((apart > 0).mean()))
    facts = json.loads(noted["facts"].tobytes())
    pairs = list(zip(facts["texts"], answers.texts(list(noted["frames"])), strict=True))
    return Comparison(
        noted_by=facts["where"],
        compared_by=answers.where,
        outputs=outputs,
        sure_texts=sum(len(before[0]) for before, _ in pairs),
        sure_same=sum((Counter(before[0]) & Counter(now[0] + now[1])).total() for before, now in pairs),
        other_texts=sum(len(before[1]) for before, _ in pairs),
        other_same=sum((Counter(before[1]) & Counter(now[0] + now[1])).total() for before, now in pairs),
    )


def _frames(folder: Path) -> list[U8]:
    """A few pictures from across a folder, all of one size."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".png"})
    if not paths:
        raise FileNotFoundError(f"{folder}: no JPEG or PNG in it")
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, min(PICTURES, len(paths))).astype(int)]
    frames = []
    for path in chosen:
        with Image.open(path) as image:
            frames.append(np.asarray(image.convert("L")))
    if len({frame.shape for frame in frames}) != 1:
        raise ValueError(f"{folder}: the pictures are not all of one size")
    return frames


def main(argv: list[str] | None = None) -> int:
    """Runs the command. Exit status: 1 if answers differ, 2 if a file is unusable, 3 without a runtime."""
    parser = argparse.ArgumentParser(
        prog="python -m detector.answers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m detector.answers note answers.npz",
    )
    parser.add_argument("what", choices=["note", "compare"])
    parser.add_argument("file", type=Path, help="the answers, .npz")
    parser.add_argument("--pictures", type=Path, default=CLIP, help="folder of pictures (default: the clip)")
    parser.add_argument("--plain-kernels", action="store_true", help="ai-edge-litert without XNNPACK")
    parser.add_argument("--json", action="store_true", help="the comparison as one JSON object")
    parser.add_argument("--runtime", choices=RUNTIMES, help="default: the first that is installed")
    arguments = parser.parse_args(argv)
    try:
        answers = Answers(arguments.runtime, plain_kernels=arguments.plain_kernels)
        if arguments.what == "note":
            made: dict[str, Any] = dict(note(answers, _frames(arguments.pictures)))
            np.savez_compressed(arguments.file, **made)
            print(f"noted by {answers.where}")
            return 0
        with np.load(arguments.file, allow_pickle=False) as noted:
            told = compare(answers, dict(noted))
    except DetectorError as error:
        print(f"answers: {error}", file=sys.stderr)
        return 3
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        print(f"answers: {arguments.file}: {error}; record the answers again", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(asdict(told)))
    else:
        _show(told)
    return 0 if told.agree else 1


def _show(compared: Comparison) -> None:
    print(f"noted by    {compared.noted_by}\ncompared by {compared.compared_by}")
    for name, one in compared.outputs.items():
        print(f"{name:22} at most {one.steps} steps apart, {one.share:.2%} of the values differ")
    print(f"texts of which the reader was sure: {compared.sure_same} of {compared.sure_texts} the same")
    print(f"others: {compared.other_same} of {compared.other_texts}")


if __name__ == "__main__":
    raise SystemExit(main())
