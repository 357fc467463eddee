"""Decides whether this unit accepts an update file (`storage.update_file`), and copies its bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from alpr_device.errors import UpdateRefusedError
from storage.errors import StorageError
from storage.update_file import ReleaseTrust, SystemRelease, check_proof, read_update


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The running image: its board, its version, and the highest version that was ever committed here.

    on_trial: another slot is the committed one, which an update would overwrite. target: that slot.
    """

    board: str
    version: int
    floor: int
    on_trial: bool = False
    target: str = "B"

    def admit(self, release: SystemRelease) -> None:
        """Raise UpdateRefusedError for another board's image, one that is not newer, or while on trial."""
        if release.board != self.board:
            raise UpdateRefusedError(f"is for {release.board}, this unit is {self.board}")
        if self.on_trial:
            raise UpdateRefusedError(
                f"version {self.version} runs on trial, and the slot to write holds the way back: "
                f"install once version {self.version} is committed"
            )
        newest = max(self.version, self.floor)
        if release.version <= newest:
            raise UpdateRefusedError(
                f"version {release.version} is not newer than {newest}: an update cannot go back"
            )


def read_trust(text: str) -> ReleaseTrust:
    """The keys that this image trusts for releases. Raises UpdateRefusedError; then it accepts none."""
    try:
        return ReleaseTrust.parse(text)
    except StorageError as error:
        raise UpdateRefusedError(error.what) from None


def copied_bundle(
    source: IO[bytes],
    target: IO[bytes],
    trust: ReleaseTrust,
    running: Running,
    *,
    make_room: Callable[[int], None] = lambda _bytes: None,
) -> SystemRelease:
    """Check an update file and write its bundle to target, but nothing before the proof is checked.

    make_room: called with the bundle's size before its first byte. Raises UpdateRefusedError, and what
    make_room raises; then the caller must discard target's content.
    """

    def admit(leaf: str, proof: str, release: SystemRelease) -> None:
        check_proof(leaf, proof, trust)
        running.admit(release)
        make_room(release.bundle_bytes)

    try:
        return read_update(source, admit, target.write)
    except StorageError as error:
        raise UpdateRefusedError(error.what) from None
