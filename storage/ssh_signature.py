"""SSH public keys and the signatures that `ssh-keygen -Y sign` makes, strictly parsed. No I/O.

Forms: RFC 4253 (strings, mpint), RFC 5656 (ECDSA), RFC 8709 (Ed25519), OpenSSH's PROTOCOL.sshsig. Taken are
Ed25519 and ECDSA on P-256 and P-384, hashed with SHA-512 or SHA-256. Checks raise SshSignatureError.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from storage.errors import StorageError

MAGIC = b"SSHSIG"
MAX_BYTES = 4096
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_HASHES = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}
_CURVES: dict[bytes, tuple[bytes, ec.EllipticCurve, hashes.HashAlgorithm]] = {
    b"ecdsa-sha2-nistp256": (b"nistp256", ec.SECP256R1(), hashes.SHA256()),
    b"ecdsa-sha2-nistp384": (b"nistp384", ec.SECP384R1(), hashes.SHA384()),
}
_ED25519 = b"ssh-ed25519"
_KEY_LINE = re.compile(
    r"(ssh-ed25519|ecdsa-sha2-nistp(?:256|384)) ([A-Za-z0-9+/]{40,400}={0,2})(?: .{0,200})?"
)

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


class SshSignatureError(StorageError):
    """An SSH key or signature that is malformed, of another kind, or does not hold."""


@dataclass(frozen=True, slots=True)
class SshPublicKey:
    """A public key in SSH's own binary form, known to be sound."""

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
        if isinstance(private, ed25519.Ed25519PrivateKey):
            return cls.of_ed25519(private.public_key())
        for kind, (name, curve, _) in _CURVES.items():
            if curve.name == private.curve.name:
                return cls(_string(kind) + _string(name) + _string(_point(private.public_key())))
        raise SshSignatureError(
            f"ECDSA on {private.curve.name} is not taken", cure="use P-256, P-384 or Ed25519"
        )

    @classmethod
    def of_ed25519(cls, public: ed25519.Ed25519PublicKey) -> SshPublicKey:
        """An Ed25519 key as SSH writes it."""
        return cls(_string(_ED25519) + _string(public.public_bytes_raw()))

    @property
    def line(self) -> str:
        """The key as a .pub line without comment."""
        kind, _ = _cut(self.blob)
        return f"{kind.decode()} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` writes it."""
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
        raise SshSignatureError("bytes behind the signature")
    if not hmac.compare_digest(blob, key.blob):
        raise SshSignatureError("signed by another key")
    if space != namespace.encode() or reserved:
        raise SshSignatureError(f"signed for {space[:40]!r}, not for {namespace!r}")
    if hash_name not in _HASHES:
        raise SshSignatureError("hashed with neither SHA-512 nor SHA-256")
    kind, rest = _cut(inner)
    body, rest = _cut(rest)
    if rest or kind != _cut(key.blob)[0]:
        raise SshSignatureError("the signature is of another kind than the key")
    signed = _preimage(space, hash_name, message)
    public = _load(key.blob)
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(body, signed)
        else:
            r, rest = _cut(body)
            s, rest = _cut(rest)
            if rest:
                raise SshSignatureError("bytes behind the signature")
            public.verify(encode_dss_signature(_mpint(r), _mpint(s)), signed, ec.ECDSA(_CURVES[kind][2]))
    except InvalidSignature:
        raise SshSignatureError("the signature does not hold") from None


def sign(message: bytes, private: PrivateKey, *, namespace: str) -> bytes:
    """The binary SSHSIG that `ssh-keygen -Y sign -n namespace` would make."""
    key = SshPublicKey.of(private)
    kind, _ = _cut(key.blob)
    signed = _preimage(namespace.encode(), b"sha512", message)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        body = private.sign(signed)
    else:
        r, s = decode_dss_signature(private.sign(signed, ec.ECDSA(_CURVES[kind][2])))
        body = _string(_to_mpint(r)) + _string(_to_mpint(s))
    parts = (key.blob, namespace.encode(), b"", b"sha512", _string(kind) + _string(body))
    return MAGIC + b"\0\0\0\x01" + b"".join(_string(part) for part in parts)


def from_armour(text: str) -> bytes:
    """The binary form of an armoured signature file. Raises SshSignatureError."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if len(text) > 2 * MAX_BYTES or len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise SshSignatureError("not an armoured SSH signature", cure="make it with: ssh-keygen -Y sign")
    try:
        return base64.b64decode("".join(lines[1:-1]), validate=True)
    except binascii.Error:
        raise SshSignatureError("the signature's base64 is damaged") from None


def _preimage(namespace: bytes, hash_name: bytes, message: bytes) -> bytes:
    digest = _HASHES[hash_name](message).digest()
    return MAGIC + _string(namespace) + _string(b"") + _string(hash_name) + _string(digest)


def _load(blob: bytes) -> ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey:
    kind, rest = _cut(blob)
    if kind == _ED25519:
        raw, rest = _cut(rest)
        if rest or len(raw) != 32:
            raise SshSignatureError("an Ed25519 key has 32 bytes")
        return ed25519.Ed25519PublicKey.from_public_bytes(raw)
    if kind not in _CURVES:
        raise SshSignatureError("keys of this kind are not taken", cure="use ssh-ed25519 or ECDSA on P-256")
    name, curve, _ = _CURVES[kind]
    named, rest = _cut(rest)
    point, rest = _cut(rest)
    if rest or named != name:
        raise SshSignatureError("the key names another curve than its kind")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    except ValueError:
        raise SshSignatureError("the key is no point of its curve") from None


def _point(public: ec.EllipticCurvePublicKey) -> bytes:
    numbers = public.public_numbers()
    size = (public.key_size + 7) // 8
    return b"\x04" + numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")


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
