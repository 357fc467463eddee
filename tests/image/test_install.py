"""Installing, committing, falling back: the steps around RAUC; only RAUC's program is a stand-in."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from alpr_device import events
from alpr_device.commit import reader_stays
from alpr_device.errors import BootSlotError, DeviceError, StillWritingError, UpdateRefusedError
from alpr_device.image_facts import floor, image_facts, raise_floor
from alpr_device.install import LEFT_FREE_BYTES, install, rauc_works, reason, write_result
from alpr_device.release import Running
from alpr_device.selfcheck import faults, texts
from alpr_device.trial import SlotTrials

from firmware.custody.opening import create_ledger
from firmware.custody.system_updates import _lines, _updates
from storage.update_file import SystemRelease
from tests.image.conftest import Project

RUNNING = Running(board="virt", version=1, floor=1)


def program(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "update"
    made.mkdir()
    return made


def outcomes(folder: Path) -> list[dict[str, str]]:
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_good_update_reaches_rauc_whole_and_is_an_event(
    project: Project, folder: Path, tmp_path: Path
) -> None:
    rauc = program(tmp_path / "rauc", f'cp "$2" {tmp_path}/seen')
    release = install(project.update(2), folder=folder, trust=project.keys.trust, rauc=rauc, running=RUNNING)
    assert (tmp_path / "seen").read_bytes() == b"a bundle"
    assert [(one["outcome"], one["from_version"], one["to_version"]) for one in outcomes(folder)] == [
        ("installed", "1", "2")
    ]
    assert outcomes(folder)[0]["digest"] == release.bundle_digest
    assert sorted(path.name for path in folder.iterdir()) == ["events.jsonl", "installing", "trial.json"]


def test_what_rauc_refuses_is_refused_with_its_words(project: Project, folder: Path, tmp_path: Path) -> None:
    rauc = program(
        tmp_path / "rauc", 'echo "LastError: signature verification failed: self-signed" >&2; exit 1'
    )
    with pytest.raises(UpdateRefusedError, match="signature verification failed"):
        install(project.update(2), folder=folder, trust=project.keys.trust, rauc=rauc, running=RUNNING)
    assert outcomes(folder)[0]["outcome"].startswith("refused: rauc: LastError")
    assert sorted(path.name for path in folder.iterdir()) == ["events.jsonl", "installing"]


def test_of_several_lines_the_one_about_the_signature_is_reported(
    project: Project, folder: Path, tmp_path: Path
) -> None:
    said = "echo 'signature verification failed: self-signed'; echo \"Installing '/x' failed\"; exit 1"
    rauc = program(tmp_path / "rauc", said)
    with pytest.raises(UpdateRefusedError, match="signature verification failed"):
        install(project.update(2), folder=folder, trust=project.keys.trust, rauc=rauc, running=RUNNING)


RAUC_SAID = """installing
  0% Installing
 10% Checking bundle
 10% Verifying signature
 20% {}
100% Installing failed.
{}Installing `/var/lib/alpr-update/bundle.raucb` failed
"""


@pytest.mark.parametrize(
    ("step", "last", "told"),
    [
        (
            "Verifying signature failed.",
            "LastError: signature verification failed: Verify error: self-signed certificate\n",
            "LastError: signature verification failed: Verify error: self-signed certificate",
        ),
        (
            "Verifying signature done.",
            "LastError: Installation error: Failed to create file “/x/central.raucs”: No such file\n",
            "LastError: Installation error: Failed to create file “/x/central.raucs”: No such file",
        ),
        ("Checking bundle failed.", "", "Installing `/var/lib/alpr-update/bundle.raucb` failed"),
    ],
)
def test_progress_of_rauc_is_never_given_as_the_reason(step: str, last: str, told: str) -> None:
    assert reason(RAUC_SAID.format(step, last)) == told
    assert reason(" 10% Verifying signature\n 20% Verifying signature failed.\n") == "no reason given"


def test_outcome_is_readable_for_the_reader_s_account_whatever_the_service_s_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_result("refused: version 1 is not newer than 2", tmp_path / "result")
    finally:
        os.umask(before)
    assert (tmp_path / "result").stat().st_mode & 0o777 == 0o644


def test_refused_update_never_reaches_rauc(project: Project, folder: Path, tmp_path: Path) -> None:
    rauc = program(tmp_path / "rauc", f"touch {tmp_path}/ran")
    project.update(2)
    with pytest.raises(UpdateRefusedError, match="not newer"):
        install(project.update(1), folder=folder, trust=project.keys.trust, rauc=rauc, running=RUNNING)
    assert not (tmp_path / "ran").exists()
    assert [one["outcome"][:8] for one in outcomes(folder)] == ["refused:"]


def test_missing_file_and_missing_rauc_are_named(project: Project, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="nowhere"):
        install(tmp_path / "nowhere", folder=folder, trust=project.keys.trust, running=RUNNING)
    with pytest.raises(DeviceError, match="rauc"):
        install(
            project.update(2),
            folder=folder,
            trust=project.keys.trust,
            rauc=str(tmp_path / "none"),
            running=RUNNING,
        )


def test_second_installation_cannot_change_the_bundle_that_rauc_reads(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second release is in the log, but has another bundle, such as an old one that RAUC accepts: until
    its digest is known, its bytes are where the first one's were checked."""
    keys = project.keys.trust
    first, second = project.update(2, bundle=b"checked"), project.update(3, bundle=b"foreign")
    second.write_bytes(second.read_bytes().replace(b"foreign", b"oldhole"))
    handed = []

    def while_rauc_begins(_rauc: str, bundle: Path) -> None:
        with pytest.raises(DeviceError, match="another update is being installed"):
            install(second, folder=folder, trust=keys, running=RUNNING)
        handed.append(bundle.read_bytes())

    monkeypatch.setattr("alpr_device.install._hand_over", while_rauc_begins)
    install(first, folder=folder, trust=keys, running=RUNNING)
    assert handed == [b"checked"]
    assert [one["outcome"] for one in outcomes(folder)] == ["installed"]


