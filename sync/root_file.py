"""The root file: names the policy, witnesses and keys in force; signed by 2 of 3 offline keys. No I/O.

As in TUF, the file contains its own three public keys and a threshold of two; the version only rises; and a
new root is signed by two keys of the old one and two of the new. The first root is trusted by its digest,
which arrives on another path (the enrollment code, a printed page).

File, deterministic CBOR: {"root": payload, "signatures": [COSE_Sign1 over SHA-256(payload), ...]}.
Order of the checks: size and form, signatures by known keys (each key counts once), version, content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage import envelope
from storage.codec import from_bytes, to_bytes
from storage.cosigners import CosignerKey, Witnesses
from storage.envelope import decode
from storage.errors import CheckpointError, EnvelopeError, OutdatedError, RecordError, SignatureError

FORMAT = 2
THRESHOLD = 2
HOLDERS = 3
LOG = "log"  # the key of the access log, which never changes: it identifies the department
KEY_SERVICE = "key-service"  # the key that signs the key service's list
MAX_WITNESSES = 7  # a note has at most 16 signatures: the log's, and two per witness
MAX_WITNESS_KEYS = 2  # Ed25519 and ML-DSA-44
CONTEXT = b"alpr-department/root/v1"
MAX_ROOT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKey:
    """One of the three offline keys: the office that keeps it, and its 32 public bytes."""

    holder: str
    public: bytes

    def check(self) -> None:
        if not self.holder or len(self.public) != 32:
            raise RecordError("a root key names its holder and has 32 bytes", where="root.keys")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedKey:
    """Another key that the root names: `name` (log, command, ca, ...), raw or DER `public`."""

    name: str
    public: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RootWitness:
    """One witness: its C2SP vkeys, of which any one counts, and its URL prefix."""

    keys: tuple[str, ...]
    url: str

    def check(self) -> None:
        if not 1 <= len(self.keys) <= MAX_WITNESS_KEYS:
            raise RecordError(f"has 1 to {MAX_WITNESS_KEYS} keys", where="root.witnesses")
        try:
            names = {CosignerKey.parse(text).name for text in self.keys}
        except CheckpointError as error:
            raise RecordError(
                str(error),
                where="root.witnesses",
                cure="the witness's own key, as `department witness init` printed it, not the log's",
            ) from None
        if len(names) != 1:
            raise RecordError("the keys of one witness have one name", where="root.witnesses")


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """What two of three offices sign.

    `witnesses`: those that co-sign the access log, `quorum` of them each tree head; empty before the first
    one was named. `public_witnesses`: those that see the log of hourly heads.
    """

    format: int
    version: int
    department: str
    created_us: int
    demo: bool
    keys: tuple[RootKey, ...]
    policy_version: int
    policy_digest: bytes
    witnesses: tuple[RootWitness, ...]
    quorum: int
    public_witnesses: tuple[RootWitness, ...]
    others: tuple[NamedKey, ...]

    def check(self) -> None:
        if self.format != FORMAT or self.version < 1:
            raise RecordError("format or version is malformed", where="root")
        if len(self.keys) != HOLDERS or len({key.public for key in self.keys}) != HOLDERS:
            raise RecordError(f"{HOLDERS} different keys belong in it", where="root.keys")
        if len({key.holder for key in self.keys}) != HOLDERS:
            raise RecordError("the three keys must belong to three different offices", where="root.keys")
        if len(self.policy_digest) != 32 or self.policy_version < 1:
            raise RecordError("policy version or digest is malformed", where="root.policy")
        if len({one.name for one in self.others}) != len(self.others):
            raise RecordError("names one key twice", where="root.others")
        for which in (self.witnesses, self.public_witnesses):
            if len(which) > MAX_WITNESSES:
                raise RecordError(f"names more than {MAX_WITNESSES} witnesses", where="root.witnesses")
            every = [CosignerKey.parse(text) for one in which for text in one.keys]
            raw = {key.raw for key in every}  # one witness's key must not be another's under a different name
            if len(raw) != len(every) or len({key.name for key in every}) != len(which):
                raise RecordError("names one witness twice", where="root.witnesses")
        if not min(1, len(self.witnesses)) <= self.quorum <= len(self.witnesses):
            raise RecordError(
                f"{self.quorum} of {len(self.witnesses)} witnesses is not a quorum", where="root.quorum"
            )

    def digest(self) -> bytes:
        """SHA-256 of the payload, as in an enrollment code and on a printed page."""
        return hashlib.sha256(to_bytes(self)).digest()

    def witnessing(self) -> Witnesses | None:
        """The witnesses that must co-sign a tree head of the access log; None if none is named yet."""
        if not self.witnesses:
            return None
        keys = tuple(tuple(CosignerKey.parse(text) for text in one.keys) for one in self.witnesses)
        return Witnesses(keys, self.quorum)

    def public_witnessing(self) -> Witnesses | None:
        """The witnesses of the log of hourly heads, of which one is enough; None if none is named."""
        if not self.public_witnesses:
            return None
        keys = tuple(tuple(CosignerKey.parse(text) for text in one.keys) for one in self.public_witnesses)
        return Witnesses(keys, 1)

    def other(self, name: str) -> bytes | None:
        return next((one.public for one in self.others if one.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    root: bytes
    signatures: tuple[bytes, ...]


def sign(root: Root, key: Ed25519PrivateKey) -> bytes:
    """One office's signature over a root, a COSE_Sign1 over its digest."""
    root.check()
    return envelope.sign(root.digest(), key, context=CONTEXT)


