"""A home that is made, or taken as it is, before anything uses it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import structlog

from firmware.console import factory_reset
from firmware.custody.home_parts import open_to_owner
from firmware.custody.opening import DEFAULT_SLOT, create_ledger
from firmware.settings.config import FILE_NAME, Config, config_bytes, write_config
from storage import files, opening
from storage.home import Home, need_own, renew_lock
from storage.socket_door import is_served
from sync.membership import SyncFolder

log_events = structlog.get_logger("home")


def prepare_home(home: Path, *, slot_uri: str | None = None) -> bool:
    """Make what is missing of a home: folder, configuration, ledger with its keys. True if it is new.

    slot_uri: where a new ledger keeps its key-encryption key, by default where the unit before a factory
    reset kept it; an existing ledger keeps its own.
    """
    slot_before = factory_reset.finish(home)
    files.make_dirs(home)
    with contextlib.suppress(OSError):  # shut to this user, or the card fails: the next start
        opening.erase_keys_aside(Home(home))
    if not (home / FILE_NAME).exists():
        need_own(home)
        write_config(home, Config())
    if Home(home).exists() or SyncFolder.of(home).is_member():
        # a member without a log was cut off while one took another's place: run continues with it
        return False
    if Home(home).is_rest():
        Home(home).need()
    create_ledger(home, slot_uri=slot_uri or slot_before or DEFAULT_SLOT).close()
    factory_reset.end(home)
    return True


def _may_be_home(home: Path) -> bool:
    """Whether a folder has a part of a unit, or is shut so that no one sees. Else its modes are not ours."""
    try:
        names = {one.name for one in home.iterdir()}
    except OSError:
        return home.is_dir()
    return bool(names & {FILE_NAME, "store", "sync"})


def _renew_lock(home: Home) -> None:
    """Without a lock file that it can take no reader starts; one that answers holds its own."""
    with contextlib.suppress(OSError):  # a folder of another user: who opens the home names it
        if not is_served(home) and renew_lock(home):
            log_events.warning("lock_made_again", reason="this user could not take it")


def take_home(home: Path) -> None:
    """The unit of this home.

    Raises NoHomeError if there is none: a mistyped --home must not become a second unit, which reads
    beside the department. Raises ConfigError if its configuration is gone: the defaults would know neither
    its site nor its parts. What is this user's own and shut by its mode is open again. A unit that was
    reset becomes a new one, in the same slot.
    """
    if _may_be_home(home):
        open_to_owner(home)
        _renew_lock(Home(home))
    if factory_reset.finish(home) is None:
        if not SyncFolder.of(home).is_member():
            Home(home).need()
        config_bytes(home)
    prepare_home(home)
