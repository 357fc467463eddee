"""Whether this unit takes an update file (`storage.update_file`), and its bundle, copied to a target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from alpr_device.errors import UpdateRefusedError
from storage.errors import StorageError
from storage.update_file import ReleaseTrust, SystemRelease, check_proof, read_update


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The image that runs: its board, its version, and the highest version that was ever committed here.

    on_trial: another slot is the committed one, and an update would be written over it. target: that slot.
    """

    board: str
    version: int
    floor: int
    on_trial: bool = False
    target: str = "B"

    def admit(self, release: SystemRelease) -> None:
        """Raises UpdateRefusedError for another board's image, one that is not newer, and on trial."""
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
    """Whom this image believes about releases. Raises UpdateRefusedError: then it takes none."""
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
    """Check an update file and write its bundle to target. Nothing is written before the proof holds.

    make_room: called with the size of the bundle before its first byte. Raises UpdateRefusedError, and
    what make_room raises; target then holds what must be thrown away.
    """

    def admit(leaf: str, proof: str, release: SystemRelease) -> None:
        check_proof(leaf, proof, trust)
        running.admit(release)
        make_room(release.bundle_bytes)

    try:
        return read_update(source, admit, target.write)
    except StorageError as error:
        raise UpdateRefusedError(error.what) from None
