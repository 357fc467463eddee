"""The health report as Prometheus text, served on loopback when switched on.

Format: Prometheus text exposition 0.0.4. Promise: bound to 127.0.0.1, GET /metrics and nothing else.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog

from firmware.health.report import HealthReport
from firmware.health.wear import coarse_free
from sync.health import Alarm

MOST_AT_ONCE = 8
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_COUNTERS = {"frames": "frames_total", "frames_dropped": "frames_dropped_total", "reads": "reads_total"}
# The log's size beside the count of reads would show each hit.
_FREE = {"disk_free_bytes", "memory_free_bytes"}
_SKIPPED = {"at_us", "clock_state", "alarms", "clock_error_us", "log_records"}


def prometheus_text(report: HealthReport) -> str:
    """The report as text. A value that is not known is left out, as Prometheus wants it."""
    lines: list[str] = []

    def metric(name: str, kind: str, samples: list[tuple[str, float]]) -> None:
        lines.append(f"# TYPE alpr_{name} {kind}")
        lines.extend(f"alpr_{name}{labels} {value:.10g}" for labels, value in samples)

    for name, value in report.plain().items():
        if name in _SKIPPED or value is None:
            continue
        kind = "counter" if name in _COUNTERS else "gauge"
        shown = coarse_free(value) if name in _FREE else value
        metric(_COUNTERS.get(name, name), kind, [("", float(shown))])
    metric("clock_error_seconds", "gauge", [("", report.clock_error_us / 1e6)])
    metric("clock_state", "gauge", [(f'{{state="{report.clock_state}"}}', 1.0)])
    metric("alarm", "gauge", [(f'{{name="{name}"}}', float(name in report.alarms)) for name in Alarm])
    return "\n".join(lines) + "\n"


class _Server(ThreadingHTTPServer):
    """Every user of this machine may connect: a few at once, and their errors say nothing."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._room = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for it, if there is room for one."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except Exception:  # no thread for it
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In that thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away: its traceback in the log would only wear the card."""


class MetricsServer:
    """Serves the newest report to this machine."""

    def __init__(self, port: int, report: Callable[[], HealthReport]) -> None:
        class Handler(BaseHTTPRequestHandler):
            server_version = "reader"
            sys_version = ""
            timeout = 5

            def do_GET(self) -> None:
                known = self.path == "/metrics"
                body = prometheus_text(report()).encode() if known else b"only /metrics is served here\n"
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", CONTENT_TYPE if known else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_parts: object) -> None:
                """Every scrape in the log would only wear the card."""

        self._server = _Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


@contextlib.contextmanager
def serving_metrics(
    port: int | None, report: Callable[[], HealthReport], log: structlog.typing.FilteringBoundLogger
) -> Iterator[None]:
    """Serve while the `with` runs; port None: switched off. A port that is taken is an event alone."""
    with contextlib.ExitStack() as stack:
        try:
            if port is not None:
                stack.enter_context(contextlib.closing(MetricsServer(port, report)))
        except OSError as error:  # no reason to be blind
            log.error("metrics_not_served", port=port, reason=error.strerror)  # noqa: TRY400 - no trace in it
        yield
