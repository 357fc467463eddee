"""TCP ports of this machine that are free now."""

from __future__ import annotations

import contextlib
import socket


def free_ports(count: int) -> tuple[int, ...]:
    """As many different ports on loopback that nothing listens on."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return tuple(int(one.getsockname()[1]) for one in probes)


def free_port() -> int:
    """A port on loopback that nothing listens on."""
    return free_ports(1)[0]
