"""What a unit hears of a line that TLS ends: a clock that is far off shows there first."""

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

from sync.errors import LinkError
from sync.transport import HttpsLink


def certificate(folder: Path, days: int) -> Path:
    """Key and certificate of localhost, in one file, valid for ten days from so many days on."""
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
    ("days", "said"), [(2, "not yet valid"), (-20, "expired")], ids=["clock behind", "clock ahead"]
)
def test_a_certificate_out_of_its_time_is_told_with_the_clock(tmp_path: Path, days: int, said: str) -> None:
    pem = certificate(tmp_path, days)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)

    def answer(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as line:
            server.wrap_socket(line, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        link = HttpsLink(
            f"localhost:{listener.getsockname()[1]}",
            ssl.create_default_context(cafile=str(pem)),
            ed25519.Ed25519PrivateKey.generate().public_key(),
        )
        with contextlib.closing(link), pytest.raises(LinkError, match=said) as raised:
            link.post("hello", [b"x"])
        thread.join()
    assert "clock" in raised.value.cure


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
