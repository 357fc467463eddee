"""What the board reports about itself: temperature, disk, card wear, network; sysfs, and a scripted twin."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hw.card import CardWrites, card_writes, swaps_to_card

_SIOCGIFADDR = 0x8915  # linux/sockios.h
_NAME_BYTES = 16  # IFNAMSIZ, including the final NUL
# /proc/net/wireless: name, status, link quality, signal level; the level is in dBm if it is negative.
_SIGNAL = re.compile(r"^\s*(\S+):\s+[0-9a-f]+\s+\d+\.?\s+(-\d{1,3})", re.MULTILINE)
_SPARE_USED = {"0x02": 80, "0x03": 90}  # JEDEC 84-B50: warning, urgent
_HEX = re.compile(r"0x([0-9a-fA-F]{1,2})")
_REACH_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLink:
    """One network interface. address: IPv4, "" if none. signal_dbm: of a wireless interface, else None."""

    name: str
    up: bool
    received_bytes: int
    sent_bytes: int
    address: str = ""
    signal_dbm: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """One look at the board. None: no such sensor.

    card_wear_percent: upper end of an eMMC's life estimate in steps of ten (JEDEC 84-B50, life_time), or 80
    or 90 if pre_eol_info reports that share of the spare blocks as used. An SD card reports neither.
    """

    temperature_c: float | None
    disk_free_bytes: int
    disk_total_bytes: int
    card_wear_percent: int | None
    memory_free_bytes: int | None
    running_s: float
    links: tuple[NetworkLink, ...]
    card: CardWrites | None = None
    swaps_to_card: bool | None = None


class Board(Protocol):
    """Reports the board's vitals."""

    def look(self) -> Vitals:
        """The vitals now; None for a missing sensor."""


class SysfsBoard:
    """Linux: /sys and /proc. volume: any folder of the file system that holds the unit's home."""

    def __init__(
        self,
        volume: Path,
        *,
        sysfs: Path = Path("/sys"),
        procfs: Path = Path("/proc"),
        address_of: Callable[[str], str] | None = None,
    ) -> None:
        self._volume, self._sysfs, self._procfs = volume, sysfs, procfs
        self._address_of = address_of or ipv4_address

    def look(self) -> Vitals:
        """See Board.look."""
        usage = shutil.disk_usage(self._volume)
        zones = [_number(zone) for zone in sorted(self._sysfs.glob("class/thermal/thermal_zone*/temp"))]
        hottest = max((value for value in zones if value is not None), default=None)
        uptime = (_text(self._procfs / "uptime") or "0").split()
        return Vitals(
            temperature_c=None if hottest is None else hottest / 1000,
            disk_free_bytes=usage.free, disk_total_bytes=usage.total, card_wear_percent=self._wear(),
            memory_free_bytes=self._memory(), running_s=float(uptime[0]) if uptime else 0.0,
            links=tuple(self._links()), card=card_writes(self._volume, sysfs=self._sysfs),
            swaps_to_card=swaps_to_card(procfs=self._procfs),
        )  # fmt: skip

    def _wear(self) -> int | None:
        # Two estimates (single-level and multi-level cells), each 0x01 (0-10 %) to 0x0b (beyond its life).
        worst = [
            int(step, 16) * 10
            for path in self._sysfs.glob("block/mmcblk*/device/life_time")
            for step in _HEX.findall(_text(path) or "")
            if int(step, 16)
        ]
        spare = [
            _SPARE_USED.get(_text(path) or "", 0)
            for path in self._sysfs.glob("block/mmcblk*/device/pre_eol_info")
        ]
        return max((*worst, *(used for used in spare if used)), default=None)

    def _memory(self) -> int | None:
        match = re.search(
            r"^MemAvailable:\s+(\d+) kB", _text(self._procfs / "meminfo", 4096) or "", re.MULTILINE
        )
        return int(match[1]) * 1024 if match else None

    def _links(self) -> list[NetworkLink]:
        signals = dict(_SIGNAL.findall(_text(self._procfs / "net/wireless", 4096) or ""))
        return [
            NetworkLink(
                name=folder.name,
                up=_text(folder / "operstate") == "up",
                received_bytes=_number(folder / "statistics/rx_bytes") or 0,
                sent_bytes=_number(folder / "statistics/tx_bytes") or 0,
                address=self._address_of(folder.name),
                signal_dbm=int(signals[folder.name]) if folder.name in signals else None,
            )
            for folder in sorted(self._sysfs.glob("class/net/*"))
            if folder.name != "lo" and (folder / "operstate").exists()
        ]


class ScriptedBoard:
    """The twin: gives the vitals that a test sets."""

    def __init__(self) -> None:
        self.vitals = Vitals(
            temperature_c=48.5, disk_free_bytes=20 << 30, disk_total_bytes=30 << 30, card_wear_percent=10,
            memory_free_bytes=1 << 30, running_s=3600.0,
            card=CardWrites(written_bytes=1_000_000, flushes=20), swaps_to_card=False,
            links=(
                NetworkLink(name="eth0", up=True, received_bytes=1000, sent_bytes=2000, address="10.0.3.7"),
                NetworkLink(name="wlan0", up=True, received_bytes=3000, sent_bytes=4000, signal_dbm=-61),
            ),
        )  # fmt: skip

    def look(self) -> Vitals:
        """See Board.look."""
        return self.vitals


def ipv4_address(link: str) -> str:
    """The first IPv4 address of a link (netdevice(7), SIOCGIFADDR), "" if it has none."""
    request = struct.pack("256s", link.encode()[: _NAME_BYTES - 1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            answer = fcntl.ioctl(asker, _SIOCGIFADDR, request)
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


def can_reach(host: str, port: int) -> str | None:
    """None if host:port accepts a TCP connection, else the reason in a few words."""
    try:
        with socket.create_connection((host, port), timeout=_REACH_S):
            return None
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return os.strerror(error.errno) if error.errno and error.errno > 0 else "name not found"


def _text(path: Path, limit: int = 256) -> str | None:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read(limit).strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and re.fullmatch(r"-?\d{1,19}", text) else None
