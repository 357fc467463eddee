"""The real server refuses hostile clients with a clear error, in bounded time and memory."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sync_twins import DepartmentProcess, Unit, bare_home, running
from waiting import PATIENCE_S

from sync import messages
from sync.enrollment import open_link
from sync.errors import RefusedByDepartmentError
from sync.transport import server_context, unit_context

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepartmentProcess]:
    """A server with the shortest permitted wait for silent clients."""
    with running(bare_home(tmp_path_factory.mktemp("server") / "home", request_seconds=5)) as process:
        yield process


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError(pid)


def context_of(unit: Unit) -> ssl.SSLContext:
    member = unit.folder.member()
    return unit_context(member.authority_pem(), unit.folder.certificate, unit.folder.tls_key, passed_us=0)


def connected(unit: Unit, server: DepartmentProcess) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", server.home.settings.unit_port), PATIENCE_S)
    return context_of(unit).wrap_socket(raw, server_hostname="localhost")


def answer_to_header(unit: Unit, server: DepartmentProcess, name: str, length: int) -> httpx.Response:
    """The answer to a message of which only the header is sent."""
    with connected(unit, server) as line:
        line.sendall(f"POST /v1/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(line)
        answer.begin()
        return httpx.Response(answer.status, content=answer.read())


def refusal(response: httpx.Response, unit: Unit) -> messages.Refusal:
    return messages.open_message(messages.Refusal, response.content, unit.folder.member().department_public())


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        pytest.param("hello", b"", 400, "malformed", id="nothing"),
        pytest.param("hello", os.urandom(400), 400, "malformed", id="noise"),
        pytest.param("parcel", os.urandom(4000), 400, "malformed", id="noise as a parcel"),
        pytest.param("leaves", b"\xd2" + b"\x9b" + b"\xff" * 8, 400, "malformed", id="a huge array"),
        pytest.param("leaves", b"\xd2" + b"\x81" * 60_000, 400, "malformed", id="deeply nested"),
        pytest.param("no-such", b"x", 400, "malformed", id="no such message"),
        pytest.param("renew", os.urandom(100), 400, "malformed", id="noise as a vouch"),
        pytest.param("hello", bytes(2 * MIB), 413, "too-large", id="over its limit"),
        pytest.param(
            "parcel", bytes(messages.MAX_PARCEL_BYTES + 5), 413, "too-large", id="a parcel over its limit"
        ),
    ],
)
def test_bad_messages_are_refused_with_a_signed_word(
    server: DepartmentProcess, enrolled: Unit, name: str, body: bytes, status: int, code: str
) -> None:
    if status == 413:  # refused for its length: a client that still sends the body is disconnected
        response = answer_to_header(enrolled, server, name, len(body))
    else:
        with httpx.Client(verify=context_of(enrolled), trust_env=False, timeout=PATIENCE_S) as client:
            url = f"https://{enrolled.folder.member().unit_address}/v1/{name}"
            response = client.post(url, content=body)
    assert response.status_code == status
    assert refusal(response, enrolled).code == code


def test_a_body_without_a_length_is_cut_off_at_its_limit(server: DepartmentProcess, enrolled: Unit) -> None:
    before = resident_bytes(server.pid)

    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield bytes(MIB)

    with (
        httpx.Client(verify=context_of(enrolled), trust_env=False, timeout=PATIENCE_S) as client,
        contextlib.suppress(httpx.TransportError),  # it may close the connection while the client still sends
    ):
        url = f"https://{enrolled.folder.member().unit_address}/v1/parcel"
        response = client.post(url, content=endless())
        assert refusal(response, enrolled).code == "too-large"
    assert resident_bytes(server.pid) - before < 100 * MIB


def test_a_client_that_falls_silent_in_its_header_is_cut_off(
    server: DepartmentProcess, enrolled: Unit
) -> None:
    with connected(enrolled, server) as line:
        line.sendall(b"POST /v1/hello HTTP/1.1\r\nHost: x\r\nX-")
        line.settimeout(PATIENCE_S)
        try:
            answer = line.recv(1000)
        except (ConnectionError, ssl.SSLError):
            answer = b""
    assert answer == b""


def test_a_client_that_falls_silent_in_its_body_gets_an_answer(
    server: DepartmentProcess, enrolled: Unit
) -> None:
    with connected(enrolled, server) as line:
        line.sendall(b"POST /v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        line.settimeout(PATIENCE_S)
        answer = line.recv(4000)
    assert answer.startswith(b"HTTP/1.1 408")


def test_a_client_that_drips_its_body_is_cut_off(server: DepartmentProcess, enrolled: Unit) -> None:
    """It is never silent for long and never done; a time limit for the whole body ends it."""
    with connected(enrolled, server) as line:
        line.sendall(b"POST /v1/parcel HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        line.settimeout(0.5)
        answer, started = b"", time.monotonic()
        while not answer and time.monotonic() - started < PATIENCE_S:
            try:
                line.sendall(b"a")
                answer = line.recv(4000)
            except TimeoutError:
                continue
            except (ConnectionError, ssl.SSLError):
                break
    assert answer.startswith(b"HTTP/1.1 408")


def test_a_hundred_silent_clients_do_not_keep_a_unit_out(server: DepartmentProcess, enrolled: Unit) -> None:
    enrolled.add(2)
    silent = [
        socket.create_connection(("127.0.0.1", server.home.settings.unit_port), PATIENCE_S)
        for _ in range(100)
    ]
    try:
        assert enrolled.attempt().outcome == "done"
    finally:
        for one in silent:
            one.close()


def test_a_header_without_end_is_refused(server: DepartmentProcess, enrolled: Unit) -> None:
    with connected(enrolled, server) as line:
        line.settimeout(PATIENCE_S)
        answer = b""
        try:
            line.sendall(b"POST /v1/hello HTTP/1.1\r\nX: " + b"a" * 200_000)
            answer = line.recv(1000)
        except (ConnectionError, ssl.SSLError):
            pass
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


def test_enrollment_refuses_a_guessed_code_and_says_no_more(
    server: DepartmentProcess, enrolled: Unit
) -> None:
    member = enrolled.folder.member()
    from sync.membership import make_vouch
    from sync.transport import HttpsLink

    link = HttpsLink(
        member.front_address,
        server_context(member.authority_pem(), passed_us=0),
        member.department_public(),
        prefix="/enrol/",
    )
    vouch = make_vouch(enrolled.folder, enrolled.folder.unit_key(), enrolled.outbox.log_public)
    request = messages.EnrollRequest(secret=os.urandom(16), vouch=vouch, software="x")
    with pytest.raises(RefusedByDepartmentError, match="unknown, used or expired"):
        link.post("unit", [messages.seal_message(request, enrolled.outbox.sign)])
    link.close()


def test_the_front_door_shows_only_the_root_file(server: DepartmentProcess, enrolled: Unit) -> None:
    member = enrolled.folder.member()
    context = server_context(member.authority_pem(), passed_us=0)
    with httpx.Client(
        verify=context, base_url=f"https://{member.front_address}", trust_env=False, timeout=PATIENCE_S
    ) as client:
        assert client.get("/enrol/root").content == (server.home.path / "root.cbor").read_bytes()
        assert client.post("/v1/hello", content=b"x").status_code == 404
        assert client.get("/docs").status_code == 404


@pytest.mark.thorough
@pytest.mark.one_python
def test_after_all_that_the_server_still_works(server: DepartmentProcess, enrolled: Unit) -> None:
    enrolled.add(2)
    link = open_link(enrolled.folder, enrolled.folder.member(), passed_us=0)
    assert len(link.post("challenge", [b""])) == messages.NONCE_BYTES
    link.close()
    assert enrolled.attempt().outcome == "done"
