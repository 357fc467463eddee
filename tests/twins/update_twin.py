"""A release office: update files as units accept them, and the keys that come with their images."""

from __future__ import annotations

import hashlib
import io
import tarfile
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from storage import merkle, tlog_proof
from storage.checkpoint import TYPE_COSIGNATURE, Checkpoint, NoteKey, cosign, sign_checkpoint
from storage.update_file import BUNDLE, PROOF, RELEASE, ReleaseTrust, SystemRelease
from sync.department.desk.documents.rauc import verity_tree

LOG, WITNESS = "releases.example/log", "releases.example/witness"
_LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"1")
_WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"2")


def release_trust() -> ReleaseTrust:
    """The trusted keys that come with an image of this office."""
    witness = NoteKey(WITNESS, _WITNESS_KEY.public_key(), TYPE_COSIGNATURE)
    return ReleaseTrust(log=NoteKey(LOG, _LOG_KEY.public_key()), witnesses=(witness,), quorum=1)


class BundleSigner:
    """A signer of bundles, with a self-signed certificate like the one in an image's keyring."""

    def __init__(
        self, *, use: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING, age: timedelta = timedelta(1)
    ) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bundles of the bench")])
        signs = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"),
            False,
        )
        start = datetime.now(UTC) - age
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(20))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(
                x509.KeyUsage(
                    **signs,
                    digital_signature=True,
                    key_cert_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(self._key, hashes.SHA256())
        )

    @property
    def keyring(self) -> bytes:
        """The keyring, in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def signed(self, content: bytes, *, detached: bool = False) -> bytes:
        """A CMS signature: with its content, as in the verity format, or detached, as in the plain one."""
        options = [pkcs7.PKCS7Options.Binary]
        if detached:
            options.append(pkcs7.PKCS7Options.DetachedSignature)
        made = pkcs7.PKCS7SignatureBuilder().set_data(content)
        made = made.add_signer(self.certificate, self._key, hashes.SHA256())
        return made.sign(serialization.Encoding.DER, options)


SIGNER = BundleSigner()


def rauc_bundle(
    data: bytes = b"a system" + bytes(5000),
    *,
    board: str = "rpi",
    signer: BundleSigner = SIGNER,
    detached: bool = False,
    changes: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """A bundle in the verity format. `changes`: replacements in its manifest."""
    held = (b"hsqs" + data).ljust(-(-(len(data) + 4) // 4096) * 4096, b"\0")
    salt = hashlib.sha256(b"salt").digest()
    root, tree = verity_tree(memoryview(held), salt)
    manifest = (
        f"[update]\ncompatible=alpr-{board}\nversion=7\n\n[bundle]\nformat=verity\n"
        f"verity-hash={root.hex()}\nverity-salt={salt.hex()}\n"
        f"verity-size={len(tree)}\n\n[image.system]\nfilename=system.img\n\n[image.boot]\nfilename=boot.img\n"
    )
    for old, new in changes:
        manifest = manifest.replace(old, new)
    signature = signer.signed(manifest.encode(), detached=detached)
    return held + tree + signature + len(signature).to_bytes(8, "big")


def update_file(bundle: bytes | None = None, *, version: int = 7, board: str = "rpi") -> bytes:
    """An update file whose release is the only one in its log."""
    bundle = rauc_bundle(board=board) if bundle is None else bundle
    release = SystemRelease(
        version=version,
        name=f"0.{version}.0",
        board=board,
        bundle_digest=hashlib.sha256(bundle).hexdigest(),
        bundle_bytes=len(bundle),
        root_hash="ab" * 32,
    )
    head = Checkpoint(LOG, 1, merkle.leaf_hash(release.text().encode()))
    note = cosign(sign_checkpoint(head, _LOG_KEY), WITNESS, _WITNESS_KEY, time_s=1_780_000_000)
    return update_of({RELEASE: release.text(), PROOF: tlog_proof.write(0, (), note), BUNDLE: bundle})


def update_of(members: dict[str, str | bytes]) -> bytes:
    """A tar with these members, in this order."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            body = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return made.getvalue()
