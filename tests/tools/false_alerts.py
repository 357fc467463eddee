"""How often an alert would sound for the wrong vehicle, and for the right one: `make alert-rates`.

python -m tests.tools.false_alerts --data DIR us-scenes us-closeups ...

Each labeled plate of split `dev` is one pass of one frame (a real pass votes over many, so this is the
harder case). For a list of a million plausible plates without the true one, the chance that a form of the
text is on it comes from the formats of the states: FormatPrior gives p(text | state), and a list is 85 % of
the home state, the rest spread evenly. Expected, not drawn: the mean over all lists of that kind. The true
plate, with the state of its label, is then put on the list to see whether its alert sounds.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detector.jurisdictions import FormatPrior
from detector.plates import PlateReading
from detector.reader import PlateReader
from detector.training.datasets import LabeledPlate
from detector.training.evaluate import chosen_pictures
from detector.training.metrics import overlap
from firmware.alerts.agreement import contradicts_state
from firmware.alerts.likelihood import likely_forms
from storage.alert_terms import DEFAULT_ALERTS
from sync.hot_lists.entry import fold

ENTRIES = 1_000_000
HOME, HOME_SHARE = "US-CA", 0.85
FOUND = 0.3
SETS = ["us-scenes", "us-closeups", "open-lpr"]


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
    """How many entries of a plausible list have this form and a state that the read does not contradict."""
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


def main(argv: Sequence[str] | None = None) -> int:
    """Print both rates at the default thresholds and at others."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.false_alerts", description=__doc__)
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    asked = parser.parse_args(argv)
    reader = PlateReader.from_models()
    codes = reader.decoding.text.jurisdictions
    prior = FormatPrior(codes)
    shares = weights(prior)
    passes: list[tuple[PlateReading | None, LabeledPlate]] = []
    for picture in chosen_pictures(asked.data, "dev", asked.sets):
        readings = reader.read(picture.luma()).readings
        passes += [(best_reading(one, readings), one) for one in picture.plates if one.text]
    print(f"{len(passes)} plates of {', '.join(asked.sets)}; lists of {ENTRIES:,} entries")
    print("threshold   false alerts per million passes   true plates that sound   listed silently")
    terms = DEFAULT_ALERTS
    for threshold in (0.5, 0.8, terms.sound_score, 0.95, 0.98, 0.99):
        false, sounds, silent = 0.0, 0, 0
        for reading, plate in passes:
            if reading is None:
                continue
            told = reading.text.jurisdiction
            blocked = np.array([contradicts_state(told, code, codes) for code in codes])
            true = fold(plate.text)
            score = 0.0
            for form, probability in likely_forms(reading.text, terms.list_score):
                if form == true:
                    score = probability
                elif probability >= threshold:
                    false += expected_on_list(form, prior, shares, blocked)
            agrees = not plate.region.startswith("US-") or not contradicts_state(told, plate.region, codes)
            sounds += score >= threshold and agrees
            silent += score >= terms.list_score and not (score >= threshold and agrees)
        count = len(passes)
        rate = 1e6 * false / count
        error = 1.96 * math.sqrt(max(sounds, 1) * (count - sounds) / count) / count
        print(
            f"{threshold:9.2f} {rate:33.1f} {sounds / count:17.3f} +- {error:.3f} {silent / count:17.3f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
