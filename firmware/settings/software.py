"""The software that runs here, as records and reports name it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def software_version() -> str:
    """Name and version of this package, as every read carries it."""
    try:
        return f"alpr-reader {version('alpr-reader')}"
    except PackageNotFoundError:
        return "alpr-reader (not installed)"
