"""Where the image's files are, and a release log with its keys."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from alpr_image.bundle import write_update
from alpr_image.keys import LOG_NAME, WITNESS_NAME, KeyFolder
from alpr_image.release_log import ReleaseLog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.checkpoint import TYPE_COSIGNATURE, NoteKey
from storage.update_file import ReleaseTrust, SystemRelease

IMAGE_BUILD = Path(__file__).resolve().parent.parent.parent / "image-build"
NOW_S = 1_780_000_000


@dataclass(frozen=True)
class Project:
    """The release office: its keys, its log, and how it makes update files."""

    keys: KeyFolder
    log: ReleaseLog
    folder: Path

    def trust(self, *, quorum: int = 1) -> ReleaseTrust:
        """The trusted keys that an image of this project contains."""
        return ReleaseTrust(
            log=NoteKey(LOG_NAME, self.keys.log_key.public_key()),
            witnesses=(NoteKey(WITNESS_NAME, self.keys.witness_key.public_key(), TYPE_COSIGNATURE),),
            quorum=quorum,
        )

    def release(self, version: int, *, board: str = "virt", bundle: bytes = b"a bundle") -> SystemRelease:
        """A release of this bundle."""
        return SystemRelease(
            version=version,
            name=f"0.{version}.0",
            board=board,
            bundle_digest=hashlib.sha256(bundle).hexdigest(),
            bundle_bytes=len(bundle),
            root_hash="ab" * 32,
        )

    def update(self, version: int, *, board: str = "virt", bundle: bytes = b"a bundle") -> Path:
        """An update file that is in the log."""
        release = self.release(version, board=board, bundle=bundle)
        proof = self.log.append(release, time_s=NOW_S)
        return write_update(release.text(), proof, bundle, self.folder / f"{version}-{board}.update")


def project_in(folder: Path) -> Project:
    """Make a project with new keys."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("release-log", "release-witness"):
        (folder / f"{name}.key").write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
    keys = KeyFolder(folder)
    made = Project(keys, ReleaseLog(folder / "log.json", keys), folder)
    keys.trust.write_text(made.trust().text(), encoding="utf-8")
    return made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A release office with a fresh log."""
    return project_in(tmp_path / "project")
