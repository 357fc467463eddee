"""The end of a start: the running slot is committed, or the unit returns to the committed one."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from alpr_device import commit, events, fall_back, install
from alpr_device.errors import BootSlotError
from alpr_device.image_facts import ImageFacts, floor, raise_floor
from alpr_device.slots import EfiSlots
from alpr_device.trial import SlotTrials

from firmware.health.system_marks import system_marks
from tests.image.test_slots import EfiMachine


@dataclass
class Unit:
    """A unit at the end of a start: its slots, version floor, events, and what it asked of the system."""

    machine: EfiMachine
    folder: Path
    asked: list[str] = field(default_factory=list)
    version: int = 1
    journal: str = ""
    starts: int = 1
    silent: int = 0

    @property
    def trials(self) -> SlotTrials:
        """The trials as the services of this start see them."""
        (self.folder / "boot_id").write_text(f"start {self.starts}\n")
        return SlotTrials(self.folder, boot_id=self.folder / "boot_id")

    def restart(self) -> str:
        """Restart and settle what was on trial. Returns the running slot."""
        slot = self.machine.restart()
        self.starts += 1
        self.trials.settle(self.machine.slots, self.version)
        return slot

    def given_up(self) -> str:
        """The mark for which the reader raises its alarm."""
        return system_marks(self.folder / "given-up", self.folder / "none").given_up

    def facts(self) -> ImageFacts:
        return ImageFacts(board="virt", version=self.version, name="0.2")

    def call(self, *words: str) -> str:
        """Run RAUC over the board's own slots; only note every other call."""
        if words[0] == "journalctl":
            return self.journal
        self.asked.append(" ".join(words))
        if words == ("rauc", "status", "mark-good"):
            if self.silent:
                self.silent -= 1
                raise BootSlotError("rauc: Timeout was reached")
            self.machine.slots.commit(self.machine.slots.running())
        return ""

    def outcomes(self) -> list[str]:
        path = self.folder / "events.jsonl"
        return (
            [json.loads(line)["outcome"] for line in path.read_text().splitlines()] if path.exists() else []
        )

    def floor(self) -> int:
        return floor(self.folder / "floor")


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unit:
    """A unit whose slot A is committed with version 1; its reader starts and stays up."""
    made = Unit(EfiMachine(tmp_path), tmp_path)
    made.machine.slots.commit("A")
    raise_floor(1, tmp_path / "floor")
    monkeypatch.setattr(events, "note", functools.partial(events.note, path=tmp_path / "events.jsonl"))
    for module in (commit, fall_back):
        monkeypatch.setattr(module, "image_facts", made.facts)
        monkeypatch.setattr(module, "call", made.call)
        monkeypatch.setattr(module, "SlotTrials", lambda: made.trials)
    monkeypatch.setattr(fall_back, "board_slots", lambda: made.machine.slots)
    monkeypatch.setattr(commit, "running_slot", made.machine.slots.running)
    monkeypatch.setattr(commit, "reader_stays", lambda _: True)
    monkeypatch.setattr(commit, "floor", made.floor)
    monkeypatch.setattr(commit, "raise_floor", functools.partial(raise_floor, path=tmp_path / "floor"))
    return made


def tried(unit: Unit, version: int) -> None:
    """Make slot B run this version, once."""
    unit.machine.slots.choose_once("B")
    assert unit.machine.restart() == "B"
    unit.version = version


def test_update_that_reads_is_committed_noted_and_raises_the_floor_once(unit: Unit) -> None:
    tried(unit, 2)
    assert [commit.main(), commit.main()] == [0, 0]
    assert (unit.machine.slots.committed(), unit.floor()) == ("B", 2)
    assert unit.outcomes() == ["running in slot B, committed"]


def test_an_update_is_committed_where_rauc_answers_late_and_left_where_it_never_does(
    unit: Unit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, a machine too busy for one answer of the bus lost a good update."""
    monkeypatch.setattr(commit, "BETWEEN_S", 0.0)
    tried(unit, 2)
    unit.silent = commit.TRIES
    assert (commit.main(), unit.floor(), unit.outcomes()) == (1, 1, [])
    unit.silent = commit.TRIES - 1
    assert (commit.main(), unit.machine.slots.committed(), unit.floor()) == (0, "B", 2)
    assert unit.outcomes() == ["running in slot B, committed"]
    assert capsys.readouterr().err.count("Timeout was reached; again in 0 s") == 2 * (commit.TRIES - 1)


def test_power_cut_once_the_floor_is_raised_loses_no_event(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(version: int) -> None:
        raise_floor(version, unit.folder / "floor")
        raise KeyboardInterrupt

    tried(unit, 2)
    with monkeypatch.context() as patched:
        patched.setattr(commit, "raise_floor", cut)
        with pytest.raises(KeyboardInterrupt):
            commit.main()
    assert unit.machine.restart() == "B"
    assert commit.main() == 0
    assert (unit.floor(), set(unit.outcomes())) == (2, {"running in slot B, committed"})


def test_version_older_than_one_that_was_committed_reads_on_and_says_so(unit: Unit) -> None:
    """The newer slot is damaged, or a person with the card put an older release into it."""
    raise_floor(3, unit.folder / "floor")
    tried(unit, 2)
    assert commit.main() == 0
    assert (unit.machine.slots.committed(), unit.floor()) == ("B", 3)
    assert unit.outcomes() == ["running in slot B, committed, older than version 3"]


def test_slot_on_trial_that_fails_its_check_is_left(unit: Unit) -> None:
    tried(unit, 2)
    assert fall_back.main() == 0
    assert unit.asked == ["rauc status mark-bad", "systemctl --no-block reboot"]
    assert unit.outcomes() == ["slot B failed its check, back to A: no reason in the journal"]
    assert unit.machine.restart() == "A"


def test_committed_slot_that_fails_its_check_stays_while_an_update_waits(unit: Unit) -> None:
    unit.machine.slots.choose_once("B")
    assert fall_back.main() == 0
    assert (unit.asked, unit.outcomes()) == ([], [])
    assert unit.machine.slots.next() == "B"


@pytest.mark.parametrize("trial", [False, True])
def test_installer_knows_whether_the_running_slot_is_on_trial(
    unit: Unit, monkeypatch: pytest.MonkeyPatch, trial: bool
) -> None:
    if trial:
        tried(unit, 2)
    assert isinstance(unit.machine.slots, EfiSlots)
    monkeypatch.setattr(install, "image_facts", unit.facts)
    monkeypatch.setattr(install, "floor", unit.floor)
    monkeypatch.setattr(install, "board_slots", lambda: unit.machine.slots)
    assert install.this_unit().on_trial is trial
