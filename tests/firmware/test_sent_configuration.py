"""A configuration from the department is applied once over the unit's own file, or refused by field."""

import io
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from reader_process import TWO_CARS, Running
from sync_twins import bare_home, issue_code, running

from firmware.custody.opening import open_ledger
from firmware.errors import ConfigError
from firmware.fleet import sent_configuration, sync_trial
from firmware.fleet.sent_configuration import NAME, newest, take_up, waits
from firmware.fleet.sync_trial import RunningTrial, Trial
from firmware.run.app import run
from firmware.run.prepared_home import prepare_home
from firmware.run.run_result import RunOptions
from firmware.settings.config import config_text, load_config, rewrite_config
from storage import codec, envelope, files
from storage.errors import HomeLockedError
from storage.home import Home
from storage.verify import verify_home
from sync.department import cli as department
from sync.documents import Carried, context_of
from sync.enrollment import join
from sync.ledger_outbox import LedgerOutbox
from sync.membership import Member, SyncFolder

COMMAND = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A unit that is enrolled as far as documents need it."""
    folder = SyncFolder.of(tmp_path)
    prepare_home(tmp_path)
    folder.make()
    key = COMMAND.public_key().public_bytes_raw()
    folder.save_member(
        Member(
            department="d", unit_id="unit-7", name="car-12", unit_address="127.0.0.1:1",
            front_address="127.0.0.1:1", department_key=key, command_key=key, authority=b"", root=b"",
        )
    )  # fmt: skip
    folder.inbox.mkdir(exist_ok=True)
    return tmp_path


def send(
    home: Path, text: str, *, version: int = 1, unit: str = "", key: ed25519.Ed25519PrivateKey = COMMAND
) -> None:
    carried = Carried(
        name=NAME, version=version, unit_id=unit, issued_us=1, expires_us=None, body=text.encode()
    )
    message = envelope.sign(codec.to_bytes(carried), key, context=context_of(NAME))
    (SyncFolder.of(home).inbox / f"{NAME}.cbor").write_bytes(message)


def edit(home: Path, old: str, new: str) -> None:
    path = home / "config.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_it_names_is_in_force_and_the_rest_stays_the_units_own(home: Path) -> None:
    edit(home, "gain_max = 8.0", "gain_max = 4.0")
    edit(home, "# ignition_pin = 17", "ignition_pin = 17")
    send(home, "[sync]\ninterval_s = 300\n[camera]\nexposure_us = 500\n")
    assert waits(home)
    taken = take_up(home)
    assert taken is not None
    assert (taken.version, taken.refused) == (1, "")
    config = load_config(home)
    assert (config.sync.interval_s, config.camera.exposure_us) == (300, 500)
    assert (config.camera.gain_max, config.parts.ignition_pin) == (4.0, 17)
    assert newest(SyncFolder.of(home)) == taken


def test_a_version_is_taken_up_once_and_a_technicians_change_after_it_stays(home: Path) -> None:
    send(home, "[camera]\nexposure_us = 500\n")
    take_up(home)
    edit(home, "exposure_us = 500", "exposure_us = 700")
    assert not waits(home)
    assert take_up(home) is None
    assert load_config(home).camera.exposure_us == 700
    send(home, "[camera]\nexposure_us = 900\n", version=2)
    assert take_up(home) is not None
    assert load_config(home).camera.exposure_us == 900


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[camera]\nexposure_us = 999999\n", "camera.exposure_us"),
        ("[camera]\nexposure = 5\n", "camera.exposure"),
        ("[nonsense]\n", "nonsense"),
        ("[camera", "TOML"),
        ('[camera]\nsource = "camera:3"\n', "camera.source"),
        ("[parts]\nignition_pin = 5\n", "parts.ignition_pin"),
        ("[site]\nlatitude = 10.0\nlongitude = 10.0\n", "site.latitude"),
        ('[unit]\nname = "x"\n', "unit.name"),
        ('[sync]\nwindows = "25:00-26:00"\n', "sync"),
        pytest.param("x = " + "[" * 20_000, "nested too deep", id="nested without end"),
        pytest.param("[camera]\nexposure_us = " + "9" * 5000, "not TOML", id="thousands of digits"),
        pytest.param("[camera]\nfps = " + "1" * 400, "too large a number", id="hundreds of digits"),
        pytest.param("[camera]\nexposure_us = 0x" + "f" * 5000, "too large a number", id="hexadecimal"),
        pytest.param('"\\u001b[2J" = 1', "configuration 1: ?[2J: unknown", id="an order to a terminal"),
    ],
)
def test_one_that_does_not_fit_is_refused_by_name_and_changes_nothing(
    home: Path, text: str, named: str
) -> None:
    before = (home / "config.toml").read_bytes()
    send(home, text)
    taken = take_up(home)
    assert taken is not None
    assert named in taken.refused
    assert "configuration 1" in taken.refused
    assert (home / "config.toml").read_bytes() == before
    assert not waits(home)


def test_one_that_finds_the_disk_full_waits_and_stops_no_other(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(home, "[camera]\nexposure_us = 500\n")

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        assert take_up(home) is None
    assert waits(home)
    assert take_up(home) is not None


def test_a_network_by_name_is_refused_where_nothing_knows_names(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run would not start with it, and a unit that does not run never gets a better version."""
    monkeypatch.setenv("PATH", "")
    send(home, '[sync]\nnetworks = "depot"\n')
    taken = take_up(home)
    assert taken is not None
    assert "nmcli" in taken.refused
    assert load_config(home).sync.networks == ""


