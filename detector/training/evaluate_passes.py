"""Measures passes: ``python -m detector.training.evaluate_passes --passes 1000 --out run/passes.jsonl``.

It renders clips of vehicles with their truth (``render.passes``), plays them through the shipped nets, the
tracker and the vote, and counts what became of every vehicle: right, wrong and sure, missed or merged,
counted twice. Each clip's outcome is a line of the file; an interrupted run resumes after the last one.

With ``--recordings DIR`` each clip is rendered and read only once, and what the nets read is kept there.
After a change to tracker or vote, the same command with another ``--out`` plays the clips again in moments.

A vehicle counts if at least two frames show its whole plate at least 45 px wide (one frame, at fewer than 4
frames per second). A pass belongs to the vehicle whose plate contains the box of the pass's kept picture.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import DetectorError
from ..plates import FrameReadings, PlateBox, PlateText, VehiclePass
from ..reader import PlateReader
from ..track import Tracker
from .metrics import folded
from .recordings import RecordedFrame, load, read_in_full, save
from .render.passes import KINDS, Clip, draw_clip
from .render.passes_picture import ClipPictures, PassFrame, SeenPlate

LEAST_WIDTH_PX, LEAST_FRAMES, SPARSE_FPS = 45.0, 2, 4.0
_Frame = TypeVar("_Frame", PassFrame, RecordedFrame)
_WHOLE = 0.995  # a plate is whole if this share of its points is visible
_Z = 1.96  # standard deviations on either side of a 95 % interval


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleOutcome:
    """What became of one vehicle. ``passes``: how many; ``text``, ``confidence``: those of the surest."""

    truth: str
    countable: bool
    passes: int
    text: str = ""
    confidence: float = 0.0
    right: bool = False
    shown_whole: bool = False  # the kept picture shows the whole plate
    direction: str = ""
    true_direction: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipOutcome:
    """One clip's vehicles, and the passes that belong to none of them."""

    seed: int
    kind: str
    fps: float
    fleet: bool
    frames: int
    vehicles: tuple[VehicleOutcome, ...]
    strays: tuple[tuple[str, float], ...] = ()


def play(
    reader: PlateReader,
    clip: Clip,
    frames: Iterable[PassFrame],
    *,
    told: Callable[[PlateText], object] = lambda _text: None,
) -> ClipOutcome:
    """Reads a clip as a camera's frames, and compares. told: called with the voted text of each pass."""

    def read(frame: PassFrame, tracker: Tracker) -> FrameReadings:
        return reader.read(frame.luma, wanted=tracker.wants_text)

    passes, shown = _track(reader, frames, read)
    for one in passes:
        told(one.text)
    return compare(clip, passes, shown)


def _track(
    reader: PlateReader, frames: Iterable[_Frame], read: Callable[[_Frame, Tracker], FrameReadings]
) -> tuple[list[VehiclePass], list[tuple[SeenPlate, ...]]]:
    """The passes of a clip, and the plates that each frame shows. read: reads a frame for a tracker."""
    tracker = Tracker(reader.decoding, reader.see_together)
    passes: list[VehiclePass] = []
    shown: list[tuple[SeenPlate, ...]] = []
    for frame in frames:
        passes += tracker.update(frame.number, frame.time_us, frame.shape, read(frame, tracker)).ended
        shown.append(frame.plates)
    passes += tracker.flush()
    return passes, shown


def _play_clip(reader: PlateReader, clip: Clip, recordings: Path | None) -> ClipOutcome:
    """Plays a clip. With a folder of recordings, it is rendered and read only if not yet recorded."""
    if recordings is None:
        return play(reader, clip, ClipPictures(clip))
    path = recordings / f"{clip.seed}.npz"
    if not path.is_file():
        recordings.mkdir(parents=True, exist_ok=True)
        save(path, [read_in_full(reader, frame) for frame in ClipPictures(clip)], reader.model_hashes)
    recorded = load(path, reader.decoding, reader.model_hashes)
    return compare(clip, *_track(reader, recorded, RecordedFrame.as_asked))


