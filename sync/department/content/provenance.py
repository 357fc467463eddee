"""C2PA manifests beside exported images, so that any court's tool shows where an image comes from.

A manifest is a sidecar: the image stays byte for byte what the unit signed for. No thumbnail, for a second
copy of a plate would escape the purge; nothing is fetched. C2PA 2.4, by the c2pa library (the extra `c2pa`).

The department has its own authority for this (HOME/evidence/ca.key, P-256). The key that signs the
manifests of a package is made for that package and kept nowhere, so that its certificate may live as long as
a case does.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from storage import files
from storage.errors import StorageError
from storage.picture_format import picture_format
from sync.department.content.reads import OpenedRead
from sync.department.ground.certificates import issued, private_pem, self_signed
from sync.errors import HomeError

log_events = structlog.get_logger("department.evidence")
CA_YEARS = 40  # a case may be tried long after; the authority signs nothing but manifests
SIGNER_YEARS = 30
YEAR_DAYS = 365
PROOF_LABEL = "org.alpr-reader.tlog-proof"
CAPTURED = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"  # IPTC NewsCodes


class MissingManifestsError(StorageError):
    """No manifest can be made here; `what` says why, for the cover sheet."""


@dataclass(frozen=True, slots=True)
class ManifestAuthority:
    """The department's authority for manifests: its certificate (PEM) and key."""

    certificate: bytes
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def open(cls, folder: Path, department: str, now_us: int) -> ManifestAuthority:
        """That of `folder`, made if there is none. Raises HomeError for an incomplete one."""
        certificate, key = folder / "ca.pem", folder / "ca.key"
        if certificate.exists() != key.exists():
            raise HomeError(
                "the evidence authority is incomplete", where=str(folder), cure="restore it from its backup"
            )
        if not key.exists():
            _make(folder, department, now_us)
            cure = "where packages were exported before, restore this folder from its backup instead"
            log_events.warning("evidence_authority_made", where=str(folder), cure=cure)
        try:
            loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
            named = x509.load_pem_x509_certificate(certificate.read_bytes())
        except ValueError:
            raise HomeError("does not parse", where=str(folder), cure="restore it from its backup") from None
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise HomeError("the evidence authority's key is not P-256", where=str(key))
        if named.public_key() != loaded.public_key():
            what = "is not the certificate of the key beside it"
            raise HomeError(what, where=str(certificate), cure="restore evidence/ from its backup")
        return cls(certificate.read_bytes(), loaded)


def _make(folder: Path, department: str, now_us: int) -> None:
    folder.mkdir(mode=files.PRIVATE_DIR, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(department, "ALPR evidence")
    begin = _moment(now_us)
    certificate = self_signed(key, subject, (begin, begin + dt.timedelta(days=CA_YEARS * YEAR_DAYS)))
    files.replace(folder / "ca.key", private_pem(key))
    files.replace(folder / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM))


def _moment(us: int) -> dt.datetime:
    """A day before, so that a reader whose clock lags takes it too."""
    return dt.datetime.fromtimestamp(us // 1_000_000, dt.UTC) - dt.timedelta(days=1)


def _name(organization: str, common: str) -> x509.Name:
    return x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization[:64]),
        x509.NameAttribute(NameOID.COMMON_NAME, common),
    ])  # fmt: skip


class ManifestMaker:
    """Makes the manifests of one package, with a key that ends with it."""

    def __init__(self, authority: ManifestAuthority, department: str, number: str, now_us: int) -> None:
        """Raises MissingManifestsError if the c2pa library is not installed."""
        try:
            import c2pa  # noqa: PLC0415 - a driver imports late, and this one is large
        except (ImportError, OSError, RuntimeError) as error:  # its native half is loaded by the import
            raise MissingManifestsError(
                "the c2pa library is not installed", where="c2pa", cure="pip install 'alpr-reader[c2pa]'"
            ) from error
        self._c2pa = c2pa
        self.certificate = authority.certificate
        self._number = number
        key = ec.generate_private_key(ec.SECP256R1())
        chain = _signer_certificate(authority, key, department, now_us) + authority.certificate
        settings = {
            "builder": {"thumbnail": {"enabled": False}},
            "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
            "trust": {"trust_anchors": authority.certificate.decode()},
        }
        self._context = c2pa.Context(c2pa.Settings.from_dict(settings))
        self._signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, private_pem(key), None))

    def manifest(self, read: OpenedRead, name: str, title: str) -> bytes:
        """The sidecar of one image of a read. Raises MissingManifestsError if the library refuses it.

        Its assertion carries what ties the image to the unit's log: the signed leaf, the salt with which the
        leaf's commitment to this image is recomputed, and the C2SP tlog-proof of the leaf.
        """
        element = read.elements[name]
        kind = f"image/{picture_format(element.content)}"
        claim = {
            "claim_generator_info": [{"name": "alpr-department"}],
            "title": title,
            "format": kind,
            "assertions": [
                {
                    "label": "c2pa.actions",
                    "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": CAPTURED}]},
                },
                {"label": PROOF_LABEL, "data": self._proof(read, name)},
            ],
        }
        builder = self._c2pa.Builder(json.dumps(claim), context=self._context)
        builder.set_no_embed()
        try:
            made: bytes = builder.sign(self._signer, kind, io.BytesIO(element.content), io.BytesIO())
        except self._c2pa.C2paError as error:
            raise MissingManifestsError(f"the c2pa library refused: {_kind_of(error)}", where=title) from None
        return made

    def _proof(self, read: OpenedRead, name: str) -> dict[str, Any]:
        element = read.elements[name]
        return {
            "number": self._number,
            "unit_key": base64.b64encode(read.public).decode(),
            "record": read.sequence,
            "element": name,
            "salt": base64.b64encode(element.salt).decode(),
            "sha256": hashlib.sha256(element.content).hexdigest(),
            "leaf": base64.b64encode(read.leaf).decode(),
            "tlog_proof": read.proof,
        }


def _kind_of(error: Exception) -> str:
    return type(error).__name__.strip("_")


def _signer_certificate(
    authority: ManifestAuthority, key: ec.EllipticCurvePrivateKey, department: str, now_us: int
) -> bytes:
    """C2PA 2.4, 14.5.1: digitalSignature, an extended key usage, the authority's key identifier."""
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    begin = max(_moment(now_us), issuer.not_valid_before_utc)
    end = min(begin + dt.timedelta(days=SIGNER_YEARS * YEAR_DAYS), issuer.not_valid_after_utc)
    subject, usages = _name(department, "ALPR evidence package"), [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    made = issued(authority.key, issuer.subject, key.public_key(), subject, (begin, end), usages)
    return made.public_bytes(serialization.Encoding.PEM)
