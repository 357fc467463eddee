"""Weeks offline, then a catch-up over a bad line with kills on either side."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tools.sync_catch_up import catch_up

FULL = os.environ.get("ALPR_FAULTS") == "full"


@pytest.mark.thorough_rows
@pytest.mark.parametrize(
    ("reads", "image_bytes"),
    [
        pytest.param(100_000 if FULL else 150, 2_000, id="many small"),
        pytest.param(1_000 if FULL else 10, 150_000, id="full images"),
    ],
)
def test_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path, reads: int, image_bytes: int) -> None:
    result = catch_up(
        tmp_path, reads=reads, image_bytes=image_bytes, cuts=30 if FULL else 4, kills=5 if FULL else 2
    )
    assert (result.lost, result.twice, result.problems) == (0, 0, 0)
    assert result.cuts >= (30 if FULL else 4)
    assert result.kills >= (5 if FULL else 2)
