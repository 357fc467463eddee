"""A CMS signature with its content (RFC 5652), as RAUC makes it for bundles of the verity format. No I/O.

Checked is what RAUC has OpenSSL check: the digest of the content and the signature over it, by a certificate
for code signing that the keyring holds or that leads to one of it, in force when it signed. Certificates of
the bundle alone prove nothing: without a keyring the signer is unknown.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from storage.errors import UpdateFileError
from sync.department.desk.documents.der import INTEGER, OCTETS, OID, SEQUENCE, SET, Der, malformed

SIGNED_DATA, DATA = "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.1"
CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME = (f"1.2.840.113549.1.9.{n}" for n in (3, 4, 5))
PSS = "1.2.840.113549.1.1.10"
DIGESTS: dict[str, type[hashes.HashAlgorithm]] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256,
    "2.16.840.1.101.3.4.2.2": hashes.SHA384,
    "2.16.840.1.101.3.4.2.3": hashes.SHA512,
}
EXPLICIT_0, IMPLICIT_0, IMPLICIT_1, IMPLICIT_SID = 0xA0, 0xA0, 0xA1, 0x80
MAX_STEPS = 4  # from the signer's certificate to one of the keyring
MAX_SIGNERS = 8
MAX_CERTIFICATES = 16  # that are tried for a chain: MAX_STEPS of them, in each order


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """One signer: who, by issuer and serial or by key identifier; how; and what was signed."""

    sid: Der
    digest: str
    attributes: Der | None
    algorithm: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedContent:
    """A parsed signature: its content (None: the content is elsewhere), certificates and signers."""

    content: bytes | None
    certificates: tuple[x509.Certificate, ...]
    signers: tuple[Signer, ...]


@contextmanager
def _read_strictly() -> Iterator[None]:
    """What cryptography cannot read of a certificate (a version, a key, a name, extensions) is malformed: it
    reads each part only when asked for it."""
    try:
        yield
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension):
        raise malformed() from None


@_read_strictly()
def parse_signed(data: bytes) -> SignedContent:
    """Parse DER. Raises UpdateFileError."""
    kind, wrapped = _exactly(Der.of(data, SEQUENCE).parts(SEQUENCE), 2)
    if kind.oid != SIGNED_DATA:
        raise malformed()
    (inner,) = _exactly(wrapped.parts(EXPLICIT_0), 1)
    version, _digests, encapsulated, *rest = _at_least(inner.parts(SEQUENCE), 4)
    version.being(INTEGER)
    certificates = tuple[x509.Certificate, ...]()
    if rest[0].tag == IMPLICIT_0:
        certificates = tuple(_certificate(one.whole) for one in rest.pop(0).parts(IMPLICIT_0))
    if rest and rest[0].tag == IMPLICIT_1:
        rest.pop(0)  # lists of revoked certificates: RAUC reads them only if it is set to
    (infos,) = _exactly(rest, 1)
    signers = tuple(_signer(one) for one in infos.parts(SET))
    if not 1 <= len(signers) <= MAX_SIGNERS:
        raise malformed()
    return SignedContent(content=_content(encapsulated), certificates=certificates, signers=signers)


@_read_strictly()
def check_signed(signed: SignedContent, content: bytes, keyring: Sequence[x509.Certificate]) -> None:
    """Does each signature hold, by a certificate that leads to the keyring? Raises UpdateFileError.

    keyring: empty if there is none here; then each certificate of the signature is taken for its own.
    """
    for signer in signed.signers:
        found = [one for one in signed.certificates if _is_of(signer.sid, one)]
        if not found:
            raise UpdateFileError("the signature of its RAUC bundle does not bring its signer's certificate")
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


def _exactly(parts: list[Der], count: int) -> list[Der]:
    if len(parts) != count:
        raise malformed()
    return parts


def _at_least(parts: list[Der], count: int) -> list[Der]:
    if len(parts) < count:
        raise malformed()
    return parts


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        raise malformed() from None


def _content(encapsulated: Der) -> bytes | None:
    kind, *held = _at_least(encapsulated.parts(SEQUENCE), 1)
    if kind.oid != DATA:
        raise malformed()
    if not held:
        return None
    (octets,) = _exactly(held[0].parts(EXPLICIT_0), 1)
    if octets.tag == OCTETS | 0x20:  # in pieces, as OpenSSL writes a stream
        return b"".join(one.being(OCTETS).content for one in octets.parts(octets.tag))
    return octets.being(OCTETS).content


def _signer(info: Der) -> Signer:
    version, sid, digest, *rest = _at_least(info.parts(SEQUENCE), 5)
    version.being(INTEGER)
    attributes = rest.pop(0) if rest[0].tag == IMPLICIT_0 else None
    algorithm, signature = _at_least(rest, 2)[:2]
    return Signer(
        sid=sid,
        digest=_algorithm(digest),
        attributes=attributes,
        algorithm=_algorithm(algorithm),
        signature=signature.being(OCTETS).content,
    )


def _algorithm(identifier: Der) -> str:
    return _at_least(identifier.parts(SEQUENCE), 1)[0].being(OID).oid


def _is_of(sid: Der, certificate: x509.Certificate) -> bool:
    """Whether a signer is named by this certificate's issuer and serial, or by its key identifier."""
    if sid.tag == IMPLICIT_SID:
        try:
            known = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except (x509.ExtensionNotFound, ValueError):
            return False
        return known.digest == sid.content
    issuer, serial = _exactly(sid.parts(SEQUENCE), 2)
    number = int.from_bytes(serial.being(INTEGER).content, "big", signed=True)
    return (issuer.whole, number) == (certificate.issuer.public_bytes(), certificate.serial_number)


