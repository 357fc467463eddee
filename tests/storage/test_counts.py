"""Numbers with their nouns, for sentences of the programs."""

from __future__ import annotations

import pytest

from storage.counts import counted


@pytest.mark.parametrize(
    ("number", "noun", "plural", "text"),
    [
        (1, "entry", "", "1 entry"), (0, "entry", "", "0 entries"), (2, "entry", "", "2 entries"),
        (2, "day", "", "2 days"), (2, "key", "", "2 keys"), (3, "log", "", "3 logs"),
        (1000, "read", "", "1,000 reads"), (2, "person", "people", "2 people"),
        (1, "person", "people", "1 person"), (2, "try", "", "2 tries"), (2, "image", "", "2 images"),
    ],
)  # fmt: skip
def test_a_noun_is_in_the_plural_unless_it_is_one(number: int, noun: str, plural: str, text: str) -> None:
    assert counted(number, noun, plural) == text
