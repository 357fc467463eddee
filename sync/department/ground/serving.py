"""Runs a small server other than the department's own: the key service or a witness."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
from typing import Any

from sync.department.ground.served_certificate import ServedCertificate

OPEN = 1024  # connections at once; the system's limit of open files applies too


def serve_app(app: Any, host: str, port: int, shown: ServedCertificate | None) -> None:
    """Serve an ASGI app until Ctrl-C or SIGTERM. `shown` is reloaded when renewed; None: plain HTTP."""
    from sync.department.ground.listener import BoundedServer, Bounds  # noqa: PLC0415 - only servers need it

    if shown is not None:
        if said := shown.words(dt.datetime.now(dt.UTC)):
            print(said, file=sys.stderr, flush=True)
        shown.follow()
    context = shown.context if shown else None
    with contextlib.suppress(KeyboardInterrupt):
        BoundedServer(app, host, port, context, Bounds(open=OPEN)).run()
