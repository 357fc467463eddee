"""A bounded server on loopback for an ASGI application, without TLS."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from waiting import PATIENCE_S, until

from sync.department.ground.listener import BoundedServer, Bounds


@contextlib.contextmanager
def bounded(app: Any, bounds: Bounds, proxy: str = "") -> Iterator[int]:
    """Run the app behind a bounded server without TLS. Yields its port."""
    server = BoundedServer(app, "127.0.0.1", 0, None, bounds, proxy=proxy)
    thread = threading.Thread(target=lambda: asyncio.run(server._serve()))
    thread.start()
    try:
        until(lambda: server.started)
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