def compare(clip: Clip, passes: Sequence[VehiclePass], shown: Sequence[Sequence[SeenPlate]]) -> ClipOutcome:
    """Assigns each pass to the vehicle whose plate its kept picture shows. shown: each frame's plates."""
    mine: dict[int, list[VehiclePass]] = {index: [] for index in range(len(clip.rides))}
    strays = []
    for one in passes:
        ride = _plate_under(one.best_box, shown[one.best_sequence])
        if ride is None:
            strays.append((one.text.text, round(one.text.confidence, 3)))
        else:
            mine[ride].append(one)
    vehicles = [_outcome(clip, index, mine[index], shown) for index in range(len(clip.rides))]
    return ClipOutcome(
        seed=clip.seed,
        kind=clip.kind,
        fps=clip.fps,
        fleet=clip.fleet,
        frames=clip.frames,
        vehicles=tuple(vehicles),
        strays=tuple(strays),
    )


def _plate_under(box: PlateBox, plates: Sequence[SeenPlate]) -> int | None:
    """The ride whose plate contains a box's center, the nearest if there are two."""
    x, y = box.center
    found = []
    for one in plates:
        low, high = one.corners.min(axis=0), one.corners.max(axis=0)
        reach = 0.35 * (high - low)
        if (low[0] - reach[0] < x < high[0] + reach[0]) and (low[1] - reach[1] < y < high[1] + reach[1]):
            found.append((math.dist((x, y), one.corners.mean(axis=0)), one.ride))
    return min(found)[1] if found else None


def _outcome(
    clip: Clip, index: int, passes: Sequence[VehiclePass], shown: Sequence[Sequence[SeenPlate]]
) -> VehicleOutcome:
    ride = clip.rides[index]
    clear = {
        number
        for number, plates in enumerate(shown)
        for one in plates
        if one.ride == index and one.shows >= _WHOLE and one.width_px >= LEAST_WIDTH_PX
    }
    enough = 1 if clip.fps < SPARSE_FPS else LEAST_FRAMES
    if not passes:
        return VehicleOutcome(truth=ride.text, countable=len(clear) >= enough, passes=0)
    best = max(passes, key=lambda one: one.text.confidence)
    whole = any(one.ride == index and one.shows >= _WHOLE for one in shown[best.best_sequence])
    return VehicleOutcome(
        truth=ride.text,
        countable=len(clear) >= enough,
        passes=len(passes),
        text=best.text.text,
        confidence=round(best.text.confidence, 4),
        right=folded(best.text.text) == folded(ride.text),
        shown_whole=whole,
        direction=best.direction,
        true_direction=ride.direction,
    )


