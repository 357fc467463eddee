"""The keys of a bench, for bundles, boot files and the release log: made once in the workshop, never shipped.

A project or vendor that makes releases names its own folder (ALPR_IMAGE_KEYS) with the same file names; the
private keys may be on a token, because only the signing step reads them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alpr_image.workshop import Workshop
from storage.checkpoint import TYPE_COSIGNATURE, NoteKey
from storage.update_file import ReleaseTrust

LOG_NAME = "alpr-reader.example/releases"
WITNESS_NAME = "alpr-reader.example/release-witness"


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """A folder with the keys."""

    path: Path

    @property
    def log_key(self) -> Ed25519PrivateKey:
        """The key that signs the release log's checkpoints."""
        return Ed25519PrivateKey.from_private_bytes((self.path / "release-log.key").read_bytes())

    @property
    def witness_key(self) -> Ed25519PrivateKey:
        """The key that co-signs them."""
        return Ed25519PrivateKey.from_private_bytes((self.path / "release-witness.key").read_bytes())

    @property
    def trust(self) -> Path:
        """The file with the image's release keys."""
        return self.path / "release-keys.txt"

    def pem(self, name: str) -> Path:
        """A certificate (`bundle.pem`, `boot.pem`) or its key (`.key`)."""
        return self.path / name


def bench_keys(shop: Workshop) -> KeyFolder:
    """The folder that ALPR_IMAGE_KEYS names, or the workshop's own, made at first use."""
    given = os.environ.get("ALPR_IMAGE_KEYS")
    folder = Path(given).resolve() if given else shop.folder("keys")
    keys = KeyFolder(folder)
    if given or keys.trust.exists():
        return keys
    folder.chmod(0o700)
    for name, subject, usage in (
        ("bundle", "ALPR bench bundles", "codeSigning"),
        ("foreign", "Bundles of another vendor", "codeSigning"),
        ("boot", "ALPR bench boot files", "codeSigning"),
    ):
        shop.tool(
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "7300",
            "-sha256",
            "-subj",
            f"/CN={subject}",
            "-addext",
            f"extendedKeyUsage={usage}",
            "-addext",
            "keyUsage=digitalSignature,keyCertSign",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-keyout",
            folder / f"{name}.key",
            "-out",
            folder / f"{name}.pem",
        )
    for name in ("release-log", "release-witness"):
        (folder / f"{name}.key").write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
    trust = ReleaseTrust(
        log=NoteKey(LOG_NAME, keys.log_key.public_key()),
        witnesses=(NoteKey(WITNESS_NAME, keys.witness_key.public_key(), TYPE_COSIGNATURE),),
        quorum=1,
    )
    keys.trust.write_text(trust.text(), encoding="utf-8")
    for key in folder.glob("*.key"):
        key.chmod(0o600)
    return keys
