"""Creates a home, or checks an existing one, before anything uses it."""

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
    """Create what is missing in a home: folder, configuration, ledger with its keys. Returns whether it is
    new.

    slot_uri: the slot for a new ledger's key-encryption key, by default the one of the unit before a factory
    reset; an existing ledger keeps its slot.
    """
    slot_before = factory_reset.finish(home)
    files.make_dirs(home)
    with contextlib.suppress(OSError):  # closed to this user, or the card fails: left to the next start
        opening.erase_keys_aside(Home(home))
    if not (home / FILE_NAME).exists():
        need_own(home)
        write_config(home, Config())
    if Home(home).exists() or SyncFolder.of(home).is_member():
        # an enrolled unit without a log was interrupted while replacing it: run continues that
        return False
    if Home(home).is_rest():
        Home(home).need()
    create_ledger(home, slot_uri=slot_uri or slot_before or DEFAULT_SLOT).close()
    factory_reset.end(home)
    return True


def _may_be_home(home: Path) -> bool:
    """Whether a folder contains a part of a unit, or is closed to us; only then may we change its modes."""
    try:
        names = {one.name for one in home.iterdir()}
    except OSError:
        return home.is_dir()
    return bool(names & {FILE_NAME, "store", "sync"})


def _renew_lock(home: Home) -> None:
    """Replace a lock file that this user cannot lock, since no reader could start; not beside a reader."""
    with contextlib.suppress(OSError):  # another user's folder: reported when the home is opened
        if not is_served(home) and renew_lock(home):
            log_events.warning("lock_made_again", reason="this user could not take it")


def take_home(home: Path) -> None:
    """Check that this home is a unit's, and complete what a start or a factory reset left undone.

    Raises NoHomeError if there is no unit: a mistyped --home must not become a second one, unknown to the
    department. Raises ConfigError if its configuration is missing: the defaults would have neither its site
    nor its parts. Corrects the mode of this user's files. A unit that was reset becomes a new one.
    """
    if _may_be_home(home):
        open_to_owner(home)
        _renew_lock(Home(home))
    if factory_reset.finish(home) is None:
        if not SyncFolder.of(home).is_member():
            Home(home).need()
        config_bytes(home)
    prepare_home(home)
