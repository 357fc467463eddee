"""Makes an update: one file with the RAUC bundle of both partitions of a slot, its leaf, and the proof."""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from pathlib import Path

from alpr_image.keys import KeyFolder
from alpr_image.release_log import ReleaseLog
from alpr_image.root import ImageLabel
from alpr_image.workshop import EPOCH, Workshop, run
from storage.update_file import BUNDLE, PROOF, RELEASE, SystemRelease

_MANIFEST = """\
[update]
compatible=alpr-{board}
version={version}

[bundle]
format=verity

[image.system]
filename=system.img

[image.boot]
filename=boot.img
"""


def rauc_bundle(
    shop: Workshop,
    facts: ImageLabel,
    *,
    root: Path,
    boot: Path,
    keys: KeyFolder,
    out: Path,
    signer: str = "bundle",
) -> Path:
    """Make only the bundle. signer: the certificate's name in the key folder."""
    stage = shop.path / "bundle"
    run(["rm", "-rf", stage])
    stage.mkdir()
    (stage / "manifest.raucm").write_text(_MANIFEST.format(board=facts.board, version=facts.version))
    for name, source in (("system.img", root), ("boot.img", boot)):
        run(["cp", "--reflink=auto", "--sparse=always", source, stage / name])
    out.unlink(missing_ok=True)
    shop.tool(
        "rauc",
        "bundle",
        "--mksquashfs-args=-noD -noF -noX",  # its content is already compressed
        f"--cert={keys.pem(f'{signer}.pem')}",
        f"--key={keys.pem(f'{signer}.key')}",
        stage,
        out,
    )
    run(["rm", "-rf", stage])
    return out


def update_file(
    bundle: Path,
    facts: ImageLabel,
    root_hash: str,
    *,
    log: ReleaseLog | None,
    out: Path,
    proof: str | None = None,
) -> Path:
    """Make the file for a unit. log: where the release is added; otherwise `proof` is used as given."""
    data = bundle.read_bytes()
    release = SystemRelease(
        version=facts.version,
        name=facts.name,
        board=facts.board,
        bundle_digest=hashlib.sha256(data).hexdigest(),
        bundle_bytes=len(data),
        root_hash=root_hash,
    )
    proven = log.append(release, time_s=int(time.time())) if log is not None else proof or ""
    return write_update(release.text(), proven, data, out)


def write_update(release: str, proof: str, bundle: bytes, out: Path) -> Path:
    """Write the three members in order, with fixed times and owners."""
    with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, body in ((RELEASE, release.encode()), (PROOF, proof.encode()), (BUNDLE, bundle)):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(body), EPOCH, 0o644
            archive.addfile(member, io.BytesIO(body))
    return out
