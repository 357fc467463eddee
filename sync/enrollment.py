"""How a unit joins a department, from the one-time code to a certificate, and renews the certificate.

Order of trust: the code names the digest of the root file; the root file names the CA, the department's log
key and the command key; only then does the secret leave the unit, over TLS with a certificate of this CA.
After an interruption at any point, the same code works again for the same unit until it expires.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from typing import Protocol

import httpx
import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from storage import files
from storage.checkpoint import NoteKey
from storage.errors import NotPlainError, OutdatedError, StorageError
from storage.standing import UnitEnrollment
from sync import messages
from sync.enrollment_code import EnrollmentCode
from sync.errors import LinkError, NotEnrolledError
from sync.membership import RENEW_BEFORE_DAYS, Member, SyncFolder, make_vouch
from sync.root_file import MAX_ROOT_BYTES, Root, open_first
from sync.transport import CONNECT_S, HttpsLink, demand_address, link_error, server_context, unit_context
from sync.vouch import public_der

log_events = structlog.get_logger("uplink")


class Joiner(Protocol):
    """What joining needs from a unit's ledger."""

    @property
    def log_public(self) -> bytes:
        """The log's public key, 32 bytes."""

    def passed_us(self) -> int:
        """A UTC time that has surely passed; 0 if unknown."""

    def clock_us(self) -> int:
        """The clock's UTC time; 0 if it has none."""

    def sign(self, body: bytes, context: bytes) -> bytes:
        """Sign with the log key; returns a COSE_Sign1."""

    def take_membership(self, enrollment: UnitEnrollment) -> None:
        """Log that the unit belongs to a department; repeating the same one changes nothing."""

    def take_document(self, name: str, message: bytes) -> None:
        """Put a document that the command key signed into force. Raises StorageError, OutdatedError."""


def fetch_root(code: EnrollmentCode) -> Root:
    """Fetch the root file that the code's digest names. The connection need not be trusted."""
    try:
        return open_first(_fetch(code.address, "root", MAX_ROOT_BYTES), code.root_digest)
    except StorageError as error:
        raise NotEnrolledError(
            f"the server that answers is not the department of this code: {error}",
            where=code.address,
            cure="a sign-on page of this network, a proxy, another department?",
        ) from None


def fetch_authority(address: str, named: bytes) -> bytes:
    """Fetch the CA's newest certificate (DER), for the key that the root file names. Untrusted likewise."""
    newest = _fetch(address, "authority", MAX_ROOT_BYTES)
    check_named_authority(newest, named)
    return newest


def check_named_authority(newest: bytes, named: bytes) -> None:
    """Raises NotEnrolledError unless this is a CA certificate for the key that the root file names.

    named: the key, SubjectPublicKeyInfo in DER.
    """
    try:
        certificate = x509.load_der_x509_certificate(newest)
        certificate.verify_directly_issued_by(certificate)
        key = certificate.public_key()
        same = isinstance(key, ec.EllipticCurvePublicKey) and public_der(key) == named
    except (InvalidSignature, ValueError, TypeError):
        same = False
    if not same:
        raise NotEnrolledError("the department shows a CA that its root file does not name")


