"""A character's log odds say how much more often upright plates give it than flipped ones."""

from __future__ import annotations

from collections import Counter

from detector.plates import ALPHABET
from detector.training.fit_flipped import log_odds


def test_odds_are_rounded_and_bounded_and_even_where_nothing_was_seen() -> None:
    g, k, s, z = map(ALPHABET.index, "GKSZ")
    odds = log_odds(Counter({g: 999, k: 99, s: 9}), Counter({z: 999, s: 99, k: 9}))
    assert odds == {-2: "SZ", 0: "".join(sorted(set(ALPHABET) - set("GKSZ"))), 2: "K", 3: "G"}
