"""The driver of `sync.link`: HTTPS to the department with the unit's certificate.

Only `HttpsLink` knows HTTP. Every failure of a connection becomes LinkError; a signed refusal becomes its own
error. The bandwidth cap applies while a body is being sent.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage.errors import StorageError, causes_of
from sync import messages
from sync.errors import BatchRefusedError, LinkError, MessageError, NotStoredError, RefusedByDepartmentError

PIECE_BYTES = 64 * 1024
MAX_ANSWER_BYTES = messages.MAX_HEADER_BYTES + 4096
CONNECT_S, SEND_S, ANSWER_S = 10.0, 60.0, 300.0
CURVE = "prime256v1"
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME
HAS_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
CLOCK_WRONG = (
    "is this unit's clock right (reader status)? a network with time, a receiver or a person sets it"
)
NOT_THE_DEPARTMENT = (
    "nothing is lost, but what answers there is not the department: a sign-on page of this network, a proxy?"
)


_NO_ADDRESS = re.compile(r"[\s#?/@\\]")
ADDRESS_CURE = (
    "HOST:PORT, an IPv6 number in brackets ([2001:db8::1]:8443): the administrator corrects the department's "
    "address, then gives a new code"
)


def demand_address(text: str) -> None:
    """Raises LinkError unless the text is a server's HOST or HOST:PORT.

    A request to anything else would raise errors unlike those of a connection.
    """
    try:
        url = httpx.URL(f"https://{text}")
        host = url.host.removesuffix(".")
        host.encode("idna")  # as the lookup does: labels of 1 to 63 letters, RFC 1035
        good = all(host.split(".")) and not _NO_ADDRESS.search(text) and (url.port or 443) < 65536
    except (httpx.InvalidURL, UnicodeError):
        good = False
    if not good:
        raise LinkError("is not the address of a server", where=text, cure=ADDRESS_CURE)


class _PassedTime(ssl.SSLContext):
    """Checks the server's certificate by `passed_us`, a time that has surely passed, not by the clock.

    A unit whose clock is years off could otherwise never sync, and so never learn the time. A certificate
    that begins later is no danger, since only the department's CA makes one.
    """

    passed_us = 0

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        line = super().wrap_socket(*arguments, **options)
        shown = x509.load_der_x509_certificate(line.getpeercert(binary_form=True) or b"")
        if shown.not_valid_after_utc.timestamp() * 1e6 < self.passed_us:
            line.close()
            error = ssl.SSLCertVerificationError(1, "certificate has expired")
            error.verify_code, error.verify_message = HAS_EXPIRED, "certificate has expired"
            raise error
        return line


def unit_context(authority: bytes, certificate: Path, key: Path, *, passed_us: int) -> ssl.SSLContext:
    """TLS 1.3 to the department: trusts only its CA (PEM) and presents the unit's certificate.

    passed_us: a UTC time that has surely passed; 0 if unknown.
    """
    context = server_context(authority, passed_us=passed_us)
    context.load_cert_chain(certificate, key)
    return context


def server_context(authority: bytes, *, passed_us: int) -> ssl.SSLContext:
    """As `unit_context`, without a client certificate, for enrollment."""
    context = _PassedTime(ssl.PROTOCOL_TLS_CLIENT)
    context.passed_us = passed_us
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= NO_CHECK_TIME
    context.set_ecdh_curve(CURVE)
    context.load_verify_locations(cadata=authority.decode("ascii"))
    return context


class _Turn:
    """The right to send a body. Only one body is sent at a time, while other messages wait for answers."""

    def __init__(self, wire: threading.Lock) -> None:
        self._wire, self._mine = wire, False

    def __enter__(self) -> _Turn:
        self._wire.acquire()
        self._mine = True
        return self

    def __exit__(self, *_: object) -> None:
        self.sent()

    def sent(self) -> None:
        """Release the turn: the body has been sent, and the next may start."""
        if self._mine:
            self._mine = False
            self._wire.release()


class HttpsLink:
    """HTTPS to HOST:PORT. Connections are reused; bodies are sent one after the other.

    A second message may be sent while the department works on the first, so that its server is never idle,
    but a slow connection still carries one body at a time.
    """

    depth = 2

    def __init__(
        self,
        address: str,
        context: ssl.SSLContext,
        department: Ed25519PublicKey,
        *,
        prefix: str = "/v1/",
        bytes_per_s: int = 0,
    ) -> None:
        self._department, self._address = department, address
        self._prefix = prefix
        self._rate = bytes_per_s
        self._sent = 0
        self._lines: list[socket.socket] = []
        self._hung_up = False
        self._wire, self._count = threading.Lock(), threading.Lock()
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S, write=SEND_S)
        self._client = httpx.Client(verify=context, timeout=timeout, trust_env=False, http2=False)

    @property
    def sent_bytes(self) -> int:
        return self._sent

    def close(self) -> None:
        self._client.close()
        for line in self._lines:
            line.close()

    def hang_up(self) -> None:
        """Close the connections from another thread; a waiting `post` raises LinkError at once."""
        self._hung_up = True
        with self._count:
            for line in self._lines:
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

    def _note_line(self, event: str, info: dict[str, Any]) -> None:
        """Keep a handle on each connection below TLS (httpx, "trace" extension), to close it."""
        if event == "connection.connect_tcp.complete":
            line = info["return_value"].get_extra_info("socket").dup()
            with self._count:
                while len(self._lines) >= self.depth:  # reopened connections
                    self._lines.pop(0).close()
                self._lines.append(line)
            if self._hung_up:
                self.hang_up()

    def post(self, name: str, pieces: Sequence[bytes]) -> bytes:
        if self._hung_up:
            raise LinkError(f"closed before {name} was sent", cure="the unit retries later")
        demand_address(self._address)
        total = sum(map(len, pieces))
        headers = {"content-type": messages.CONTENT_TYPE, "content-length": str(total)}
        try:
            with (
                _Turn(self._wire) as turn,
                self._client.stream(
                    "POST",
                    f"https://{self._address}{self._prefix}{name}",
                    content=self._paced(pieces, turn),
                    headers=headers,
                    extensions={"trace": self._note_line},
                ) as response,
            ):
                turn.sent()  # the answer may come before the whole body was sent
                data = _bounded(response)
                status = response.status_code
        except httpx.HTTPError as error:
            raise link_error(error, name, self._address) from None
        except ssl.SSLError as error:
            what, cure = _of_tls(error)
            raise LinkError(f"{what} while sending {name}", where=self._address, cure=cure) from None
        with self._count:
            self._sent += total
        if status == httpx.codes.OK:
            return data
        raise self._refused(name, status, data)

    def _paced(self, pieces: Sequence[bytes], turn: _Turn) -> Iterator[bytes]:
        started, sent = time.monotonic(), 0
        for piece in pieces:
            view = memoryview(piece)
            for at in range(0, len(view), PIECE_BYTES):
                part = bytes(view[at : at + PIECE_BYTES])
                if self._rate:
                    ahead = sent / self._rate - (time.monotonic() - started)
                    if ahead > 0:
                        time.sleep(ahead)
                sent += len(part)
                yield part
        if self._rate:  # the next body must not start before this one's time is up
            time.sleep(max(0.0, sent / self._rate - (time.monotonic() - started)))
        turn.sent()

    def _refused(self, name: str, status: int, data: bytes) -> Exception:
        """The error for a signed refusal; an unsigned one says nothing about this unit."""
        try:
            refusal = messages.open_message(messages.Refusal, data, self._department)
        except (MessageError, StorageError):
            return LinkError(
                f"status {status} for {name}, and no signed refusal",
                cure="nothing is lost: the next sync sends it",
            )
        kind: type[RefusedByDepartmentError] = RefusedByDepartmentError
        if refusal.code in messages.INCIDENTS or refusal.code == "closed":
            kind = BatchRefusedError
        elif refusal.code in {"busy", "unavailable", "too-slow", "stale"}:
            again = NotStoredError if refusal.code == "unavailable" else LinkError
            return again(refusal.what, where=refusal.code, cure="nothing is lost: the next sync sends it")
        cure = (
            "a code is for one unit, once: ask the administrator for a new one"
            if refusal.code == "code"
            else ""
        )
        return kind(
            refusal.what, code=refusal.code, where="the department refused", cure=cure, held=refusal.held
        )


def link_error(error: httpx.HTTPError, name: str, address: str) -> LinkError:
    """A LinkError for what httpx raised, with the TLS error behind it, where a wrong clock shows first."""
    behind = next((one for one in causes_of(error) if isinstance(one, ssl.SSLError)), None)
    if behind is not None and (isinstance(behind, ssl.SSLCertVerificationError) or behind.reason):
        what, cure = _of_tls(behind)
    else:
        what = f"no connection: {reason_of(error)}" if isinstance(error, httpx.ConnectError) else "no answer"
        cure = "nothing is lost; check the network, that port, and the department's server"
    return LinkError(f"{what} while sending {name}", where=address, cure=cure)


def _of_tls(error: ssl.SSLError) -> tuple[str, str]:
    """The TLS error and what to check: this unit's clock, its certificate, or the server that answers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == HAS_EXPIRED:
            return f"TLS: {error.verify_message}", CLOCK_WRONG
        return f"TLS: {error.verify_message}", NOT_THE_DEPARTMENT
    if "_ALERT_" in error.reason:  # the other end refused our certificate
        return f"TLS: {error.reason}", "is this unit's certificate expired or revoked? ask the administrator"
    return f"TLS: {error.reason}", NOT_THE_DEPARTMENT


def reason_of(error: BaseException) -> str:
    """The system's reason: refused, unreachable, no such name."""
    behind = next((one for one in causes_of(error) if isinstance(one, OSError)), None)
    return (behind.strerror if behind is not None else None) or type(error).__name__


def _bounded(response: httpx.Response) -> bytes:
    pieces, total = [], 0
    for piece in response.iter_raw():
        total += len(piece)
        if total > MAX_ANSWER_BYTES:
            raise LinkError(f"an answer of over {MAX_ANSWER_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)
