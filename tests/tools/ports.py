"""Ports on loopback that are reserved for this process before anything listens on them."""

from __future__ import annotations

import functools
import itertools
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")  # from which the kernel chooses a port
_LOWEST, _BLOCK = 10_000, 200


def free_ports(count: int) -> tuple[int, ...]:
    """``count`` consecutive ports that nothing listens on.

    A server binds them later, or ends and starts on them again. Meanwhile the kernel chooses ports for other
    connections, and other tests need ports too. So these ports are below the kernel's range, in a block that
    no other process takes.
    """
    found: list[int] = []
    for port in _own_block(os.getpid()):
        if not _is_free(port):
            found.clear()
            continue
        if found and port != found[-1] + 1:
            found.clear()
        found.append(port)
        if len(found) == count:
            break
    return tuple(found)


def free_port() -> int:
    """A port on loopback that nothing listens on; see free_ports."""
    return free_ports(1)[0]


@functools.cache
def _own_block(process: int) -> Iterator[int]:
    """This process's ports, in a cycle. An abstract socket's name reserves them until the process ends."""
    below = int(_RANGE.read_text(encoding="ascii").split()[0])
    starts = list(range(_LOWEST, below - _BLOCK, _BLOCK))
    for start in random.sample(starts, len(starts)):
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0alpr-test-ports-{start}")
        except OSError:
            name.close()
            continue
        name.detach()  # stays open until the process ends
        return itertools.cycle(range(start, start + _BLOCK))
    raise RuntimeError(f"all ports between {_LOWEST} and {below} are taken by tests: wait until some end")


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
