"""A witness by C2SP `tlog-witness`: it co-signs a log's tree head only if the log merely grew. No I/O.

`judge` is all of add-checkpoint: it takes the request's bytes and the last co-signed tree head, and returns
the answer (HTTP status and body) and the tree head to remember. The steps are in the specification's order
(of July 2026): form (400), known origin (404), the log's signature (403), old size not above the new (400),
old size as remembered (409 with the size), consistency (422). The last fails for an invalid or superfluous
proof, another root of the same size, or a wrong root of an empty tree.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage import merkle
from storage.checkpoint import Checkpoint, NoteKey, open_checkpoint, split_note
from storage.cosigners import CosignerKey, PrivateCosigner, cosignature_line
from storage.errors import CheckpointError, ProofError

MAX_REQUEST_BYTES = 64 * 1024
MAX_PROOF_LINES = 63
SIZE_TYPE = "text/x.tlog.size"
PLAIN_TYPE = "text/plain; charset=utf-8"
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """The answer to the log, and the tree head to remember before it is sent (None: no change)."""

    status: int
    body: str
    content_type: str = PLAIN_TYPE
    remember: Checkpoint | None = None
    note: str = ""


def origin_hash(origin: str) -> str:
    """A log's name below the monitoring prefix: lowercase hex of the SHA-256 of its origin."""
    return hashlib.sha256(origin.encode()).hexdigest()


def request_body(old_size: int, proof: list[bytes], note: str) -> str:
    """The body of an add-checkpoint request."""
    lines = "".join(base64.b64encode(one).decode() + "\n" for one in proof)
    return f"old {old_size}\n{lines}\n{note}"


def parse_request(body: bytes) -> tuple[int, list[bytes], str]:
    """Parse a request into (old size, proof, signed note). Raises CheckpointError."""
    if len(body) > MAX_REQUEST_BYTES:
        raise CheckpointError(f"a request is at most {MAX_REQUEST_BYTES} bytes")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise CheckpointError("a request is UTF-8") from None
    head, gap, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    if not gap or old is None or len(lines) > MAX_PROOF_LINES:
        raise CheckpointError("a request is: old size, at most 63 proof lines, an empty line, a checkpoint")
    proof = []
    for line in lines:
        try:
            value = base64.b64decode(line, validate=True)
        except (binascii.Error, ValueError):
            raise CheckpointError("a proof line is not base64") from None
        if len(value) != merkle.HASH_BYTES:
            raise CheckpointError("a proof line holds one hash")
        proof.append(value)
    return int(old.group(1)), proof, note


class Witness:
    """A witness's name, keys and known logs. Stateless: the state is passed to `judge`."""

    def __init__(self, name: str, keys: Sequence[PrivateCosigner], logs: Mapping[str, NoteKey]) -> None:
        """`keys`: it signs with all of them. `logs`: origin to the log's verifying key."""
        self.name = name
        self._keys = tuple(keys)
        self._logs = dict(logs)

    @property
    def keys(self) -> tuple[CosignerKey, ...]:
        """Its verifying keys, for a root file."""
        return tuple(CosignerKey.of(self.name, one) for one in self._keys)

    def knows(self, origin: str) -> bool:
        return origin in self._logs

    @staticmethod
    def origin_of(body: bytes) -> str:
        """The origin of the log that a request is about. Raises CheckpointError."""
        _, _, note = parse_request(body)
        return Checkpoint.parse(split_note(note)[0]).origin

    def judge(self, body: bytes, last: Checkpoint | None, *, time_s: int) -> WitnessAnswer:  # noqa: PLR0911
        """Answer an add-checkpoint request. `last`: the tree head last co-signed for its origin."""
        try:
            old, proof, note = parse_request(body)
            origin = Checkpoint.parse(split_note(note)[0]).origin
        except CheckpointError as error:
            return WitnessAnswer(400, f"{error}\n")
        known = self._logs.get(origin)
        if known is None:
            return WitnessAnswer(404, "this witness does not know that log\n")
        try:
            head = open_checkpoint(note, known)
        except CheckpointError as error:
            return WitnessAnswer(403, f"{error}\n")
        if old > head.size:
            return WitnessAnswer(400, "the old size is above the checkpoint's\n")
        seen = last.size if last else 0
        if old != seen:
            return WitnessAnswer(409, f"{seen}\n", SIZE_TYPE)
        try:
            _demand_sound(old, last, head, proof)
            merkle.verify_consistency(
                old, last.root if last else merkle.EMPTY_ROOT, head.size, head.root, proof
            )
        except ProofError as error:
            return WitnessAnswer(422, f"{error}\n")
        lines = "".join(cosignature_line(note, self.name, one, time_s=time_s) for one in self._keys)
        return WitnessAnswer(200, lines, remember=head, note=note + lines)


def _demand_sound(old: int, last: Checkpoint | None, head: Checkpoint, proof: list[bytes]) -> None:
    """Raises ProofError for faults that no consistency proof could mend."""
    if old in {0, head.size} and proof:
        raise ProofError("a proof where none belongs")
    if last is not None and old == head.size and last.root != head.root:
        raise ProofError("another root of the same size")
    if head.size == 0 and head.root != merkle.EMPTY_ROOT:
        raise ProofError("an empty tree has the root of nothing")