def _fetch(address: str, name: str, limit: int) -> bytes:
    """Fetch a public file of the department; the caller checks its content. Raises LinkError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the machine's authorities
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # see above
    where = f"https://{address}/enrol/{name}"
    demand_address(address)
    try:
        with (
            httpx.Client(verify=context, timeout=CONNECT_S, trust_env=False) as client,
            client.stream("GET", where) as response,
        ):
            data = b""
            for piece in response.iter_raw():
                data += piece
                if len(data) > limit:
                    raise LinkError("a file of no such size", where=where)
    except httpx.HTTPError as error:
        raise link_error(error, f"the request for its {name} file", address) from None
    return data


def check_authority(newest: bytes, known: bytes) -> None:
    """Raises NotEnrolledError unless both certificates have the same key and name."""
    try:
        first, second = (x509.load_der_x509_certificate(one) for one in (known, newest))
        same = (first.public_key(), first.subject) == (second.public_key(), second.subject)
        second.verify_directly_issued_by(second)
    except (InvalidSignature, ValueError, TypeError):
        same = False
    if not same:
        raise NotEnrolledError("the department shows a CA that its root file does not name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """What a root file names for units. Log and command key: 32 bytes, Ed25519; CA: certificate in DER."""

    department: bytes
    command: bytes
    authority: bytes


def check_no_other(folder: SyncFolder, named: Trusted) -> None:
    """Raises NotEnrolledError if the unit belongs to a department that has none of these keys.

    Its content is sealed to that department and owed to it; another one could neither open nor purge it.
    Raises NotPlainError or NotOwnerError if the membership may not be read.
    """
    files.demand_own(folder.path / "member.cbor", home=folder.path.parent)
    try:
        member = folder.member()
    except NotEnrolledError:
        return
    kept = {member.department_key, member.command_key, _authority_key(member.authority)}
    if kept & {named.department, named.command, _authority_key(named.authority)}:
        return
    raise NotEnrolledError(
        f"this unit is {member.name} of {member.department}, and its reads are sealed to that department; "
        "the code is another department's",
        cure="retire it there first: reader sync now, then a factory reset at the console",
    )


def _authority_key(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo (DER) of a certificate (DER)."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def join(joiner: Joiner, folder: SyncFolder, text: str, *, software: str) -> Member:
    """Join the department of a code. Raises NotEnrolledError, LinkError, RefusedByDepartmentError."""
    code = EnrollmentCode.parse(text)
    root = fetch_root(code)
    authority, department, command = (root.other(name) for name in ("ca", "log", "command"))
    if authority is None or department is None or command is None:
        raise NotEnrolledError("its root file names no CA, log key or command key", where=code.address)
    authority = fetch_authority(code.address, authority)
    check_no_other(folder, Trusted(department=department, command=command, authority=authority))
    folder.make()
    vouch = make_vouch(folder, folder.unit_key(), joiner.log_public)
    request = messages.EnrollRequest(secret=code.secret, vouch=vouch, software=software)
    key = Ed25519PublicKey.from_public_bytes(department)
    pem = x509.load_der_x509_certificate(authority).public_bytes(Encoding.PEM)
    # A new unit has no time from a department, and the stolen key of an expired certificate must not get the
    # secret. A clock that is ahead refuses a good certificate, but a person is there to set it.
    context = server_context(pem, passed_us=max(joiner.passed_us(), joiner.clock_us()))
    link = HttpsLink(code.address, context, key, prefix="/enrol/")
    try:
        data = link.post("unit", [messages.seal_message(request, joiner.sign)])
    finally:
        link.close()
    answer = messages.open_answer(messages.EnrollAnswer, data, key)
    check_certificate(answer.certificate, authority, folder)
    member = Member(
        department=answer.department,
        unit_id=answer.unit_id,
        name=answer.name,
        unit_address=answer.unit_address,
        front_address=code.address,
        department_key=department,
        command_key=command,
        authority=authority,
        root=root.digest(),
    )
    folder.save_certificate(answer.certificate)
    joiner.take_membership(
        UnitEnrollment(
            version=answer.at_us,
            organisation=answer.department,
            unit=answer.unit_id,
            command_key=command,
            department=NoteKey(messages.department_origin(key), key).text(),
        )
    )
    for document in answer.documents:
        try:
            joiner.take_document(document.name, document.message)
        except OutdatedError:
            continue  # enrolled again, and already current
    folder.save_member(member)
    return member


def check_certificate(der: bytes, authority: bytes, folder: SyncFolder) -> None:
    """Raises NotEnrolledError unless the CA issued this certificate for our TLS key."""
    certificate = x509.load_der_x509_certificate(der)
    try:
        certificate.verify_directly_issued_by(x509.load_der_x509_certificate(authority))
    except (InvalidSignature, ValueError, TypeError):
        raise NotEnrolledError("the certificate is not from the department's CA") from None
    if certificate.public_key() != folder.tls_private().public_key():
        raise NotEnrolledError("the certificate is for another key")


def open_link(folder: SyncFolder, member: Member, *, passed_us: int, bytes_per_s: int = 0) -> HttpsLink:
    """Open the link of an enrolled unit; passed_us: see `unit_context`.

    Raises NotEnrolledError if its certificate is missing.
    """
    try:
        files.demand_plain(folder.certificate, folder.tls_key)  # OpenSSL would wait at a pipe
        with folder.tls_key_file() as key:
            context = unit_context(member.authority_pem(), folder.certificate, key, passed_us=passed_us)
    except (OSError, ssl.SSLError, NotPlainError) as error:
        what = "the certificate or its key cannot be read"
        cure = files.CARD_FAILS if files.is_of_card(error) else "enroll again"
        raise NotEnrolledError(what, where=str(folder.certificate), cure=cure) from None
    return HttpsLink(member.unit_address, context, member.department_public(), bytes_per_s=bytes_per_s)


def renew_if_due(folder: SyncFolder, member: Member, link: HttpsLink, log_public: bytes, at_us: int) -> bool:
    """Renew the certificate if it expires soon; returns whether it did. Raises as the link does.

    at_us: UTC, the department's time if known, since the department refuses expired certificates.
    """
    if folder.certificate_days_left(at_us) > RENEW_BEFORE_DAYS:
        return False
    try:
        vouch = make_vouch(folder, folder.unit_key(), log_public)
    except NotEnrolledError as error:
        if folder.certificate_days_left(at_us) < 0:
            raise
        log_events.error("not_renewed", what=str(error))  # noqa: TRY400 - until it expires, reads are delivered
        return False
    data = link.post("renew", [vouch])
    answer = messages.open_answer(messages.Renewed, data, member.department_public())
    take_renewed(folder, member, answer)
    return True


def take_renewed(folder: SyncFolder, member: Member, answer: messages.Renewed) -> None:
    """Keep a new certificate, and the CA's if that was renewed too. Raises NotEnrolledError."""
    check_certificate(answer.certificate, member.authority, folder)
    if answer.authority != member.authority:
        check_authority(answer.authority, member.authority)
        folder.save_member(replace(member, authority=answer.authority))
    folder.save_certificate(answer.certificate)