def _attribute(signer: Signer, oid: str) -> Der | None:
    """The one value of a signed attribute. Raises UpdateFileError."""
    if signer.attributes is None:
        return None
    for one in Der.each(signer.attributes.content):
        name, values = _exactly(one.parts(SEQUENCE), 2)
        if name.oid == oid:
            return _exactly(values.parts(SET), 1)[0]
    return None


def _demand_holds(signer: Signer, certificate: x509.Certificate, content: bytes) -> None:
    """RFC 5652, 5.4: over the attributes, as a SET, of which one is the content's digest."""
    try:
        digest = DIGESTS[signer.digest]()
    except KeyError:
        raise UpdateFileError("its RAUC bundle is signed over a digest that is none of SHA-2") from None
    broken = UpdateFileError("the signature of its RAUC bundle does not hold")
    signed = content
    if signer.attributes is not None:
        said, kind = _attribute(signer, MESSAGE_DIGEST), _attribute(signer, CONTENT_TYPE)
        if said is None or kind is None or kind.oid != DATA:
            raise malformed()
        if not hmac.compare_digest(said.being(OCTETS).content, hashlib.new(digest.name, content).digest()):
            raise broken
        signed = bytes([SET]) + signer.attributes.whole[1:]
    key = certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            scheme: padding.AsymmetricPadding = padding.PKCS1v15()
            if signer.algorithm == PSS:
                scheme = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
            key.verify(signer.signature, signed, scheme, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signer.signature, signed, ec.ECDSA(digest))
        else:
            raise UpdateFileError("its RAUC bundle is signed by a key that is neither RSA nor ECDSA")
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        raise broken from None


def _signed_at(signer: Signer) -> datetime:
    """When it was signed, as units judge it (`use-bundle-signing-time`). Raises UpdateFileError."""
    said = _attribute(signer, SIGNING_TIME)
    if said is None:
        raise UpdateFileError("its RAUC bundle does not say when it was signed")
    text = said.content.decode("ascii", "replace")
    century = "" if said.tag == 0x18 else "20" if text[:2] < "50" else "19"
    try:
        return datetime.strptime(century + text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise malformed() from None


def _demand_for_code(certificate: x509.Certificate) -> None:
    """As RAUC's check-purpose=codesign. Raises UpdateFileError."""
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
    """Whether a certificate leads to a self-signed one of the keyring, each in force then, as OpenSSL asks
    where no partial chain is allowed (`system.conf.in`). Raises UpdateFileError."""
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
    """Every chain from its first certificate to a self-signed one: a CA that was renewed has two certificates
    of one key and name."""
    if _issued(chain[-1], chain[-1]) or (len(chain) == 1 and _signed_by(chain[0], chain[0])):
        yield chain
    elif len(chain) < MAX_STEPS:
        for above in known:
            if above not in chain and _issued(above, chain[-1], len(chain) - 1):
                yield from _chains((*chain, above), known)


def _issued(authority: x509.Certificate, certificate: x509.Certificate, between: int = 0) -> bool:
    """Whether an authority may sign certificates and signed this one. between: certificates of authorities
    under it, for its path length."""
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
