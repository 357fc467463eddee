"""One small server, beside the department's own: the key service, a witness."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

OPEN = 1024  # connections at once; the files that the system allows bound them too


def serve_app(app: Any, host: str, port: int, context: ssl.SSLContext | None) -> None:
    """Serve an ASGI app until Ctrl-C or SIGTERM; plain HTTP without a context."""
    from sync.department.ground.listener import BoundedServer, Bounds  # noqa: PLC0415 - only where it serves

    with contextlib.suppress(KeyboardInterrupt):
        BoundedServer(app, host, port, context, Bounds(open=OPEN)).run()
