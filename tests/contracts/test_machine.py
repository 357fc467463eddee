"""What the operating system promises a technician: systemd's tools behind stand-in programs, and the twin."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hw.errors import HardwareError, MissingDriverError, NotEndedError, PartFailedError
from hw.machine import Machine, RememberedMachine, SystemdMachine

STAND_IN = """#!{python}
import pathlib, sys
name = pathlib.Path(sys.argv[0]).name
given = sys.stdin.read() if name == "nmcli" else ""
with open("{log}", "a") as log:
    log.write(" ".join([name, *sys.argv[1:]]) + "\\n")
if "still-written" in sys.argv:
    print("not installed yet", file=sys.stderr)
    sys.exit(75)
below = {{"busctl": "rauc", "systemctl": "jobs"}}.get(name)
if below and (answer := pathlib.Path("{log}").with_name(below)).exists() and sys.argv[1] != "--no-block":
    sys.exit(answer.read_text()) if "Failed" in answer.read_text() else print(answer.read_text())
if name == "journalctl":
    print("one\\ntwo\\nthree")
if "echoes" in sys.argv:
    sys.exit("Error: psk: '" + given.strip() + "' is invalid")
if name == "nmcli" and given != "right passphrase\\n":
    sys.exit("Error: Connection activation failed: secrets were required")
"""


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    for name in ("systemctl", "journalctl", "nmcli", "busctl", "alpr-install-update"):
        program = tmp_path / name
        program.write_text(STAND_IN.format(python=sys.executable, log=tmp_path / "asked"))
        program.chmod(0o755)
    return tmp_path


@pytest.fixture(params=["driver", "twin"])
def machine(request: pytest.FixtureRequest, stand_ins: Path) -> Machine:
    if request.param == "driver":
        return SystemdMachine(search_path=str(stand_ins))
    twin = RememberedMachine({"depot": "right passphrase"})
    twin.lines = ["one", "two", "three"]
    return twin


def test_the_newest_lines_of_the_log_come_in_order(machine: Machine) -> None:
    assert machine.log_lines(2) == ["two", "three"]


def test_a_network_is_joined_with_its_passphrase_and_not_without(machine: Machine) -> None:
    machine.join_wifi("depot", "right passphrase")
    with pytest.raises(PartFailedError):
        machine.join_wifi("depot", "wrong")


@pytest.mark.parametrize(
    ("ask", "remembered", "command"),
    [
        pytest.param(lambda machine: machine.reboot(), "reboot", "systemctl --no-block reboot", id="restart"),
        pytest.param(
            lambda machine: machine.power_off(), "power off", "systemctl --no-block poweroff", id="power off"
        ),
        pytest.param(
            lambda machine: machine.install_update("/media/usb/bundle"),
            "update /media/usb/bundle",
            "alpr-install-update -- /media/usb/bundle",
            id="update",
        ),
    ],
)
def test_the_system_is_asked_for_just_that(
    machine: Machine, stand_ins: Path, ask: Callable[[Machine], object], remembered: str, command: str
) -> None:
    ask(machine)
    if isinstance(machine, RememberedMachine):
        assert machine.asked == [remembered]
    else:
        assert (stand_ins / "asked").read_text() == f"{command}\n"


def test_a_passphrase_stands_in_no_argument_list(stand_ins: Path) -> None:
    SystemdMachine(search_path=str(stand_ins)).join_wifi("depot", "right passphrase")
    asked = (stand_ins / "asked").read_text()
    assert "wifi connect depot" in asked
    assert "passphrase" not in asked


def test_an_update_that_outlasts_its_command_may_still_be_written(stand_ins: Path) -> None:
    with pytest.raises(NotEndedError, match="not installed yet"):
        SystemdMachine(search_path=str(stand_ins)).install_update("still-written")


JOB = "381 alpr-update@media-alpr\\x2dstick-2.update.service start running"


@pytest.mark.parametrize(
    ("jobs", "rauc", "installs"),
    [("", 's "idle"', False), ("", 's "installing"', True), (JOB, 's "idle"', True)],
    ids=["idle", "RAUC outlasted the command", "the service outlasted the reader that asked"],
)
def test_an_update_at_work_is_known_to_a_process_that_did_not_ask_for_it(
    machine: Machine, stand_ins: Path, jobs: str, rauc: str, installs: bool
) -> None:
    (stand_ins / "jobs").write_text(jobs)
    (stand_ins / "rauc").write_text(rauc)
    if isinstance(machine, RememberedMachine):
        machine.installing = installs
    assert machine.installs_update() is installs


def test_a_bus_that_does_not_say_whether_an_update_is_at_work_is_an_error(stand_ins: Path) -> None:
    (stand_ins / "rauc").write_text("Failed to get property Operation: Connection timed out")
    with pytest.raises(PartFailedError, match="Connection timed out"):
        SystemdMachine(search_path=str(stand_ins)).installs_update()


def test_a_system_without_the_image_s_installer_installs_nothing(tmp_path: Path) -> None:
    assert not SystemdMachine(search_path=str(tmp_path)).installs_update()


def test_a_name_with_shell_signs_in_it_is_a_name(stand_ins: Path) -> None:
    SystemdMachine(search_path=str(stand_ins)).join_wifi("$(reboot); depot", "right passphrase")
    assert (stand_ins / "asked").read_text() == "nmcli --ask device wifi connect $(reboot); depot\n"


@pytest.mark.parametrize("name", ["--help", "-h", "-t", "help", "h"])
def test_a_name_that_nmcli_takes_for_an_option_is_refused(stand_ins: Path, name: str) -> None:
    with pytest.raises(PartFailedError, match="another name"):
        SystemdMachine(search_path=str(stand_ins)).join_wifi(name, "right passphrase")
    assert not (stand_ins / "asked").exists()


def test_a_tool_that_repeats_a_passphrase_is_not_repeated(stand_ins: Path) -> None:
    with pytest.raises(PartFailedError, match=r"psk: '\*\*\*' is invalid"):
        SystemdMachine(search_path=str(stand_ins)).join_wifi("echoes", "hunter2 hunter2")


def test_a_tool_that_is_not_there_is_named(tmp_path: Path) -> None:
    machine = SystemdMachine(search_path=str(tmp_path))
    for deed in (machine.reboot, lambda: machine.log_lines(1), lambda: machine.join_wifi("a", "b")):
        with pytest.raises(MissingDriverError, match="not found"):
            deed()


def test_an_error_of_a_tool_comes_in_one_line(stand_ins: Path) -> None:
    with pytest.raises(HardwareError, match="nmcli: Error: Connection activation failed"):
        SystemdMachine(search_path=str(stand_ins)).join_wifi("depot", "wrong")
