"""An update as one file: its description, the proof that it is in the release log, and the bundle. No I/O.

The file is an uncompressed POSIX tar with three members in this order:

    release.txt          the leaf of the release log, six lines (`SystemRelease.text`)
    release.tlog-proof   C2SP tlog-proof of that leaf, its checkpoint signed by the log and its witnesses
    bundle.raucb         the RAUC bundle, signed; its SHA-256 and size are in release.txt

`ReleaseTrust` comes with the image: the log's key, the witnesses' keys, and how many of them must sign.
The unit's installer and the department's desk read the file with this module.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from storage import merkle
from storage.checkpoint import Checkpoint, NoteKey, open_checkpoint, open_cosignatures, split_note
from storage.errors import StorageError, UpdateFileError
from storage.tlog_proof import MAX_PROOF_BYTES, TlogProof, parse

FORMAT = "alpr-release/v1"
RELEASE, PROOF, BUNDLE = "release.txt", "release.tlog-proof", "bundle.raucb"
MAX_RELEASE_BYTES = 1024
MAX_BUNDLE_BYTES = 2 << 30
PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
_LINES = re.compile(
    rf"{FORMAT}\n"
    r"version ([1-9][0-9]{0,8})\n"
    r"name ([A-Za-z0-9.+~-]{1,40})\n"
    r"board ([a-z0-9-]{1,32})\n"
    r"bundle ([0-9a-f]{64}) ([1-9][0-9]{0,11})\n"
    r"root-hash ([0-9a-f]{64})\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRelease:
    """One release of one board's image. version: rises with every release, and never falls on a unit."""

    version: int
    name: str
    board: str
    bundle_digest: str
    bundle_bytes: int
    root_hash: str

    def text(self) -> str:
        """The leaf of the release log."""
        return (
            f"{FORMAT}\nversion {self.version}\nname {self.name}\nboard {self.board}\n"
            f"bundle {self.bundle_digest} {self.bundle_bytes}\nroot-hash {self.root_hash}\n"
        )

    @classmethod
    def parse(cls, text: str) -> SystemRelease:
        """Parse a leaf. Raises UpdateFileError."""
        match = _LINES.fullmatch(text)
        if match is None:
            raise UpdateFileError(f"{RELEASE} is not in the format {FORMAT}")
        return cls(
            version=int(match[1]),
            name=match[2],
            board=match[3],
            bundle_digest=match[4],
            bundle_bytes=int(match[5]),
            root_hash=match[6],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTrust:
    """The keys that this image trusts for releases."""

    log: NoteKey
    witnesses: tuple[NoteKey, ...]
    quorum: int

    def text(self) -> str:
        """The image's text: `log VKEY`, one `witness VKEY` each, `quorum N`."""
        lines = [f"log {self.log.text()}", *(f"witness {one.text()}" for one in self.witnesses)]
        return "\n".join([*lines, f"quorum {self.quorum}", ""])

    @classmethod
    def parse(cls, text: str) -> ReleaseTrust:
        """Parse the text. Raises UpdateFileError: an image with damaged trust installs nothing."""
        found: dict[str, list[str]] = {"log": [], "witness": [], "quorum": []}
        for line in text.splitlines():
            word, _, value = line.partition(" ")
            if word not in found:
                raise UpdateFileError(f"the release keys of this image have a line {word!r}")
            found[word].append(value)
        try:
            log, quorum = NoteKey.parse(*found["log"]), int(*found["quorum"])
            witnesses = tuple(NoteKey.parse(one) for one in found["witness"])
        except (StorageError, TypeError, ValueError) as error:
            raise UpdateFileError(f"the release keys of this image cannot be read: {error}") from None
        if not 0 <= quorum <= len(witnesses):
            raise UpdateFileError("the release keys of this image ask for more witnesses than they name")
        return cls(log=log, witnesses=witnesses, quorum=quorum)


def check_proof(leaf: str, proof_text: str, trust: ReleaseTrust) -> None:
    """Check that the release log contains this leaf. RFC 9162, 2.1.3. Raises UpdateFileError."""
    try:
        proof = parse(proof_text)
        head = open_checkpoint(proof.checkpoint, trust.log)
        signed = {one.name for one in open_cosignatures(proof.checkpoint, trust.witnesses)}
        _verify(leaf, proof, head)
    except StorageError as error:
        raise UpdateFileError(f"not in the release log: {error}") from None
    if len(signed) < trust.quorum:
        raise UpdateFileError(
            f"{len(signed)} witnesses signed the release log's checkpoint, {trust.quorum} are needed"
        )


def check_own_proof(leaf: str, proof_text: str) -> None:
    """Check that the proof leads from this leaf to its own checkpoint, which is all that can be checked
    without the log's key. Raises UpdateFileError.
    """
    try:
        proof = parse(proof_text)
        _verify(leaf, proof, Checkpoint.parse(split_note(proof.checkpoint)[0]))
    except StorageError as error:
        raise UpdateFileError(f"not in the release log: {error}") from None


def _verify(leaf: str, proof: TlogProof, head: Checkpoint) -> None:
    merkle.verify_inclusion(proof.index, head.size, merkle.leaf_hash(leaf.encode()), proof.path, head.root)


def read_update(
    source: IO[bytes],
    admit: Callable[[str, str, SystemRelease], None],
    write: Callable[[bytes], object],
) -> SystemRelease:
    """Read an update file: give each piece of its bundle to `write`, check its digest, and return its
    release.

    admit: called with the leaf, the proof's text and the release before the bundle's first byte is read.
    Raises UpdateFileError, and what admit raises; then the caller must discard what was written.
    """
    try:
        text = _small(source, RELEASE, MAX_RELEASE_BYTES)
        proof = _small(source, PROOF, MAX_PROOF_BYTES)
        release = SystemRelease.parse(text)
        admit(text, proof, release)
        _copy(source, _member(source, BUNDLE, MAX_BUNDLE_BYTES), write, release)
    except (tarfile.TarError, UnicodeDecodeError) as error:
        raise UpdateFileError(f"is not an update file ({type(error).__name__})") from None
    return release


def _member(source: IO[bytes], name: str, limit: int) -> int:
    """The size of the member whose header comes next. Does not use `TarFile`, which reads a PAX or long-name
    header of any size into memory before any proof.
    """
    head = tarfile.TarInfo.frombuf(source.read(tarfile.BLOCKSIZE), "utf-8", "strict")
    if head.name != name or head.type not in PLAIN or not 0 < head.size <= limit:
        raise UpdateFileError(f"is not an update file: {name} expected, of at most {limit} bytes")
    return head.size


def _small(source: IO[bytes], name: str, limit: int) -> str:
    size = _member(source, name, limit)
    return b"".join(_pieces(source, size)).decode("utf-8")


def _pieces(source: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield the body of a member, then skip the zeros that fill its last block. Raises UpdateFileError."""
    left = size
    while left:
        chunk = source.read(min(left, 1 << 20))
        if not chunk:
            raise UpdateFileError("is not an update file: it is cut off")
        left -= len(chunk)
        yield chunk
    source.read(-size % tarfile.BLOCKSIZE)


def _copy(source: IO[bytes], size: int, write: Callable[[bytes], object], release: SystemRelease) -> None:
    digest = hashlib.sha256()
    if size == release.bundle_bytes:
        for chunk in _pieces(source, size):
            digest.update(chunk)
            write(chunk)
    if not hmac.compare_digest(digest.hexdigest(), release.bundle_digest):
        raise UpdateFileError(f"the bundle is not the one that {RELEASE} names: damaged, or another one")
