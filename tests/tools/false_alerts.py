"""How often an alert would sound for the wrong vehicle, and for the right one.

python -m tests.tools.false_alerts --data DIR us-scenes us-closeups ...
python -m tests.tools.false_alerts --data DIR --sequences
python -m tests.tools.false_alerts --vehicles 200

Each labeled plate of split `dev` is a pass of one frame. With --vehicles the passes are those of rendered
clips, with the vote over all frames (their plates are of no state's design); with --sequences they are those
of split `dev` of the real sequences. The matcher requires 0.99 of a single look, and the policy's
`sound_score` of a vote.

The hot list has a million plausible plates without the true one. The chance that a form of the text is on it
follows from the states' formats: FormatPrior gives p(text | state); 85 % of the list are of the home state,
and the rest are spread evenly. No list is drawn: the figure is the mean over all lists of that kind. Then the
true plate, with the state of its label, is added to the list to see whether its alert sounds.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detector.jurisdictions import FormatPrior
from detector.plates import PlateReading, PlateText, VehiclePass
from detector.reader import PlateReader
from detector.track import Tracker
from detector.training.datasets import LabeledPlate
from detector.training.evaluate import chosen_pictures
from detector.training.evaluate_passes import play
from detector.training.metrics import overlap
from detector.training.render.passes import Clip, draw_clip
from detector.training.render.passes_picture import ClipPictures
from firmware.alerts.agreement import contradicts_state
from firmware.alerts.likelihood import likely_forms
from firmware.alerts.matching import ONE_LOOK_SCORE
from storage.alert_terms import DEFAULT_ALERTS
from storage.plate_text import fold

ENTRIES = 1_000_000
HOME, HOME_SHARE = "US-CA", 0.85
FOUND = 0.3
SETS = ["us-scenes", "us-closeups", "open-lpr"]
SEQUENCES = {"uk-single-seq": 10.0, "vn-toll-seq": 7.5, "nl-clips": 1.2}  # frames/s of each one's stills


def weights(prior: FormatPrior) -> np.ndarray:
    """The share of each state on a list, (J,)."""
    american = [code for code in prior.codes if code.startswith("US-")]
    rest = (1 - HOME_SHARE) / (len(american) - 1)
    by_code = {code: HOME_SHARE if code == HOME else rest for code in american}
    return np.array([by_code.get(code, 0.0) for code in prior.codes])


def spellings(form: str) -> list[str]:
    """Every text with this folded form, at most 64."""
    made = [""]
    for character in form:
        options = {"0": "0O", "1": "1I"}.get(character, character)
        made = [head + one for head in made for one in options][:64]
    return made


def expected_on_list(form: str, prior: FormatPrior, shares: np.ndarray, blocked: np.ndarray) -> float:
    """How many entries of a plausible list have this form and a state that does not contradict the read."""
    open_shares = np.where(blocked, 0.0, shares)
    return sum(
        ENTRIES * float(prior.lifts(text) @ open_shares) * 36.0 ** -len(text) for text in spellings(form)
    )


def best_reading(plate: LabeledPlate, readings: Sequence[PlateReading]) -> PlateReading | None:
    """The reading at a labeled plate."""
    if plate.box is None:
        return None
    shares = [overlap(one.box.box, plate.box) for one in readings]
    at = int(np.argmax(shares)) if shares else -1
    return readings[at] if at >= 0 and shares[at] >= FOUND else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One pass as the matcher sees it: folded forms with their probabilities, named states, and the truth.

    `forms` is empty for a vehicle that was not read. `region`: of the true plate, empty if unknown.
    `whole`: the whole plate was visible, so that its alert is expected.
    """

    true: str
    whole: bool
    region: str
    forms: tuple[tuple[str, float], ...]
    told: tuple[tuple[str, float], ...]


def seen_of(text: PlateText | None, plate: str, region: str, *, whole: bool = True) -> Seen:
    """A vote as the matcher sees it, with the truth."""
    if text is None:
        return Seen(true=fold(plate), whole=whole, region=region, forms=(), told=())
    forms = tuple(likely_forms(text, DEFAULT_ALERTS.list_score))
    told = tuple((str(code), float(sure)) for code, sure in text.jurisdiction)
    return Seen(true=fold(plate), whole=whole, region=region, forms=forms, told=told)


def of_pictures(reader: PlateReader, data: Path, sets: list[str]) -> list[Seen]:
    """Each labeled plate of split `dev` as a pass of one frame."""
    found = []
    for picture in chosen_pictures(data, "dev", sets):
        readings = reader.read(picture.luma()).readings
        for plate in picture.plates:
            if plate.text:
                reading = best_reading(plate, readings)
                found.append(seen_of(None if reading is None else reading.text, plate.text, plate.region))
    return found


