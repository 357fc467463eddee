"""A configuration that the department sent: applied once, over the unit's own file.

Settings that it does not name stay as they are, so that one file serves a fleet; what a technician sets later
stays until the next version. The department cannot set who the unit is, what is fitted to it or where it is:
a unit that cannot start would never receive a better version, and a place set from elsewhere could take it
out of a no-read zone. Sync settings are on trial (`sync_trial.py`). A version that does not fit is refused
and reported once, and the unit continues as before. A version waits while the unit's own file is damaged or
the disk is full, since it is not the cause.
"""

from __future__ import annotations

import contextlib
import shutil
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from firmware.errors import ConfigError, FirmwareError
from firmware.fleet import sync_trial
from firmware.fleet.sync_conditions import networks_of
from firmware.fleet.sync_trial import Trial
from firmware.screen import printable
from firmware.settings.config import config_text, load_config, overlaid, rewrite_config
from hw.errors import HardwareError
from storage import files
from storage.errors import ExplainedError
from sync.documents import Carried, named_at_the_unit, open_kept
from sync.membership import SyncFolder

NAME = "configuration"
ROOM_BYTES = 1 << 20
CUT_OFF = "no sync succeeded with its [sync] settings: the previous ones are back"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenUp:
    """The outcome of a version. refused: why it was not applied, "" if it was."""

    version: int
    refused: str = ""


def waits(home: Path) -> bool:
    """Whether a new version has arrived and the disk has room for it, so that no run ends in vain."""
    if shutil.disk_usage(home).free < ROOM_BYTES:
        return False
    folder = SyncFolder.of(home)
    return _waiting(folder) is not None or _lapsed(folder) is not None


def take_up(home: Path) -> TakenUp | None:
    """Apply or refuse the version that waits, or take back its sync settings if they cut the unit off.

    None if there is nothing to do. No reader may be running with another configuration. Raises ConfigError if
    the unit's own file is damaged; then the version keeps waiting.
    """
    folder = SyncFolder.of(home)
    carried = _waiting(folder)
    if carried is None:
        return _take_back(home, folder)
    where, own = f"{NAME} {carried.version}", load_config(home)
    try:
        body = carried.body.decode("utf-8")
        merged = overlaid(own, body, where)
        _check_scope(body, where)
        networks_of(merged.sync)  # raises if a network is named and NetworkManager is missing
        if merged.sync != own.sync:
            sync_trial.begin(folder, Trial(version=carried.version, before=own.sync, sent=merged.sync))
        rewrite_config(home, config_text(merged))
        taken = TakenUp(version=carried.version)
    except (FirmwareError, HardwareError, UnicodeDecodeError) as error:  # may quote what was sent
        taken = TakenUp(version=carried.version, refused=printable(str(error))[:300])
    except OSError:  # a full disk: continue as before, and retry later
        return None
    _keep(folder, taken)
    return taken


def _lapsed(folder: SyncFolder) -> Trial | None:
    trial = sync_trial.read(folder)
    return trial if trial is not None and trial.lapsed else None


def _take_back(home: Path, folder: SyncFolder) -> TakenUp | None:
    """Restore the sync settings before those that cut the unit off, unless a technician has set others."""
    trial = _lapsed(folder)
    if trial is None:
        return None
    own, taken = load_config(home), None
    if own.sync == trial.sent:
        try:
            rewrite_config(home, config_text(replace(own, sync=trial.returns_to())))
        except OSError:  # a full disk: later
            return None
        taken = TakenUp(version=trial.version, refused=CUT_OFF)
        _keep(folder, taken)
    sync_trial.end(folder)
    return taken


def _keep(folder: SyncFolder, taken: TakenUp) -> None:
    with contextlib.suppress(OSError):
        files.replace(_note(folder), f"{taken.version} {taken.refused}".encode())


def _check_scope(body: str, where: str) -> None:
    named = named_at_the_unit(tomllib.loads(body))
    if named:
        raise ConfigError(where, named, "is set only at the unit")


def newest(folder: SyncFolder) -> TakenUp | None:
    """The outcome of the newest version that was applied or refused."""
    taken = _dealt_with(folder)
    return taken if taken.version else None


def _waiting(folder: SyncFolder) -> Carried | None:
    """The version that was neither applied nor refused yet."""
    carried = _carried(folder)
    return carried if carried is not None and carried.version > _dealt_with(folder).version else None


def _carried(folder: SyncFolder) -> Carried | None:
    """The document in the inbox; None if it is damaged, since the next version comes whole.

    Also None if its sender cannot be checked: the uplink reports that, and the reader continues.
    """
    try:
        if not folder.is_member():
            return None
        return open_kept(folder.inbox, NAME, folder.member())
    except (OSError, ValueError, ExplainedError):
        return None


def _note(folder: SyncFolder) -> Path:
    return folder.path / "configuration.taken"


def _dealt_with(folder: SyncFolder) -> TakenUp:
    try:
        version, _, refused = files.read_bounded(_note(folder), sync_trial.MOST_BYTES).decode().partition(" ")
        return TakenUp(version=int(version), refused=refused)
    except (OSError, ExplainedError, ValueError):
        return TakenUp(version=0)
