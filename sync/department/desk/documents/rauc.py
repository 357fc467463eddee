"""A RAUC bundle in the verity format, checked as far as possible without a unit. No I/O.

    squashfs, a multiple of 4,096 bytes | its dm-verity tree | CMS signature, DER | its size, 8 bytes

The CMS holds the manifest (RAUC's reference, "Bundle Formats"). A unit's RAUC accepts no plain bundle, whose
manifest is in a file system that it would have to mount unchecked. It accepts no encrypted bundle, because it
has no key for one (`image/etc/rauc/system.conf.in`).
"""

from __future__ import annotations

import configparser
import hashlib
import re
from collections.abc import Sequence

from cryptography import x509

from storage.errors import UpdateFileError
from sync.department.desk.documents.cms import check_signed, parse_signed

MAGIC = b"hsqs"  # the first bytes of a squashfs
SIZE_BYTES, MAX_SIGNATURE = 8, 64 << 10
BLOCK, FAN = 4096, 128  # bytes per block; SHA-256 digests per block
SLOTS = frozenset({"system", "boot"})  # as the image's system.conf names them
_SIZE = re.compile(r"[0-9]{1,12}")
_CONTINUED = re.compile(r"^[^\S\n]+\S", re.MULTILINE)
_HEX = re.compile(r"[0-9a-f]{64}")


def check_bundle(bundle: bytes, board: str, keyring: Sequence[x509.Certificate]) -> None:
    """Check that RAUC on a unit of this board would accept the bundle. Raises UpdateFileError.

    keyring: empty if there is none here; units then check who signed.
    """
    if bundle[:4] != MAGIC or len(bundle) < BLOCK + SIZE_BYTES:
        raise UpdateFileError("its bundle is not a RAUC bundle (it does not begin as a squashfs)")
    size = int.from_bytes(bundle[-SIZE_BYTES:], "big")
    end = len(bundle) - SIZE_BYTES - size
    if not 1 <= size <= MAX_SIGNATURE or end < BLOCK:
        raise UpdateFileError("its RAUC bundle has no signature at its end, or was cut off")
    signed = parse_signed(bundle[end:-SIZE_BYTES])
    if signed.content is None:
        raise UpdateFileError("its RAUC bundle has the plain format, and units accept only the verity format")
    check_signed(signed, signed.content, keyring)
    _check_manifest(signed.content, memoryview(bundle)[:end], board)


def _check_manifest(manifest: bytes, payload: memoryview, board: str) -> None:
    """Check a manifest with a configparser as strict as GLib's key files, which RAUC reads.

    Names keep their case, no section applies to all others, and no line continues.
    """
    parser = configparser.RawConfigParser(
        strict=True, interpolation=None, delimiters=("=",), comment_prefixes=("#",), default_section=""
    )
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        text = manifest.decode("utf-8")
        if _CONTINUED.search(text):
            raise UpdateFileError("the manifest of its RAUC bundle has a line that begins with a blank")
        parser.read_string(text)
        compatible = parser.get("update", "compatible")
        kind = parser.get("bundle", "format", fallback="plain")
    except (configparser.Error, UnicodeDecodeError):
        raise UpdateFileError("the manifest of its RAUC bundle cannot be read") from None
    if compatible != f"alpr-{board}":
        raise UpdateFileError(f"its RAUC bundle is for {compatible[:40]!r}, and its release for alpr-{board}")
    if kind != "verity":
        raise UpdateFileError(
            f"its RAUC bundle has the {kind[:20]!r} format, and units accept only the verity format"
        )
    images = {one.removeprefix("image.") for one in parser.sections() if one.startswith("image.")}
    if not images or images - SLOTS:
        raise UpdateFileError("its RAUC bundle has no image, or one for a slot that no unit has")
    if any(not parser.get(f"image.{one}", "filename", fallback="") for one in images):
        raise UpdateFileError("its RAUC bundle has an image without a file name")
    try:
        size = parser.get("bundle", "verity-size")
        tree = int(size) if _SIZE.fullmatch(size) else 0
        root, salt = (parser.get("bundle", f"verity-{name}") for name in ("hash", "salt"))
    except configparser.Error:
        tree, root, salt = 0, "", ""
    held = len(payload) - tree
    if (
        not _HEX.fullmatch(root)
        or not _HEX.fullmatch(salt)
        or tree < BLOCK
        or held < BLOCK
        or held % BLOCK
        or tree % BLOCK
    ):
        raise UpdateFileError("the manifest of its RAUC bundle names no dm-verity tree that fits it")
    made = verity_tree(payload[:held], bytes.fromhex(salt))
    if made != (bytes.fromhex(root), bytes(payload[held:])):
        raise UpdateFileError("its RAUC bundle is not what its manifest was signed for (dm-verity)")


def verity_tree(data: memoryview, salt: bytes) -> tuple[bytes, bytes]:
    """(root digest, tree without a superblock) of dm-verity version 1, SHA-256, with blocks of 4,096 bytes.

    Source: the kernel's admin-guide/device-mapper/verity.rst. data: its size is a multiple of the block's.
    """
    digests = [_salted(salt, data[at : at + BLOCK]) for at in range(0, len(data), BLOCK)]
    levels: list[bytes] = []
    while len(digests) > 1:
        blocks = [b"".join(digests[at : at + FAN]).ljust(BLOCK, b"\0") for at in range(0, len(digests), FAN)]
        levels.insert(0, b"".join(blocks))
        digests = [_salted(salt, one) for one in blocks]
    return digests[0], b"".join(levels)


def _salted(salt: bytes, block: bytes | memoryview) -> bytes:
    made = hashlib.sha256(salt)
    made.update(block)
    return made.digest()
