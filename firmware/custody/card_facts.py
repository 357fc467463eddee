"""What the cards of the models say of their own errors, as evidence packages carry it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import detector

MODELS = Path(detector.__file__).parent / "models"


def card_facts(folder: Path = MODELS) -> dict[str, str]:
    """The figures in the cards of the models that this program reads with."""
    facts: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        figures = tomllib.loads(path.read_text(encoding="utf-8")).get("figures", {})
        facts |= {f"{path.stem}, card: {name}": _figure_text(value) for name, value in figures.items()}
    return facts


def _figure_text(value: object) -> str:
    """A figure of a card in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_figure_text(one)}" for name, one in value.items())
    if isinstance(value, list):
        return "; ".join(_figure_text(one) for one in value)
    return str(value)
