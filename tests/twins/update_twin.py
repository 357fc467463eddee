"""An office that releases: update files as units take them, and the keys that their images bring."""

from __future__ import annotations

import hashlib
import io
import tarfile

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage import merkle, tlog_proof
from storage.checkpoint import TYPE_COSIGNATURE, Checkpoint, NoteKey, cosign, sign_checkpoint
from storage.update_file import BUNDLE, PROOF, RELEASE, ReleaseTrust, SystemRelease

LOG, WITNESS = "releases.example/log", "releases.example/witness"
_LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"1")
_WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"2")


def release_trust() -> ReleaseTrust:
    """What an image of this office brings."""
    witness = NoteKey(WITNESS, _WITNESS_KEY.public_key(), TYPE_COSIGNATURE)
    return ReleaseTrust(log=NoteKey(LOG, _LOG_KEY.public_key()), witnesses=(witness,), quorum=1)


def update_file(bundle: bytes = b"a bundle", *, version: int = 7, board: str = "rpi") -> bytes:
    """An update file whose release is the only one of its log."""
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
    """A tar of these members, in their order."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            body = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return made.getvalue()
