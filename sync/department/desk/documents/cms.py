"""A CMS signature with its content (RFC 5652), as RAUC makes it for bundles in the verity format. No I/O.

This checks what RAUC has OpenSSL check: the digest of the content and the signature over it, by a certificate
for code signing that is in the keyring or leads to one in it, and was in force at signing. The bundle's own
certificates prove nothing: without a keyring the signer is unknown.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from storage.errors import UpdateFileError

SIGNED_DATA, DATA = "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.1"
CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME = (f"1.2.840.113549.1.9.{n}" for n in (3, 4, 5))
PSS = "1.2.840.113549.1.1.10"
GENERALIZED_TIME = b"\x18"
DIGESTS: dict[str, type[hashes.HashAlgorithm]] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256,
    "2.16.840.1.101.3.4.2.2": hashes.SHA384,
    "2.16.840.1.101.3.4.2.3": hashes.SHA512,
}
MAX_STEPS = 4  # from the signer's certificate to one of the keyring
MAX_SIGNERS = 8
MAX_CERTIFICATES = 16  # tried for a chain: MAX_STEPS of them, in each order


@asn1.sequence
class _Attribute:
    kind: x509.ObjectIdentifier
    values: Annotated[asn1.SetOf[asn1.TLV], asn1.Size(1, 1)]


@asn1.sequence
class _IssuerAndSerial:
    issuer: asn1.TLV
    serial: int


@asn1.sequence
class _Signer:
    """One signer (by issuer and serial, or by key identifier), the algorithms, and what was signed."""

    version: int
    sid: Annotated[bytes, asn1.Implicit(0)] | _IssuerAndSerial
    digest: Annotated[list[asn1.TLV], asn1.Size(1, 2)]
    attributes: Annotated[asn1.SetOf[_Attribute] | None, asn1.Implicit(0)]
    algorithm: Annotated[list[asn1.TLV], asn1.Size(1, 2)]
    signature: bytes
    unsigned: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(1)]


@asn1.sequence
class _Encapsulated:
    kind: x509.ObjectIdentifier
    content: Annotated[bytes | None, asn1.Explicit(0)]


@asn1.sequence
class _SignedData:
    version: int
    digests: asn1.SetOf[asn1.TLV]
    encapsulated: _Encapsulated
    certificates: Annotated[asn1.SetOf[x509.Certificate] | None, asn1.Implicit(0)]
    revoked: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(1)]  # RAUC reads them only if configured to
    signers: Annotated[asn1.SetOf[_Signer], asn1.Size(1, MAX_SIGNERS)]


@asn1.sequence
class _ContentInfo:
    kind: x509.ObjectIdentifier
    content: Annotated[_SignedData, asn1.Explicit(0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedContent:
    """A parsed signature: its content (None if it is detached), certificates and signers."""

    content: bytes | None
    certificates: tuple[x509.Certificate, ...]
    signers: tuple[_Signer, ...]


@contextmanager
def _read_strictly() -> Iterator[None]:
    """Turn what `cryptography` raises for an unreadable part of a certificate into `malformed`.

    It parses a version, key, name or extension only when that is accessed.
    """
    try:
        yield
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension):
        raise malformed() from None


@_read_strictly()
def parse_signed(data: bytes) -> SignedContent:
    """Parse DER. Raises UpdateFileError."""
    found = asn1.decode_der(_ContentInfo, data)
    signed = found.content
    if found.kind.dotted_string != SIGNED_DATA or signed.encapsulated.kind.dotted_string != DATA:
        raise malformed()
    return SignedContent(
        content=signed.encapsulated.content,
        certificates=tuple(signed.certificates.as_list() if signed.certificates else ()),
        signers=tuple(signed.signers.as_list()),
    )


@_read_strictly()
def check_signed(signed: SignedContent, content: bytes, keyring: Sequence[x509.Certificate]) -> None:
    """Check that each signature holds, by a certificate that leads to the keyring. Raises UpdateFileError.

    keyring: empty if there is none here; each certificate of the signature is then accepted as its own.
    """
    for signer in signed.signers:
        found = [one for one in signed.certificates if _is_of(signer.sid, one)]
        if not found:
            raise UpdateFileError("the signature of its RAUC bundle lacks its signer's certificate")
        _demand_holds(signer, found[0], content)
        if keyring:
            at = _signed_at(signer)
            _demand_for_code(found[0])
            _demand_leads(found[0], signed.certificates, keyring, at)


def read_keyring(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a keyring. Raises UpdateFileError."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except (ValueError, x509.InvalidVersion):
        raise UpdateFileError("holds no certificate in PEM") from None


def malformed() -> UpdateFileError:
    """The error for bytes that are not a signature."""
    return UpdateFileError("the end of its RAUC bundle is not a signature (CMS)")


def _algorithm(identifier: list[asn1.TLV]) -> str:
    named: x509.ObjectIdentifier = identifier[0].parse(x509.ObjectIdentifier)
    return named.dotted_string


def _is_of(sid: bytes | _IssuerAndSerial, certificate: x509.Certificate) -> bool:
    """Whether a signer is named by this certificate's issuer and serial, or by its key identifier."""
    if isinstance(sid, bytes):
        try:
            known = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except (x509.ExtensionNotFound, ValueError):
            return False
        return known.digest == sid
    named = asn1.encode_der(sid.issuer), sid.serial
    return named == (certificate.issuer.public_bytes(), certificate.serial_number)