def test_while_the_units_own_file_is_damaged_a_version_waits(home: Path) -> None:
    sound = (home / "config.toml").read_bytes()
    (home / "config.toml").write_bytes(b"[camera")
    send(home, "[camera]\nexposure_us = 500\n")
    with pytest.raises(ConfigError, match=r"config\.toml"):
        take_up(home)
    (home / "config.toml").write_bytes(sound)
    taken = take_up(home)
    assert taken is not None
    assert taken.refused == ""
    assert load_config(home).camera.exposure_us == 500


def test_a_second_reader_is_refused_before_it_touches_anything(home: Path) -> None:
    edit(home, '# gps_port = "/dev/ttyACM0"', 'gps_port = "/dev/absent"')  # a part that it must not open
    send(home, "[camera]\nexposure_us = 500\n")
    options = RunOptions(source=str(TWO_CARS), once=True)
    with open_ledger(home), pytest.raises(HomeLockedError):
        run(home, options, out=io.StringIO(), err=io.StringIO())
    assert waits(home)


def test_a_damaged_membership_ends_no_reading_and_hides_no_version_for_ever(home: Path) -> None:
    send(home, "[camera]\nexposure_us = 500\n")
    member = SyncFolder.of(home).path / "member.cbor"
    sound = member.read_bytes()
    member.write_bytes(sound[:-9])
    assert not waits(home)
    assert take_up(home) is None
    member.write_bytes(sound)
    assert waits(home)


@pytest.mark.thorough
@pytest.mark.slow
def test_a_version_that_finds_no_room_waits_and_the_reader_starts_without_it(home: Path) -> None:
    send(home, "[camera]\nexposure_us = 500\n")
    draft = home / "config.toml.new"
    drafts = [draft, *(home / f"{draft.name}.moved-{number}" for number in range(1, files.MOST_MOVED + 1))]
    for folder in drafts:  # like a full disk: the new file cannot be written
        folder.mkdir()
        (folder / "kept").touch()
    reader = Running(home, "--source", str(TWO_CARS))
    reader.until_reads(1)
    assert reader.end(signal.SIGTERM) == 0
    for folder in drafts:
        shutil.rmtree(folder)
    assert waits(home)
    assert take_up(home) is not None
    assert load_config(home).camera.exposure_us == 500


def test_no_run_ends_for_a_version_that_the_disk_has_no_room_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(home, "[camera]\nexposure_us = 500\n")
    monkeypatch.setattr(sent_configuration, "ROOM_BYTES", 1 << 60)
    assert not waits(home)
    monkeypatch.undo()
    assert waits(home)


def test_one_that_the_command_key_did_not_sign_for_this_unit_counts_as_none(home: Path) -> None:
    send(home, "[camera]\nexposure_us = 500\n", key=ed25519.Ed25519PrivateKey.generate())
    assert not waits(home)
    assert take_up(home) is None
    send(home, "[camera]\nexposure_us = 500\n", unit="unit-8")
    assert not waits(home)