def test_update_that_would_take_the_room_of_the_log_is_refused_before_a_byte_is_written(
    project: Project, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rauc = program(tmp_path / "rauc", f"touch {tmp_path}/ran")
    update = project.update(2)

    def free(size: int) -> Callable[[Path], SimpleNamespace]:
        return lambda _: SimpleNamespace(free=size)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", free(len(b"a bundle") + LEFT_FREE_BYTES - 1))
        with pytest.raises(DeviceError, match=r"67 MB are needed .*, 67 MB are free: sync"):
            install(update, folder=folder, trust=project.keys.trust, rauc=rauc, running=RUNNING)
        assert not (tmp_path / "ran").exists()
        patched.setattr(shutil, "disk_usage", free(len(b"a bundle") + LEFT_FREE_BYTES))
        install(update, folder=folder, trust=project.keys.trust, rauc=rauc, running=RUNNING)
    assert [one["outcome"][:16] for one in outcomes(folder)] == ["refused: 67 MB a", "installed"]


def test_pipe_is_not_an_update_and_holds_nothing(project: Project, folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.update")
    with pytest.raises(DeviceError, match=r"pipe\.update: is not a file"):
        install(tmp_path / "pipe.update", folder=folder, trust=project.keys.trust, running=RUNNING)


SLOW = "not installed yet: RAUC still writes after 14 minutes: leave the power on"


def test_an_update_that_rauc_writes_longer_than_its_command_waits_is_settled_by_the_next_command(
    project: Project, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, it was reported as refused, and then the unit started it: not on trial, and without an event."""
    keys, trials, bad = project.keys.trust, SlotTrials(folder), folder / "slot-B.bad"
    first, second = project.update(2), project.update(3, bundle=b"another")
    at_work, chosen = [True], ["A"]

    def begin(update: Path, rauc: str) -> SystemRelease:
        return install(
            update, folder=folder, trust=keys, rauc=rauc, running=RUNNING, works=lambda: at_work[0],
            next_slot=lambda: chosen[0],
        )  # fmt: skip

    def slow(words: list[str], **_: object) -> None:
        bad.touch()  # as RAUC's first step does
        raise subprocess.TimeoutExpired(words, 840)

    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "run", slow)
        with pytest.raises(StillWritingError, match=SLOW):
            begin(first, "rauc")
    assert not (folder / "bundle.raucb").exists()
    trial = trials.current()
    assert trial is not None
    assert (trial.version, trial.stage) == (2, "writing")
    none = program(tmp_path / "none", f"touch {tmp_path}/ran")
    for update in (first, second):
        with pytest.raises(StillWritingError, match="version 2 is still being written"):
            begin(update, none)
    at_work[0], chosen[0] = False, "B"
    bad.unlink()  # as its last steps do
    assert begin(first, none).version == 2
    trial = trials.current()
    assert trial is not None
    assert (trial.version, trial.stage) == (2, "waiting")
    assert not (tmp_path / "ran").exists()  # it is installed, and would be too slow again
    assert [one["outcome"] for one in outcomes(folder)] == [
        f"{SLOW}, and give the same command again in some minutes",
        *["not installed: version 2 is still being written: leave the power on, and give the same command "
          "again in some minutes"] * 2,
        "installed",
    ]  # fmt: skip
    assert begin(second, none).version == 3
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(("chosen", "marked"), [("A", True), ("A", False), ("B", True)])
def test_an_unfinished_rauc_write_is_reported_and_the_next_begins_from_its_first_byte(
    project: Project, folder: Path, tmp_path: Path, chosen: str, marked: bool
) -> None:
    """RAUC failed after its command ended, or the installer was killed before it asked RAUC."""
    SlotTrials(folder).begin(version=2, from_version=1, digest="ab" * 32, slot="B")
    if marked:
        (folder / "slot-B.bad").touch()
    rauc = program(tmp_path / "rauc", f"rm -f {folder}/slot-B.bad; touch {tmp_path}/ran")
    install(
        project.update(2), folder=folder, trust=project.keys.trust, rauc=rauc, running=RUNNING,
        works=lambda: False, next_slot=lambda: chosen,
    )  # fmt: skip
    assert (tmp_path / "ran").exists()
    assert [one["outcome"] for one in outcomes(folder)] == [
        "not installed: RAUC did not write slot B to its end", "installed"
    ]  # fmt: skip


def test_a_bus_that_does_not_answer_is_an_event(project: Project, folder: Path) -> None:
    SlotTrials(folder).begin(version=2, from_version=1, digest="ab" * 32, slot="B")

    def silent() -> bool:
        raise BootSlotError("busctl: timed out")

    with pytest.raises(BootSlotError, match="timed out"):
        install(project.update(2), folder=folder, trust=project.keys.trust, running=RUNNING, works=silent)
    assert [one["outcome"] for one in outcomes(folder)] == ["not installed: busctl: timed out"]


def test_rauc_is_asked_over_the_bus_whether_it_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {'s "idle"\n': False, 's "installing"\n': True}
    for answer, works in said.items():
        monkeypatch.setattr("alpr_device.install.call", lambda *words, answer=answer: answer if words else "")
        assert rauc_works() == works


def test_floor_only_rises(tmp_path: Path) -> None:
    path = tmp_path / "floor"
    assert floor(path) == 0
    for version in (3, 2, 5, 1):
        raise_floor(version, path)
    assert floor(path) == 5


def test_unreadable_floor_stops_installing(tmp_path: Path) -> None:
    (tmp_path / "floor").write_text("seven\n")
    with pytest.raises(DeviceError, match="unknown version"):
        floor(tmp_path / "floor")


def test_image_without_its_facts_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"image\.toml"):
        image_facts(tmp_path / "image.toml")


def test_an_update_without_room_or_without_its_stick_is_reported_and_noted(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("alpr_device.install.copied_bundle", full)
    with pytest.raises(DeviceError, match=f"^{folder}: No space left"):
        install(project.update(2), folder=folder, trust=project.keys.trust, running=RUNNING)
    assert [one["outcome"] for one in outcomes(folder)] == [
        f"not installed: {folder}: No space left on device"
    ]
    (folder / "events.jsonl").unlink()
    (folder / "events.jsonl").mkdir()  # so that the event cannot be written either
    with pytest.raises(DeviceError, match="No space left"):
        install(project.update(2), folder=folder, trust=project.keys.trust, running=RUNNING)


def test_a_stick_that_is_pulled_out_is_named_and_not_the_data_partition(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pulled(io.FileIO):
        def readinto(self, _buffer: object) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(io, "FileIO", Pulled)
    update = project.update(2)
    with pytest.raises(DeviceError, match=f"^{update}: Input/output error"):
        install(update, folder=folder, trust=project.keys.trust, running=RUNNING)
    assert outcomes(folder)[-1]["outcome"] == f"not installed: {update}: Input/output error"
    assert not (folder / "bundle.raucb").exists()


def test_an_event_that_a_power_cut_ended_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for number, cut in ((1, 40), (2, 0), (3, 1)):
        events.note(f"event {number}", from_version="1", to_version="2", digest="", path=path)
        os.truncate(path, path.stat().st_size - cut)
    events.note("event 4", from_version="1", to_version="2", digest="", path=path)
    assert [update.outcome for _, update in _updates(_lines(path))] == ["event 2", "event 3", "event 4"]


def test_attempts_that_changed_nothing_push_no_other_event_out_of_what_the_reader_takes_up(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.jsonl"

    def noted(outcome: str, *, attempt: bool = False) -> None:
        events.note(outcome, from_version="1", to_version="2", digest="", attempt=attempt, path=path)

    noted("installed")
    for number in range(1000):
        noted(f"refused: {number}", attempt=True)
    noted("running in slot B, committed")
    taken_up = [update.outcome for _, update in _updates(_lines(path))]
    assert len(taken_up) <= events.MAX_LINES + 1
    assert taken_up[0] == "installed"
    assert taken_up[-2:] == ["refused: 999", "running in slot B, committed"]


def test_event_file_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_LINES", 40)
    path = tmp_path / "events.jsonl"
    for number in range(100):
        events.note(f"event {number}", from_version="1", to_version="2", digest="", path=path)
        assert len(path.read_text().splitlines()) <= 40
    assert json.loads(path.read_text().splitlines()[-1])["outcome"] == "event 99"


# -- the check before a commit


def reader(path: Path, *, read: str, status: str) -> str:
    return program(path, f'case "$*" in *" read "*) {read};; *) {status};; esac')


OPENS, DOES_NOT = 'echo \'{"custody": {"records": 4}}\'', "echo 'is damaged' >&2; exit 1"
PLATE = json.dumps({"image": "k", "plates": [{"text": "9VRM202"}, {"text": "823NUX"}]})


@pytest.mark.parametrize(
    ("read", "status", "words"),
    [
        pytest.param(f"echo '{PLATE}'", OPENS, [], id="reads, and its store opens"),
        pytest.param(f"echo '{PLATE}'", f"{OPENS}; exit 1", [], id="the unit has an alarm"),
        pytest.param("echo '{\"plates\": []}'", OPENS, ["not read"], id="reads nothing"),
        pytest.param(
            f"echo '{PLATE.replace('9VRM202', '9VRM2O2')}'", OPENS, ["not read"], id="reads something else"
        ),
        pytest.param("echo 'no model' >&2; exit 3", OPENS, ["no model"], id="no models"),
        pytest.param("echo not json", OPENS, ["not read"], id="says something else"),
        pytest.param(f"echo '{PLATE}'", DOES_NOT, ["not open: is damaged"], id="the store does not open"),
        pytest.param(f"echo '{PLATE}'", "true", ["does not open"], id="nothing said of the store"),
        pytest.param("exit 1", DOES_NOT, ["do not run", "does not open"], id="nothing works"),
    ],
)
def test_image_is_fit_only_if_it_reads_and_its_store_opens(
    tmp_path: Path, read: str, status: str, words: list[str]
) -> None:
    expected = tmp_path / "known.txt"
    expected.write_text("9VRM202\n")
    found = faults(reader(tmp_path / "reader", read=read, status=status), tmp_path / "k.jpg", expected)
    assert len(found) == len(words)
    assert all(word in line for word, line in zip(words, found, strict=True))


@pytest.mark.thorough
@pytest.mark.one_python
def test_no_alarm_of_a_unit_keeps_an_update_out(tmp_path: Path) -> None:
    """Not even a configuration with which no reader starts, the plainest alarm of its own command."""
    home, expected = tmp_path / "home", tmp_path / "known.txt"
    expected.write_text("9VRM202\n")
    create_ledger(home).close()
    command = f"{sys.executable} -m firmware.cli --home {home}"
    own = reader(tmp_path / "reader", read=f"echo '{PLATE}'", status=f'exec {command} "$@"')
    assert subprocess.run([own, "--json", "status"], capture_output=True, check=False).returncode == 1
    assert faults(own, tmp_path / "k.jpg", expected) == []
    (home / "store" / "ledger.sqlite3").write_bytes(b"")
    [fault] = faults(own, tmp_path / "k.jpg", expected)
    assert "the store does not open" in fault
    assert "is empty" in fault


def test_texts_are_taken_from_lines_of_json_alone() -> None:
    assert texts(f"noise\n{PLATE}\n[]\n") == ["9VRM202", "823NUX"]


RUNS = {"ActiveState": "active", "SubState": "running", "Result": "success"}
STARTS = {"ActiveState": "activating", "SubState": "start", "Result": "success"}
WAITS = {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}
FAILED = {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}
NOT_YET = {"ActiveState": "inactive", "SubState": "dead", "Result": "success"}
NEVER_BEGUN = NOT_YET | {"ExecMainStartTimestampMonotonic": "0"}
OVER = NOT_YET | {"ExecMainStartTimestampMonotonic": "170112233"}


@pytest.mark.parametrize(
    ("states", "stays"),
    [
        pytest.param([NOT_YET, STARTS, *[RUNS] * 50], True, id="comes up and stays"),
        pytest.param([STARTS, RUNS, NOT_YET], True, id="reads its folder to the end"),
        pytest.param([STARTS, RUNS, WAITS] * 100, False, id="falls again and again"),
        pytest.param([STARTS, FAILED], False, id="fails for good"),
        pytest.param([STARTS] * 300, False, id="never gets ready"),
        pytest.param([NOT_YET] * 300, False, id="is never started"),
        pytest.param([NEVER_BEGUN] * 300, False, id="has never begun"),
        pytest.param([OVER], True, id="has read its folder before anyone looked"),
    ],
)
def test_reader_counts_as_up_only_if_it_stays(states: list[dict[str, str]], stays: bool) -> None:
    left = iter(states)
    last = states[-1]
    assert reader_stays(lambda: next(left, last), wait_s=0.25, stays_s=0.05, look_s=0.005) is stays
