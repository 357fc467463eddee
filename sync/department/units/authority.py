"""A small certificate authority: P-256, one level, for the server and the units. TLS only admits.

The signature on a message proves its sender; a certificate from here only opens the connection. The CA's
certificate is valid for 2 years and is renewed with the same key in its last 240 days; the server's is valid
for 1 year, a unit's for 90 days. A certificate that begins in the future (made with a wrong clock) is renewed
at once.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from storage import files
from storage.times import now_us
from sync.department.ground.certificates import issued, private_pem, self_signed
from sync.errors import HomeError
from sync.membership import RENEW_BEFORE_DAYS, page_host
from sync.vouch import p256

CA_DAYS = 730
SERVER_DAYS = 365
CA_RENEW_BEFORE_DAYS = 240  # within 60 of these, every unit renews its own and so gets the new one


def _moment(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(us // 1_000_000, dt.UTC)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _host_name(host: str) -> x509.GeneralName:
    """A host name or address as in the certificate: normalized, and without a zone."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return x509.DNSName(host.lower())


def _own_certificate(key: ec.EllipticCurvePrivateKey, subject: x509.Name, now_us: int) -> x509.Certificate:
    now = _moment(now_us)
    return self_signed(key, subject, (now - dt.timedelta(minutes=5), now + dt.timedelta(days=CA_DAYS)))


@dataclass(slots=True)
class Authority:
    """The CA's key and present certificate, and their folder. `clock`: UTC microseconds."""

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    clock: Callable[[], int] = now_us

    @classmethod
    def create(cls, folder: Path, name: str, clock: Callable[[], int] = now_us) -> Authority:
        """Make a new CA in `folder`."""
        folder.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        made = cls(folder, _own_certificate(key, _name(f"{name} ALPR units"), clock()), key, clock)
        files.replace(folder / "ca.key", private_pem(key))
        made._keep()
        return made

    def _keep(self) -> None:
        files.replace(self.folder / "ca.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def renew(self) -> bool:
        """Renew the certificate with the same key if it expires soon; returns whether it did.

        Units know the CA by its key, and get the new certificate with their own next one.
        """
        if _lasts(self.certificate, self.clock(), CA_RENEW_BEFORE_DAYS):
            return False
        self.certificate = _own_certificate(self.key, self.certificate.subject, self.clock())
        self._keep()
        return True

    @classmethod
    def open(cls, folder: Path, clock: Callable[[], int] = now_us) -> Authority:
        """Open the CA. Raises HomeError if a part is missing or foreign."""
        try:
            certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        except FileNotFoundError as error:
            raise HomeError(
                "is not there", where=str(error.filename), cure="restore authority/ from its backup"
            ) from None
        except ValueError:
            what = "ca.pem or ca.key is damaged, or was cut"
            raise HomeError(what, where=str(folder), cure="restore authority/ from its backup") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise HomeError("the CA's key is not P-256", where=str(folder / "ca.key"))
        if certificate.public_key() != key.public_key():  # it decides which units' certificates are accepted
            what = "is not the certificate of the key beside it"
            raise HomeError(what, where=str(folder / "ca.pem"), cure="restore authority/ from its backup")
        return cls(folder, certificate, key, clock)

    def public_der(self) -> bytes:
        """The CA's public key (SubjectPublicKeyInfo, DER), which the root file names."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def _issue(
        self,
        public: ec.EllipticCurvePublicKey,
        name: str,
        days: int,
        usages: list[x509.ObjectIdentifier],
        hosts: tuple[str, ...],
    ) -> x509.Certificate:
        now = _moment(self.clock())
        end = min(now + dt.timedelta(days=days), self.certificate.not_valid_after_utc)
        valid = (now - dt.timedelta(minutes=5), end)
        names = [_host_name(host) for host in hosts]
        return issued(self.key, self.certificate.subject, public, _name(name), valid, usages, names)

    def issue_unit(self, public_der: bytes, unit_id: str, days: int) -> x509.Certificate:
        """A unit's certificate for a P-256 TLS key (SubjectPublicKeyInfo, DER). Raises MessageError.

        The unit is a client of the department and the server of the alert page in its car, under a host name
        that no department has.
        """
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        return self._issue(p256(public_der), unit_id, days, usages, (page_host(unit_id),))

    def server_files(self, hosts: tuple[str, ...]) -> tuple[Path, Path]:
        """The server's certificate and key files, made or renewed if its names or the time require it."""
        pem, key_file = self.folder / "server.pem", self.folder / "server.key"
        if not (pem.exists() and key_file.exists() and self._serves(pem, key_file, hosts)):
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = self._issue(
                key.public_key(), hosts[0], SERVER_DAYS, [ExtendedKeyUsageOID.SERVER_AUTH], hosts
            )
            files.replace(key_file, private_pem(key))
            files.replace(pem, certificate.public_bytes(serialization.Encoding.PEM))
        return pem, key_file

    def lost_names(self, hosts: tuple[str, ...]) -> list[str]:
        """The names in the server's certificate that one for these hosts would lack; empty without one."""
        kept = {str(_host_name(host).value) for host in hosts}
        try:
            shown = x509.load_pem_x509_certificate((self.folder / "server.pem").read_bytes())
            shown.verify_directly_issued_by(self.certificate)
            names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
            return []
        return [name for name in (str(one.value).lower() for one in names) if name not in kept]

    def _serves(self, pem: Path, key_file: Path, hosts: tuple[str, ...]) -> bool:
        """Whether the server's certificate is valid, matches this CA and key, and has these names."""
        try:
            certificate = x509.load_pem_x509_certificate(pem.read_bytes())
            certificate.verify_directly_issued_by(self.certificate)
            key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
            if key.public_key() != certificate.public_key():
                return False
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
            return False
        return _lasts(certificate, self.clock(), RENEW_BEFORE_DAYS) and list(names) == [
            _host_name(host) for host in hosts
        ]


def _lasts(certificate: x509.Certificate, now_us: int, days: int) -> bool:
    """Whether a certificate is valid now and for that many more days."""
    now = _moment(now_us)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begins <= now and ends - now >= dt.timedelta(days=days)
