"""An update from its writing to its commit: the log says how it ended, and no half of one starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from alpr_device import commit, fall_back, install
from alpr_device.backend import Backend
from alpr_device.errors import BootSlotError, UpdateRefusedError
from alpr_device.release import Running

from tests.image.conftest import Project
from tests.image.test_commit import Unit, unit

__all__ = ["unit"]  # the fixture
NO_NETS = "selfcheck: the nets do not run: damaged"
NO_READER = "commit: the reader does not stay up"
CHECKED_TOO_LATE = "alpr-commit.service: start operation timed out. Terminating."


class PowerCutError(BaseException):
    """A power cut: none of the installer's code runs after it."""


@pytest.fixture
def put(unit: Unit, project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install an update as root does, up to a power cut before one of RAUC's steps, or to RAUC's refusal."""

    def installed(version: int, *, cut: str = "", refused: str = "") -> None:
        def rauc(_program: str, _bundle: Path) -> None:
            backend = Backend(unit.machine.slots, unit.folder)
            for step in ("check", "set-state B bad", "write", "set-primary B", "say so"):
                if step == cut:
                    raise PowerCutError
                if step == refused:
                    raise UpdateRefusedError("rauc: no")
                if step.startswith("set-"):
                    backend.answer(step.split())

        monkeypatch.setattr(install, "_hand_over", rauc)
        monkeypatch.setattr(install, "SlotTrials", lambda _folder: unit.trials)
        running = Running(board="virt", version=unit.version, floor=1)
        file = project.update(version)
        install.install(
            file, folder=unit.folder, trust=project.keys.trust, running=running, works=lambda: False,
            next_slot=unit.machine.slots.next,
        )  # fmt: skip

    return installed


def noted(unit: Unit) -> list[tuple[str, str, str]]:
    lines = [json.loads(line) for line in (unit.folder / "events.jsonl").read_text().splitlines()]
    return [(one["outcome"], one["from_version"], one["to_version"]) for one in lines]


def test_update_that_does_not_start_is_recorded_as_given_up_once(
    unit: Unit, put: Callable[..., None]
) -> None:
    put(3)
    assert unit.machine.restart() == "B"  # and nothing of it comes up
    for _ in range(3):
        assert unit.restart() == "A"
        assert commit.main() == 0
    why = "slot B did not start, or lost its turn with the power; slot A runs again"
    assert noted(unit) == [("installed", "1", "3"), (f"given up: {why}", "1", "3")]
    assert unit.given_up() == f"version 3: {why}"
    assert (unit.folder / "given-up").stat().st_mode & 0o777 == 0o644


def test_update_that_stops_before_its_check_differs_from_one_that_never_started(
    unit: Unit, put: Callable[..., None]
) -> None:
    put(3)
    unit.version = 3
    assert unit.restart() == "B"  # its data partition opens, then the watchdog ends a hang
    unit.version = 1
    assert unit.restart() == "A"
    assert noted(unit)[1:] == [
        ("given up: slot B started, and stopped before its check ended; slot A runs again", "1", "3")
    ]


@pytest.mark.parametrize(
    ("journal", "why"),
    [
        pytest.param(f"{NO_NETS}\nx\n", NO_NETS, id="check"),
        pytest.param(f"{NO_READER}\n", NO_READER, id="reader"),
        pytest.param(f"hello\n{CHECKED_TOO_LATE}\n", CHECKED_TOO_LATE, id="time limit"),
        pytest.param("", "no reason in the journal", id="nothing said"),
    ],
)  # fmt: skip
def test_update_that_fails_its_check_is_recorded_once_with_the_reason(
    unit: Unit, put: Callable[..., None], journal: str, why: str
) -> None:
    put(3)
    unit.version, unit.journal = 3, journal
    assert unit.restart() == "B"
    assert fall_back.main() == 0
    unit.version = 1
    assert unit.restart() == "A"
    assert noted(unit)[1:] == [(f"given up: slot B failed its check, back to A: {why}", "1", "3")]
    assert unit.given_up() == f"version 3: slot B failed its check, back to A: {why}"


def test_slot_that_fails_its_check_is_left_and_recorded_also_without_a_journal(
    unit: Unit, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*words: str) -> str:
        if words[0] == "journalctl":
            raise BootSlotError("journalctl: exit status 1")
        return unit.call(*words)

    put(3)
    unit.version = 3
    assert unit.restart() == "B"
    monkeypatch.setattr(fall_back, "call", call)
    assert fall_back.main() == 0
    assert unit.asked == ["rauc status mark-bad", "systemctl --no-block reboot"]
    assert noted(unit)[1][0].endswith("back to A: the journal is not there: journalctl: exit status 1")


def test_alarm_of_an_update_that_was_given_up_ends_with_one_that_is_committed(
    unit: Unit, put: Callable[..., None]
) -> None:
    put(3)
    assert unit.machine.restart() == "B"
    assert unit.restart() == "A"
    assert unit.given_up()
    put(4)
    assert unit.given_up()
    unit.version = 4
    assert unit.restart() == "B"
    assert commit.main() == 0
    assert unit.given_up() == ""
    assert unit.restart() == "B"
    assert [outcome for outcome, _, _ in noted(unit)][2:] == ["installed", "running in slot B, committed"]


def test_update_that_waits_is_not_given_up_by_another_look_at_this_start(
    unit: Unit, put: Callable[..., None]
) -> None:
    put(3)
    assert "waits in slot B" in unit.trials.settle(unit.machine.slots, 1)
    assert commit.main() == 0
    assert noted(unit) == [("installed", "1", "3")]
    assert unit.machine.restart() == "B"


@pytest.mark.parametrize(
    ("cut", "starts", "outcome"),
    [
        ("check", "A", "not installed: the unit stopped while slot B was written"),
        ("set-state B bad", "A", "not installed: the unit stopped while slot B was written"),
        ("write", "A", "not installed: the unit stopped while slot B was written"),
        ("set-primary B", "A", "not installed: the unit stopped while slot B was written"),
        ("say so", "B", "installed"),
    ],
)
def test_power_cut_at_any_step_starts_no_half_and_is_recorded(
    unit: Unit, put: Callable[..., None], cut: str, starts: str, outcome: str
) -> None:
    with pytest.raises(PowerCutError):
        put(3, cut=cut)
    unit.version = 3 if starts == "B" else 1
    assert unit.restart() == starts
    assert noted(unit) == [(outcome, "1", "3")]


@pytest.mark.parametrize(
    ("cut", "starts"),
    [("check", "B"), ("set-state B bad", "B"), ("write", "A"), ("set-primary B", "A"), ("say so", "B")],
)
def test_power_cut_in_the_installation_over_one_that_waits_starts_no_mix_of_both(
    unit: Unit, put: Callable[..., None], cut: str, starts: str
) -> None:
    """The first was waiting for its start when the next was installed over it."""
    put(3)
    with pytest.raises(PowerCutError):
        put(4, cut=cut)
    unit.version = {"A": 1, "B": 4 if cut == "say so" else 3}[starts]
    assert unit.restart() == starts
    assert noted(unit)[0] == ("installed", "1", "3")
    step = "before" if starts == "B" else "while"
    lost = (f"not installed: the unit stopped {step} slot B was written", "1", "4")
    assert noted(unit)[1:] == [("installed", "1", "4") if cut == "say so" else lost]
    assert commit.main() == 0
    assert unit.machine.slots.committed() == starts


@pytest.mark.parametrize("cut", ["check", "set-state B bad"])
def test_update_that_waits_is_given_up_where_the_next_one_never_reached_its_slot(
    unit: Unit, put: Callable[..., None], cut: str
) -> None:
    put(3)
    with pytest.raises(PowerCutError):
        put(4, cut=cut)
    assert unit.machine.restart() == "B"  # and nothing of it comes up
    assert unit.restart() == "A"
    assert noted(unit)[1:] == [
        ("not installed: the unit stopped before slot B was written", "1", "4"),
        ("given up: slot B did not start, or lost its turn with the power; slot A runs again", "1", "3"),
    ]


@pytest.mark.parametrize("cut", ["check", "set-state B bad", "write", "set-primary B", "say so"])
def test_an_installer_that_ended_over_one_that_waits_is_settled_by_what_rauc_wrote(
    unit: Unit, put: Callable[..., None], cut: str
) -> None:
    """The slot was next for the waiting one. Once, the other counted as installed though RAUC never ran."""
    put(3)
    with pytest.raises(PowerCutError):
        put(4, cut=cut)
    put(4, cut="check" if cut == "say so" else "")
    trial = unit.trials.current()
    assert trial is not None
    assert (trial.version, trial.stage, trial.waited) == (4, "waiting", None)
    not_begun = cut in {"check", "set-state B bad"}
    why = "RAUC did not begin to write slot B" if not_begun else "RAUC did not write slot B to its end"
    between = [] if cut == "say so" else [f"not installed: {why}"]
    assert [outcome for outcome, _, _ in noted(unit)] == ["installed", *between, "installed"]
    unit.version = 4
    assert unit.restart() == "B"
    assert commit.main() == 0


def test_one_that_waits_still_does_where_the_next_command_finds_no_update(
    unit: Unit, put: Callable[..., None]
) -> None:
    put(3)
    with pytest.raises(PowerCutError):
        put(4, cut="check")
    with pytest.raises(UpdateRefusedError):
        put(4, refused="check")
    trial = unit.trials.current()
    assert trial is not None
    assert (trial.version, trial.stage) == (3, "waiting")


@pytest.mark.parametrize(("refused", "next_slot"), [("check", "B"), ("write", "A")])
def test_update_that_waits_keeps_its_start_unless_the_next_one_was_written_over_it(
    unit: Unit, put: Callable[..., None], refused: str, next_slot: str
) -> None:
    put(3)
    with pytest.raises(UpdateRefusedError):
        put(4, refused=refused)
    assert unit.machine.slots.next() == next_slot
    current = unit.trials.current()
    assert (current.version if current else None) == (3 if next_slot == "B" else None)


def test_image_of_another_version_than_its_release_is_not_committed(
    unit: Unit, put: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its release is newer than all before, but the image would raise the floor by less."""
    put(9)
    unit.version = 2
    assert unit.restart() == "B"
    assert commit.main() == 1
    assert "says that it is version 2, its release says 9" in capsys.readouterr().err
    assert (unit.machine.slots.committed(), unit.floor()) == ("A", 1)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null", '{"version": 3}', "\xff"])
def test_file_of_the_trial_that_makes_no_sense_stops_nothing(unit: Unit, text: str) -> None:
    (unit.folder / "trial.json").write_bytes(text.encode("latin-1"))
    assert unit.trials.settle(unit.machine.slots, 1) == "nothing is on trial"
    assert commit.main() == 0


def test_the_bundle_of_an_installation_that_was_cut_off_goes_and_one_that_is_being_read_stays(
    unit: Unit, put: Callable[..., None]
) -> None:
    bundle = unit.folder / "bundle.raucb"
    bundle.touch()
    unit.trials.remove_left()  # it was cut off before anything was on trial
    assert not bundle.exists()
    with pytest.raises(PowerCutError):
        put(2, cut="write")
    bundle.touch()
    unit.trials.remove_left()
    assert bundle.exists()  # it is on trial, so RAUC may still be reading it since this boot
    unit.starts += 1
    unit.trials.remove_left()
    assert not bundle.exists()
