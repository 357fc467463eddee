"""The listeners of all servers: accept connections within bounds and cut off idle ones to make room.

A connection costs a descriptor and memory before it sends anything. Handshakes in progress are bounded, in
total and per address, and so are open connections. At a bound, the oldest idle connection is cut off, so that
a thousand silent ones do not keep out an active one; on a port that strangers can reach, so is one whose
request has not arrived completely. Failures are logged as one event a minute, with a count.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
import socket
import ssl
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sync.department.ground.problem import Paced
from sync.department.ground.sparingly import SparingHandler, Sparingly
from sync.networks import network_of

HEADER_SECONDS = 10
HEADER_BYTES = 16 * 1024
HANDSHAKE = {"ssl_handshake_timeout": 10, "ssl_shutdown_timeout": 5}
NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
BACKLOG = 1024
HAS_ENDED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
MOST_FILES = 65_536


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many connections a port holds. `strangers`: clients need no certificate."""

    handshakes: int = 1024
    handshakes_an_address: int = 256
    open: int = 256
    strangers: bool = True


class BoundedHttp(H11Protocol):
    """uvicorn's HTTP/1.1 with a time limit on each request's header, which cuts off dripping clients."""

    _header_clock: asyncio.TimerHandle | None = None
    when_lost: Callable[[], None] = staticmethod(lambda: None)

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def arriving(self) -> bool:
        """Whether a request has arrived only in part."""
        return self.cycle is not None and bool(self.cycle.more_body)

    def cut(self) -> None:
        """Drop the connection now."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wind()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.scope is not None and self.cycle is not None and not self.cycle.response_complete:
            self._stop()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wind()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)
        self.when_lost()

    def _wind(self) -> None:
        self._stop()
        wait = HEADER_SECONDS + (self.timeout_keep_alive if self.cycle is not None else 0)
        self._header_clock = self.loop.call_later(wait, self.cut)

    def _stop(self) -> None:
        if self._header_clock is not None:
            self._header_clock.cancel()
            self._header_clock = None


class Listener:
    """Accepts connections on some sockets for one server."""

    def __init__(
        self,
        sockets: list[socket.socket],
        protocol: Callable[[], BoundedHttp],
        context: ssl.SSLContext | None,
        bounds: Bounds,
    ) -> None:
        self.sockets = tuple(sockets)
        self._protocol, self._context, self._bounds = protocol, context, bounds
        self._greeting: OrderedDict[asyncio.Task[None], str] = OrderedDict()
        self._live: OrderedDict[BoundedHttp, None] = OrderedDict()
        self._by_address: Counter[str] = Counter()
        self._events = Sparingly()
        self._tasks = [asyncio.get_running_loop().create_task(self._accept(one)) for one in sockets]

    def close(self) -> None:
        """Stop accepting, and end the handshakes in progress."""
        for task in (*self._tasks, *self._greeting):
            task.cancel()
        for one in self.sockets:
            one.close()

    async def wait_closed(self) -> None:
        """Wait until no more connections are accepted."""
        await asyncio.gather(*self._tasks, *self._greeting, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno not in NO_ROOM:
                    if listening.fileno() < 0:
                        return
                    continue  # the client is gone
                self._events.report("no_descriptor_left")
                self._make_room()
                await asyncio.sleep(0.1)
                continue
            self._greet(accepted, network_of(str(address[0])))

    def _greet(self, accepted: socket.socket, group: str) -> None:
        if self._by_address[group] >= self._bounds.handshakes_an_address:
            self._cut_oldest_greeting(group)
        elif len(self._greeting) >= self._bounds.handshakes:
            self._cut_oldest_greeting(None)
        self._by_address[group] += 1
        task = asyncio.get_running_loop().create_task(self._shake_hands(accepted))
        self._greeting[task] = group
        task.add_done_callback(self._greeted)

    def _greeted(self, task: asyncio.Task[None]) -> None:
        group = self._greeting.pop(task, None)
        if group is not None:
            self._forget(group)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._events.report("handshake_failed", kind=type(error).__name__)

    def _forget(self, group: str) -> None:
        self._by_address[group] -= 1
        if self._by_address[group] <= 0:
            del self._by_address[group]

    def _cut_oldest_greeting(self, group: str | None) -> None:
        for task, other in self._greeting.items():
            if group is None or other == group:
                del self._greeting[task]
                self._forget(other)
                task.cancel()
                self._events.report("handshake_cut_off", waiting=len(self._greeting))
                return

    def _make_room(self) -> bool:
        """Cut off the oldest idle connection; returns whether there was one."""
        one = next((one for one in self._live if one.idle), None)
        if one is None and self._bounds.strangers:
            one = next((one for one in self._live if one.arriving), None)
        if one is None:
            return False
        self._live.pop(one, None)
        one.cut()
        self._events.report("idle_connection_cut_off", open=len(self._live))
        return True

    async def _shake_hands(self, accepted: socket.socket) -> None:
        protocol = self._protocol()
        clocks = {} if self._context is None else HANDSHAKE
        protocol.when_lost = lambda: self._live.pop(protocol, None)
        try:
            with contextlib.suppress(OSError, EOFError), self._naming_refused():  # a timeout is an OSError
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: self._connected(protocol),
                    accepted,
                    ssl=self._context,
                    **clocks,
                )
                self._admit(protocol)
        except asyncio.CancelledError:
            accepted.close()
            raise

    @contextlib.contextmanager
    def _naming_refused(self) -> Iterator[None]:
        """Log an event for a client certificate that is not accepted; the client itself sees no answer."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            if error.verify_code == HAS_ENDED:
                cure = "department health names the unit: give it a new code"
                self._events.report("client_certificate_ended", cure=cure)
            else:
                self._events.report("client_certificate_refused", why=error.verify_message)
            raise

    def _admit(self, protocol: BoundedHttp) -> None:
        """Count a connection as open, or cut it. Unfinished handshakes are not counted and evict none."""
        if len(self._live) >= self._bounds.open and not self._make_room():
            self._events.report("connection_refused", open=len(self._live))
            protocol.cut()
        else:
            self._live[protocol] = None

    @staticmethod
    def _connected(protocol: BoundedHttp) -> BoundedHttp:
        return protocol


