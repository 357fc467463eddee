"""C2PA manifests beside exported images, so that any court's tool shows where an image comes from.

Makes manifests, and checks that they say nothing else. A manifest is a sidecar: the image stays byte for byte
what the unit signed. It has no thumbnail, since a second copy of a plate would escape the purge; nothing is
fetched. C2PA 2.4, through the c2pa library (the extra `c2pa`).

The department has its own authority for this (HOME/evidence/ca.key, P-256). The key that signs a package's
manifests is made for that package and not kept, so that its certificate may be valid for as long as a case
lasts.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from storage import files
from storage.errors import PackageError, StorageError
from storage.picture_format import picture_format
from sync.department.content.reads import OpenedRead
from sync.department.ground.certificates import issued, private_pem, self_signed
from sync.errors import HomeError

log_events = structlog.get_logger("department.evidence")
CA_YEARS = 40  # a case may be tried much later; the authority signs only manifests
SIGNER_YEARS = 30
YEAR_DAYS = 365
PROOF_LABEL = "org.alpr-reader.tlog-proof"
GENERATOR = "alpr-department"
AUTHORITY, SIGNER = "ALPR evidence", "ALPR evidence package"
AUTHORITY_FILE = "c2pa-ca.pem"
BINDING = "c2pa.hash.data"  # binding to the image, added by the library itself
MOST_OF_NAME = 64  # RFC 5280, ub-organization-name
CAPTURED = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"  # IPTC NewsCodes
ACTIONS = {"actions": [{"action": "c2pa.created", "digitalSourceType": CAPTURED}]}
CLAIM = {"instanceID", "claim_generator_info", "signature", "created_assertions", "gathered_assertions"}
CLAIM |= {"dc:title", "alg", "claim_version"}  # C2PA 2.4, 10.2: claim-map-v2, as the library shows it
LIBRARY = "org.contentauth.c2pa_rs"  # the library names itself and its version
VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){1,3}")
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
LABEL, INSTANCE = re.compile(f"urn:c2pa:{UUID}"), re.compile(f"xmp[:.]iid:{UUID}")
OTHER_NAME = "their authority (c2pa-ca.pem) does not have the department's present name"


class MissingManifestsError(StorageError):
    """Manifests cannot be made or read here; `what` says why, for the cover sheet."""


@dataclass(frozen=True, slots=True)
class ManifestAuthority:
    """The department's authority for manifests: its certificate (PEM) and key."""

    certificate: bytes
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def open(cls, folder: Path, department: str, now_us: int) -> ManifestAuthority:
        """Open the authority in `folder`, or make one. Raises HomeError if it is incomplete."""
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
    subject = _name(department, AUTHORITY)
    begin = _moment(now_us)
    certificate = self_signed(key, subject, (begin, begin + dt.timedelta(days=CA_YEARS * YEAR_DAYS)))
    files.replace(folder / "ca.key", private_pem(key))
    files.replace(folder / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM))


def _moment(us: int) -> dt.datetime:
    """A day before this time, so that a verifier with a slow clock accepts it too."""
    return dt.datetime.fromtimestamp(us // 1_000_000, dt.UTC) - dt.timedelta(days=1)


def _name(organization: str, common: str) -> x509.Name:
    return x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization[:MOST_OF_NAME]),
        x509.NameAttribute(NameOID.COMMON_NAME, common),
    ])  # fmt: skip


class ManifestMaker:
    """Makes the manifests of one package, with a key that is used only for it."""

    def __init__(self, authority: ManifestAuthority, department: str, number: str, now_us: int) -> None:
        """Raises MissingManifestsError if the c2pa library is not installed."""
        self._c2pa = _library()
        self.certificate = authority.certificate
        self._number = number
        key = ec.generate_private_key(ec.SECP256R1())
        chain = _signer_certificate(authority, key, department, now_us) + authority.certificate
        self._context = _context(self._c2pa, authority.certificate)
        signer = self._c2pa.C2paSignerInfo(b"es256", chain, private_pem(key), None)
        self._signer = self._c2pa.Signer.from_info(signer)

    def manifest(self, read: OpenedRead, name: str, title: str) -> bytes:
        """Make the sidecar of one image of a read. Raises MissingManifestsError if the library refuses.

        Its assertion ties the image to the unit's log: the signed leaf, the salt to recompute the leaf's
        commitment to this image, and the C2SP tlog-proof of the leaf.
        """
        return self.signed(self.claim(read, name, title), read.elements[name].content, title)

    def claim(self, read: OpenedRead, name: str, title: str) -> dict[str, Any]:
        """The claim, as the library takes it."""
        return {
            "claim_generator_info": [{"name": GENERATOR}],
            "title": title,
            "format": f"image/{picture_format(read.elements[name].content)}",
            "assertions": [
                {"label": "c2pa.actions", "data": ACTIONS},
                {"label": PROOF_LABEL, "data": proof_of(read, name, self._number)},
            ],
        }

    def signed(self, claim: dict[str, Any], image: bytes, title: str) -> bytes:
        """Sign a claim about an image. Raises MissingManifestsError if the library refuses."""
        builder = self._c2pa.Builder(json.dumps(claim), context=self._context)
        builder.set_no_embed()
        try:
            made: bytes = builder.sign(self._signer, claim["format"], io.BytesIO(image), io.BytesIO())
        except self._c2pa.C2paError as error:
            raise MissingManifestsError(f"the c2pa library refused: {_kind_of(error)}", where=title) from None
        return made


