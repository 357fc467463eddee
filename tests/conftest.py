"""What the tests of all rooms share: where the real pictures are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.skip_gate import pytest_sessionfinish, pytest_terminal_summary

__all__ = ["pytest_sessionfinish", "pytest_terminal_summary", "shared_data"]

# how long an example takes says more about the machine's load than about the code
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures: ALPR_DATA, or `shared/data` beside the checkout; skips without one."""
    folder = Path(os.environ.get("ALPR_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real pictures at {folder}: set ALPR_DATA to their folder")
    return folder