def _attribute(signer: _Signer, oid: str) -> asn1.TLV | None:
    """The one value of a signed attribute. Raises UpdateFileError."""
    every = signer.attributes.as_list() if signer.attributes else []
    found = [one.values.as_list()[0] for one in every if one.kind.dotted_string == oid]
    if len(found) > 1:
        raise malformed()
    return found[0] if found else None


def _demand_holds(signer: _Signer, certificate: x509.Certificate, content: bytes) -> None:
    """Check a signature over the attributes, as a SET, one of which is the content's digest (RFC 5652,
    5.4)."""
    try:
        digest = DIGESTS[_algorithm(signer.digest)]()
    except KeyError:
        raise UpdateFileError("its RAUC bundle is signed over a digest other than SHA-2") from None
    broken = UpdateFileError("the signature of its RAUC bundle does not hold")
    signed = content
    if signer.attributes is not None:
        said, kind = _attribute(signer, MESSAGE_DIGEST), _attribute(signer, CONTENT_TYPE)
        if said is None or kind is None or kind.parse(x509.ObjectIdentifier).dotted_string != DATA:
            raise malformed()
        if not hmac.compare_digest(said.parse(bytes), hashlib.new(digest.name, content).digest()):
            raise broken
        signed = asn1.encode_der(signer.attributes)
    key = certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            scheme: padding.AsymmetricPadding = padding.PKCS1v15()
            if _algorithm(signer.algorithm) == PSS:
                scheme = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
            key.verify(signer.signature, signed, scheme, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signer.signature, signed, ec.ECDSA(digest))
        else:
            raise UpdateFileError("its RAUC bundle is signed by a key that is neither RSA nor ECDSA")
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        raise broken from None


def _signed_at(signer: _Signer) -> datetime:
    """When the signer signed, as units read it (`use-bundle-signing-time`). Raises UpdateFileError."""
    said = _attribute(signer, SIGNING_TIME)
    if said is None:
        raise UpdateFileError("its RAUC bundle does not say when it was signed")
    kind = asn1.GeneralizedTime if said.tag_bytes == GENERALIZED_TIME else asn1.UTCTime
    at: asn1.GeneralizedTime | asn1.UTCTime = said.parse(kind)
    return at.as_datetime().replace(tzinfo=UTC)


def _demand_for_code(certificate: x509.Certificate) -> None:
    """Check what RAUC's check-purpose=codesign checks. Raises UpdateFileError."""
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        keys = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        fits = ExtendedKeyUsageOID.CODE_SIGNING in uses and keys.digital_signature
    except (x509.ExtensionNotFound, ValueError):
        fits = False
    if not fits:
        raise UpdateFileError("its RAUC bundle is signed by a certificate that is not for code signing")


def _demand_leads(
    certificate: x509.Certificate,
    brought: Sequence[x509.Certificate],
    keyring: Sequence[x509.Certificate],
    at: datetime,
) -> None:
    """Demand a chain from a certificate to a self-signed one of the keyring. Raises UpdateFileError.

    Each must be in force at that time. OpenSSL asks this if no partial chain is allowed (`system.conf.in`).
    """
    known = tuple(dict.fromkeys((*keyring, *brought)))[:MAX_CERTIFICATES]
    late = False
    for chain in _chains((certificate,), known):
        if chain[-1] not in keyring:
            continue
        if all(one.not_valid_before_utc <= at <= one.not_valid_after_utc for one in chain):
            return
        late = True
    if late:
        raise UpdateFileError("its RAUC bundle was signed by a certificate that was not in force then")
    raise UpdateFileError("its RAUC bundle is signed by a certificate that the keyring does not know")


def _chains(
    chain: tuple[x509.Certificate, ...], known: Sequence[x509.Certificate]
) -> Iterator[tuple[x509.Certificate, ...]]:
    """Every chain from its first certificate to a self-signed one.

    There can be several: a renewed CA has two certificates with the same key and name.
    """
    if _issued(chain[-1], chain[-1]) or (len(chain) == 1 and _signed_by(chain[0], chain[0])):
        yield chain
    elif len(chain) < MAX_STEPS:
        for above in known:
            if above not in chain and _issued(above, chain[-1], len(chain) - 1):
                yield from _chains((*chain, above), known)


def _issued(authority: x509.Certificate, certificate: x509.Certificate, between: int = 0) -> bool:
    """Whether an authority may sign certificates and signed this one.

    between: how many certificates of authorities are under it, for its path length.
    """
    try:
        limits = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not limits.ca or (limits.path_length is not None and between > limits.path_length):
            return False
    except x509.ExtensionNotFound:
        return False
    with suppress(x509.ExtensionNotFound):
        if not authority.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign:
            return False
    return _signed_by(authority, certificate)


def _signed_by(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError, UnsupportedAlgorithm):
        return False
    return True