def of_sequences(reader: PlateReader, data: Path) -> list[Seen]:
    """Each pass of the real sequences, with the vote over its frames, and each plate without a pass."""
    found = []
    for name, fps in SEQUENCES.items():
        pictures, tracker = (
            chosen_pictures(data, "dev", [name]),
            Tracker(reader.decoding, reader.see_together),
        )
        passes: list[VehiclePass] = []
        for number, picture in enumerate(pictures):
            luma = picture.luma()
            seen = reader.read(luma, wanted=tracker.wants_text)
            step = tracker.update(number, int(number * 1e6 / fps), (luma.shape[0], luma.shape[1]), seen)
            passes += step.ended
        unread = {plate.text for picture in pictures for plate in picture.plates}
        for one in [*passes, *tracker.flush()]:
            true = next((p.text for p in pictures[one.best_sequence].plates if _at(p, one)), "")
            unread.discard(true)
            found.append(seen_of(one.text, true, "", whole=bool(true)))
        found += [seen_of(None, text, "") for text in sorted(unread)]
    return found


def _at(plate: LabeledPlate, one: VehiclePass) -> bool:
    return plate.box is not None and overlap(one.best_box.box, plate.box) >= FOUND


def of_clips(reader: PlateReader, vehicles: int, kept: Path) -> list[Seen]:
    """Vehicles of rendered clips, each with the vote over its frames; `kept`: file of earlier results."""
    found: list[Seen] = []
    done = set()
    if kept.is_file():
        for line in kept.read_text().splitlines():
            facts = json.loads(line)
            done.add(facts["seed"])
            found += [_seen(one) for one in facts["seen"]]
    seed = 0
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("a") as file:
        while len(found) < vehicles:
            if seed not in done:
                fresh = play_clip(reader, draw_clip(seed))
                found += fresh
                file.write(json.dumps({"seed": seed, "seen": [asdict(one) for one in fresh]}) + "\n")
                file.flush()
            seed += 1
    return found


def _seen(facts: dict[str, Any]) -> Seen:
    pairs = {name: tuple((str(a), float(b)) for a, b in facts[name]) for name in ("forms", "told")}
    return Seen(true=str(facts["true"]), whole=bool(facts["whole"]), region=str(facts["region"]), **pairs)


def play_clip(reader: PlateReader, clip: Clip) -> list[Seen]:
    """Play a clip through reader, tracker and vote; its countable vehicles, and the others with a pass."""
    texts: list[PlateText] = []
    outcome = play(reader, clip, ClipPictures(clip), told=texts.append)
    by_text = {one.text: one for one in texts}
    found = []
    for vehicle in outcome.vehicles:
        if vehicle.countable or vehicle.passes:
            text = by_text.get(vehicle.text)
            found.append(seen_of(text, vehicle.truth, "", whole=vehicle.countable))
    return found


def table(found: Sequence[Seen], codes: Sequence[str]) -> None:
    """Print both rates at the default thresholds and at others."""
    prior = FormatPrior(tuple(codes))
    shares, terms = weights(prior), DEFAULT_ALERTS
    count = sum(one.whole for one in found)
    print("threshold   false alerts per million passes   true plates that sound   listed silently")
    for threshold in sorted({0.5, 0.8, 0.9, terms.sound_score, 0.95, ONE_LOOK_SCORE, 0.99}):
        false, sounds, silent = 0.0, 0, 0
        for one in found:
            blocked = np.array([contradicts_state(one.told, code, codes) for code in codes])
            score = 0.0
            for form, probability in one.forms:
                if form == one.true:
                    score = probability
                elif probability >= threshold:
                    false += expected_on_list(form, prior, shares, blocked)
            agrees = not one.region.startswith("US-") or not contradicts_state(one.told, one.region, codes)
            sounds += one.whole and score >= threshold and agrees
            silent += one.whole and score >= terms.list_score and not (score >= threshold and agrees)
        error = 1.96 * math.sqrt(max(sounds, 1) * (count - sounds) / count) / count
        print(
            f"{threshold:9.2f} {1e6 * false / len(found):33.1f} {sounds / count:17.3f} +- {error:.3f} "
            f"{silent / count:17.3f}",
            flush=True,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Print both rates for pictures, or for rendered passes."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.false_alerts", description=__doc__)
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--vehicles", type=int, default=0, help="of rendered clips, in place of pictures")
    parser.add_argument("--sequences", action="store_true", help="the real sequences, in place of pictures")
    parser.add_argument("--out", type=Path, default=Path("run/alerts.jsonl"), help="goes on where it ends")
    asked = parser.parse_args(argv)
    reader = PlateReader.from_models()
    codes = reader.decoding.text.jurisdictions
    if asked.vehicles:
        found = of_clips(reader, asked.vehicles, asked.out)
        print(f"{len(found)} vehicles of rendered clips; lists of {ENTRIES:,} entries")
    elif asked.sequences:
        found = of_sequences(reader, asked.data)
        print(f"{len(found)} passes of {', '.join(SEQUENCES)}; lists of {ENTRIES:,} entries")
    else:
        found = of_pictures(reader, asked.data, asked.sets)
        print(f"{len(found)} plates of {', '.join(asked.sets)}; lists of {ENTRIES:,} entries")
    table(found, codes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
