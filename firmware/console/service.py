"""The console of a running reader: each connection to a 0600 socket in the home is one console's line.

The process at the cable or SSH channel only pumps bytes; sessions, records and the camera stay in the process
that holds the home. If the pump ends, the connection closes, which counts as a pulled cable.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from firmware.console.session import Console
from hw.errors import LineGoneError
from hw.serial_port import FdPort, SerialPort
from storage import files
from storage.errors import HomeLockedError
from storage.socket_door import bind_private, peer_uid, short_name

log_events = structlog.get_logger("console")
CONSOLES_AT_ONCE = 4
PUMP_BYTES = 1024
LOOK_S = 0.2
TOO_MANY = (
    f"\r\n{CONSOLES_AT_ONCE} consoles are open on this unit, as many as it allows: end one of them (exit, or "
    "pull\r\nits cable), then try again\r\n"
).encode()

MakeConsole = Callable[[SerialPort], Console]
Pair = tuple[Console, threading.Thread]


def socket_of(home: Path) -> Path:
    """The socket on which a running reader listens."""
    return home / "console.sock"


@contextlib.contextmanager
def serving(home: Path, make: MakeConsole) -> Iterator[Callable[[], bool]]:
    """Serve consoles for the length of the `with`; at its end open sessions are closed and recorded.

    Yields a function that returns whether a person is logged in.
    """
    path = socket_of(home)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            _listen(listener, path)
        except OSError as error:  # the unit reads, purges and syncs without consoles
            log_events.error("consoles_not_served", reason=str(error))  # noqa: TRY400
            yield lambda: False
            return
        listener.settimeout(LOOK_S)
        stop = threading.Event()
        open_now: list[Pair] = []
        thread = threading.Thread(
            target=_accept, args=(listener, make, stop, open_now), name="consoles", daemon=True
        )
        thread.start()
        try:
            yield lambda: any(console.in_session for console, _ in tuple(open_now))
        finally:
            stop.set()
            thread.join(timeout=15)
            with contextlib.suppress(OSError):  # the next start removes it
                path.unlink(missing_ok=True)


def _listen(listener: socket.socket, path: Path) -> None:
    files.clear_place(path)
    bind_private(listener, path)
    listener.listen(CONSOLES_AT_ONCE)


def _accept(listener: socket.socket, make: MakeConsole, stop: threading.Event, running: list[Pair]) -> None:
    while not stop.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        except OSError:  # briefly out of descriptors: accept the next console
            stop.wait(LOOK_S)
            continue
        running[:] = [pair for pair in running if pair[1].is_alive()]
        if peer_uid(connection) not in {os.geteuid(), 0}:
            connection.close()
            continue
        if len(running) >= CONSOLES_AT_ONCE:
            with connection, contextlib.suppress(OSError):
                connection.sendall(TOO_MANY)  # far less than a socket's buffer: never blocks
            continue
        console = make(_SocketPort(connection))
        thread = threading.Thread(target=_serve, args=(console, connection), name="console", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # briefly out of threads: accept the next console
            connection.close()
            continue
        running.append((console, thread))
    for console, _ in running:
        console.stop()
    for _, thread in running:
        thread.join(timeout=5)


def _serve(console: Console, connection: socket.socket) -> None:
    with connection:
        console.serve()


class _SocketPort(FdPort):
    """A connection to the socket, used as a console's line."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection.fileno(), connection.fileno(), name="console socket")


def pump(port: SerialPort, home: Path) -> None:
    """Carry bytes between a line and the running reader until either end closes. Raises HomeLockedError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            with short_name(socket_of(home)) as name:
                connection.connect(name)
        except OSError:
            raise HomeLockedError(
                "another process holds this home and serves no console",
                where=str(home),
                cure="stop it, or restart the reader",
            ) from None
        far = _SocketPort(connection)
        gone = threading.Event()

        def carry(source: SerialPort, sink: SerialPort) -> None:
            with contextlib.suppress(LineGoneError):
                while not gone.is_set():
                    data = source.read(PUMP_BYTES, LOOK_S)
                    if data:
                        sink.write(data)
            gone.set()

        back = threading.Thread(target=carry, args=(far, port), name="console out", daemon=True)
        back.start()
        carry(port, far)
        connection.shutdown(socket.SHUT_RDWR) if back.is_alive() else None
        back.join(timeout=2)