class ManifestChecker:
    """Checks the manifests of one package: each must say exactly what `ManifestMaker` would say."""

    def __init__(self, certificate: bytes, department: str, number: str) -> None:
        """`certificate`: that of the authority, from the package.

        A renamed department keeps its authority; then `unchecked` says that the name differs. Raises
        PackageError if it is not an authority, MissingManifestsError if the c2pa library is not installed.
        """
        try:
            named = x509.load_pem_x509_certificate(certificate)
        except ValueError:
            raise PackageError("does not parse", where=AUTHORITY_FILE) from None
        alone = named.public_bytes(serialization.Encoding.PEM) == certificate
        names = [str(one.value) for one in named.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        if not alone or len(names) != 1 or named.subject != _name(names[0], AUTHORITY):
            raise PackageError("is not the authority of a department alone", where=AUTHORITY_FILE)
        self.unchecked = "" if names == [department[:MOST_OF_NAME]] else OTHER_NAME
        self._c2pa = _library()
        self._context = _context(self._c2pa, certificate)
        self._department, self._number = department[:MOST_OF_NAME], number

    def check(self, read: OpenedRead, name: str, title: str, sidecar: bytes) -> None:
        """Check the manifest of one image of a read. Raises PackageError."""
        element = read.elements[name]
        kind = f"image/{picture_format(element.content)}"
        try:
            reader = self._c2pa.Reader(kind, io.BytesIO(element.content), sidecar, context=self._context)
            trusted, said = reader.get_validation_state() == "Trusted", json.loads(reader.detailed_json())
        except (self._c2pa.C2paError, ValueError) as error:
            raise PackageError(f"is not a manifest: {_kind_of(error)}", where=title) from None
        if not trusted:
            raise PackageError(
                "belongs to another image, or is not signed under the package's authority", where=title
            )
        if not self._says_its_own(said, proof_of(read, name, self._number), title):
            raise PackageError("does not match its read", where=title)

    def _says_its_own(self, said: dict[str, Any], proof: dict[str, Any], title: str) -> bool:
        label = str(said["active_manifest"])
        active = said["manifests"].get(label, {})
        claim, signature = active.get("claim", {}), active.get("signature", {})
        assertions = dict(active.get("assertion_store", {}))
        made = [
            LABEL.fullmatch(label) is not None,
            _is_own_claim(claim, label),
            claim.get("dc:title") == title,
        ]
        made += [signature == {"alg": "es256", "issuer": self._department, "common_name": SIGNER}]
        made += [assertions.pop(PROOF_LABEL, None) == proof]
        actions = [label for label in assertions if label.startswith("c2pa.actions")]
        made += [[assertions.pop(label) for label in actions] == [ACTIONS]]
        made += [set(assertions) == {BINDING}, len(said["manifests"]) == 1]
        return all(made) and set(active) == {"claim", "assertion_store", "signature"}


def _is_own_claim(claim: dict[str, Any], label: str) -> bool:
    """Whether a claim has what `ManifestMaker` writes, and nothing else."""
    generator = claim.get("claim_generator_info")
    if set(claim) != CLAIM or not isinstance(generator, dict) or set(generator) != {"name", LIBRARY}:
        return False
    return (
        generator["name"] == GENERATOR
        and VERSION.fullmatch(str(generator[LIBRARY])) is not None
        and INSTANCE.fullmatch(str(claim["instanceID"])) is not None
        and claim["signature"] == f"self#jumbf=/c2pa/{label}/c2pa.signature"
        and (claim["claim_version"], claim["alg"]) == (2, "sha256")
    )


def proof_of(read: OpenedRead, name: str, number: str) -> dict[str, Any]:
    """The proof in a manifest that the unit recorded its image."""
    element = read.elements[name]
    return {
        "number": number,
        "unit_key": base64.b64encode(read.public).decode(),
        "record": read.sequence,
        "element": name,
        "salt": base64.b64encode(element.salt).decode(),
        "sha256": hashlib.sha256(element.content).hexdigest(),
        "leaf": base64.b64encode(read.leaf).decode(),
        "tlog_proof": read.proof,
    }


def _library() -> Any:
    try:
        import c2pa  # noqa: PLC0415 - a driver imports late, and this one is large
    except (ImportError, OSError, RuntimeError) as error:  # the import also loads its native half
        raise MissingManifestsError(
            "the c2pa library is not installed", where="c2pa", cure="pip install 'alpr-reader[c2pa]'"
        ) from error
    return c2pa


def _context(c2pa: Any, certificate: bytes) -> Any:
    """A context that trusts only this authority and fetches nothing."""
    settings = {
        "builder": {"thumbnail": {"enabled": False}},
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        "trust": {"trust_anchors": certificate.decode()},
    }
    return c2pa.Context(c2pa.Settings.from_dict(settings))


def _kind_of(error: Exception) -> str:
    return type(error).__name__.strip("_")


def _signer_certificate(
    authority: ManifestAuthority, key: ec.EllipticCurvePrivateKey, department: str, now_us: int
) -> bytes:
    """C2PA 2.4, 14.5.1: digitalSignature, an extended key usage, the authority's key identifier."""
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    begin = max(_moment(now_us), issuer.not_valid_before_utc)
    end = min(begin + dt.timedelta(days=SIGNER_YEARS * YEAR_DAYS), issuer.not_valid_after_utc)
    subject, usages = _name(department, SIGNER), [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    made = issued(authority.key, issuer.subject, key.public_key(), subject, (begin, end), usages)
    return made.public_bytes(serialization.Encoding.PEM)
