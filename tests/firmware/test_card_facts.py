"""The models' own figures, as evidence packages carry them."""

from __future__ import annotations

from pathlib import Path

from firmware.custody.card_facts import MODELS, card_facts


def test_figures_of_every_card_have_a_line_each(tmp_path: Path) -> None:
    (tmp_path / "reader.toml").write_text(
        'title = "x"\n[figures]\nus-crops = {exact = 0.947, plates = 188}\nsets = ["a", "b"]\n'
    )
    (tmp_path / "finder.toml").write_text('title = "without figures"\n')
    assert card_facts(tmp_path) == {
        "reader, card: us-crops": "exact 0.947, plates 188",
        "reader, card: sets": "a; b",
    }


def test_the_cards_that_are_read_with_are_named() -> None:
    assert {path.stem for path in MODELS.glob("*.toml")} >= {"plate-detector", "plate-reader"}
    assert all("\n" not in line for line in card_facts().values())
