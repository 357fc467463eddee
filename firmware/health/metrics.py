"""The health report as Prometheus text, served on loopback if switched on.

Format: Prometheus text exposition 0.0.4. Promise: bound to 127.0.0.1; answers only GET /metrics.
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
# The log's size together with the count of reads would reveal each hit.
_FREE = {"disk_free_bytes", "memory_free_bytes"}
_SKIPPED = {"at_us", "clock_state", "alarms", "clock_error_us", "log_records"}


def prometheus_text(report: HealthReport) -> str:
    """The report as text. Unknown values are left out, as is usual for Prometheus."""
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
    """Limits connections, since every user of this machine may connect; errors are not logged."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._room = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the request if there is room for one."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except Exception:  # no thread available
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve the request, in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: the traceback of a client that disconnected would only wear the card."""


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
                """Do nothing: a log line per scrape would only wear the card."""

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
    """Serve during the `with`; port None: switched off. A taken port only causes an event."""
    with contextlib.ExitStack() as stack:
        try:
            if port is not None:
                stack.enter_context(contextlib.closing(MetricsServer(port, report)))
        except OSError as error:  # no reason to stop reading
            log.error("metrics_not_served", port=port, reason=error.strerror)  # noqa: TRY400 - no trace in it
        yield
