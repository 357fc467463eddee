"""Opens a unit's data partition on the bench: the key comes from the software chip, the rest is plain Python.

Only for tests: the test machine has no device mapper, but has the chip's complete state in a folder.
LUKS2 on-disk format 1.1.3 (cryptsetup); the token is systemd's (`systemd-tpm2`, bound only to the chip).
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpr_device.luks_header import TPM_TOKEN, read_header
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from alpr_image.workshop import BuildError, Workshop

SECTOR = 512
SRK = "0x81000001"


@dataclass(frozen=True, slots=True)
class Header:
    """The JSON area of a LUKS2 header, and its file."""

    path: Path
    start: int
    held: dict[str, Any]

    @classmethod
    def of(cls, path: Path, start: int) -> Header:
        """Read the header of the partition that begins at `start`. Raises BuildError."""
        try:
            return cls(path, start, read_header(path, start))
        except (OSError, ValueError) as error:
            raise BuildError(str(error)) from None

    @property
    def token(self) -> dict[str, Any]:
        """systemd's token. Raises BuildError."""
        for one in self.held["tokens"].values():
            if one["type"] == TPM_TOKEN:
                return dict(one)
        raise BuildError(f"{self.path}: not sealed by a chip")

    def volume_key(self, secret: bytes) -> bytes:
        """The volume key, from the chip's secret. Raises BuildError if the secret does not fit."""
        slot = self.held["keyslots"][self.token["keyslots"][0]]
        kdf, area, af = slot["kdf"], slot["area"], slot["af"]
        key = hashlib.pbkdf2_hmac(
            kdf["hash"], secret, base64.b64decode(kdf["salt"]), kdf["iterations"], area["key_size"]
        )
        size = slot["key_size"] * af["stripes"]
        with self.path.open("rb") as file:
            file.seek(self.start + int(area["offset"]))
            sealed = file.read((size + SECTOR - 1) // SECTOR * SECTOR)
        plain = b"".join(_sectors(sealed, key, SECTOR))[:size]
        found = _merged(plain, slot["key_size"], af["stripes"], af["hash"])
        digest = next(iter(self.held["digests"].values()))
        facts = hashlib.pbkdf2_hmac(
            digest["hash"],
            found,
            base64.b64decode(digest["salt"]),
            digest["iterations"],
            len(base64.b64decode(digest["digest"])),
        )
        if facts != base64.b64decode(digest["digest"]):
            raise BuildError(f"{self.path}: the chip's secret does not open this partition")
        return found

    def decrypt(self, key: bytes, end: int, out: Path) -> Path:
        """Write the file system in clear; what was never written stays a hole. end: first byte after it."""
        segment = self.held["segments"]["0"]
        size, offset = int(segment["sector_size"]), self.start + int(segment["offset"])
        step = 1 << 20
        with self.path.open("rb") as file, out.open("wb") as target:
            file.seek(offset)
            target.truncate(end - offset)
            at = 0
            while offset + at < end and (chunk := file.read(min(step, end - offset - at))):
                if chunk.count(0) != len(chunk):
                    first = at // size
                    target.seek(at)
                    target.write(b"".join(_sectors(chunk, key, size, first)))
                at += len(chunk)
        return out


def _sectors(data: bytes, key: bytes, size: int, first: int = 0) -> Iterator[bytes]:
    """Decrypt aes-xts-plain64: sector numbers are in units of 512 bytes, whatever the sector size."""
    algorithm = algorithms.AES(key)
    scale = size // SECTOR
    for at in range(0, len(data), size):
        sector = data[at : at + size]
        if sector.count(0) == len(sector):
            yield sector
            continue
        tweak = ((first + at // size) * scale).to_bytes(16, "little")
        yield Cipher(algorithm, modes.XTS(tweak)).decryptor().update(sector)


def _merged(plain: bytes, size: int, stripes: int, name: str) -> bytes:
    """Anti-forensic merge: each stripe is folded in and diffused (LUKS1 specification, 2.4)."""
    held = bytes(size)
    for number in range(stripes):
        stripe = plain[number * size : (number + 1) * size]
        held = bytes(a ^ b for a, b in zip(held, stripe, strict=True))
        if number < stripes - 1:
            held = _diffused(held, name)
    return held


def _diffused(data: bytes, name: str) -> bytes:
    width = hashlib.new(name).digest_size
    parts = [
        hashlib.new(name, struct.pack(">I", number) + data[at : at + width]).digest()[
            : len(data[at : at + width])
        ]
        for number, at in enumerate(range(0, len(data), width))
    ]
    return b"".join(parts)


def unsealed(shop: Workshop, header: Header, chip: Path) -> bytes:
    """The secret that the chip in this state folder unseals for the token, in base64 as systemd uses it."""
    token, work = header.token, shop.folder("unseal")
    held = token["tpm2-blob"]
    blob = base64.b64decode(held if isinstance(held, str) else held[0])
    private = 2 + int.from_bytes(blob[:2], "big")
    (work / "private").write_bytes(blob[:private])
    (work / "public").write_bytes(blob[private:])
    script = f"""
set -e
cd {work}
swtpm socket --tpm2 --tpmstate dir={chip} --ctrl type=unixio,path={work}/sock.ctrl \
  --server type=unixio,path={work}/sock --flags startup-clear --daemon --pid file={work}/pid
export TPM2TOOLS_TCTI="swtpm:path={work}/sock"
trap 'kill $(cat {work}/pid)' EXIT
tpm2_load -Q -C {SRK} -r private -u public -c key.ctx
tpm2_startauthsession -Q --policy-session -S session.ctx
tpm2_unseal -Q -c key.ctx -p session:session.ctx -o secret
tpm2_flushcontext -Q session.ctx
"""
    for name in ("sock.ctrl", "sock", "pid", "secret"):
        (work / name).unlink(missing_ok=True)
    shop.tool("bash", "-c", script)
    return base64.b64encode((work / "secret").read_bytes())
