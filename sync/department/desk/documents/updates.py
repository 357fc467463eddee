"""What an update must be before it is signed: all that units check of the file, as far as the desk can.

A unit would refuse anything else at its console, weeks after two people signed it. Its RAUC alone checks the
bundle's own signature.
"""

from __future__ import annotations

import functools
import io
from pathlib import Path

from storage.errors import UpdateFileError
from storage.update_file import ReleaseTrust, SystemRelease, check_own_proof, check_proof, read_update
from sync.department.policy.refusals import FormError
from sync.messages import MAX_DOCUMENT_BYTES

CLAUSE = "463.4"
KEYS_FILE = "release-keys.txt"  # as each image has it
MAX_UPDATE_BYTES = MAX_DOCUMENT_BYTES - (64 << 10)  # with its name and its signature, what a sync delivers
CURE = "send the update file as it was released: alpr-VERSION.update"


def check_update(body: bytes, keys: str) -> SystemRelease:
    """The release of an update file. keys: the text of HOME/release-keys.txt; empty: the release log's own
    signature is left to the units. Raises FormError."""
    if len(body) > MAX_UPDATE_BYTES:
        most, size = MAX_UPDATE_BYTES / 1e6, len(body) / 1e6
        cure = "install it from a stick: update /PATH at the unit's console"
        raise _refusal(
            f"a sync delivers an update of at most {most:.0f} MB, and this has {size:.0f} MB", cure
        )
    prove = functools.partial(check_proof, trust=_trust(keys)) if keys else check_own_proof
    try:
        return read_update(io.BytesIO(body), lambda leaf, proof, _release: prove(leaf, proof), len)
    except UpdateFileError as error:
        raise _refusal(f"units would refuse this update: {error.what}", CURE) from None


def said_of(release: SystemRelease, keys: str) -> str:
    """A release for the person who is to approve it."""
    proven = "is in the release log" if keys else f"release log's signature not checked: no {KEYS_FILE} here"
    return f"release {release.name} (version {release.version}) for {release.board} boards, {proven}"


def _trust(keys: str) -> ReleaseTrust:
    try:
        return ReleaseTrust.parse(keys)
    except UpdateFileError as error:
        raise _keys_refusal(error.what) from None


def _refusal(what: str, cure: str) -> FormError:
    return FormError(what, code="document", clause=CLAUSE, cure=cure, fields=("body",))


def release_keys(folder: Path) -> str:
    """The text of the file of release keys there, or nothing. Raises FormError where it cannot be read."""
    try:
        return (folder / KEYS_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise _keys_refusal(f"cannot be read ({type(error).__name__})") from None


def _keys_refusal(what: str) -> FormError:
    cure = f"copy /usr/share/alpr/{KEYS_FILE} of an image to the department's home, or remove it there"
    return FormError(f"{KEYS_FILE}: {what}", code="release-keys", clause=CLAUSE, cure=cure, fields=("body",))
