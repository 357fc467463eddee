"""What a unit reports when TLS fails: a clock that is far off shows there first."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from storage.times import DAY_US, now_us
from sync.enrollment import fetch_root
from sync.enrollment_code import EnrollmentCode
from sync.errors import LinkError, NotEnrolledError
from sync.transport import HttpsLink, demand_address, server_context


def certificate(folder: Path, days: int) -> Path:
    """A key and certificate for localhost in one file, valid for ten days from this many days on."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=localhost")
    begins = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begins)
        .not_valid_after(begins + dt.timedelta(days=10))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("days", "passed_us", "said"),
    [
        pytest.param(-20, now_us(), "TLS: certificate has expired", id="it surely ended"),
        pytest.param(-20, now_us() - 15 * DAY_US, "no answer", id="the clock is ahead"),
        pytest.param(-20, 0, "no answer", id="nobody knows the time"),
        pytest.param(2, now_us(), "no answer", id="the clock is behind"),
    ],
)
def test_a_servers_certificate_is_judged_by_what_has_surely_passed_and_by_no_clock(
    tmp_path: Path, days: int, passed_us: int, said: str
) -> None:
    pem = certificate(tmp_path, days)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)

    def answer(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as line:
            server.wrap_socket(line, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        link = HttpsLink(
            f"localhost:{listener.getsockname()[1]}",
            server_context(pem.read_bytes(), passed_us=passed_us),
            ed25519.Ed25519PrivateKey.generate().public_key(),
        )
        with contextlib.closing(link), pytest.raises(LinkError, match=said) as raised:
            link.post("hello", [b"x"])
        thread.join()
    assert ("clock" in raised.value.cure) is ("expired" in said)


PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<html>hello!"


@pytest.mark.parametrize("kind", ["plain page", "page with a certificate of its own", "hangs up"])
@pytest.mark.parametrize("joining", [False, True], ids=["sync", "enrollment"])
def test_a_sign_on_page_of_the_network_is_not_taken_for_a_clock_or_a_revoked_certificate(
    tmp_path: Path, kind: str, joining: bool
) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate(tmp_path, 0))

    def answer(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as line:
            if kind == "plain page":
                line.recv(4096)
                line.sendall(PAGE)
            elif kind == "page with a certificate of its own":
                with server.wrap_socket(line, server_side=True) as covered:
                    covered.recv(4096)
                    covered.sendall(PAGE)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        address = f"localhost:{listener.getsockname()[1]}"
        code = EnrollmentCode(secret=bytes(16), root_digest=bytes(32), address=address)
        link = HttpsLink(
            address, ssl.create_default_context(), ed25519.Ed25519PrivateKey.generate().public_key()
        )
        with contextlib.closing(link), pytest.raises((LinkError, NotEnrolledError)) as raised:
            fetch_root(code) if joining else link.post("hello", [b"x"])
        thread.join()
    assert raised.value.where == address
    assert "clock" not in raised.value.cure
    assert "revoked" not in raised.value.cure
    assert "a proxy" in raised.value.cure or "check the network" in raised.value.cure


@pytest.mark.parametrize(
    "address",
    [
        "a" * 64 + ".example:8443", "a..b:8443", "::1:8443", "[::1", "host:x", "host:99999", "user@host:1",
        "host:1/path", "host:1#", " :1", "a..:1", "..:1", ".:1", ".a:1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("joining", [True, False])
def test_what_is_not_an_address_of_a_server_is_named_with_its_form(address: str, joining: bool) -> None:
    """Some once ended a conversation or an enrollment with an error that named neither."""
    code = EnrollmentCode.new(bytes(32), address)
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    link = HttpsLink(address, ssl.create_default_context(), key)
    with contextlib.closing(link), pytest.raises(LinkError, match="is not the address of a server") as raised:
        fetch_root(code) if joining else link.post("hello", [b"x"])
    assert raised.value.where == address
    assert "[2001:db8::1]:8443" in raised.value.cure


@pytest.mark.parametrize(
    "address", ["host", "host.:1", "x" * 63 + ":1", "[2001:db8::1]:8443", "[fe80::1%eth0]:1"]
)
def test_an_address_of_a_server_is_one(address: str) -> None:
    demand_address(address)


def test_a_server_that_is_not_there_is_named_with_its_address_and_what_the_system_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    link = HttpsLink(
        f"127.0.0.1:{port}",
        ssl.create_default_context(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
    )
    with contextlib.closing(link), pytest.raises(LinkError) as raised:
        link.post("hello", [b"x"])
    assert str(raised.value).startswith(f"127.0.0.1:{port}: no connection: Connection refused")
    assert "nothing is lost" in raised.value.cure
