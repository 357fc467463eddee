"""The name of the running software in records and reports."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def software_version() -> str:
    """The name and version of this package, as in every read."""
    try:
        return f"alpr-reader {version('alpr-reader')}"
    except PackageNotFoundError:
        return "alpr-reader (not installed)"
