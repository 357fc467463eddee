"""The unit's alert page over HTTPS, for the patrol laptop on the car's own network; works without the uplink.

Listens only if the configuration says so, and only on an enrolled unit. TLS 1.3 with the unit's own
certificate. Requests are limited in size, number and time: handshake, header and body together have ten
seconds, and if there are too many connections, the oldest without an officer's request is closed. The page
cannot be framed, and runs only its own scripts.
"""

from __future__ import annotations

import contextlib
import json
import queue
import re
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any, ClassVar

import structlog

from firmware.alerts.board import OpenAlert
from firmware.alerts.page_api import ImageAnswer, PageApi
from firmware.alerts.sessions import Officer, PageSessions
from storage.envelope import decode, encode
from storage.errors import RecordError, RefusedError, StorageError
from sync.membership import SyncFolder
from sync.networks import network_of

MAX_BODY = 8192
MOST_CONNECTIONS = 32
MOST_AN_ADDRESS = 8  # connections without an officer's request so far; a browser opens six at once
REQUEST_S = 10.0  # for handshake, header and body together
ANSWER_S = 60.0
IDLE_S = 20.0
BEAT_S = 10.0
COOKIE = "alerts"
CALL = re.compile(r"/api/alerts/([0-9]{1,18})(?:/(view|transcribe|answer|clets|close|patch|overview))?")
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Word:
    """A notice of a changed alert. `recipients`: for a covert entry, the only people to notify; None: all."""

    text: str
    recipients: tuple[str, ...] | None


