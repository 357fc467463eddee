"""Milliseconds per frame by stage, their ratio to the nets' bare invoke(), and peak memory: `make bench`.

Every frame passes the stages of `reader run` (find, rectify, read, track, vote; one thread). Then each net is
invoked bare as often as this frame invoked it. The ratio divides the two sums of CPU time, so that other
programs matter little; the stages are in wall-clock time. If a camera delivers a small stream besides the
large one, as a Pi's does, the reader need not shrink frames: such a size is measured separately.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector.card import DetectorCard, NamerCard, ObstacleCard, ReaderCard
from detector.errors import DetectorError
from detector.find import plan_letterbox
from detector.lettering import Lettering
from detector.obstacle import ObstacleFinder
from detector.reader import (
    DETECTOR_CARD,
    LETTERING,
    MODELS,
    NAMER_CARD,
    OBSTACLE_CARD,
    READER_CARD,
    PlateReader,
)
from detector.runtime import RUNTIMES, Net, NetOutput, TfliteNet
from detector.state_namer import StateNamer
from detector.track import Tracker
from hw.camera_replay import FolderReel
from hw.errors import BrokenFrameError, HardwareError

SIZES = ((1280, 720, False), (1280, 720, True), (1920, 1080, False))  # True: with the small stream
CLIP = Path(__file__).resolve().parents[1] / "replay" / "drive_by"
FRAME_US = 100_000  # the clip's own rate
WARM_UP = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One frame size. ms: means by stage; whole_ms, bare_ms: means per frame, all in wall-clock time.

    cpu_ms: CPU time of the whole frame; ratio: the same divided by that of the bare nets. small_stream:
    whether the frames came with their small pictures.
    """

    width: int
    height: int
    small_stream: bool
    frames: int
    plates_read: int
    ms: Mapping[str, float]
    whole_ms: float
    bare_ms: float
    cpu_ms: float
    ratio: float
    median_ms: float
    p95_ms: float


