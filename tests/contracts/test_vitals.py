"""What the board promises to tell: the driver on fake and real sysfs, and the twin."""

import shutil
import socket
from pathlib import Path

import pytest

from hw.vitals import Board, ScriptedBoard, SysfsBoard, can_reach, ipv4_address

WIRELESS = """\
Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   49.  -61.  -256        0      0      0      0     21        0
"""


def fake_board(root: Path) -> SysfsBoard:
    for path, text in {
        "sys/class/thermal/thermal_zone0/temp": "48500\n",
        "sys/class/thermal/thermal_zone1/temp": "31000\n",
        "sys/block/mmcblk0/device/life_time": "0x01 0x01\n",
        "sys/class/net/eth0/operstate": "up\n",
        "sys/class/net/eth0/statistics/rx_bytes": "1000\n",
        "sys/class/net/eth0/statistics/tx_bytes": "2000\n",
        "sys/class/net/lo/operstate": "unknown\n",
        "sys/class/net/wlan0/operstate": "up\n",
        "sys/class/net/wlan0/statistics/rx_bytes": "3000\n",
        "sys/class/net/wlan0/statistics/tx_bytes": "4000\n",
        "proc/net/wireless": WIRELESS,
        "proc/uptime": "3600.00 7000.00\n",
        "proc/meminfo": "MemTotal: 3000000 kB\nMemAvailable:    1048576 kB\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    addresses = {"eth0": "10.0.3.7"}
    return SysfsBoard(
        root, sysfs=root / "sys", procfs=root / "proc", address_of=lambda link: addresses.get(link, "")
    )


@pytest.fixture(params=["driver", "twin"])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    return ScriptedBoard() if request.param == "twin" else fake_board(tmp_path)


def test_a_board_shows_temperature_wear_memory_and_links(board: Board) -> None:
    vitals = board.look()
    assert vitals.temperature_c == 48.5
    assert vitals.card_wear_percent == 10
    assert vitals.memory_free_bytes == 1 << 30
    assert vitals.running_s == 3600.0
    link = vitals.links[0]
    assert (link.name, link.up, link.received_bytes, link.sent_bytes) == ("eth0", True, 1000, 2000)
    assert (link.address, link.signal_dbm) == ("10.0.3.7", None)
    assert vitals.links[1].signal_dbm == -61
    assert 0 < vitals.disk_free_bytes <= vitals.disk_total_bytes


def test_the_disk_is_that_of_the_home(tmp_path: Path) -> None:
    assert fake_board(tmp_path).look().disk_total_bytes == shutil.disk_usage(tmp_path).total


@pytest.mark.parametrize(
    ("text", "percent"), [("0x00 0x00", None), ("0x03 0x0b", 110), ("", None), ("junk", None)]
)
def test_card_wear_is_the_worse_of_both_estimates(tmp_path: Path, text: str, percent: int | None) -> None:
    board = fake_board(tmp_path)
    (tmp_path / "sys/block/mmcblk0/device/life_time").write_text(text)
    assert board.look().card_wear_percent == percent


@pytest.mark.parametrize(("spare", "percent"), [("0x00", None), ("0x01", None), ("0x02", 80), ("0x03", 90)])
def test_a_card_that_runs_out_of_spare_blocks_is_worn_whatever_it_says_of_its_life(
    tmp_path: Path, spare: str, percent: int | None
) -> None:
    board, device = fake_board(tmp_path), tmp_path / "sys/block/mmcblk0/device"
    (device / "life_time").write_text("0x00 0x00\n")
    (device / "pre_eol_info").write_text(f"{spare}\n")
    assert board.look().card_wear_percent == percent
    (device / "life_time").write_text("0x0a 0x02\n")
    assert board.look().card_wear_percent == 100


def test_sensors_that_are_not_there_give_none(tmp_path: Path) -> None:
    vitals = SysfsBoard(tmp_path, sysfs=tmp_path / "sys", procfs=tmp_path / "proc").look()
    assert (vitals.temperature_c, vitals.card_wear_percent, vitals.memory_free_bytes) == (None, None, None)
    assert vitals.links == ()


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    vitals = SysfsBoard(tmp_path).look()
    assert vitals.running_s > 0
    assert (vitals.memory_free_bytes or 0) > 0


def test_a_link_has_its_address_and_one_that_is_not_there_has_none() -> None:
    assert ipv4_address("lo") == "127.0.0.1"
    assert ipv4_address("no-such-link") == ""


def test_a_host_that_refuses_is_distinguished_from_one_that_answers() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert can_reach("127.0.0.1", port) is None
    assert can_reach("127.0.0.1", port) == "Connection refused"