class Feed:
    """Notifies every open page of a change; a page that does not listen loses the oldest notices."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: set[queue.Queue[Word]] = set()

    def changed(self, alert: OpenAlert, what: str) -> None:
        """Notify the pages of a changed alert; called by the board."""
        recipients = alert.entry.recipients if alert.entry.covert else None
        text = json.dumps({"number": alert.number, "what": what, "sounds": alert.match.sounds})
        self._say(Word(text, recipients))

    def unstored(self) -> None:
        """Notify the pages of a hit that could not be stored."""
        self._say(Word(json.dumps({"what": "unstored", "sounds": True}), None))

    def _say(self, word: Word) -> None:
        with self._lock:
            for one in self._queues:
                with contextlib.suppress(queue.Empty):
                    if one.full():
                        one.get_nowait()
                one.put_nowait(word)

    @contextlib.contextmanager
    def listening(self) -> Iterator[queue.Queue[Word]]:
        """A queue of notices for one page."""
        mine: queue.Queue[Word] = queue.Queue(maxsize=64)
        with self._lock:
            self._queues.add(mine)
        try:
            yield mine
        finally:
            with self._lock:
                self._queues.discard(mine)


@dataclass(slots=True)
class _Line:
    """A connection. `until_s`: when it is cut off; `proven`: an officer has sent a request over it."""

    group: str
    until_s: float | None
    proven: bool = False
    gone: bool = False


class _Server(ThreadingHTTPServer):
    """Limits connections, since each costs a thread before it sends anything; a stranger's displace only each
    other."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, handler: type[_Handler]) -> None:
        host = address[0].strip("[]")
        if ":" in host:  # otherwise the standard library serves only IPv4
            self.address_family = socket.AF_INET6
        self._context = context
        self._lock = threading.Lock()
        self._lines: dict[socket.socket, _Line] = {}  # oldest first
        self.stopping = threading.Event()
        super().__init__((host, address[1]), handler)

    def server_bind(self) -> None:
        """Bind without looking up the host's own name, which would delay the start without a name server."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        try:  # the handshake runs in the connection's own thread
            secured = self._context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        except (OSError, ValueError):
            self.shutdown_request(request)
            return
        if not self._admit(secured, network_of(str(client_address[0]))):
            self.shutdown_request(secured)
            return
        try:
            super().process_request(secured, client_address)
        except RuntimeError:  # no more threads
            with self._lock:
                self._lines.pop(secured, None)
            self.shutdown_request(secured)

    def _admit(self, secured: socket.socket, group: str) -> bool:
        """Admit a connection; if there are too many, it replaces the oldest unproven one."""
        with self._lock:
            if len(self._lines) >= 2 * MOST_CONNECTIONS:  # closed ones have not all ended yet
                return False
            live = {one: line for one, line in self._lines.items() if not line.gone}
            unproven = [one for one, line in live.items() if not line.proven]
            near = [one for one in unproven if live[one].group == group]
            if len(near) >= MOST_AN_ADDRESS:
                self._cut(near[0])
            elif len(live) >= MOST_CONNECTIONS:
                if not unproven:
                    return False
                self._cut(unproven[0])
            self._lines[secured] = _Line(group, time.monotonic() + REQUEST_S)
            return True

    def _cut(self, secured: socket.socket) -> None:
        """End a connection; its thread wakes and removes it. Under the lock."""
        self._lines[secured].gone = True
        with contextlib.suppress(OSError):  # only the socket: the TLS object belongs to its thread
            socket.socket.shutdown(secured, socket.SHUT_RDWR)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            request.settimeout(REQUEST_S)
            try:
                request.do_handshake()
            except (OSError, ValueError):
                self.shutdown_request(request)
                return
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._lines.pop(request, None)

    def service_actions(self) -> None:
        """Close connections that are late; called twice a second."""
        now_s = time.monotonic()
        with self._lock:
            for one, line in self._lines.items():
                if not line.gone and line.until_s is not None and line.until_s < now_s:
                    self._cut(one)

    def await_request(self, secured: socket.socket) -> None:
        """Start the time limit for a whole request, header and body, on this connection."""
        with self._lock:
            line = self._lines[secured]
            line.until_s = time.monotonic() + (REQUEST_S + IDLE_S if line.proven else REQUEST_S)

    def await_reader(self, secured: socket.socket, seconds: float | None) -> None:
        """Set the time limit for reading an answer; None for no limit."""
        with self._lock:
            self._lines[secured].until_s = None if seconds is None else time.monotonic() + seconds

    def prove(self, secured: socket.socket) -> None:
        """Note that an officer has sent a request over this connection."""
        with self._lock:
            self._lines[secured].proven = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: a broken connection is not an error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "reader"
    sys_version = ""
    timeout = IDLE_S
    disable_nagle_algorithm = True  # header and body are two small writes: an alert must not wait for an ACK
    api: ClassVar[PageApi]
    sessions: ClassVar[PageSessions]
    feed: ClassVar[Feed]
    server: _Server

    def handle_one_request(self) -> None:
        self.server.await_request(self.connection)
        super().handle_one_request()

    def do_GET(self) -> None:
        self._guarded(self._get)

    def do_POST(self) -> None:
        self._guarded(self._post)

    def log_message(self, *_parts: object) -> None:
        """Do nothing: requests are access entries, not lines of a log file on the card."""

    def _guarded(self, call: Any) -> None:
        try:
            call()
        except RefusedError as error:
            status = 401 if error.what == "log in" else 403
            self._json({"refused": error.what, "clause": error.clause, "cure": error.cure}, status)
        except (StorageError, ValueError) as error:
            self._json(
                {"refused": str(error) if isinstance(error, RecordError) else "cannot be done now"}, 422
            )
        except (OSError, ssl.SSLError):
            self.close_connection = True

    def _get(self) -> None:
        self.server.await_reader(self.connection, ANSWER_S)
        path = self.path.partition("?")[0]
        if path in FILES:
            name, media_type = FILES[path]
            data = resources.files("firmware.alerts").joinpath("page", name).read_bytes()
            self._send(200, data, media_type)
        elif path == "/favicon.ico":  # every browser asks for it
            self._send(204, b"", "image/x-icon")
        elif path == "/enter":
            self._enter()
        elif path == "/api/events":
            self._events()
        elif path == "/api/alerts":
            officer = self._officer()
            self._json(self.api.listed(officer))
        elif (found := CALL.fullmatch(path)) is not None and found[2] in {None, "patch", "overview"}:
            officer, number = self._officer(), int(found[1])
            if found[2] is None:
                self._json(self.api.alert(officer, number))
            else:
                picture: ImageAnswer = self.api.picture(officer, number, found[2])
                self._send(200, picture.data, picture.media_type)
        else:
            self._json({"refused": "there is no such page"}, 404)

    def _post(self) -> None:
        body = self._body()
        self.server.await_reader(self.connection, ANSWER_S)
        path = self.path
        if path == "/logon/challenge":
            self._send(200, encode(self.sessions.challenge()), "application/cbor")
            return
        if path == "/logon":
            ticket = self.sessions.log_on(decode(body, limit=MAX_BODY), str(self.client_address[0]))
            self._send(200, encode({"ticket": ticket}), "application/cbor")
            return
        if self.headers.get("X-Alert-Page") != "1":  # a form of another site cannot send it
            raise RefusedError("comes from another page", clause="463.5")
        officer = self._officer()
        if path == "/logoff":
            self.sessions.end(self._token())
            self._json({})
            return
        found = CALL.fullmatch(path)
        if found is None or found[2] in {None, "patch", "overview"}:
            self._json({"refused": "there is no such call"}, 404)
            return
        number = int(found[1])
        given = json.loads(body or b"{}")
        if not isinstance(given, dict):
            raise RecordError("must be a JSON object", where="body")
        calls: dict[str, Any] = {
            "view": lambda: self.api.view(officer, number),
            "transcribe": lambda: self.api.transcribe(officer, number, given),
            "answer": lambda: self.api.answer(officer, number, given),
            "clets": lambda: self.api.clets(officer, number, given),
            "close": lambda: self.api.close(officer, number, given),
        }
        self._json(calls[found[2]]())

    def _enter(self) -> None:
        """Exchange a link's ticket for a cookie, once; the address bar then shows only the page."""
        token = self.sessions.redeem(self.path.partition("?ticket=")[2])
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Set-Cookie", f"{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _events(self) -> None:
        officer = self._officer()
        self.server.await_reader(self.connection, None)
        stopping = self.server.stopping
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        with self.feed.listening() as words:
            self.wfile.write(b": hello\n\n")
            while not stopping.is_set():
                try:
                    word = words.get(timeout=BEAT_S)
                except queue.Empty:
                    self._officer()  # the feed ends with the session
                    self.wfile.write(b": beat\n\n")
                    continue
                if word.recipients is None or officer.user in word.recipients:
                    self._officer()
                    self.wfile.write(f"data: {word.text}\n\n".encode())

    def _officer(self) -> Officer:
        found = self.sessions.find(self._token())
        self.server.prove(self.connection)
        return found

    def _token(self) -> str:
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            found = None
        return "" if found is None else found.value

    def _body(self) -> bytes:
        said = self.headers.get("Content-Length", "")
        if not (said.isascii() and said.isdecimal()) or int(said) > MAX_BODY:
            self.close_connection = True
            raise RecordError(f"must be given, and at most {MAX_BODY} bytes", where="Content-Length")
        return self.rfile.read(int(said))

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, data: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class PageServer:
    """A context manager that serves the page until the end of the block."""

    def __init__(
        self, address: tuple[str, int], folder: SyncFolder, api: PageApi, sessions: PageSessions, feed: Feed
    ) -> None:
        """Raises OSError if the address is taken or not this unit's, SSLError for a bad certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        with folder.tls_key_file() as key:
            context.load_cert_chain(folder.certificate, key)
        handler = type("Handler", (_Handler,), {"api": api, "sessions": sessions, "feed": feed})
        self._server = _Server(address, context, handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="alert-page", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def __enter__(self) -> PageServer:
        self._thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


@contextlib.contextmanager
def serving_page(  # noqa: PLR0917 - called once, where a run is wired
    listen: str,
    port: int | None,
    folder: SyncFolder,
    api: PageApi,
    sessions: PageSessions,
    feed: Feed,
    log: structlog.typing.FilteringBoundLogger,
) -> Iterator[None]:
    """Serve the page if it is switched on and the unit is enrolled. A taken port does not stop the reader."""
    if port is None or not folder.is_member():
        yield
        return
    try:
        server = PageServer((listen, port), folder, api, sessions, feed)
    except (OSError, ssl.SSLError) as error:
        log.error("alert_page_not_served", why=type(error).__name__, port=port)  # noqa: TRY400
        yield
        return
    with server:
        log.info("alert_page_served", port=server.port)
        yield
