"""The writer's interface for other processes of the same user: a 0600 Unix socket that checks the peer's uid.

One request per connection: 4-byte length || CBOR [operation, body]. The answer has the same form: [true,
result] or [false, {kind, what, where, cure, clause}]. Both sides limit sizes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from storage import envelope, files
from storage.damage import settled
from storage.door import Door
from storage.errors import LedgerError, RecordError, RefusedError, StorageError
from storage.home import Home

MAX_REQUEST, MAX_ANSWER = 1 << 20, 512 << 20
TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 600.0  # enough for a lookup over a million records, or a purge


class DoorServer:
    """Serves a door on the home's socket during the `with` block; its threads end with the block.

    unserved: called if the socket cannot be made; the block then runs without it.
    """

    def __init__(self, door: Door, home: Home, *, unserved: Callable[[OSError], None]) -> None:
        self._door, self._path, self._unserved = door, home.socket, unserved
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        try:
            self._server = self._listening()
        except OSError as error:
            self._unserved(error)
            return self
        self._server.door = self._door
        threading.Thread(target=self._server.serve_forever, name="door", daemon=True).start()
        return self

    def _listening(self) -> _Server:
        """A server that listens on the home's socket. Raises OSError."""
        files.clear_place(self._path)
        server = _Server(str(self._path), _Handler, bind_and_activate=False)
        try:
            bind_private(server.socket, self._path)
            server.server_activate()
        except OSError:
            server.server_close()
            raise
        return server

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            with contextlib.suppress(OSError):  # the next start removes it
                self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 16
    door: Door


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        connection: socket.socket = self.request
        connection.settimeout(TIMEOUT_S)
        with contextlib.suppress(OSError):
            if peer_uid(connection) not in (os.geteuid(), 0):
                return
            _send(connection, self._answer(connection))

    def _answer(self, connection: socket.socket) -> bytes:
        door = cast("_Server", self.server).door
        try:
            asked = envelope.decode(_receive(connection, MAX_REQUEST), limit=MAX_REQUEST)
            return envelope.encode([True, door.answer(*_request(asked))])
        except StorageError as error:
            shown = settled(error)
            facts = {
                "kind": type(shown).__name__,
                "what": shown.what,
                "where": shown.where,
                "cure": shown.cure,
                "clause": getattr(shown, "clause", ""),
            }
            return envelope.encode([False, facts])
        except (TypeError, ValueError, KeyError) as error:
            facts = {"kind": "RecordError", "what": f"malformed request: {type(error).__name__}"}
            return envelope.encode([False, facts | {"where": "request", "cure": "", "clause": ""}])
        except (ConnectionError, TimeoutError):
            raise  # the client is gone
        except Exception as error:  # noqa: BLE001 - the client gets it; the slot's errors are another room's
            why = f": {error}" if isinstance(error, OSError | sqlite3.Error) else ""
            facts = {
                "kind": "LedgerError",
                "what": f"the running reader could not: {type(error).__name__}{why}",
            }
            return envelope.encode([False, facts | {"where": "", "cure": "", "clause": ""}])


def is_served(home: Home) -> bool:
    """Whether a process that holds the home answers requests; a command that only reads does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            with short_name(home.socket) as name:
                connection.connect(name)
        except OSError:
            return False
    return True


def ask(home: Home, op: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask the process that holds the home. Raises LedgerError if none answers, or the error of the answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            with short_name(home.socket) as name:
                connection.connect(name)
            _send(connection, envelope.encode([op, body]))
            answer = envelope.decode(_receive(connection, MAX_ANSWER), limit=MAX_ANSWER)
        except OSError as error:
            raise LedgerError(
                f"the process that holds this home does not answer: {error.strerror or error}",
                where=str(home.socket),
                cure="wait until it has started, or stop it",
            ) from None
    done, result = answer
    if done:
        return dict(result)
    if result["kind"] == RefusedError.__name__:
        raise RefusedError(result["what"], clause=result["clause"], cure=result["cure"])
    raise LedgerError(result["what"], where=result["where"], cure=result["cure"])


def _request(asked: object) -> tuple[str, dict[str, Any]]:
    """The request's operation and body. Raises RecordError."""
    if not (isinstance(asked, list) and len(asked) == 2 and isinstance(asked[1], dict)):
        raise RecordError("is not [operation, body]", where="request")
    return str(asked[0]), asked[1]


def peer_uid(connection: socket.socket) -> int:
    """The user of the process at the other end of a Unix socket (SO_PEERCRED)."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)


def _send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(len(data).to_bytes(4, "big") + data)


def _receive(connection: socket.socket, limit: int) -> bytes:
    size = int.from_bytes(_exactly(connection, 4), "big")
    if size > limit:
        raise RecordError(f"is over {limit} bytes", where="request")
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 16))
        if not part:
            raise ConnectionResetError("the connection was closed")
        parts += part
    return bytes(parts)


@contextlib.contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A path for a socket within the kernel's limit of 108 bytes, however deep the home is."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    except OSError as error:  # for a socket, the error names no file
        error.filename = error.filename or str(path)
        raise
    finally:
        os.close(folder)


def bind_private(listener: socket.socket, path: Path) -> None:
    """Bind a Unix socket that only its owner may use, from its first moment on. Raises OSError.

    Linux gives the file the mode of the socket. umask(2) would also change what other threads make meanwhile.
    """
    os.fchmod(listener.fileno(), 0o600)
    with short_name(path) as name:
        listener.bind(name)
