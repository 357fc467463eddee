"""One small server, beside the department's own: the key service, a witness."""

from __future__ import annotations

import ssl
from typing import Any


def serve_app(app: Any, host: str, port: int, context: ssl.SSLContext | None) -> None:
    """Serve an ASGI app until Ctrl-C or SIGTERM; plain HTTP without a context."""
    import uvicorn  # noqa: PLC0415 - only where something is served

    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )
