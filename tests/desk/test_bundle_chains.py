"""The desk accepts the same certificate chains for a bundle as OpenSSL on a unit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from storage.errors import UpdateFileError
from sync.department.desk.documents.cms import check_signed, parse_signed

ROOT, UNDER, LEAF = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
WORDS = b"a manifest"


@dataclass(frozen=True, slots=True)
class Key:
    """The subject of a certificate: a name and a key."""

    name: str
    private: ec.EllipticCurvePrivateKey


ROOTS, UNDERS, LEAVES = Key("root", ROOT), Key("under", UNDER), Key("leaf", LEAF)


def certificate(
    of: Key, by: Key, *, ca: bool = True, signs: bool = True, path: int | None = None, days: int = 20
) -> x509.Certificate:
    """A certificate valid from 40 days ago until `days` from now."""
    now = datetime.now(UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one.name)]) for one in (of, by)]
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=signs, crl_sign=False, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
    made = x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1])
    made = made.public_key(of.private.public_key()).serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(40)).not_valid_after(now + timedelta(days))
    made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=path), critical=True)
    made = made.add_extension(usage, critical=True)
    made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    return made.sign(by.private, hashes.SHA256())


CA, EXPIRED = certificate(ROOTS, ROOTS), certificate(ROOTS, ROOTS, days=-10)
NO_SIGNER, SHORT = certificate(ROOTS, ROOTS, signs=False), certificate(ROOTS, ROOTS, path=0)
MIDDLE = certificate(UNDERS, ROOTS)
LONG, DIRECT = (certificate(LEAVES, by, ca=False, signs=False) for by in (UNDERS, ROOTS))


def signed(leaf: x509.Certificate, *brought: x509.Certificate) -> bytes:
    """A signature by a leaf, with the certificates that it includes."""
    made = pkcs7.PKCS7SignatureBuilder().set_data(WORDS).add_signer(leaf, LEAF, hashes.SHA256())
    for one in brought:
        made = made.add_certificate(one)
    return made.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


@pytest.mark.parametrize(
    ("data", "keyring", "said"),
    [
        pytest.param(signed(DIRECT), [CA], "", id="its CA"),
        pytest.param(signed(LONG, MIDDLE), [CA], "", id="one between"),
        pytest.param(signed(LONG), [CA, MIDDLE], "", id="one between of the keyring"),
        pytest.param(signed(DIRECT), [EXPIRED, CA], "", id="a renewed CA after the old one"),
        pytest.param(signed(DIRECT), [CA, EXPIRED], "", id="a renewed CA before the old one"),
        pytest.param(signed(DIRECT), [EXPIRED], "not in force then", id="only the old one"),
        pytest.param(signed(LONG, MIDDLE), [MIDDLE], "does not know", id="only the one between"),
        pytest.param(signed(DIRECT), [DIRECT], "does not know", id="only its own"),
        pytest.param(signed(DIRECT, CA), [MIDDLE], "does not know", id="a CA of the bundle alone"),
        pytest.param(signed(DIRECT), [NO_SIGNER], "does not know", id="a CA that signs none"),
        pytest.param(signed(LONG, MIDDLE), [SHORT], "does not know", id="a path too long"),
        pytest.param(signed(DIRECT), [SHORT], "", id="a path just so long"),
    ],
)
def test_a_chain_ends_at_a_root_of_the_keyring_in_force_then(
    data: bytes, keyring: list[x509.Certificate], said: str
) -> None:
    if not said:
        return check_signed(parse_signed(data), WORDS, keyring)
    with pytest.raises(UpdateFileError, match=said):
        check_signed(parse_signed(data), WORDS, keyring)
    return None


def test_the_certificate_that_the_bundle_brings_is_the_one_that_counts() -> None:
    """Even if it is an altered copy of one in the keyring, with the same issuer and number."""
    made = signed(DIRECT)
    at = made.index(DIRECT.signature) + len(DIRECT.signature) - 1
    altered = made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :]
    with pytest.raises(UpdateFileError, match="does not know"):
        check_signed(parse_signed(altered), WORDS, [DIRECT, CA])
