"""One boot contract for a UEFI machine and a Raspberry Pi, each over a stand-in of its firmware."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from alpr_device.backend import Backend
from alpr_device.errors import BootSlotError
from alpr_device.slots import BOOT_PARTITION, BootSlots, EfiSlots, PiSlots, other


class Machine(Protocol):
    """A board that can be restarted: the firmware's part of the contract."""

    slots: BootSlots

    def restart(self) -> str:
        """Restart. Returns the slot that started."""


class EfiMachine:
    """UEFI's variables, and efibootmgr(8) over them: BootOrder, BootNext, entries."""

    def __init__(self, folder: Path) -> None:
        self._slot, self._disk = folder / "slot", folder / "disk"
        self._slot.write_text("A\n")
        self._disk.write_text("/dev/vda\n")
        self.entries = {"0000": "UiApp", "0001": "UEFI Misc Device"}
        self.order = ["0000", "0001"]
        self.next: str | None = None
        self.slots: BootSlots = EfiSlots(run=self._efibootmgr, slot_file=self._slot, disk_file=self._disk)

    def restart(self) -> str:
        """Start BootNext once, else the first slot of BootOrder; a fresh machine starts A by its path."""
        chosen = self.next or next((n for n in self.order if self.entries[n].startswith("ALPR")), None)
        self.next = None
        self._slot.write_text(self.entries[chosen][-1] if chosen else "A")
        return self._slot.read_text().strip()

    def _efibootmgr(self, program: str, *words: str) -> str:
        assert program == "efibootmgr"
        if "--create-only" in words:
            number = f"{len(self.entries):04X}"
            self.entries[number] = words[words.index("--label") + 1]
        elif "--bootnext" in words:
            self.next = words[words.index("--bootnext") + 1]
            assert self.next in self.entries
        elif "--delete-bootnext" in words:
            self.next = None
        elif "--bootorder" in words:
            self.order = words[words.index("--bootorder") + 1].split(",")
            assert set(self.order) <= set(self.entries)
        lines = [f"BootNext: {self.next}"] if self.next else []
        lines += ["BootCurrent: 0001", "Timeout: 0 seconds", f"BootOrder: {','.join(self.order)}"]
        lines += [f"Boot{number}* {label}\tHD(2,GPT,...)" for number, label in self.entries.items()]
        return "\n".join(lines)


class PiMachine:
    """The Pi's firmware as autoboot.adoc describes it: [all], and [tryboot] with a flag for one restart."""

    def __init__(self, folder: Path) -> None:
        self._config, self._tree = folder / "bootconfig", folder / "device-tree"
        self._argument = folder / "run" / "reboot-param"
        self._config.mkdir()
        (self._tree / "chosen/bootloader").mkdir(parents=True)
        (self._config / "autoboot.txt").write_text(PiSlots.autoboot("A"))
        self._start(2)
        self.slots: BootSlots = PiSlots(
            bootconfig=self._config, device_tree=self._tree, reboot_argument=self._argument
        )

    def _start(self, number: int) -> None:
        (self._tree / "chosen/bootloader/partition").write_bytes(number.to_bytes(4, "big"))

    def restart(self) -> str:
        """Read autoboot.txt as the firmware does; the flag is gone after one start."""
        tryboot = self._argument.exists() and self._argument.read_text().split() == ["0", "tryboot"]
        self._argument.unlink(missing_ok=True)
        text = (self._config / "autoboot.txt").read_text()
        assert len(text) < 512
        assert "tryboot_a_b=1" in text.split("[tryboot]")[0]
        part = text.split("[tryboot]")[1 if tryboot else 0]
        number = int(part.split("boot_partition=")[1].split()[0])
        self._start(number)
        return {found: slot for slot, found in BOOT_PARTITION.items()}[number]