def assemble(root: Root, signatures: Iterable[bytes]) -> bytes:
    """Make a root file. Whether it has enough valid signatures is checked when it is opened."""
    root.check()
    return to_bytes(_File(root=to_bytes(root), signatures=tuple(signatures)))


def _parse(data: bytes) -> tuple[Root, tuple[bytes, ...]]:
    file = from_bytes(_File, data, limit=MAX_ROOT_BYTES)
    if len(file.signatures) > 2 * HOLDERS:
        raise EnvelopeError(f"more than {2 * HOLDERS} signatures")
    plain = decode(file.root, limit=MAX_ROOT_BYTES)
    if isinstance(plain, dict) and plain.get("format") == 1:
        raise RecordError(
            f"is of format 1, made before 0.2; {FORMAT} is known",
            where="root",
            cure="found the department again",
        )
    if isinstance(plain, dict) and type(plain.get("format")) is int and plain["format"] > FORMAT:
        raise RecordError(
            f"is of format {plain['format']}; {FORMAT} is known",
            where="root",
            cure="update the programs on this machine",
        )
    return from_bytes(Root, file.root, limit=MAX_ROOT_BYTES), file.signatures


def _signers(digest: bytes, signatures: Sequence[bytes], keys: Iterable[RootKey]) -> set[str]:
    """The holders of `keys` whose signature is valid. An invalid one by such a key raises SignatureError."""
    found = set()
    for key in keys:
        public = Ed25519PublicKey.from_public_bytes(key.public)
        for signature in signatures:
            if envelope.split(signature)[3] != envelope.key_id(public):
                continue
            if envelope.open_signed(signature, public, context=CONTEXT) != digest:
                raise SignatureError("signs another root", where=f"root, {key.holder}")
            found.add(key.holder)
    return found


def _demand(found: set[str], which: str) -> None:
    if len(found) < THRESHOLD:
        names = ", ".join(sorted(found)) or "no office"
        raise SignatureError(
            f"signed by {names}: {THRESHOLD} of the {which} root's keys must sign",
            where="root",
            cure="take the file to another office that keeps a root key: department keys sign",
        )


def open_first(data: bytes, expected_digest: bytes) -> Root:
    """Open the root with a known digest. Raises EnvelopeError, RecordError, SignatureError."""
    root, signatures = _parse(data)
    if root.digest() != expected_digest:
        raise SignatureError("is not the root whose digest was given", where="root")
    _demand(_signers(root.digest(), signatures, root.keys), "new")
    return root


def open_next(data: bytes, current: Root) -> Root:
    """Open the root that follows `current`. Raises as `open_first`, or OutdatedError for an old version."""
    root, signatures = _parse(data)
    if root.other(LOG) != current.other(LOG):  # an office may keep keys of two departments or foundings
        raise RecordError(
            "names the access log of another department",
            where="root.others",
            cure="adopt the file that this department's offices drafted: department keys draft",
        )
    digest = root.digest()
    _demand(_signers(digest, signatures, current.keys), "old")
    _demand(_signers(digest, signatures, root.keys), "new")
    if root.version <= current.version:
        raise OutdatedError(
            f"version {root.version}, but {current.version} is in force",
            where="root",
            cure="versions only rise",
        )
    if root.policy_version < current.policy_version:
        raise OutdatedError(
            f"policy version {root.policy_version}, but {current.policy_version} is in force", where="root"
        )
    if root.policy_version == current.policy_version and root.policy_digest != current.policy_digest:
        raise OutdatedError("another policy file under the same version", where="root")
    if root.demo and not current.demo:
        raise RecordError("a real department cannot become a demo", where="root.demo")
    return root


def describe(data: bytes) -> tuple[Root, tuple[str, ...]]:
    """An untrusted root file, and which of its own holders signed it, for the signing ceremony."""
    root, signatures = _parse(data)
    return root, tuple(sorted(_signers(root.digest(), signatures, root.keys)))


def signed_by(data: bytes, by: Root) -> tuple[str, ...]:
    """The offices of `by` that signed a root file. Raises as `describe`."""
    root, signatures = _parse(data)
    return tuple(sorted(_signers(root.digest(), signatures, by.keys)))


def add_signature(data: bytes, key: Ed25519PrivateKey) -> bytes:
    """Add a signature to a root file; signing twice changes nothing."""
    root, signatures = _parse(data)
    kid = envelope.key_id(key.public_key())
    kept = tuple(one for one in signatures if envelope.split(one)[3] != kid)
    return assemble(root, (*kept, sign(root, key)))
