"""The system's files beside the program: units, accounts, rules, firewall, and what they allow."""

from __future__ import annotations

import configparser
import inspect
import re
import shutil
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from alpr_device.slots import PiSlots
from alpr_device.trial import FOLDER
from alpr_image.boot import BoardProfile
from alpr_image.initramfs import BUSYBOX_TOOLS
from alpr_image.pack import PARTITIONS

from firmware.run.prepared_home import prepare_home
from firmware.settings.config import Config, write_config
from hw.errors import HardwareError, PartFailedError
from hw.machine import SERVICE, SystemdMachine
from storage.update_file import BUNDLE
from tests.image.conftest import IMAGE_BUILD

UNIT, OFFICE, IMAGE = IMAGE_BUILD / "unit", IMAGE_BUILD / "office", IMAGE_BUILD / "image"
SYSTEM = "usr/lib/systemd/system"
SERVICES = sorted(
    [
        *(UNIT / SYSTEM).glob("*.service"),
        *(OFFICE / SYSTEM).glob("*.service"),
        IMAGE / SYSTEM / "alpr-data-key.service",
        IMAGE / SYSTEM / "alpr-other-disk@.service",
    ]
)
WORST = 2.0
NAMES = [path.name for path in SERVICES]


def settings_of(path: Path) -> dict[str, list[str]]:
    """Every key of a unit file with all its values, whatever their section."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if match := re.match(r"([A-Z][A-Za-z]+)=(.*)$", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def test_every_service_has_its_unit_file() -> None:
    wanted = {
        "alpr-reader",
        "alpr-console@",
        "alpr-first-boot",
        "alpr-department",
        "alpr-keys",
        "alpr-witness",
    }
    assert wanted <= {name.removesuffix(".service") for name in NAMES}


@pytest.mark.parametrize("put_there_before", [False, True])
def test_a_first_start_that_was_cut_short_is_made_again(tmp_path: Path, put_there_before: bool) -> None:
    """After a late chip, a full disk or a power cut; or with a config.toml that came with the card."""
    held = settings_of(UNIT / SYSTEM / "alpr-first-boot.service")
    [condition] = held["ConditionPathExists"]
    made = tmp_path / "home" / Path(condition.removeprefix("!")).relative_to("/var/lib/alpr-reader")
    if put_there_before:
        made.parent.parent.mkdir()
        write_config(tmp_path / "home", Config())
    with pytest.raises(HardwareError):
        prepare_home(tmp_path / "home", slot_uri=f"loopback:{tmp_path}/chips/late")
    assert not made.exists()
    (tmp_path / "chips").mkdir()
    assert prepare_home(tmp_path / "home", slot_uri=f"loopback:{tmp_path}/chips/late")
    assert made.exists()
    assert condition.startswith("!")
    assert held["Restart"] == ["on-failure"]


@pytest.mark.parametrize("path", SERVICES, ids=NAMES)
def test_exposure_is_two_or_less(path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    assert analyze is not None, "systemd-analyze not found: apt install systemd"
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    match = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert match is not None, done.stderr
    assert float(match[1]) <= WORST


@pytest.mark.parametrize("path", SERVICES, ids=NAMES)
def test_service_keeps_nothing_for_a_core_file_or_swap_and_gains_no_right(path: Path) -> None:
    held = settings_of(path)
    assert held["LimitCORE"] == ["0"]
    assert held["MemorySwapMax"] == ["0"]
    assert held["NoNewPrivileges"] == ["yes"]
    assert held["ProtectSystem"] == ["strict"]
    assert held["UMask"] == ["0077"]
    assert held["CapabilityBoundingSet"][-1] in {"", "CAP_SYS_TIME", "CAP_DAC_READ_SEARCH"}


@pytest.mark.parametrize("path", SERVICES, ids=NAMES)
def test_systemd_understands_every_line(path: Path, tmp_path: Path) -> None:
    """In a separate root that has every program that a unit names."""
    root = tmp_path / "root"
    for source in (UNIT, OFFICE, IMAGE):
        shutil.copytree(source, root, dirs_exist_ok=True, symlinks=True)
    for service in SERVICES:
        for line in settings_of(service).get("ExecStart", []):
            program = root / line.split()[0].lstrip("/")
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text("#!/bin/sh\n")
            program.chmod(0o755)
    for target in (
        "sysinit",
        "basic",
        "shutdown",
        "multi-user",
        "network-online",
        "local-fs",
        "sockets",
        "timers",
    ):
        (root / SYSTEM / f"{target}.target").write_text("[Unit]\nDescription=x\n")
    name = path.name.replace("@.", "@x.")
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={root}", "--man=no", "--recursive-errors=no", name],
        capture_output=True,
        text=True,
        check=False,
    )
    about = [line for line in done.stderr.splitlines() if path.name.split("@")[0].split(".")[0] in line]
    assert [
        line for line in about if "Unknown" in line or "Invalid" in line or "Failed to parse" in line
    ] == []


def test_accounts_are_made_and_none_can_log_in(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for folder in (UNIT, OFFICE):
        shutil.copytree(folder / "usr/lib/sysusers.d", tmp_path / "usr/lib/sysusers.d", dirs_exist_ok=True)
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], check=True, capture_output=True)
    passwd = [line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()]
    made = {line[0]: line[6] for line in passwd}
    assert {"alpr-reader", "alpr-department", "alpr-keys", "alpr-witness"} <= made.keys()
    assert set(made.values()) == {"/usr/sbin/nologin"}
    groups = {line.split(":")[0] for line in (tmp_path / "etc/group").read_text().splitlines()}
    for service in SERVICES:
        held = settings_of(service)
        for name in " ".join(held.get("SupplementaryGroups", [])).split():
            assert name in groups or name == "systemd-journal"
        for name in held.get("User", []):
            assert name in made


def test_each_service_of_the_department_has_an_account_of_its_own() -> None:
    users = [settings_of(path)["User"][0] for path in SERVICES if path.is_relative_to(OFFICE)]
    assert sorted(users) == ["alpr-department", "alpr-keys", "alpr-witness"]


def test_reader_is_watched_and_started_for_ever() -> None:
    held = settings_of(UNIT / SYSTEM / "alpr-reader.service")
    assert (held["Type"], held["Restart"], held["StartLimitIntervalSec"]) == (["notify"], ["always"], ["0"])
    assert int(held["WatchdogSec"][0]) <= 60
    manager = (IMAGE / "etc/systemd/system.conf.d/alpr.conf").read_text()
    assert "RuntimeWatchdogSec=30s" in manager


def test_service_name_is_the_one_that_the_console_asks_the_journal_for() -> None:
    assert f"{SERVICE}.service" in NAMES


def polkit_answer(action: str, user: str, details: dict[str, str]) -> str:
    """The answer of the rule file, run by node or duktape (`duk`)."""
    engine = shutil.which("duk") or shutil.which("node")
    if engine is None:
        pytest.skip("no JavaScript engine here: apt install duktape")
    rules = (UNIT / "usr/share/polkit-1/rules.d/50-alpr.rules").read_text()
    lookups = ",".join(f"{name!r}:{value!r}" for name, value in details.items())
    script = (
        "var rule; var polkit = {Result: {YES: 'yes', NO: 'no', NOT_HANDLED: 'not handled'},"
        "addRule: function (one) { rule = one; }};\n" + rules + "\nvar details = {" + lookups + "};\n"
        f"var asked = {{id: {action!r}, lookup: function (name) {{ return details[name]; }}}};\n"
        f"var said = rule(asked, {{user: {user!r}}});\n"
        "(typeof print === 'function' ? print : console.log)(said);"
    )
    path = Path(engine).name
    words = [engine, "-e", script] if path == "node" else [engine, "/dev/stdin"]
    done = subprocess.run(words, input=script, capture_output=True, text=True, check=True)
    return done.stdout.strip()


MANAGE = "org.freedesktop.systemd1.manage-units"


@pytest.mark.parametrize(
    ("action", "details", "said"),
    [
        ("org.freedesktop.login1.power-off", {}, "yes"),
        ("org.freedesktop.login1.reboot", {}, "yes"),
        ("org.freedesktop.login1.suspend", {}, "no"),
        ("org.freedesktop.NetworkManager.network-control", {}, "yes"),
        ("org.freedesktop.NetworkManager.reload", {}, "no"),
        ("org.freedesktop.timedate1.set-time", {}, "no"),
        ("de.pengutronix.rauc.install", {}, "no"),
        (MANAGE, {"verb": "start", "unit": "alpr-clock@1780000000.service"}, "yes"),
        (MANAGE, {"verb": "stop", "unit": "alpr-clock@1780000000.service"}, "no"),
        (MANAGE, {"verb": "start", "unit": "alpr-clock@1.service.evil.service"}, "no"),
        (MANAGE, {"verb": "start", "unit": "alpr-update@media-alpr\\\\x2dstick-2.update.service"}, "yes"),
        (MANAGE, {"verb": "start", "unit": "ssh.service"}, "no"),
        (MANAGE, {"verb": "restart", "unit": "alpr-reader.service"}, "no"),
        ("org.freedesktop.systemd1.manage-unit-files", {}, "no"),
    ],
)
def test_polkit_allows_the_reader_what_it_needs_and_nothing_else(
    action: str, details: dict[str, str], said: str
) -> None:
    assert polkit_answer(action, "alpr-reader", details) == said
    assert polkit_answer(action, "somebody", details) == "not handled"


def test_root_alone_installs_by_rauc_which_knows_no_release_log_and_no_version() -> None:
    """The package's own policy lets every account install any signed bundle, however old. The reader may only
    read a property: whether RAUC is at work.
    """
    place = "usr/share/dbus-1/system.d/de.pengutronix.rauc.conf"  # replaces the package's
    policies = ElementTree.parse(IMAGE / place).getroot().findall("policy")  # noqa: S314 - our own file
    found = {
        (policy.get("context") or policy.get("user"), rule.tag, *rule.attrib.items())
        for policy in policies
        for rule in policy
    }
    to, own = ("send_destination", "de.pengutronix.rauc"), ("own", "de.pengutronix.rauc")
    get = (("send_interface", "org.freedesktop.DBus.Properties"), ("send_member", "Get"))
    assert found == {
        ("default", "deny", to), ("root", "allow", to), ("root", "allow", own),
        ("alpr-reader", "allow", to, *get),
    }  # fmt: skip


def test_firewall_is_closed_and_opens_ssh_on_the_cable_alone() -> None:
    text = (IMAGE / "etc/nftables.conf").read_text()
    assert re.search(r"hook input priority filter; policy drop;", text)
    assert re.search(r"hook forward priority filter; policy drop;", text)
    opened = [line.strip() for line in text.splitlines() if "dport" in line]
    assert [line for line in opened if "tcp" in line] == [
        'iifname "usb0" tcp dport 22 ct state new limit rate 6/minute accept'
    ]
    assert [line for line in opened if "udp" in line] == [
        "udp sport 547 udp dport 546 ip6 daddr fe80::/10 accept"
    ]


def test_ssh_takes_no_password_and_gives_nothing_but_the_console() -> None:
    held = dict(
        line.split(None, 1)
        for line in (IMAGE / "etc/ssh/sshd_config.d/alpr.conf").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert (
        held["PasswordAuthentication"]
        == held["KbdInteractiveAuthentication"]
        == held["PermitRootLogin"]
        == "no"
    )
    assert held["AllowUsers"] == "alpr-reader"
    assert held["ForceCommand"] == "/usr/bin/reader --home /var/lib/alpr-reader console"
    assert held["AllowTcpForwarding"] == held["AllowAgentForwarding"] == held["PermitTunnel"] == "no"


def test_journal_is_in_ram_and_bounded() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(IMAGE / "etc/systemd/journald.conf.d/alpr.conf")
    journal = parser["Journal"]
    assert (journal["Storage"], journal["RuntimeMaxUse"]) == ("volatile", "16M")
    assert {journal[f"ForwardTo{name}"] for name in ("Syslog", "Wall", "Console")} == {"no"}


def test_no_core_file_and_no_swap_anywhere() -> None:
    sysctl = (IMAGE / "etc/sysctl.d/90-alpr.conf").read_text()
    assert "kernel.core_pattern = |/bin/false" in sysctl
    assert "fs.suid_dumpable = 0" in sysctl
    assert "swap" not in (IMAGE / "etc/fstab").read_text()


def test_data_partition_is_encrypted_by_the_chip_and_never_asks_a_person() -> None:
    crypttab = (IMAGE / "etc/crypttab").read_text().split()
    assert crypttab[:3] == ["persistent", "/dev/alpr-disk/persistent", "none"]
    options = crypttab[3].split(",")
    assert {"luks", "tpm2-device=auto", "headless=true", "nofail"} <= set(options)
    definition = (IMAGE / "usr/lib/repart.d/50-persistent.conf").read_text()
    assert "Encrypt=tpm2" in definition
    opens = (IMAGE / "etc/systemd/system/systemd-cryptsetup@persistent.service.d/alpr.conf").read_text()
    assert f"attach persistent {crypttab[1]} " in opens
    assert {"luks", "tpm2-device=auto", "headless=true"} <= set(re.split("[,; ]|how=", opens))
    assert "ExecStartPost=/bin/rm -f /run/alpr/data-key" in opens
    for line in (IMAGE / "etc/fstab").read_text().splitlines():
        if line.startswith(("/dev/", "/data")):
            assert "nofail" in line


def test_firmwares_choice_of_a_slot_is_mounted_where_the_pi_s_driver_writes_it() -> None:
    folder = IMAGE_BUILD / "boards/rpi/root" / SYSTEM
    held = settings_of(folder / "bootconfig.mount")
    where = inspect.signature(PiSlots).parameters["bootconfig"].default
    assert held["Where"] == [str(where)]
    assert held["What"] == [f"/dev/alpr-disk/{PARTITIONS[0][0]}"]
    assert held["Options"][0].startswith("rw,")
    assert (folder / "local-fs.target.wants/bootconfig.mount").resolve() == folder / "bootconfig.mount"


def test_home_is_on_the_encrypted_partition_or_the_reader_does_not_start() -> None:
    for name in ("alpr-reader.service", "alpr-console@.service", "alpr-first-boot.service"):
        text = (IMAGE / f"etc/systemd/system/{name}.d/image.conf").read_text()
        assert "Requires=alpr-data.target" in text
    assert "/var/lib/alpr-reader" in (IMAGE / SYSTEM / "alpr-data.target").read_text()


@pytest.mark.parametrize(
    "path",
    [
        IMAGE_BUILD / "initramfs/init",
        IMAGE_BUILD / "initramfs/disks",
        IMAGE / "usr/lib/alpr/tell-technician",
        UNIT / "usr/bin/alpr-install-update",
        IMAGE / "usr/lib/alpr/slot-backend",
    ],
    ids=str,
)
def test_shell_scripts_parse(path: Path) -> None:
    subprocess.run(["sh", "-n", str(path)], check=True)


COMMANDS = set(
    re.findall(
        "[a-z_]+",
        "mount umount insmod modprobe cat sleep switch_root mkdir reboot tail head tr grep sed awk cut ls od "
        "blkid dd findfs mknod chroot ln cp mv rm losetup dmsetup veritysetup sort uniq wc stat readlink",
    )
)


def test_initramfs_uses_only_what_it_brings() -> None:
    scripts = "".join((IMAGE_BUILD / "initramfs" / name).read_text() for name in ("init", "disks"))
    text = re.sub(r"#.*|fail \"[^\"]*\"", "", scripts)
    used = {word for word in re.findall(r"(?<![/\w.-])[a-z_]+(?![\w=])", text) if word in COMMANDS}
    assert used <= {*BUSYBOX_TOOLS, "veritysetup"}
    assert {"veritysetup", "switch_root", "insmod"} <= used


@pytest.mark.parametrize("board", ["virt", "rpi"])
def test_kernel_line_takes_no_foreign_orders(board: str) -> None:
    words = BoardProfile.load(board).cmdline.split()
    assert {"systemd.getty_auto=no", "systemd.import_credentials=no", "panic=5"} <= set(words)
    assert not [word for word in words if word.startswith(("init=", "root=", "roothash=", "systemd.debug"))]


def test_config_txt_names_every_part() -> None:
    given = (IMAGE_BUILD / "boards/rpi/config.txt").read_text().splitlines()
    for line in (
        "dtparam=uart0=on",
        "dtoverlay=dwc2",
        "dtoverlay=pps-gpio",
        "dtoverlay=i2c-rtc",
        "dtoverlay=tpm-slb9670",
        "lock_device_private_key=1",
        "camera_auto_detect=1",
    ):
        assert line in {one.partition(",")[0] for one in given}, line


def test_clock_is_set_by_the_helper_where_this_user_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel refuses, and systemctl only records what it was asked."""

    def refuse(_clock: int, _ns: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(time, "clock_settime_ns", refuse)
    asked = tmp_path / "asked"
    program = tmp_path / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    program.chmod(0o755)
    SystemdMachine(search_path=str(tmp_path)).set_clock(1_780_000_000_500_000)
    assert asked.read_text() == "start alpr-clock@1780000000.service\n"
    program.write_text("#!/bin/sh\necho 'Access denied' >&2; exit 4\n")
    with pytest.raises(PartFailedError, match=r"CAP_SYS_TIME is missing.*Access denied"):
        SystemdMachine(search_path=str(tmp_path)).set_clock(1_780_000_000_500_000)


def test_installer_waits_for_the_partition_that_holds_its_state() -> None:
    """If it starts before the mount, its folder is hidden below it, and every installation fails."""
    held = (IMAGE / "etc/rauc/system.conf.in").read_text()
    folder = re.search(r"(?m)^data-directory=(\S+)$", held)
    assert folder is not None
    text = (IMAGE / "etc/systemd/system/rauc.service.d/alpr.conf").read_text()
    mount = re.search(r"(?m)^(?:Wants|Requires)MountsFor=(\S+)$", text)
    assert mount is not None
    assert Path(folder[1]).is_relative_to(mount[1])
    assert f"mkdir -p {folder[1]}" in text
    assert re.search(rf"(?m)^\S+\s+{mount[1]}\s+bind", (IMAGE / "etc/fstab").read_text())


def test_bundle_that_a_power_cut_left_is_removed_at_the_next_start() -> None:
    """The commit at each start starts RAUC, and so does an installation before it writes the bundle."""
    text = (IMAGE / "etc/systemd/system/rauc.service.d/alpr.conf").read_text()
    assert f"ExecStartPre=/usr/bin/rm -f {FOLDER / BUNDLE}\n" in text
    for unit in ("alpr-commit.service", "alpr-update@.service"):
        held = settings_of(UNIT / SYSTEM / unit)
        assert "rauc.service" in held["Wants"]
        assert "rauc.service" in " ".join(held["After"])


def test_reader_of_a_system_of_one_s_own_makes_its_unit_at_the_first_start() -> None:
    text = (UNIT / "usr/lib/systemd/system/alpr-reader.service").read_text()
    assert re.search(r"(?m)^Wants=.*\balpr-first-boot\.service\b", text)
    first = (UNIT / "usr/lib/systemd/system/alpr-first-boot.service").read_text()
    assert "Before=alpr-reader.service" in first
