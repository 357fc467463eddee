"""Writes and reads offline inclusion proofs as C2SP tlog-proof files. No I/O."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from storage.errors import ProofError

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES = 64 * 1024
MAX_PATH = 63
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A leaf's index, its audit path, and the signed note to which it leads."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str


def write(index: int, path: Sequence[bytes], checkpoint: str) -> str:
    """The file's text."""
    hashes = "".join(base64.b64encode(one).decode() + "\n" for one in path)
    return f"{HEADER}\nindex {index}\n{hashes}\n{checkpoint}"


def parse(text: str) -> TlogProof:
    """Parse a proof file. Raises ProofError. An `extra` line is not ours and is refused."""
    if len(text) > MAX_PROOF_BYTES:
        raise ProofError(f"is over {MAX_PROOF_BYTES} bytes", where="tlog-proof")
    head, gap, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    match = _INDEX.fullmatch(lines[1]) if len(lines) > 1 else None
    if not gap or lines[0] != HEADER or match is None or len(lines) > 2 + MAX_PATH:
        raise ProofError(f"is no {HEADER}", where="tlog-proof")
    try:
        path = tuple(base64.b64decode(line, validate=True) for line in lines[2:])
    except (binascii.Error, ValueError):
        raise ProofError("a hash is not base64", where="tlog-proof") from None
    if any(len(one) != 32 for one in path):
        raise ProofError("a hash does not have 32 bytes", where="tlog-proof")
    if write(int(match[1]), path, checkpoint) != text:  # different base64 endings may decode alike
        raise ProofError("is not written as a proof is", where="tlog-proof")
    return TlogProof(int(match[1]), path, checkpoint)
