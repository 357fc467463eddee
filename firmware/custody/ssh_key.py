"""Opens a person's SSH private key file; asks for the passphrase if it has one."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from firmware.errors import UsageError

KEY_LIMIT = 64 * 1024
PrivateKey: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def read_key(option: str, path: Path) -> bytes:
    """Read the file that an option names. Raises UsageError."""
    try:
        with path.open("rb") as file:
            return file.read(KEY_LIMIT)
    except OSError as error:
        raise UsageError(f"{option} {path}: {error.strerror}") from None


def open_key(option: str, path: Path, data: bytes) -> PrivateKey:
    """The key in such a file. Raises UsageError, and UnsupportedAlgorithm for a cipher unknown here."""
    try:
        key = load_ssh_private_key(data, None)
    except TypeError:
        passphrase = getpass.getpass(f"Passphrase of {path}: ").encode()
        try:
            key = load_ssh_private_key(data, passphrase)
        except ValueError:
            raise UsageError(f"{option} {path}: wrong passphrase") from None
    except ValueError:
        raise UsageError(f"{option} {path}: not an OpenSSH private key") from None
    if isinstance(key, PrivateKey):
        return key
    raise UsageError(f"{option} {path}: use an Ed25519 or ECDSA key, e.g. from ssh-keygen -t ed25519")
