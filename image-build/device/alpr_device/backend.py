"""RAUC's `bootloader-custom-backend`: applies its queries and commands to the board's boot choice.

    backend get-primary | set-primary NAME | get-state NAME | set-state NAME good|bad | get-current

RAUC's primary slot is the one-time choice after an installation; it is committed once it is marked good.
"""

from __future__ import annotations

import sys
from pathlib import Path

from alpr_device.errors import BootSlotError
from alpr_device.slots import BootSlots, board_slots, checked
from alpr_device.trial import FOLDER, SlotTrials, slot_mark


class Backend:
    """Answers RAUC. states: the folder that remembers bad slots."""

    def __init__(self, slots: BootSlots, states: Path = FOLDER) -> None:
        self._slots, self._states = slots, states

    def answer(self, words: list[str]) -> str:
        """Answer one call; returns the text for stdout. Raises BootSlotError."""
        match words:
            case ["get-primary"]:
                return self._slots.next()
            case ["get-current"]:
                return self._slots.running()
            case ["set-primary", name]:
                self._slots.choose_once(checked(name))
                self._mark(name).unlink(missing_ok=True)
                return ""
            case ["get-state", name]:
                return "bad" if self._mark(checked(name)).exists() else "good"
            case ["set-state", name, "good"]:
                self._good(checked(name))
                return ""
            case ["set-state", name, "bad"]:
                self._bad(checked(name))
                return ""
        raise BootSlotError(f"does not know {' '.join(words)!r}")

    def _good(self, name: str) -> None:
        """Commit the slot if it runs: another one has not been checked."""
        if name == self._slots.running():
            self._slots.commit(name)
        self._mark(name).unlink(missing_ok=True)

    def _bad(self, name: str) -> None:
        """Mark a slot as bad, as RAUC does before it writes: an update that waits there loses its turn, and a
        power cut during the write must not start what is left.
        """
        self._mark(name).touch()
        SlotTrials(self._states).overwritten(name)
        committed = self._slots.committed()
        if name != committed and self._slots.next() == name:
            self._slots.choose_once(committed)

    def _mark(self, name: str) -> Path:
        return slot_mark(self._states, name)


def main() -> int:
    """Handle one call of RAUC."""
    try:
        said = Backend(board_slots()).answer(sys.argv[1:])
    except (BootSlotError, OSError) as error:
        print(f"slot backend: {error}", file=sys.stderr)
        return 1
    if said:
        print(said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
