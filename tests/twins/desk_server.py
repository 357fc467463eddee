"""A real HTTP server on loopback for an ASGI application."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from waiting import PATIENCE_S, until

TRUST = httpx.create_ssl_context()
"""Of every client here: made once, as it reads every authority of the machine."""


@contextmanager
def serving(app: Any) -> Iterator[httpx.Client]:
    """Serve `app`. Yields a client for it."""
    # asyncio turns Nagle's algorithm off only for a socket with protocol TCP, not 0
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        until(lambda: server.started)
        port = listener.getsockname()[1]
        base = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=base, timeout=PATIENCE_S, trust_env=False, verify=TRUST) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listener.close()
