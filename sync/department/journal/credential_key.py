"""The key beside the audit keys (`0.key`) that seals credentials and the snapshot of the desk's state.

It is made with the log's first credential and never again: with a new key, no one could log in, and every
credential would look replaced. No entry is sealed under it.
"""

from __future__ import annotations

from storage import sealing
from storage.errors import SealError
from sync.department.journal.access_log import AccessLog
from sync.department.journal.entries import CredentialSet
from sync.errors import HomeError

CREDENTIAL_KEY = 0  # in place of a year
CURE = "restore it from its backup: no one can log in under another"


def credential_key(log: AccessLog) -> bytes:
    """The key; made if the log has no credential yet. Raises HomeError if it is missing."""
    if not log.has_kind(CredentialSet.KIND):
        return log.keys.of(CREDENTIAL_KEY, make=True)
    try:
        return log.keys.of(CREDENTIAL_KEY)
    except HomeError as error:
        what = f"{error.what}: it seals the credentials"
        raise HomeError(what, where=error.where, cure=CURE) from None


def demand_credential_key(log: AccessLog) -> None:
    """Raises HomeError if the key is missing or opens none of the log's credentials."""
    if not log.has_kind(CredentialSet.KIND):
        return
    key = credential_key(log)
    stored = log.credentials()
    if stored and not any(_opens(log, key, user, sealed) for user, sealed in stored):
        what = "is not the key that sealed the credentials"
        raise HomeError(what, where=str(log.keys.path_of(CREDENTIAL_KEY)), cure=CURE)


def _opens(log: AccessLog, key: bytes, user: str, sealed: bytes) -> bool:
    try:
        sealing.unwrap(key, log.log_id, 0, user, sealed)
    except SealError:
        return False
    return True
