"""Waiting in a test for what another thread does."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(seen: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for it; fail if it does not come."""
    end_s = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.02)
