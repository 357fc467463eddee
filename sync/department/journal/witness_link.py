"""How the desk and verifiers reach a witness: over HTTP, or in a folder on the same machine.

Both links give the same answers and raise the same errors. A witness that does not answer is away. One that
answers 409 gives its size. One that otherwise refuses has seen a log that did not merely grow.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import httpx

from storage.checkpoint import MAX_NOTE_BYTES
from storage.errors import ForkedLogError, causes_of
from storage.times import SECOND_US, now_us
from sync.department.ground.tls import (
    EXPIRED,
    NOT_YET,
    OTHER_NAME,
    UNTRUSTED,
    certificate_fault,
    client_context,
)
from sync.department.journal.witness import SIZE_TYPE, origin_hash, request_body
from sync.department.journal.witness_server import WitnessFolder
from sync.errors import LinkError

FOLDER_SCHEME = "folder:"
TIMEOUT_S = 5.0  # for the whole answer
STEP_S = 2.5  # for each step


WRONG_ADDRESS = "check the witness's address in the root file, and the witness's own log"
_UNREACHED: tuple[tuple[type[BaseException], str, str], ...] = (
    (
        ssl.SSLCertVerificationError,
        UNTRUSTED,
        "start the department's server with SSL_CERT_FILE=FILE, the certificate of the witness's authority",
    ),
    (
        ssl.SSLError,
        "TLS failed",
        "check that its address leads to a server with TLS",
    ),
    (socket.gaierror, "its name is not known", "check the witness's address, and this server's name service"),
    (
        ConnectionRefusedError,
        "it refused the connection: nothing listens there",
        "start the witness, or check the port in its address",
    ),
    (
        httpx.TimeoutException,
        f"it did not answer within {STEP_S:g} seconds",
        "check the witness, the network, and a firewall between",
    ),
    (OSError, "it cannot be reached", "check the network between this server and the witness"),
)
"""(kind of error, what is wrong, what to do), the closest first."""
_CERTIFICATES = {
    NOT_YET: "check this server's clock; if it is right, the office that runs the witness needs another "
    "certificate",
    EXPIRED: "the office that runs the witness renews it (witness serve --certificate); check this server's "
    "clock",
    OTHER_NAME: "check the witness's address in the root file; if it is right, its office needs a "
    "certificate for that address",
}
"""What is wrong with its certificate, and what to do."""


class SizeConflictError(LinkError):
    """The witness last co-signed another size than the request said: `size`."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"the witness co-signed size {size} last", where="witness")


class WitnessLink(Protocol):
    """A witness as the desk sees it."""

    def cosign(self, old_size: int, proof: list[bytes], note: str) -> str:
        """Get signature lines for `note`. Raises LinkError, SizeConflictError, ForkedLogError."""
        ...

    def newest(self, origin: str) -> str:
        """The newest co-signed note of a log. Raises LinkError."""
        ...

    def close(self) -> None:
        """Close the connection or the folder's database."""
        ...


def _judged(status: int, body: str, content_type: str) -> str:
    if status == 200:
        return body
    if status == 409 and content_type.startswith(SIZE_TYPE) and body.strip().isdecimal():
        raise SizeConflictError(int(body))
    if status in {409, 422}:
        raise ForkedLogError(
            "the witness refuses: this log is not a continuation of what it co-signed",
            where="witness",
            cure="stop, keep the log and the witness's checkpoint, call the office that runs the witness",
        )
    raise LinkError(f"it answered {status}", where="witness", cure=WRONG_ADDRESS)


def _unreached(error: BaseException, where: str) -> LinkError:
    """Why a witness did not answer, and what to do."""
    causes = causes_of(error)
    fault = certificate_fault(error)
    if fault in _CERTIFICATES:
        return LinkError(fault, where=where, cure=_CERTIFICATES[fault])
    for kind, what, cure in _UNREACHED:
        if any(isinstance(one, kind) for one in causes):
            return LinkError(what, where=where, cure=cure)
    return LinkError(f"no answer: {type(error).__name__}", where=where, cure=WRONG_ADDRESS)


class HttpWitness:
    """A witness at a submission prefix, which is also its monitoring prefix."""

    def __init__(self, url: str, client: httpx.Client | None = None, *, approved: bool = False) -> None:
        """`approved`: use TLS of the FIPS profile."""
        self._url = url.rstrip("/")
        timeout = httpx.Timeout(STEP_S, connect=STEP_S)
        self._client = client or httpx.Client(timeout=timeout, verify=client_context(approved=approved))

    def cosign(self, old_size: int, proof: list[bytes], note: str) -> str:
        body = request_body(old_size, proof, note).encode()
        status, text, kind = self._ask("POST", f"{self._url}/add-checkpoint", body)
        return _judged(status, text, kind)

    def newest(self, origin: str) -> str:
        status, text, _ = self._ask("GET", f"{self._url}/{origin_hash(origin)}/checkpoint", None)
        if status != 200:
            raise LinkError(f"the witness answered {status}", where=f"witness {self._url}")
        return text

    def _ask(self, method: str, url: str, body: bytes | None) -> tuple[int, str, str]:
        """Ask for (status, body, content type), with limits on size and time. Raises LinkError."""
        where, until = f"witness {self._url}", time.monotonic() + TIMEOUT_S
        data = b""
        try:
            with self._client.stream(method, url, content=body) as answer:
                for piece in answer.iter_raw():
                    data += piece
                    if len(data) > MAX_NOTE_BYTES or time.monotonic() > until:
                        raise LinkError("the answer is too large or too slow", where=where)
                return answer.status_code, data.decode(), answer.headers.get("content-type", "")
        except httpx.HTTPError as error:
            raise _unreached(error, where) from None
        except UnicodeDecodeError:
            raise LinkError("an answer that is not text", where=where, cure=WRONG_ADDRESS) from None

    def close(self) -> None:
        self._client.close()


class FolderWitness:
    """A witness folder on this machine, for demos and tests. It does not guard against root here."""

    def __init__(self, folder: WitnessFolder, clock: Callable[[], int] = now_us) -> None:
        """`clock`: the witness's own clock, UTC microseconds."""
        self._folder, self._clock = folder, clock

    def cosign(self, old_size: int, proof: list[bytes], note: str) -> str:
        answer = self._folder.add_checkpoint(
            request_body(old_size, proof, note).encode(), time_s=self._clock() // SECOND_US
        )
        return _judged(answer.status, answer.body, answer.content_type)

    def newest(self, origin: str) -> str:
        note = self._folder.newest(origin)
        if note is None:
            raise LinkError("the witness has not seen this log yet", where="witness")
        return note

    def close(self) -> None:
        self._folder.close()


class AbsentWitness:
    """The link without a witness: every call raises LinkError."""

    def cosign(self, old_size: int, proof: list[bytes], note: str) -> str:  # noqa: ARG002
        raise LinkError("there is no witness", where="witness", cure="name one in the root file")

    def newest(self, origin: str) -> str:  # noqa: ARG002
        raise LinkError("there is no witness", where="witness", cure="name one in the root file")

    def close(self) -> None:
        """Do nothing: nothing is open."""


def link_of(url: str, *, approved: bool = False) -> WitnessLink:
    """The link for an address: https://..., http://..., folder:/path, or none."""
    if url.startswith(FOLDER_SCHEME):
        return FolderWitness(WitnessFolder(Path(url[len(FOLDER_SCHEME) :])))
    return HttpWitness(url, approved=approved) if url else AbsentWitness()