def interval(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if not total:
        return 0.0, 1.0
    share = count / total
    middle = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
    half = _Z / (1 + _Z**2 / total) * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def counted(clips: Sequence[ClipOutcome], sure_from: float) -> dict[str, int]:
    """Counts what became of all countable vehicles."""
    vehicles = [one for clip in clips for one in clip.vehicles if one.countable]
    every = [one for clip in clips for one in clip.vehicles]
    return {
        "passes": len(vehicles),
        "right": sum(one.right and one.passes == 1 for one in vehicles),
        "wrong and sure": sum(
            bool(one.passes) and not one.right and one.confidence >= sure_from for one in every
        ),
        "wrong, not sure": sum(
            bool(one.passes) and not one.right and one.confidence < sure_from for one in vehicles
        ),
        "missed or merged": sum(not one.passes for one in vehicles),
        "counted twice": sum(one.passes > 1 for one in every),
        "kept picture shows the whole plate": sum(one.shown_whole for one in vehicles),
        "no plate, sure": sum(sure >= sure_from for clip in clips for _, sure in clip.strays),
    }


def load_outcomes(path: Path) -> list[ClipOutcome]:
    """The outcomes in a file; an incomplete last line is ignored."""
    if not path.is_file():
        return []
    clips = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            facts = json.loads(line)
        except json.JSONDecodeError:
            continue
        facts["vehicles"] = tuple(VehicleOutcome(**one) for one in facts["vehicles"])
        facts["strays"] = tuple((text, sure) for text, sure in facts["strays"])
        clips.append(ClipOutcome(**facts))
    return clips


def show(clips: Sequence[ClipOutcome], sure_from: float) -> None:
    """Prints the figures with their intervals, then a line for each kind and each frame rate."""
    figures = counted(clips, sure_from)
    total = figures.pop("passes")
    frames = sum(clip.frames for clip in clips)
    print(f"{total} passes, {len(clips)} clips, {frames} frames; sure from {sure_from:.2f}")
    for name, count in figures.items():
        low, high = interval(count, total)
        print(f"{name:<36}{count:>6}   95 % {1000 * low:6.1f} to {1000 * high:6.1f} in 1,000")
    groups: list[tuple[str, Callable[[ClipOutcome], str]]] = [
        ("kind", lambda clip: clip.kind),
        ("frames/s", lambda clip: f"{clip.fps:g}"),
        ("fleet", lambda clip: "of one fleet" if clip.fleet else "unrelated"),
    ]
    for name, key in groups:
        print(f"\n{name:<18}passes  right  wrong+sure  missed  twice")
        for value in sorted({key(clip) for clip in clips}, key=str):
            one = counted([clip for clip in clips if key(clip) == value], sure_from)
            print(
                f"{value:<18}{one['passes']:>6}{one['right']:>7}{one['wrong and sure']:>12}"
                f"{one['missed or merged']:>8}{one['counted twice']:>7}"
            )


def show_mistakes(clips: Sequence[ClipOutcome], sure_from: float) -> None:
    """Prints a line for each vehicle that was not counted once with the right text."""
    for clip in clips:
        for one in clip.vehicles:
            bad = one.passes > 1 or (bool(one.passes) and not one.right and one.confidence >= sure_from)
            if bad or (one.countable and not one.right):
                print(
                    f"clip {clip.seed} {clip.kind}, {clip.fps:g} frames/s, fleet {clip.fleet}: {one.truth} "
                    f"told {one.passes} times, {one.text!r} at {one.confidence:.2f}"
                )
        for text, sure in clip.strays:
            if sure >= sure_from:
                print(f"clip {clip.seed} {clip.kind}: {text!r} at {sure:.2f} is on no plate")


def main(argv: list[str] | None = None) -> int:
    """Command line. Exits 3 if a model or the runtime is missing, 2 for a file that cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m detector.training.evaluate_passes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m detector.training.evaluate_passes --passes 1000 --out run/passes.jsonl",
    )
    parser.add_argument("--passes", type=int, default=1000, help="at least so many vehicles (default 1000)")
    parser.add_argument(
        "--out", type=Path, required=True, help="outcomes, one line per clip; an existing file is resumed"
    )
    parser.add_argument(
        "--recordings", type=Path, metavar="DIR", help="keep what the nets read, and play it where it is kept"
    )
    parser.add_argument("--models", type=Path, help="folder of the nets (default: the shipped ones)")
    parser.add_argument(
        "--first", type=int, default=0, metavar="SEED", help="seed of the first clip (default 0)"
    )
    parser.add_argument("--kind", choices=tuple(KINDS), help="only clips of one kind")
    parser.add_argument("--mistakes", action="store_true", help="print each vehicle that is not right")
    arguments = parser.parse_args(argv)
    try:
        reader = PlateReader.from_models(arguments.models)
    except DetectorError as error:
        print(f"evaluate_passes: {error}", file=sys.stderr)
        return 3
    try:
        clips = load_outcomes(arguments.out)
        done = Counter(clip.seed for clip in clips)
        passes, seed = sum(one.countable for clip in clips for one in clip.vehicles), arguments.first
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        with arguments.out.open("a", encoding="utf-8") as file:
            while passes < arguments.passes:
                clip = draw_clip(seed)
                if not done[seed] and arguments.kind in (None, clip.kind):
                    outcome = _play_clip(reader, clip, arguments.recordings)
                    passes += sum(one.countable for one in outcome.vehicles)
                    clips.append(outcome)
                    file.write(json.dumps(asdict(outcome)) + "\n")
                    file.flush()
                seed += 1
    except DetectorError as error:
        print(f"evaluate_passes: {error}", file=sys.stderr)
        return 2
    except (OSError, TypeError, KeyError) as error:
        print(f"evaluate_passes: {arguments.out}: {error}; choose another file", file=sys.stderr)
        return 2
    show(clips, reader.report_from)
    if arguments.mistakes:
        show_mistakes(clips, reader.report_from)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
