"""Compares names of units as people type them: Car-12, car 12 and CAR12 are one name. No I/O."""

from __future__ import annotations

from collections.abc import Iterable


def alike(name: str, names: Iterable[str]) -> str:
    """The first of the names that differs from this one only in case, spaces and punctuation; else empty."""
    wanted = _folded(name)
    return next((one for one in names if one != name and _folded(one) == wanted), "") if wanted else ""


def _folded(name: str) -> str:
    return "".join(one for one in name.casefold() if one.isalnum())