class CountedNet:
    """A net that counts how often it is invoked."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self.invoked = 0

    @property
    def size(self) -> tuple[int, int]:
        """See Net.size."""
        return self._net.size

    def invoke(self, luma: NDArray[np.uint8]) -> Mapping[str, NetOutput]:
        """See Net.invoke."""
        self.invoked += 1
        return self._net.invoke(luma)


class BareNet:
    """Only the runtime's interpreter."""

    def __init__(self, path: Path, runtime: str) -> None:
        library: Any = importlib.import_module(runtime)
        self._interpreter = library.Interpreter(model_path=str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        detail = self._interpreter.get_input_details()[0]
        noise = np.random.default_rng(1).integers(0, 127, detail["shape"])
        self._interpreter.set_tensor(detail["index"], noise.astype(detail["dtype"]))

    def invoke_ms(self, times: int) -> float:
        """Milliseconds that ``times`` bare invoke() calls take."""
        begun = time.perf_counter()
        for _ in range(times):
            self._interpreter.invoke()
        return (time.perf_counter() - begun) * 1000


class Bench:
    """All nets, counted and bare."""

    def __init__(self) -> None:
        finding, reading = DetectorCard.load(MODELS / DETECTOR_CARD), ReaderCard.load(MODELS / READER_CARD)
        naming = NamerCard.load(MODELS / NAMER_CARD)
        hiding = ObstacleCard.load(MODELS / OBSTACLE_CARD)
        cards = (finding, reading, naming, hiding)
        nets = [TfliteNet(card) for card in cards]
        self.runtime = nets[0].runtime
        self.counted = [CountedNet(net) for net in nets]
        self.bare = [BareNet(MODELS / card.model.file, self.runtime) for card in cards]
        find, read, name, see = self.counted
        self.reader = PlateReader(
            find,
            finding,
            read,
            reading,
            lettering=Lettering.load(MODELS / LETTERING),
            obstacles=ObstacleFinder(see, hiding),
            namer=StateNamer(name, naming),
        )

    def measure(self, lumas: list[NDArray[np.uint8]], rounds: int, *, small_stream: bool = False) -> Figures:
        """Measure one frame size. lumas: uint8 (H, W), in the order of time."""
        tracker = Tracker(self.reader.decoding, self.reader.see_together)
        stages: defaultdict[str, float] = defaultdict(float)
        whole: list[float] = []
        bare: list[float] = []
        cpu_s = bare_cpu_s = 0.0
        plates = 0
        for number, luma in enumerate(self._with_warm_up(lumas, rounds), -WARM_UP):
            before = [net.invoked for net in self.counted]
            lores = shrunk(luma, self.reader.net_size) if small_stream else None
            begun, cpu_begun = time.perf_counter(), time.thread_time()
            seen = self.reader.read(luma, lores, wanted=tracker.wants_text)
            read_at = time.perf_counter()
            tracker.update(number, (number + WARM_UP) * FRAME_US, luma.shape[:2], seen)
            ended, cpu_ended = time.perf_counter(), time.thread_time()
            times = [net.invoked - count for net, count in zip(self.counted, before, strict=True)]
            invoked_ms = sum(net.invoke_ms(count) for net, count in zip(self.bare, times, strict=True))
            bare_ended = time.thread_time()
            if number < 0:
                continue
            for stage, ms in {**seen.ms, "track": (ended - read_at) * 1000}.items():
                stages[stage] += ms
            cpu_s += cpu_ended - cpu_begun
            bare_cpu_s += bare_ended - cpu_ended
            whole.append((ended - begun) * 1000)
            bare.append(invoked_ms)
            plates += len(seen.readings)
        return Figures(
            width=lumas[0].shape[1],
            height=lumas[0].shape[0],
            small_stream=small_stream,
            frames=len(whole),
            plates_read=plates,
            ms={stage: total / len(whole) for stage, total in stages.items()},
            whole_ms=sum(whole) / len(whole),
            bare_ms=sum(bare) / len(bare),
            cpu_ms=cpu_s * 1000 / len(whole),
            ratio=cpu_s / bare_cpu_s,
            median_ms=float(np.median(whole)),
            p95_ms=float(np.percentile(whole, 95)),
        )

    @staticmethod
    def _with_warm_up(lumas: list[NDArray[np.uint8]], rounds: int) -> Iterator[NDArray[np.uint8]]:
        yield from (lumas[n % len(lumas)] for n in range(WARM_UP))
        for _ in range(rounds):
            yield from lumas


def load_clip(folder: Path, size: tuple[int, int], limit: int) -> list[NDArray[np.uint8]]:
    """The first `limit` pictures' luma, resized to size (width, height)."""
    lumas = []
    for _, _, picture in FolderReel(folder, 10.0).play(0):
        if isinstance(picture, BrokenFrameError):
            continue
        image = Image.fromarray(picture.luma)
        lumas.append(np.asarray(image.resize(size, Image.Resampling.BILINEAR), dtype=np.uint8).copy())
        if len(lumas) == limit:
            break
    return lumas


def parked(luma: NDArray[np.uint8], count: int) -> list[NDArray[np.uint8]]:
    """One picture, repeated with a camera's noise."""
    rng = np.random.default_rng(1)
    noisy = (luma + rng.normal(0.0, 1.2, luma.shape) for _ in range(count))
    return [np.clip(np.rint(one), 0, 255).astype(np.uint8) for one in noisy]


def shrunk(luma: NDArray[np.uint8], net: tuple[int, int]) -> NDArray[np.uint8]:
    """What a camera's small stream would show: the frame, shrunk to fit the net's (height, width)."""
    place = plan_letterbox((luma.shape[0], luma.shape[1]), net)
    small = Image.fromarray(luma).resize((place.width, place.height), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.uint8)


def show(figures: list[Figures], runtime: str) -> None:
    """Print a table for people."""
    stages = list(dict.fromkeys(stage for one in figures for stage in one.ms))
    print(f"{platform.machine()}, Python {platform.python_version()}, {runtime}, one thread\n")
    head = "".join(f"{f'{one.width}x{one.height}' + '+' * one.small_stream:>14}" for one in figures)
    print(f"{'mean ms a frame':<18}{head}")
    for stage in stages:
        print(f"  {stage:<16}" + "".join(f"{one.ms.get(stage, 0.0):>14.2f}" for one in figures))
    rows = {
        "whole frame": [f"{one.whole_ms:.2f}" for one in figures],
        "  median": [f"{one.median_ms:.2f}" for one in figures],
        "  95 % under": [f"{one.p95_ms:.2f}" for one in figures],
        "  on the CPU": [f"{one.cpu_ms:.2f}" for one in figures],
        "bare invoke()": [f"{one.bare_ms:.2f}" for one in figures],
        "ratio": [f"{one.ratio:.3f}" for one in figures],
        "frames": [str(one.frames) for one in figures],
        "plates read": [str(one.plates_read) for one in figures],
    }
    for name, cells in rows.items():
        print(f"{name:<18}" + "".join(f"{cell:>14}" for cell in cells))
    print(f"peak memory       {peak_mb():>13.0f} MB")
    print("\n+ with the camera's small stream; ratio: whole frame over bare invoke(), in time on the CPU")


def peak_mb() -> float:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.tools.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"runtimes tried: {', '.join(RUNTIMES)}",
    )
    parser.add_argument("--source", type=Path, default=CLIP, help="folder of pictures (default: the clip)")
    parser.add_argument("--frames", type=int, default=60, help="pictures of it (default 60)")
    parser.add_argument("--rounds", type=int, default=2, help="how often they are played (default 2)")
    parser.add_argument(
        "--parked", action="store_true", help="the middle one of them only, where nothing moves"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    args = parser.parse_args(argv)
    try:
        clips = [load_clip(args.source, (width, height), args.frames) for width, height, _ in SIZES]
    except (HardwareError, OSError) as error:
        print(f"bench: {error}; give a folder of pictures", file=sys.stderr)
        return 2
    if not all(clips):
        print(f"bench: no picture of {args.source} can be read; give a folder of pictures", file=sys.stderr)
        return 2
    if args.parked:
        clips = [parked(lumas[len(lumas) // 2], len(lumas)) for lumas in clips]
    try:
        bench = Bench()
    except DetectorError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 3
    figures = [
        bench.measure(lumas, args.rounds, small_stream=small)
        for lumas, (_, _, small) in zip(clips, SIZES, strict=True)
    ]
    if args.json:
        facts = {"runtime": bench.runtime, "peak_mb": peak_mb(), "sizes": [asdict(one) for one in figures]}
        print(json.dumps(facts))
    else:
        show(figures, bench.runtime)
    return 0


if __name__ == "__main__":
    sys.exit(main())
