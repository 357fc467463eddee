"""A key service or a witness uses a renewed certificate without a restart."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sync.department.ground.certificates import private_pem, self_signed
from sync.department.ground.served_certificate import ServedCertificate
from sync.errors import InvalidInputError, LackingError

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


def write_pair(folder: Path, *, days: int = 90) -> bytes:
    """Write a new key and its certificate into the two files. Returns the certificate, DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keys.example.gov")])
    made = self_signed(key, name, (NOW - dt.timedelta(days=60), NOW + dt.timedelta(days=days)))
    (folder / "chain.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(private_pem(key))
    return made.public_bytes(Encoding.DER)


def shown_by(context: ssl.SSLContext) -> bytes | None:
    """The certificate shown in a handshake with this context, in memory."""
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = asking.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)
    for one in (client, server) * 3:  # the server first asks for another curve
        with suppress(ssl.SSLWantReadError):
            one.do_handshake()
    return client.getpeercert(binary_form=True)


def test_a_renewed_pair_of_files_is_shown_and_a_half_of_one_is_not(tmp_path: Path) -> None:
    first = write_pair(tmp_path)
    served = ServedCertificate(tmp_path / "chain.pem", tmp_path / "key.pem")
    assert (shown_by(served.context), served.take()) == (first, "")
    old_key = (tmp_path / "key.pem").read_bytes()
    second = write_pair(tmp_path)
    new_key = (tmp_path / "key.pem").read_bytes()
    (tmp_path / "key.pem").write_bytes(old_key)
    assert served.take().startswith("the previous certificate stays in use: ")
    assert (shown_by(served.context), served.take()) == (first, "")  # reported once
    (tmp_path / "key.pem").write_bytes(new_key)
    os.utime(tmp_path / "key.pem", ns=(1, 1))
    assert served.take().startswith("the renewed certificate is in use; its certificate ends 20")
    assert shown_by(served.context) == second


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(LackingError("OpenSSL would take CHACHA20"), "OpenSSL would take CHACHA20", id="FIPS"),
        pytest.param(FileNotFoundError(2, "No such file or directory"), "No such file", id="moved"),
        pytest.param(ssl.SSLError(116, "[X509] key values mismatch"), "key values mismatch", id="half"),
    ],
)
def test_no_file_that_changes_meanwhile_ends_the_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    """Otherwise its thread would end, and no renewal would be used any longer."""
    write_pair(tmp_path)
    served = ServedCertificate(tmp_path / "chain.pem", tmp_path / "key.pem")
    write_pair(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("sync.department.ground.served_certificate.tls_context", fail)
        said = served.take()
    assert said.startswith("the previous certificate stays in use: ")
    assert words in said
    second = write_pair(tmp_path)
    assert served.take().startswith("the renewed certificate is in use")
    assert shown_by(served.context) == second


@pytest.mark.parametrize(
    ("days", "words"),
    [
        pytest.param(90, "its certificate ends 2027-02-27 12:00 UTC", id="months ahead"),
        pytest.param(
            7, "its certificate ends 2026-12-06 12:00 UTC: then departments refuse it; renew ", id="soon"
        ),
        pytest.param(
            -1, "its certificate ended 2026-11-28 12:00 UTC: departments refuse it; renew ", id="past"
        ),
    ],
)
def test_the_office_reads_when_its_certificate_ends(tmp_path: Path, days: int, words: str) -> None:
    write_pair(tmp_path, days=days)
    said = ServedCertificate(tmp_path / "chain.pem", tmp_path / "key.pem").words(NOW)
    assert said.startswith(words)
    assert (said == words) == (days > 14)


def test_files_that_are_no_pair_are_refused_at_the_start(tmp_path: Path) -> None:
    write_pair(tmp_path)
    chain = (tmp_path / "chain.pem").read_bytes()
    write_pair(tmp_path)
    (tmp_path / "chain.pem").write_bytes(chain)
    with pytest.raises(InvalidInputError, match="no certificate chain with its key"):
        ServedCertificate(tmp_path / "chain.pem", tmp_path / "key.pem")
