"""SSH public keys and the signatures that `ssh-keygen -Y sign` makes, strictly parsed. No I/O.

`cryptography` parses and writes the keys. The signatures are in the form of OpenSSH's PROTOCOL.sshsig, with
the strings and numbers of RFC 4253. Accepted: Ed25519, and ECDSA on P-256 and P-384, hashed with SHA-512 or
SHA-256. Checks raise SshSignatureError.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from storage.errors import StorageError

MAGIC = b"SSHSIG"
MAX_BYTES = 4096
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_HASHES = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}
_ECDSA: dict[bytes, hashes.HashAlgorithm] = {  # RFC 5656, 6.2.1: the curve determines the hash
    b"ecdsa-sha2-nistp256": hashes.SHA256(),
    b"ecdsa-sha2-nistp384": hashes.SHA384(),
}
_KINDS = frozenset({b"ssh-ed25519", *_ECDSA})
_CURVES = frozenset({"secp256r1", "secp384r1"})
_KEY_LINE = re.compile(
    r"(ssh-ed25519|ecdsa-sha2-nistp(?:256|384)) ([A-Za-z0-9+/]{40,400}={0,2})(?: .{0,200})?"
)

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey


class SshSignatureError(StorageError):
    """An SSH key or signature that is malformed, of another kind, or not valid."""


@dataclass(frozen=True, slots=True)
class SshPublicKey:
    """A public key in SSH's binary form, already checked."""

    blob: bytes

    @classmethod
    def from_line(cls, line: str) -> SshPublicKey:
        """The key of an authorized_keys or .pub line. Raises SshSignatureError."""
        match = _KEY_LINE.fullmatch(line.strip())
        if match is None:
            raise SshSignatureError(
                "not a public key line of kind ssh-ed25519, ecdsa-sha2-nistp256 or -nistp384",
                cure="give the .pub file; make a key with: ssh-keygen -t ed25519",
            )
        try:
            return cls.from_blob(base64.b64decode(match[2], validate=True))
        except binascii.Error:
            raise SshSignatureError("the key's base64 is damaged") from None

    @classmethod
    def from_blob(cls, blob: bytes) -> SshPublicKey:
        """Check a key in binary form. Raises SshSignatureError."""
        _load(blob)
        return cls(blob)

    @classmethod
    def of(cls, private: PrivateKey) -> SshPublicKey:
        """The public half of a private key. Raises SshSignatureError for another curve."""
        if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name not in _CURVES:
            raise SshSignatureError(
                f"ECDSA on {private.curve.name} is not supported", cure="use P-256, P-384 or Ed25519"
            )
        return cls(_blob(private.public_key()))

    @classmethod
    def of_ed25519(cls, public: ed25519.Ed25519PublicKey) -> SshPublicKey:
        """An Ed25519 key in SSH's form."""
        return cls(_blob(public))

    @property
    def line(self) -> str:
        """The key as a .pub line without comment."""
        kind, _ = _cut(self.blob)
        return f"{kind.decode()} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """The fingerprint in the form of `ssh-keygen -l`."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"


def verify(signature: bytes, message: bytes, key: SshPublicKey, *, namespace: str) -> None:
    """Check a binary SSHSIG over message by exactly this key. Raises SshSignatureError."""
    if len(signature) > MAX_BYTES or not signature.startswith(MAGIC + b"\0\0\0\x01"):
        raise SshSignatureError("not an SSH signature, version 1")
    blob, rest = _cut(signature[10:])
    space, rest = _cut(rest)
    reserved, rest = _cut(rest)
    hash_name, rest = _cut(rest)
    inner, rest = _cut(rest)
    if rest:
        raise SshSignatureError("extra bytes after the signature")
    if not hmac.compare_digest(blob, key.blob):
        raise SshSignatureError("signed by another key")
    if space != namespace.encode() or reserved:
        raise SshSignatureError(f"signed for {space[:40]!r}, not for {namespace!r}")
    if hash_name not in _HASHES:
        raise SshSignatureError("hashed with neither SHA-512 nor SHA-256")
    kind, rest = _cut(inner)
    body, rest = _cut(rest)
    if rest or kind != _cut(key.blob)[0]:
        raise SshSignatureError("the signature and the key are of different kinds")
    signed = _preimage(space, hash_name, message)
    public = _load(key.blob)
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(body, signed)
        else:
            r, rest = _cut(body)
            s, rest = _cut(rest)
            if rest:
                raise SshSignatureError("extra bytes after the signature")
            public.verify(encode_dss_signature(_mpint(r), _mpint(s)), signed, ec.ECDSA(_ECDSA[kind]))
    except InvalidSignature:
        raise SshSignatureError("the signature is not valid") from None


def sign(message: bytes, private: PrivateKey, *, namespace: str) -> bytes:
    """The binary SSHSIG that `ssh-keygen -Y sign -n namespace` would make."""
    key = SshPublicKey.of(private)
    kind, _ = _cut(key.blob)
    signed = _preimage(namespace.encode(), b"sha512", message)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        body = private.sign(signed)
    else:
        r, s = decode_dss_signature(private.sign(signed, ec.ECDSA(_ECDSA[kind])))
        body = _string(_to_mpint(r)) + _string(_to_mpint(s))
    parts = (key.blob, namespace.encode(), b"", b"sha512", _string(kind) + _string(body))
    return MAGIC + b"\0\0\0\x01" + b"".join(_string(part) for part in parts)


def from_armor(text: str) -> bytes:
    """The binary form of an armored signature file. Raises SshSignatureError."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if len(text) > 2 * MAX_BYTES or len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise SshSignatureError("not an armored SSH signature", cure="make it with: ssh-keygen -Y sign")
    try:
        return base64.b64decode("".join(lines[1:-1]), validate=True)
    except binascii.Error:
        raise SshSignatureError("the signature's base64 is damaged") from None


def _preimage(namespace: bytes, hash_name: bytes, message: bytes) -> bytes:
    digest = _HASHES[hash_name](message).digest()
    return MAGIC + _string(namespace) + _string(b"") + _string(hash_name) + _string(digest)


def _load(blob: bytes) -> PublicKey:
    kind = _cut(blob)[0]
    if kind not in _KINDS:
        raise SshSignatureError(
            "keys of this kind are not supported", cure="use ssh-ed25519 or ECDSA on P-256"
        )
    try:
        public = load_ssh_public_key(kind + b" " + base64.b64encode(blob))
    except (ValueError, UnsupportedAlgorithm, NotImplementedError):  # NotImplementedError: a compressed point
        raise SshSignatureError("the key is damaged", cure="give the whole .pub file") from None
    if not isinstance(public, PublicKey) or _blob(public) != blob:  # one key has one form
        raise SshSignatureError("the key is not in the form that ssh-keygen writes")
    return public


def _blob(public: PublicKey) -> bytes:
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _cut(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 + length or len(data) < 4:
        raise SshSignatureError("cut short")
    return data[4 : 4 + length], data[4 + length :]


def _mpint(data: bytes) -> int:
    if not data or len(data) > 67 or data[0] & 0x80:
        raise SshSignatureError("a number of the signature is malformed")
    return int.from_bytes(data, "big")


def _to_mpint(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")
