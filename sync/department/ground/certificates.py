"""X.509 certificates of the department's authorities: P-256, SHA-256, one level (RFC 5280)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Period = tuple[dt.datetime, dt.datetime]


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as unencrypted PKCS 8, for files that only their owner may read."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def self_signed(key: ec.EllipticCurvePrivateKey, subject: x509.Name, valid: Period) -> x509.Certificate:
    """An authority's own certificate, whose key may sign only certificates."""
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = _unsigned(key.public_key(), subject, subject, valid, is_authority=True)
    return builder.add_extension(own, critical=False).sign(key, hashes.SHA256())


def issued(  # noqa: PLR0917 - the fields of a certificate
    authority: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    valid: Period,
    usages: Sequence[x509.ObjectIdentifier],
    names: Sequence[x509.GeneralName] = (),
) -> x509.Certificate:
    """A certificate signed by an authority's key, for these extended usages and alternative names."""
    builder = (
        _unsigned(public, subject, issuer, valid, is_authority=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False
        )
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(authority, hashes.SHA256())


def _unsigned(
    public: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    issuer: x509.Name,
    valid: Period,
    *,
    is_authority: bool,
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    limits = x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(limits, critical=True)
        .add_extension(usage, critical=True)
    )
