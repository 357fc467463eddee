"""The state of an update from writing to commit, in a file, so that an update that never starts is recorded
too.

    writing  the slot is being written
    waiting  it is written, and tried at the next start
    started  the slot came up as far as its data partition

`alpr-trial.service` settles it at each start, before the reader opens its log: if another slot runs than the
one on trial, the update was given up. The commit or a failed check ends the trial. Promise: a full disk, a
damaged file or a power cut at any step never prevents a start; at worst, an event is noted twice.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from alpr_device import events
from alpr_device.errors import DeviceError
from alpr_device.image_facts import image_facts
from alpr_device.slots import SLOTS, BootSlots, board_slots
from storage import files
from storage.update_file import BUNDLE

FOLDER = events.EVENTS.parent
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STAGES = ("writing", "waiting", "started")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTrial:
    """version: on trial, in `slot`. from_version: the one that installed it. boot: the id of that start.

    waited: the update that waits in that slot until the first byte of this one overwrites it.
    """

    version: int
    from_version: int
    digest: str
    slot: str
    boot: str
    stage: str
    waited: SlotTrial | None = None

    def note(self, outcome: str, folder: Path) -> None:
        """Note an event of this update. Raises OSError."""
        events.note(
            outcome,
            from_version=str(self.from_version),
            to_version=str(self.version),
            digest=self.digest,
            path=folder / events.EVENTS.name,
        )


def slot_mark(folder: Path, slot: str) -> Path:
    """The mark that a slot must not be started, from the first to the last byte of an installation."""
    return folder / f"slot-{slot}.bad"


class SlotTrials:
    """The trial of this unit, in its folder."""

    def __init__(self, folder: Path = FOLDER, *, boot_id: Path = BOOT_ID) -> None:
        self._folder, self._file, self._given_up = folder, folder / "trial.json", folder / "given-up"
        self._boot_id = boot_id

    def begin(self, *, version: int, from_version: int, digest: str, slot: str) -> SlotTrial:
        """Begin a trial: from now on the slot may be written. Raises OSError; then it must not be."""
        boot, before = self._boot(), self.current()
        waits = before is not None and (before.slot, before.stage) == (slot, "waiting")
        made = SlotTrial(
            version=version, from_version=from_version, digest=digest, slot=slot, boot=boot, stage="writing",
            waited=before if waits else None,
        )  # fmt: skip
        self._keep(made)
        return made

    def written(self, trial: SlotTrial) -> None:
        """Note that the update is written and waits for its start. Raises OSError."""
        trial.note("installed", self._folder)
        self._keep(replace(trial, stage="waiting", waited=None))

    def overwritten(self, slot: str) -> None:
        """Note that RAUC is about to write this slot, so that what waited in it is gone. Raises OSError."""
        trial = self.current()
        if trial is not None and trial.slot == slot and trial.waited is not None:
            self._keep(replace(trial, waited=None))

    def still_waits(self, trial: SlotTrial) -> SlotTrial | None:
        """The update that still waits in this one's slot because RAUC did not begin to write; else None."""
        return None if slot_mark(self._folder, trial.slot).exists() else trial.waited

    def put_back(self, waits: SlotTrial) -> None:
        """Put this update on trial again. Raises OSError."""
        self._keep(waits)

    def current(self) -> SlotTrial | None:
        """The update that is on trial, or was when the power failed; None if none, or the file is invalid."""
        try:
            fields = json.loads(self._file.read_text(encoding="utf-8"))
            waited = fields.pop("waited", None)
            held = SlotTrial(**fields, waited=None if waited is None else SlotTrial(**waited))
        except (OSError, ValueError, TypeError, AttributeError):
            return None
        return held if _is_sound(held) and (held.waited is None or _is_sound(held.waited)) else None

    def late(self) -> SlotTrial | None:
        """The update whose writing outlasted its command since the machine started; else None."""
        trial = self.current()
        return trial if trial is not None and (trial.stage, trial.boot) == ("writing", self._boot()) else None

    def failed(self, trial: SlotTrial, before: SlotTrial | None) -> None:
        """Note that the update was not written. before: the one that waited in that slot, and still waits if
        nothing was written: RAUC marks a slot as bad before the first byte.
        """
        if before is None or slot_mark(self._folder, trial.slot).exists():
            self.drop()
        else:
            self._keep(before)

    def remove_left(self) -> None:
        """Remove the bundle of an installation that was cut off: it takes much room. Raises OSError."""
        if self.late() is None:
            (self._folder / BUNDLE).unlink(missing_ok=True)

    def drop(self) -> None:
        """End the trial without an event."""
        self._file.unlink(missing_ok=True)

    def committed(self, slot: str) -> None:
        """End the trial successfully if it was this slot's, which was committed."""
        trial = self.current()
        if trial is not None and trial.slot == slot:
            self._given_up.unlink(missing_ok=True)
            self.drop()

    def give_up(self, trial: SlotTrial, why: str) -> None:
        """Note that the update was given up, and leave the mark for the reader's alarm. Raises OSError."""
        trial.note(f"given up: {why}", self._folder)
        files.replace(self._given_up, f"version {trial.version}: {why}\n".encode())
        self._given_up.chmod(0o644)  # the reader is not root
        self.drop()

    def settle(self, slots: BootSlots, version: int) -> str:
        """Settle the update once at each start; returns a line for the journal. version: the running one.

        Raises DeviceError, OSError.
        """
        trial = self.current()
        if trial is None:
            return "nothing is on trial"
        running = slots.running()
        waits = self.still_waits(trial)
        if waits is not None and trial.boot != self._boot():
            trial.note(f"not installed: the unit stopped before slot {trial.slot} was written", self._folder)
            self.put_back(waits)
            trial = waits
        if running == trial.slot and (trial.stage != "writing" or trial.version == version):
            if trial.stage == "writing":  # the power failed after the last byte, before the event
                self.written(trial)
            self._keep(replace(trial, stage="started"))
            return f"version {trial.version} is on trial in slot {running}"
        if trial.boot == self._boot():
            return f"version {trial.version} waits in slot {trial.slot} for the next start"
        if trial.stage == "writing":
            trial.note(f"not installed: the unit stopped while slot {trial.slot} was written", self._folder)
            self.drop()
            return f"version {trial.version} was not written to its end"
        reached = {
            "waiting": f"slot {trial.slot} did not start, or lost its turn with the power",
            "started": f"slot {trial.slot} started, and stopped before its check ended",
        }
        why = f"{reached[trial.stage]}; slot {running} runs again"
        self.give_up(trial, why)
        return f"version {trial.version} was given up: {why}"

    def _boot(self) -> str:
        return self._boot_id.read_text(encoding="ascii").strip()

    def _keep(self, trial: SlotTrial) -> None:
        fields = {name: value for name, value in asdict(trial).items() if value is not None}
        # empty fields are left out, so that a version without `waited` can read it
        files.replace(self._file, json.dumps(fields).encode())


def _is_sound(held: SlotTrial) -> bool:
    sound = held.slot in SLOTS and held.stage in STAGES and type(held.version) is int
    return sound and type(held.from_version) is int


def main() -> int:
    """Settle the trial, for alpr-trial.service."""
    try:
        trials = SlotTrials()
        trials.remove_left()
        print(f"trial: {trials.settle(board_slots(), image_facts().version)}", file=sys.stderr)
    except (DeviceError, OSError) as error:
        print(f"trial: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
