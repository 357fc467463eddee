"""Waits in a test for another thread or process."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

PATIENCE_S = 300.0
"""How long a test waits for what must come: on a loaded machine a second's work may take a minute."""


def until(seen: Callable[[], object]) -> None:
    """Wait until the condition is true; fail if it never is."""
    end_s = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.02)


def accepts(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
