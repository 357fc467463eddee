"""Checks an update before it is signed: everything that units check in the file, as far as the desk can.

Otherwise a unit would refuse it at its console, weeks after two people signed it.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from storage.errors import UpdateFileError
from storage.update_file import ReleaseTrust, SystemRelease, check_own_proof, check_proof, read_update
from sync.department.desk.documents.cms import read_keyring
from sync.department.desk.documents.rauc import check_bundle
from sync.department.policy.refusals import FormError
from sync.messages import MAX_DOCUMENT_BYTES

A = TypeVar("A")
B = TypeVar("B")

CLAUSE = "463.4"
KEYS_FILE = "release-keys.txt"  # in /usr/share/alpr of each image
KEYRING_FILE = "bundle-keyring.pem"  # /etc/rauc/keyring.pem of each image
MAX_UPDATE_BYTES = MAX_DOCUMENT_BYTES - (64 << 10)  # with name and signature, as much as a sync delivers
CURE = "send the update file as it was released: alpr-VERSION.update"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateTrust:
    """Whom images trust, as copied from an image into the home.

    This is the text of its release keys and its keyring for bundles (PEM). If one is empty, only the units
    check it.
    """

    keys: str = ""
    keyring: bytes = b""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read both from a home. Raises FormError if a file cannot be read."""
        try:
            keys = _read(folder / KEYS_FILE).decode("utf-8")
        except UnicodeDecodeError:
            raise _keys_refusal(KEYS_FILE, "is not UTF-8") from None
        return cls(keys=keys, keyring=_read(folder / KEYRING_FILE))


def check_update(body: bytes, trust: UpdateTrust) -> SystemRelease:
    """Check the bundle, proof and manifest of an update file, and return its release. Raises FormError."""
    if len(body) > MAX_UPDATE_BYTES:
        most, size = MAX_UPDATE_BYTES / 1e6, len(body) / 1e6
        cure = "install it from a stick: update /PATH at the unit's console"
        raise document_refusal(
            f"a sync delivers an update of at most {most:.0f} MB, and this has {size:.0f} MB", cure
        )
    prove = check_own_proof
    if trust.keys:
        prove = functools.partial(check_proof, trust=_parsed(KEYS_FILE, ReleaseTrust.parse, trust.keys))
    keyring = _parsed(KEYRING_FILE, read_keyring, trust.keyring) if trust.keyring else ()
    bundle = bytearray()
    try:
        release = read_update(
            io.BytesIO(body), lambda leaf, proof, _release: prove(leaf, proof), bundle.extend
        )
        check_bundle(bytes(bundle), release.board, keyring)
    except UpdateFileError as error:
        raise document_refusal(f"units would refuse this update: {error.what}", CURE) from None
    return release


def release_words(release: SystemRelease, trust: UpdateTrust) -> str:
    """Describe a release to the person who is to approve it."""
    proven = (
        "is in the release log" if trust.keys else f"release log's signature not checked: no {KEYS_FILE} here"
    )
    signed = (
        "its bundle is signed as units ask"
        if trust.keyring
        else f"its bundle's signer not checked: no {KEYRING_FILE} here"
    )
    return (
        f"release {release.name} (version {release.version}) for {release.board} boards, {proven}, {signed}"
    )


def _parsed(name: str, parse: Callable[[A], B], data: A) -> B:
    try:
        return parse(data)
    except UpdateFileError as error:
        raise _keys_refusal(name, error.what) from None


def document_refusal(what: str, cure: str = "") -> FormError:
    """The refusal of a document that units would refuse."""
    return FormError(what, code="document", clause=CLAUSE, cure=cure, fields=("body",))


def _read(path: Path) -> bytes:
    """Read a file of the home, or b"" if there is none. Raises FormError if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _keys_refusal(path.name, f"cannot be read ({type(error).__name__})") from None


def _keys_refusal(name: str, what: str) -> FormError:
    source = "/etc/rauc/keyring.pem" if name == KEYRING_FILE else f"/usr/share/alpr/{KEYS_FILE}"
    cure = f"copy {source} of an image to the department's home, as {name}, or remove it there"
    return FormError(f"{name}: {what}", code="release-keys", clause=CLAUSE, cure=cure, fields=("body",))