class BoundedServer(uvicorn.Server):
    """uvicorn behind a `Listener`."""

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        bounds: Bounds,
        *,
        proxy: str = "",
    ) -> None:
        """Without a context, plain HTTP. `proxy`: the only address whose X-Forwarded-For counts; empty: none.

        Any client may send that header, and pacing and lockouts are by address. So neither uvicorn's default
        (the loopback) nor its environment variable decides which proxy to trust.
        """
        config = uvicorn.Config(
            Paced(app, 2 * bounds.open),
            host=host,
            port=port,
            http=BoundedHttp,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(proxy),
            forwarded_allow_ips=[proxy],
            h11_max_incomplete_event_size=HEADER_BYTES,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=10,
            ssl_context_factory=None if context is None else lambda _config, _default: context,
        )
        super().__init__(config)
        self._bounds = bounds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen as configured. `config.ssl` is the TLS context, or None."""
        raise_file_limit()
        quiet_loop(asyncio.get_running_loop())
        await self.lifespan.startup()
        config = self.config
        found = sockets or _listening(str(config.host), config.port)

        def protocol() -> BoundedHttp:
            return BoundedHttp(config=config, server_state=self.server_state, app_state=self.lifespan.state)

        self.servers: list[Any] = [Listener(found, protocol, config.ssl, self._bounds)]
        self.started = True


def _listening(host: str, port: int) -> list[socket.socket]:
    """Non-blocking sockets that listen on every address of `host`."""
    made = []
    for family, _, _, _, address in socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        one = socket.create_server(address[:2], family=family, backlog=BACKLOG)
        one.setblocking(False)
        made.append(one)
        port = port or int(one.getsockname()[1])
    return made


def raise_file_limit() -> int:
    """Raise this process's limit of open files to what the system allows; returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def quiet_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Log what the loop would write as a traceback as one event a minute per kind."""
    events = Sparingly()

    def handle(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        events.report(f"loop_error_{type(error).__name__}", what=str(context.get("message", ""))[:120])

    loop.set_exception_handler(handle)
    for name in ("uvicorn.error", "asyncio", "python_multipart"):
        logger = logging.getLogger(name)
        logger.handlers = [SparingHandler(events)]
        logger.propagate = False
