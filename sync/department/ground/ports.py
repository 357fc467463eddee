"""Checks, before anything starts, whether a server can listen on its address."""

from __future__ import annotations

import os
import socket

from sync.errors import LackingError


def demand_free(host: str, port: int, where: str) -> None:
    """Raises LackingError if a server cannot listen there; `where`: the setting or option that names it."""
    try:
        family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][
            0
        ]
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        known = error.errno if error.errno is not None and error.errno > 0 else None  # not of name resolution
        what = os.strerror(known) if known else error.strerror or type(error).__name__
        raise LackingError(
            f"cannot listen on {host}:{port}: {what}",
            where=where,
            cure="stop what listens there, or name another port",
        ) from None
