"""Plate formats of the states and countries that the reader can name, as a soft prior over texts.

It is a prior, never a filter: every jurisdiction gives a share of its mass to texts without a format, so that
vanity plates remain possible and clear pixels win. In a format, ``A`` is any letter, ``L`` a letter that the
issuer uses (all but its ``skips``) and ``9`` a digit. Sources: Wikipedia, "United States license plate
designs and serial formats" and the pages of the states, "Vehicle registration plates of Europe" and the pages
of the countries (read 2026). Replaced series that are still on the road are listed too. A share is a rough
figure: a factor of two is about half a nat, far less than one clear character weighs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .plates import ALPHABET, CLASSES, F32, NO_CHARACTER

F64 = NDArray[np.float64]

_STATE_VANITY = 0.18  # texts without a format: vanity, special and older plates; 15 to 20 % of US crops
_ELSEWHERE_VANITY = 0.06
_PLACES_TOLD = 5
LEAST_TOLD = 0.005  # a candidate less likely than this is not listed
_TEXTS_KEPT = 128  # candidates of the plates in view
# Shares of the lengths of texts without a format, 1 to 10 characters (US vanity plates have at most 7 or 8)
_LENGTHS = (0.002, 0.01, 0.04, 0.12, 0.2, 0.24, 0.28, 0.08, 0.02, 0.008)

# code: (formats with their weights, letters that the issuer skips)
_US: dict[str, tuple[str, str]] = {
    "AK": ("AAA999", ""),
    "AL": ("99A999A 9A9999A 9A99A9A 99A99A9 99AA999 9AA9999", "IOQ"),
    "AR": ("999LLL:4 LLL99L LLL999", "IOQ"),
    "AZ": ("LLL9999:4 LLL9LL:1 L9LLL9L LL9LLLL LLL9LLL 999LLL:1", "IOQU"),
    "CA": ("9LLL999:9 9A99999 99999A9 LLL999:1", "IOQ"),
    "CO": ("LLL999 999LLL LLLA99:2 AAA9999", "IOQ"),
    "CT": ("AA99999:3 999AAA:3 9AAAA9", "IO"),
    "DC": ("LL9999", "IO"),
    "DE": ("999999:8 99999 9999", ""),
    "FL": ("LLLL99:3 999LLL:2 L999LL:2 LL9LL LLL9LL 99LLLL", "O"),
    "GA": ("LLL9999:6 999LLL 9999LLL", ""),
    "HI": ("AAA999", "IOQ"),
    "IA": ("LLL999 999LLL:3 9999LL", "IOQ"),
    "ID": ("9A999999 9A9999 A999999:2 9A99999 A99999 9LL9999 9A9999A", "O"),
    "IL": ("AA99999:3 A999999:3 9999999:3 999999 99999", ""),
    "IN": ("999A:1 999AA:2 999AAA:6 99A9999", "IO"),
    "KS": ("999LLL:4 9999LLL 9999LL", "IOQ"),
    "KY": ("999LLL:4 L9L999 LLL999 9999LL", "IOQ"),
    "LA": ("999LLL:2 LLL999:5", "IOQ"),
    "MA": ("9LL999 9999LL 999LL9:3 99LL99:2 9LLL99 9LLL999", "IOQU"),
    "MD": ("9AA9999:3 AAA999 9AAA99 AA99999", "IOQU"),
    "ME": ("9999LL:4 999LLL:2 9999L", "IOQ"),
    "MI": ("LLL9999:3 9LLL99:3 LLL999", "IOQ"),
    "MN": ("999LLL:3 LLL999:3 99LLL9", "IOQ"),
    "MO": ("LL9L9L:8 LL9A9A 999LLL", "IOQ"),
    "MS": ("LLL999:3 LLL9999:2 LL99999", "IOQ"),
    "MT": ("999999A:4 99999A 9999A AAA999 AAA99A", "O"),
    "NC": ("LLL9999:8 LLL999", "IOQU"),
    "ND": ("999LLL:3 LLL999:2", "IOQ"),
    "NE": ("LLL999:4 9A9999 99A9999 9AA999", "IOQ"),
    "NH": ("9999999:4 999999 999AAAA", ""),
    "NJ": ("L99LLL:4 LLL99L:4 LL999L LLL999", "IOQ"),
    "NM": ("999LLL:2 LLL999:3 LLLL99 AAAL99", "IOQ"),
    "NV": ("999LLL:4 99L999 999L99 LLL999", "IOQ"),
    "NY": ("LLL9999:8 AAA999", "IOQ"),
    "OH": ("LLL9999:6 LL99LL 99AAA", "IOQ"),
    "OK": ("LLL999:4 999LLL:2", "IOQ"),
    "OR": ("999LLL:4 LLL999:2 LLL99L", "IOQ"),
    "PA": ("LLL9999:8 AAA999", "IOQ"),
    "RI": ("999999:3 AA999:3 9AA999", "IOQ"),
    "SC": ("LLL999:3 999LLL:3 9999LL", "IOQ"),
    "SD": ("9AA999:2 99A999 9A9999 AA9999 99AA99", "IOQ"),
    "TN": ("LLL9999:2 999LLL:4 A9999A L9999L 99A9A9", "IOQ"),
    "TX": ("LLL9999:6 LL9L999:3 999LLL LLL999 99LLL9", "EIOQU"),
    "UT": ("L999LL:3 999LLL:1 9L9LL 9L9LZ AAA9AA L99LLL", "IOQ"),
    "VA": ("LLL9999:6 9999LL AA9999 AAA999", "IOQ"),
    "VT": ("LLL999:6 99999 9999", "IJOQU"),
    "WA": ("LLL9999:4 999LLL:3 LLL99LL", "IOQ"),
    "WI": ("LLL9999:3 999LLL:4 AAA999", "IOQ"),
    "WV": ("9AA999:2 9A9999:2 AAA999 AA9999", "IQ"),
    "WY": ("99999 9999A 99999A 9999 999AA", "IOQ"),
}
# Europe (United Kingdom included) is one code for the reader; series of each country, by cars on the road.
_EU = (
    "AA99AAA:8 A999AAA:3 A99AAA AAA999A AAA999 "  # United Kingdom: current, prefix, suffix series
    "AA999AA:14 9999AA99 999AAA99 "  # France, Italy, Albania
    "AAAA999 AAAA9999:2 AAA9999:4 AAA999:3 AAA99:1 AAAA99 AA9999 AA999 AA99 AAA99E "  # Germany
    "99AAA9 AA999A 9AAA99 A999AA 99AAAA AAAA99 AAA99A 9999AA "  # Netherlands
    "9999AAA:3 "  # Spain
    "9AAA999 AAA999 999AAA "  # Belgium, Finland, Hungary, Lithuania, Sweden, Estonia
    "AA99999:2 AAA99A AAA9A99 AA9999A AAA9999 A9AAA AAA99AA "  # Poland, Norway, Denmark, Greece
    "9A99999 9AA9999 9A9A999 "  # Czechia
    "AA99AAA:3 A99AAA A999AAA "  # Romania
    "AA999999 AA9999 AA99999 "  # Switzerland, Latvia
    "AA9999AA A9999AA AA9999AA "  # Bulgaria, Ukraine
    "9999AA 99AA99 99A99999 999A9999 99AA999 "  # Portugal, Ireland
    "AA999AA AA9999AA AA99AAA A99999A A9999AA"  # Slovakia, Croatia, Serbia, Austria
)
_WORLD: dict[str, tuple[str, str]] = {
    "EU": (_EU, ""),
    "BR": ("AAA9999:6 AAA9A99:4", ""),
    "AR": ("AAA999:5 AA999AA:5 A999AAA", ""),
    "MX": ("AAA9999:3 AAA999A:2 999AAA AA99999 A99AAA", "IOQ"),
    "VN": ("99A99999:5 99A9999:2 99AA99999", "IJOQW"),
    "PK": ("AAA9999:3 AAA999:3 AA999 AA9999 AAA99999", ""),
    "IN": ("AA99AA9999:6 AA99A9999:2 AA9A9999", "IO"),
    "AU": ("AAA999 999AAA AAA99A AA99AA:2 9AAA999:2 AA999A 999AA9", ""),
    "RU": ("L999LL99:3 L999LL999:3 L999LL", "DFGIJLNQRSUVWZ"),
    "SG": ("AAA9999A:5 AAA999A AAA99A AA9999A", "IO"),
    "ZA": ("AA99AAAA:3 AAA999AA:3 AA999999 AA99999", ""),
    "AE": ("A99999:4 99999 A9999 AA99999", ""),
}

STATES, COUNTRIES = tuple(_US), tuple(_WORLD)
# A jurisdiction less probable than this is a guess and is left out of a read. Of drawn plates, 9 of the 686
# named from 0.8 up were wrong, and 2 of the 584 from here up; of calibration plates, none of 48 and of 47.
NAMED_FROM = 0.95
NO_PLACE = "unknown"  # a net's code for all issuers that it cannot name


_SHAPES = str.maketrans({sign: "9" if sign.isdigit() else "A" for sign in ALPHABET})


@dataclass(frozen=True, slots=True)
class Format:
    """One series: its ``shape`` in A and 9, the letters that it skips, and its share of the plates."""

    shape: str
    skips: frozenset[str]
    share: float

    @property
    def lift(self) -> float:
        """How much likelier a text of the series is than a random text of its length (36 ** -length)."""
        letters = self.shape.count("A")
        return (36.0 / (26 - len(self.skips))) ** letters * 3.6 ** (len(self.shape) - letters)


def formats_of(code: str) -> tuple[Format, ...]:
    """The series of a jurisdiction, with shares that add up to 1; none for an unknown code."""
    text, skips = _US.get(code.removeprefix("US-"), ("", "")) if code.startswith("US-") else ("", "")
    text, skips = _WORLD.get(code, (text, skips))
    series = []
    for word in text.split():
        pattern, _, weight = word.partition(":")
        used = frozenset(skips) if "L" in pattern else frozenset()
        literal = "".join("9" if sign == "9" else "A" for sign in pattern)
        series.append(Format(literal, used, float(weight or 1)))
    whole = sum(one.share for one in series)
    return tuple(Format(one.shape, one.skips, one.share / whole) for one in series)


def shape_of(text: str) -> str:
    """The shape of a text: ``7ABC123`` gives ``9AAA999``."""
    return text.translate(_SHAPES)


class FormatPrior:
    """How much likelier each jurisdiction makes a text, in the order of a net's codes.

    Everything is relative to 36 ** -length. The nets were trained on enough random texts to count the
    characters, and a prior over whole texts would always prefer the shorter one.
    """

    def __init__(self, codes: Sequence[str]) -> None:
        self.codes = tuple(codes)
        self.lifts = lru_cache(_TEXTS_KEPT)(self._lifts)  # successive frames need the same few texts
        self._by_shape: dict[str, list[tuple[int, Format, float]]] = {}
        self._vanity = np.ones(len(self.codes))
        for index, code in enumerate(self.codes):
            series = formats_of(code)
            if series:
                self._vanity[index] = _STATE_VANITY if code.startswith("US-") else _ELSEWHERE_VANITY
            for one in series:
                gain = float(1.0 - self._vanity[index]) * one.share * one.lift
                self._by_shape.setdefault(one.shape, []).append((index, one, gain))

    def _lifts(self, text: str) -> F64:
        """p(text | jurisdiction) / 36 ** -length for each code, (J,), vanity included; read-only."""
        out = self._vanity * _length_share(len(text))
        for index, series, gain in self._by_shape.get(shape_of(text), ()):
            if series.skips.isdisjoint(text):
                out[index] += gain
        out.flags.writeable = False
        return out

    def log_slot_prior(self, text: str, chances: F64) -> F64:
        """log lift (S, 37) of ``text`` with each slot replaced by each class; the last leaves the slot out.

        chances: probabilities (J,) of the jurisdictions.
        """
        free = float(self._vanity @ chances) * _length_share(len(text))
        odds = chances.tolist()
        out = np.full((len(text), CLASSES), free)
        shape = shape_of(text)
        for slot in range(len(text)):
            before, after = shape[:slot], shape[slot + 1 :]
            rest = text[:slot] + text[slot + 1 :]
            skipped: dict[str, float] = {}
            for letters, first, last in (("A", 0, 26), ("9", 26, 36)):
                whole = 0.0
                for index, series, lift in self._by_shape.get(before + letters + after, ()):
                    if not series.skips.isdisjoint(rest):
                        continue
                    gain = odds[index] * lift
                    whole += gain
                    if letters == "A":
                        for sign in series.skips:
                            skipped[sign] = skipped.get(sign, 0.0) + gain
                out[slot, first:last] += whole
            for sign, gain in skipped.items():
                out[slot, ALPHABET.index(sign)] -= gain
            out[slot, NO_CHARACTER] = float(self.lifts(rest) @ chances)
        np.maximum(out[:, :NO_CHARACTER], free, out=out[:, :NO_CHARACTER])
        return np.asarray(np.log(np.maximum(out, 1e-300)))

    def fits(self, text: str, chances: F64) -> float:
        """Probability (0..1) that the text belongs to a series of its jurisdiction."""
        weights = chances * self.lifts(text)
        free = chances * self._vanity * _length_share(len(text))
        return 1.0 - float(free.sum()) / max(float(weights.sum()), 1e-300)

    def informed(self, text: str, chances: F64, weight: float) -> F64:
        """Jurisdiction probabilities (J,) given the text: chances x p(text | j) ** weight."""
        joint = chances * self.lifts(text) ** weight
        return np.asarray(joint / max(float(joint.sum()), 1e-300))


def _length_share(length: int) -> float:
    return _LENGTHS[length - 1] if 0 < length <= len(_LENGTHS) else 1e-6


def join_chances(seen: Sequence[F32]) -> F64:
    """The geometric mean (J,) of several frames' probabilities of each jurisdiction."""
    logs = np.add.reduce(np.log(np.maximum(np.array(seen), 1e-6)), axis=0, dtype=np.float64) / len(seen)
    chances = np.exp(logs - logs.max(initial=0.0))
    return np.asarray(chances / max(float(chances.sum()), 1e-300))


def name_places(codes: tuple[str, ...], chances: F64) -> tuple[tuple[str, float], ...]:
    """The likeliest codes with their probabilities, without the one that means no name."""
    order = np.argsort(-chances, kind="stable")[:_PLACES_TOLD]
    return tuple(
        (codes[i], float(chances[i])) for i in order if chances[i] >= LEAST_TOLD and codes[i] != NO_PLACE
    )
