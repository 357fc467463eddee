"""Whether the keys in this home are those that units seal to, or others were lost here.

A key service that finds no key makes one, which is right for a new department. But if units were offered day
keys, no read under the old keys could be opened any longer; and if the key service is elsewhere, a key here
would bring keys back onto the department's own machine. So before anything is made, what was offered and what
the root file names is compared with what is here.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage.checkpoint import split_note
from storage.counts import counted
from storage.day_keys import DayKey
from storage.errors import StorageError
from sync.department.content.key_files import load_p256
from sync.department.content.key_remote import ADDRESS_FILE, address_of
from sync.department.content.key_service import ReceivingKeys
from sync.department.content.opened_list import KEY_FILE
from sync.department.ground.home import SETTINGS_FILE, SQLITE_FILE, DepartmentHome
from sync.department.policy.named_files import root_in
from sync.department.store.database import Store
from sync.department.store.tables import logs
from sync.department.units import documents
from sync.errors import HomeError, KeyServiceError, StoreError
from sync.messages import DEPARTMENTS, department_origin
from sync.root_file import KEY_SERVICE

LOGS_LOOKED_AT = 20
LOST_FOR_GOOD = "if they are lost for good: department keys renew"


def demand_keys(home: DepartmentHome, store: Store, now_us: int) -> None:
    """Refuse a key service that lacks what was made at it, or is another home's. Raises HomeError."""
    if address_of(home) is not None:
        return  # that machine has its own files, and `verify` compares its list
    if _named_elsewhere(home):
        raise HomeError(
            "is gone, and the root file names a key service that is not the one here",
            where=str(home.path / ADDRESS_FILE),
            cure=f"restore it from its backup; or, if the key service was here, {home.keys / KEY_FILE}",
        )
    lost = lost_day_keys(home, store, now_us)
    if lost:
        raise HomeError(
            f"{counted(len(lost), 'day key')} that units seal to {'is' if len(lost) == 1 else 'are'} gone, "
            "or another is in its place",
            where=str(home.keys / "day"),
            cure=f"restore {home.keys} from its backup{_or_set(home)}, or {ADDRESS_FILE} if the key service "
            f"is elsewhere; {LOST_FOR_GOOD}",
        )


def _or_set(home: DepartmentHome) -> str:
    return (
        f" or set keys_folder in {SETTINGS_FILE} to where they are now" if home.settings.keys_folder else ""
    )


def demand_own_store(home: DepartmentHome, store: Store, public: Ed25519PublicKey) -> None:
    """Refuse another department's store, where a server would sign and remove documents. Raises HomeError.

    `public`: the log's public key here. One co-signature in its name is enough. Notes in no department's name
    prove nothing; `verify` names what was changed.
    """
    with store.listing() as connection:
        if store.absent(connection):
            return  # `Store.demand_own` reports what is in their place
        query = sa.select(logs.c.cosigned).where(logs.c.cosigned.is_not(None)).limit(LOGS_LOOKED_AT)
        notes = connection.scalars(query).all()
    names = {name for note in notes for name in _signers(str(note)) if name.startswith(DEPARTMENTS)}
    if names and department_origin(public) not in names:
        there = f"{SETTINGS_FILE}: database" if home.settings.database else SQLITE_FILE
        raise HomeError(
            "is the store of another department: the log key here co-signed no log in it",
            where=str(home.path / there),
            cure=f"restore this department's own store; or {home.path / 'log.key'}, if that is another's",
        )


def _signers(note: str) -> list[str]:
    try:
        return [name for name, _ in split_note(note)[1]]
    except StorageError:
        return []


def _named_elsewhere(home: DepartmentHome) -> bool:
    try:
        named = root_in(home).other(KEY_SERVICE)
    except (OSError, HomeError):
        return False  # reported where the root file is needed
    if named is None:
        return False
    try:
        key = Ed25519PrivateKey.from_private_bytes((home.keys / KEY_FILE).read_bytes())
    except (OSError, ValueError):
        return True
    return key.public_key().public_bytes_raw() != named


def lost_day_keys(home: DepartmentHome, store: Store, now_us: int) -> list[int]:
    """The days whose private key is gone from here too early, or does not match the key that units were
    offered."""
    return [one.day for one in _kept(store, now_us) if not _is_here(home.keys / "day", one)]


def lost_elsewhere(store: Store, keys: ReceivingKeys, now_us: int) -> list[int]:
    """The same for a key service on another machine.

    It makes a key for each day whose key is gone there, so call this only before offering new ones.
    """
    offered = _kept(store, now_us)
    made = keys.issue_day_keys(offered[0].day, len(offered)) if offered else ()
    return [one.day for one, there in zip(offered, made, strict=True) if one != there]


def _kept(store: Store, now_us: int) -> tuple[DayKey, ...]:
    """The day keys that units were offered, of those days whose private half is still kept."""
    try:
        with store.read() as connection:
            return documents.offered_day_keys(connection, now_us)
    except (StorageError, StoreError):
        return ()  # `verify` names a document that no one signed, and a malformed row


def _is_here(folder: Path, offered: DayKey) -> bool:
    try:
        return DayKey.of(offered.day, load_p256(folder / f"{offered.day}.key")) == offered
    except (OSError, ValueError, KeyServiceError):
        return False
