"""Measures one reader on one frame: milliseconds by stage, and the whole against the bare nets.

``python -m tests.tools.detector_bench IMAGE...``. The share of the array code depends on how many plates a
picture shows, so each picture has its own figures.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from detector.errors import DetectorError
from detector.plates import U8
from detector.reader import PlateReader

FRAME_SIZES = ((720, 1280), (1080, 1920))


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """Medians of one frame. ``stages_ms``: wall-clock milliseconds by stage.

    ``frame_ms``: CPU time of the whole read; ``wall_ms``: its wall-clock time, which depends on other
    programs; ``bare_ms``: only the nets' invoke(), as often as the frame needed it.
    """

    height: int
    width: int
    plates: int
    looks: int
    stages_ms: Mapping[str, float]
    frame_ms: float
    wall_ms: float
    bare_ms: float

    @property
    def ratio(self) -> float:
        """The CPU time of the whole frame divided by that of the bare nets."""
        return self.frame_ms / self.bare_ms


def bench_frame(reader: PlateReader, luma: U8, *, lores: U8 | None = None, rounds: int = 30) -> BenchResult:
    """Reads one frame ``rounds`` times, and as often only invokes the nets. luma: uint8 (H, W)."""
    seen = reader.read(luma, lores)
    looks = sum(len(reading.evidence.columns) for reading in seen.readings)
    stages: list[Mapping[str, float]] = []
    walls: list[float] = []

    def one_frame() -> None:
        begun = time.perf_counter()
        seen = reader.read(luma, lores)
        read_at = time.perf_counter()
        for reading in seen.readings:
            _ = reading.text  # computed on first access
        judged_ms = (time.perf_counter() - read_at) * 1e3
        stages.append({**seen.ms, "judge": judged_ms})
        walls.append((time.perf_counter() - begun) * 1e3)

    return BenchResult(
        height=luma.shape[0],
        width=luma.shape[1],
        plates=len(seen.readings),
        looks=looks,
        frame_ms=_cpu_ms(one_frame, rounds),
        wall_ms=float(np.median(walls)),
        bare_ms=_cpu_ms(lambda: reader.invoke_bare(looks), rounds),
        stages_ms={name: float(np.median([ms.get(name, 0.0) for ms in stages])) for name in stages[0]},
    )


def _cpu_ms(work: Callable[[], object], rounds: int) -> float:
    """Median CPU time of this thread, in ms; nets with one thread run in it."""
    spent = []
    for _ in range(rounds):
        begun = time.thread_time()
        work()
        spent.append((time.thread_time() - begun) * 1e3)
    return float(np.median(spent))


def peak_memory_mib() -> float:
    """The most resident memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main(argv: list[str] | None = None) -> int:
    """Command line. Exits 3 if a model or the runtime is missing, 2 if a picture cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.tools.detector_bench",
        description=__doc__,
        epilog="example: python -m tests.tools.detector_bench car.jpg",
    )
    parser.add_argument(
        "images", nargs="+", type=Path, help="pictures; each is scaled to 1280x720 and 1920x1080"
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    try:
        reader = PlateReader.from_models()
    except DetectorError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 3
    for path in arguments.images:
        try:
            with Image.open(path) as image:
                picture = image.convert("L")
        except OSError as error:
            print(f"bench: {path}: {error}", file=sys.stderr)
            return 2
        for height, width in FRAME_SIZES:
            luma = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
            result = bench_frame(reader, luma, rounds=arguments.rounds)
            _show(path, result, as_json=arguments.json)
    print(f"peak memory {peak_memory_mib():.0f} MiB", file=sys.stderr)
    return 0


def _show(path: Path, result: BenchResult, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"image": path.name, **asdict(result), "ratio": result.ratio}))
        return
    stages = "  ".join(f"{name} {ms:.2f}" for name, ms in result.stages_ms.items())
    print(
        f"{path.name} {result.width}x{result.height}: {result.plates} plates, {result.looks} looks, "
        f"{result.frame_ms:.2f} ms CPU ({result.wall_ms:.2f} wall), nets alone {result.bare_ms:.2f}, "
        f"ratio {result.ratio:.2f}; {stages}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