@pytest.fixture(params=[EfiMachine, PiMachine], ids=["uefi", "raspberry pi"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    """A board that runs slot A, fresh from the card."""
    made: Callable[[Path], Machine] = request.param
    return made(tmp_path)


def test_fresh_card_runs_and_keeps_slot_a(machine: Machine) -> None:
    assert (machine.slots.running(), machine.slots.committed(), machine.slots.next()) == ("A", "A", "A")
    assert machine.restart() == "A"


def test_choice_for_once_is_gone_after_one_start(machine: Machine) -> None:
    machine.slots.commit("A")
    machine.slots.choose_once("B")
    assert (machine.slots.next(), machine.slots.committed()) == ("B", "A")
    assert [machine.restart(), machine.restart(), machine.restart()] == ["B", "A", "A"]


def test_committed_slot_stays(machine: Machine) -> None:
    machine.slots.commit("A")
    machine.slots.choose_once("B")
    assert machine.restart() == "B"
    machine.slots.commit("B")
    assert [machine.restart(), machine.restart()] == ["B", "B"]
    assert machine.slots.committed() == "B"


def test_choice_is_taken_back_by_choosing_what_is_committed(machine: Machine) -> None:
    machine.slots.commit("A")
    machine.slots.choose_once("B")
    machine.slots.choose_once("A")
    assert [machine.restart(), machine.restart()] == ["A", "A"]


def test_update_after_update_goes_from_slot_to_slot(machine: Machine) -> None:
    machine.slots.commit("A")
    seen = []
    for _ in range(4):
        machine.slots.choose_once(other(machine.slots.running()))
        seen.append(machine.restart())
        machine.slots.commit(machine.slots.running())
    assert seen == ["B", "A", "B", "A"]


@pytest.mark.parametrize("name", ["", "a", "C", "A B", "../A"])
def test_unknown_slot_is_refused(machine: Machine, name: str) -> None:
    for order in (machine.slots.choose_once, machine.slots.commit):
        with pytest.raises(BootSlotError, match="no slot"):
            order(name)
    assert machine.restart() == "A"


def test_committing_what_is_committed_keeps_the_update_that_waits_for_its_try(machine: Machine) -> None:
    """Every start ends in a commit, including one before whose end a technician installed an update."""
    machine.slots.commit("A")
    machine.slots.choose_once("B")
    machine.slots.commit("A")
    assert (machine.slots.next(), machine.slots.committed()) == ("B", "A")
    assert [machine.restart(), machine.restart()] == ["B", "A"]


# -- RAUC's calls over the same contract


@pytest.fixture
def backend(machine: Machine, tmp_path: Path) -> Backend:
    """RAUC's backend on this board."""
    (tmp_path / "states").mkdir()
    machine.slots.commit("A")
    return Backend(machine.slots, tmp_path / "states")


def asked(backend: Backend, line: str) -> str:
    return backend.answer(line.split())


def test_installed_slot_is_tried_and_committed_once_good(machine: Machine, backend: Backend) -> None:
    assert asked(backend, "get-current") == "A"
    asked(backend, "set-state B bad")  # RAUC does this before it writes
    asked(backend, "set-primary B")
    assert (asked(backend, "get-primary"), asked(backend, "get-state B")) == ("B", "good")
    assert machine.restart() == "B"
    asked(backend, "set-state B good")
    assert (machine.restart(), asked(backend, "get-state B")) == ("B", "good")


def test_slot_that_fails_its_check_is_left_and_remembered(machine: Machine, backend: Backend) -> None:
    asked(backend, "set-primary B")
    assert machine.restart() == "B"
    asked(backend, "set-state B bad")
    assert (machine.restart(), asked(backend, "get-state B"), asked(backend, "get-primary")) == (
        "A",
        "bad",
        "A",
    )


def test_interrupted_installation_is_never_started(machine: Machine, backend: Backend) -> None:
    asked(backend, "set-state B bad")
    assert (machine.restart(), asked(backend, "get-primary")) == ("A", "A")


def test_slot_that_does_not_run_is_never_committed(machine: Machine, backend: Backend) -> None:
    asked(backend, "set-state B good")
    assert (machine.slots.committed(), machine.restart()) == ("A", "A")


@pytest.mark.parametrize(
    "line", ["", "set-primary", "set-state A", "set-state A fine", "get-state C", "format A"]
)
def test_unknown_question_is_an_error(backend: Backend, line: str) -> None:
    with pytest.raises(BootSlotError):
        asked(backend, line)


# -- problems that only one of the boards can have


def test_pi_without_the_bootloaders_word_is_named(tmp_path: Path) -> None:
    with pytest.raises(BootSlotError, match="EEPROM"):
        PiSlots(bootconfig=tmp_path, device_tree=tmp_path).running()


@pytest.mark.parametrize("text", ["", "[all]\nboot_partition=2\n", "[tryboot]\nboot_partition=3\n", "\xff"])
def test_broken_autoboot_file_is_named_and_not_guessed_at(tmp_path: Path, text: str) -> None:
    (tmp_path / "autoboot.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(BootSlotError, match=r"autoboot\.txt"):
        PiSlots(bootconfig=tmp_path, device_tree=tmp_path).committed()


def test_commit_writes_a_broken_autoboot_file_again(tmp_path: Path) -> None:
    (tmp_path / "autoboot.txt").write_bytes(b"[all]\xff")
    slots = PiSlots(bootconfig=tmp_path, device_tree=tmp_path, reboot_argument=tmp_path / "argument")
    slots.commit("B")
    assert slots.committed() == "B"


def test_efi_entries_are_made_once(tmp_path: Path) -> None:
    machine = EfiMachine(tmp_path)
    for slot in ("A", "B", "A", "B"):
        machine.slots.choose_once(slot)
        machine.slots.commit(slot)
    labels = sorted(label for label in machine.entries.values() if label.startswith("ALPR"))
    assert labels == ["ALPR A", "ALPR B"]
    assert set(machine.order) == set(machine.entries)