class Ran:
    """Running time, advanced by a test."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


CUT_OFF_NETWORK = "[sync]\ninterval_s = 300\nonly_on_mains = true\n[camera]\nexposure_us = 500\n"


def test_sync_settings_that_cut_a_unit_off_go_back_by_themselves(home: Path) -> None:
    """After half a day in each of two runs: the running time of both counts, not the clock."""
    folder, ran = SyncFolder.of(home), Ran()
    send(home, CUT_OFF_NETWORK)
    take_up(home)
    for half in range(2):
        trial = RunningTrial(folder, ran)
        assert not trial.lapses()
        ran.s += 43_200 + 1
        assert trial.lapses() is (half == 1)
    assert waits(home)
    taken = take_up(home)
    assert taken is not None
    assert (taken.version, "no sync succeeded" in taken.refused) == (1, True)
    config = load_config(home)
    assert (config.sync.interval_s, config.sync.only_on_mains) == (900, False)
    assert config.camera.exposure_us == 500  # other settings stay
    assert newest(folder) == taken
    assert not waits(home)
    assert take_up(home) is None


def test_one_conversation_ends_the_trial(home: Path) -> None:
    folder, ran = SyncFolder.of(home), Ran()
    send(home, CUT_OFF_NETWORK)
    take_up(home)
    trial = RunningTrial(folder, ran)
    trial.passed()
    ran.s += 1e6
    assert not trial.lapses()
    assert not RunningTrial(folder, ran).lapses()
    assert not waits(home)
    assert load_config(home).sync.only_on_mains


def test_networks_that_were_sent_stay_allowed_beside_those_that_worked(home: Path) -> None:
    """A station changes its network on Monday; a car that gets the setting on Thursday still drives a day."""
    folder, ran = SyncFolder.of(home), Ran()
    edit(home, 'networks = ""', 'networks = "station-2025"')
    write_sent(folder, ran, home, networks="station-2026")
    assert load_config(home).sync.networks == "station-2025, station-2026"


def write_sent(folder: SyncFolder, ran: Ran, home: Path, *, networks: str) -> None:
    """A lapsed trial, without NetworkManager, which a configuration that names networks needs."""
    own = load_config(home)
    sent = replace(own.sync, networks=networks)
    sync_trial.begin(folder, Trial(version=1, before=own.sync, sent=sent))
    rewrite_config(home, config_text(replace(own, sync=sent)))
    trial = RunningTrial(folder, ran)
    ran.s += 86_401
    assert trial.lapses()
    assert take_up(home) is not None


def test_a_second_version_on_trial_goes_back_to_what_worked(home: Path) -> None:
    folder, ran = SyncFolder.of(home), Ran()
    send(home, CUT_OFF_NETWORK)
    take_up(home)
    send(home, "[sync]\ninterval_s = 600\n", version=2)
    take_up(home)
    trial = RunningTrial(folder, ran)
    ran.s += 86_401
    assert trial.lapses()
    assert take_up(home) is not None
    assert (load_config(home).sync.interval_s, load_config(home).sync.only_on_mains) == (900, False)


def test_what_a_technician_set_since_is_not_taken_back(home: Path) -> None:
    folder, ran = SyncFolder.of(home), Ran()
    send(home, CUT_OFF_NETWORK)
    take_up(home)
    edit(home, "interval_s = 300", "interval_s = 60")
    trial = RunningTrial(folder, ran)
    ran.s += 86_401
    assert trial.lapses()
    assert take_up(home) is None
    assert load_config(home).sync.interval_s == 60
    assert not waits(home)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"version": 1}', b"\xff"])
def test_a_damaged_trial_counts_as_none(home: Path, data: bytes) -> None:
    folder = SyncFolder.of(home)
    (folder.path / "configuration.trial").write_bytes(data)
    assert not RunningTrial(folder, Ran()).lapses()
    assert not waits(home)


@pytest.mark.thorough
@pytest.mark.slow
def test_a_running_reader_continues_with_what_its_department_sends(tmp_path: Path) -> None:
    office, unit, file = bare_home(tmp_path / "office"), tmp_path / "unit", tmp_path / "fleet.toml"
    prepare_home(unit)
    edit(unit, "interval_s = 900", "interval_s = 10")
    file.write_text("[images]\noverview_quality = 60\n")
    with running(office):
        folder = SyncFolder.of(unit)
        with open_ledger(unit) as ledger:
            join(LedgerOutbox(ledger, folder.inbox), folder, issue_code(office, "car-12"), software="test")
        reader = Running(unit, "--source", str(TWO_CARS))
        reader.until_reads(1)
        assert department.main(["send", "--home", str(office.path), "configuration", str(file)]) == 0
        folder.wanted.touch()
        while newest(folder) is None:
            reader.until_reads(len(reader.lines) + 1)
        before = len(reader.lines)
        reader.until_reads(before + 10)  # more than the stages between camera and log can contain
        assert reader.end(signal.SIGTERM) == 0
    taken = newest(folder)
    assert taken is not None
    assert taken.refused == ""
    assert load_config(unit).images.overview_quality == 60
    numbers = [int(str(one["record"])) for one in reader.announced]
    assert numbers == sorted(set(numbers))
    assert verify_home(Home(unit)).ok
