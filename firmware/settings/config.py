"""The unit's configuration, HOME/config.toml: typed sections, each field with its range and its reason."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from firmware.errors import ConfigError
from storage import files
from storage.errors import NotPlainError
from storage.text_end import with_end
from sync.errors import SyncError
from sync.schedule import Schedule, Window
from sync.toml_settings import SettingError, load_sections, setting, write_sections

FILE_NAME = "config.toml"
_MAX_BYTES = 256 * 1024
PLATE_LEAST_PX = 60  # narrower plates are rarely read; detector/models gives the rates
PLATE_GOOD_PX = 90
HEADER = """\
# Configuration of this plate reader. Each key comes with its reason and the range that is accepted;
# an unknown key or a value out of range stops the reader with a message that names it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSettings:
    """who this unit is"""

    name: str = setting("reader-1", why="name of the unit, in logs and on the console")
    metrics_port: int | None = setting(
        None,
        low=1024,
        high=65535,
        example=9464,
        why="health for Prometheus on this loopback port; left out: off",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """where frames come from, and how they are exposed"""

    source: str = setting(
        "camera", why="camera, camera:N, rtsp://..., drop:FOLDER (watched), a folder, or a video"
    )
    name: str = setting("camera-1", why="name of the camera in every read")
    width: int = setting(
        1920, low=320, high=4608, why=f"px; a plate must be {PLATE_LEAST_PX} px wide or more to be read"
    )
    height: int = setting(1080, low=240, high=2592, why="px")
    fps: float = setting(20.0, low=1, high=60, why="frames a second; the shutter cannot be longer than one")
    exposure_us: int = setting(800, low=60, high=10_000, why="longest shutter; at 50 km/h a car moves 11 mm")
    gain_max: float = setting(8.0, low=1, high=16, why="largest analog gain; more is noise, not light")
    focus_dioptres: float | None = setting(
        None,
        low=0,
        high=32,
        example=0.1,
        why="fixed focus, 1 / distance in m; left out: the lens is left as it is",
    )
    rotation: int = setting(0, low=0, high=180, why="degrees; 180 for a camera mounted upside down")
    replay_fps: float = setting(10.0, low=0.1, high=120, why="frames a second that a folder is taken to have")
    stall_s: float = setting(
        4.0, low=3, high=4.5, why="time without a frame after which the camera is reopened"
    )

    def __post_init__(self) -> None:
        if self.width % 2 or self.height % 2:
            raise ValueError("width and height must be even")
        if self.rotation not in (0, 180):
            raise ValueError("rotation must be 0 or 180")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """where the unit is, for one that does not move"""

    latitude: float | None = setting(None, low=-90, high=90, example=34.1, why="degrees, north positive")
    longitude: float | None = setting(None, low=-180, high=180, example=-118.3, why="degrees, east positive")
    error_m: float = setting(10.0, low=0, high=10_000, why="uncertainty of the position, in meters")
    lane: int | None = setting(None, low=1, high=16, example=1, why="lane, where the view shows only one")

    def __post_init__(self) -> None:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude belong together")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingSettings:
    """how plates are read"""

    threads: int = setting(2, low=1, high=8, why="processor cores that a net may use at once")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """where officers in the car see alerts (463.7)"""

    page_port: int | None = setting(
        None, low=1024, high=65535, example=8467, why="HTTPS port of the alert page; left out: off"
    )
    buzzer_s: float = setting(
        10.0, low=1, high=120, why="how long an alert sounds; viewing it ends the sound"
    )
    page_listen: str = setting(
        "127.0.0.1", why="address of the car's own network at which the page listens, such as 192.168.10.2"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSettings:
    """what happens when a stage is slower than the camera"""

    queue_frames: int = setting(
        4, low=1, high=64, why="frames that may wait; the oldest is dropped and counted"
    )
    queue_passes: int = setting(16, low=1, high=256, why="vehicle passes that may wait to be stored")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """what is kept of the pictures"""

    overview_quality: int = setting(85, low=40, high=95, why="JPEG quality of the overview")


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """when an enrolled unit syncs with its department; a hit waits for neither window nor interval"""

    interval_s: int = setting(900, low=10, high=604_800, why="seconds between syncs")
    jitter: float = setting(0.2, low=0, high=0.5, why="share of the interval by which units spread out")
    windows: str = setting(
        "", why="UTC times of day, such as 22:00-05:30, 12:00-13:00; left empty: at any time"
    )
    networks: str = setting("", why="networks to use, by NetworkManager's names with commas; left empty: any")
    only_on_mains: bool = setting(default=False, why="sync only on mains power")
    bytes_per_s: int = setting(0, low=0, high=1 << 40, why="bandwidth cap; 0: none")
    metered_bytes_per_day: int = setting(
        200_000_000, low=0, high=1 << 50, why="at most this much a day on a metered network"
    )

    def __post_init__(self) -> None:
        self.schedule()

    @property
    def late_after_s(self) -> float:
        """How long (s) without a conversation means that something is wrong with this schedule: at least a
        day, and another day if a missed window is followed only by the next day's.
        """
        return max(86_400.0, 2 * self.interval_s * (1 + self.jitter)) + (86_400.0 if self.windows else 0.0)

    def schedule(self) -> Schedule:
        """The uplink's schedule. Raises ValueError for an invalid window."""
        made = Schedule(
            windows=tuple(_window(part) for part in self.windows.split(",") if part.strip()),
            interval_s=self.interval_s,
            jitter=self.jitter,
            networks=tuple(part.strip() for part in self.networks.split(",") if part.strip()),
            only_on_mains=self.only_on_mains,
            bytes_per_s=self.bytes_per_s,
            metered_bytes_per_day=self.metered_bytes_per_day,
        )
        try:
            made.check()
        except SyncError as error:
            raise ValueError(str(error)) from None
        return made


def _window(text: str) -> Window:
    match = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*", text)
    if match is None or int(match[2]) > 59 or int(match[4]) > 59 or max(int(match[1]), int(match[3])) > 24:
        raise ValueError(f"windows: {text.strip()!r} is not a time of day: write 22:00-05:30")
    return Window(start_min=int(match[1]) * 60 + int(match[2]), end_min=int(match[3]) * 60 + int(match[4]))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsSettings:
    """what else is fitted; a part that is left out is not there"""

    card_tb: float | None = setting(
        None,
        low=0.1,
        high=100_000,
        example=60.0,
        why="terabytes that the card's maker lets be written; left out: 100 times its size",
    )
    gps_port: str | None = setting(
        None,
        example="/dev/ttyACM0",
        why="serial port of an NMEA receiver; with a second USB port in use, its name in /dev/serial/by-id",
    )
    gps_baud: int = setting(9600, low=4800, high=921_600, why="its speed in baud")
    ignition_pin: int | None = setting(
        None, low=0, high=27, example=17, why="GPIO (BCM), high with ignition on"
    )
    linger_s: float = setting(60.0, low=0, high=86_400, why="how long to keep reading with the ignition off")
    reserve_s: float = setting(
        30.0, low=2, high=600, why="what the super-capacitor gives when the feed is cut"
    )
    shutdown_s: float = setting(12.0, low=1, high=300, why="what a shutdown takes; shorter than reserve_s")
    strobe_pin: int | None = setting(
        None, low=0, high=27, example=23, why="GPIO of the infrared strobe; 0 to 8 are high until driven"
    )
    filter_pin: int | None = setting(None, low=0, high=27, example=24, why="GPIO of the infrared cut filter")
    status_pin: int | None = setting(None, low=0, high=27, example=25, why="GPIO of the lamp at the case")
    buzzer_pin: int | None = setting(
        None, low=0, high=27, example=12, why="GPIO of an active buzzer that an alert sounds"
    )
    alert_pin: int | None = setting(
        None, low=0, high=27, example=16, why="GPIO of a lamp that is lit until an alert is answered"
    )

    def __post_init__(self) -> None:
        if self.shutdown_s >= self.reserve_s:
            raise ValueError("shutdown_s must be shorter than reserve_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All sections of one configuration file."""

    unit: UnitSettings = field(default_factory=UnitSettings)
    camera: CameraSettings = field(default_factory=CameraSettings)
    site: SiteSettings = field(default_factory=SiteSettings)
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    capture: CaptureSettings = field(default_factory=CaptureSettings)
    images: ImageSettings = field(default_factory=ImageSettings)
    sync: SyncSettings = field(default_factory=SyncSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    parts: PartsSettings = field(default_factory=PartsSettings)


def parse_config(text: str, file: str, *, part: bool = False) -> Config:
    """Parse a configuration. `part`: only the changes, perhaps none. Raises ConfigError with file and key."""
    try:
        return load_sections(text, file, Config, part=part)
    except SettingError as error:
        raise ConfigError(error.file, error.key, error.reason) from error.__cause__


def load_config(home: Path) -> Config:
    """The configuration of a home. Raises ConfigError, also if the file is missing."""
    return parse_config(config_bytes(home).decode("utf-8"), str(home / FILE_NAME))


def config_bytes(home: Path) -> bytes:
    """The file, byte for byte. Raises ConfigError if it is missing, too large or not UTF-8."""
    path = home / FILE_NAME
    try:
        with files.open_evidence(path, follow=True) as file:
            data = files.read_named(file, path, _MAX_BYTES + 1)
    except FileNotFoundError as error:
        cure = "restore it; `reader init` writes one with the defaults and comments"
        raise ConfigError(str(path), "no such file", cure) from error
    except NotPlainError as error:  # a folder, or a pipe, for which every command would wait
        raise ConfigError(str(path), error.what, "remove it; `reader init` writes a file there") from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(str(path), "too large", f"at most {_MAX_BYTES} bytes")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(str(path), "not UTF-8", f"line {line}: save the file as UTF-8") from error
    return data


def write_config(home: Path, config: Config) -> Path:
    """Write the file with comments, whole or not at all; never changes an existing one."""
    path = home / FILE_NAME
    if not path.exists():
        rewrite_config(home, config_text(config))
    return path


def rewrite_config(home: Path, text: str) -> Config:
    """Replace the file with this text, whole or not at all, if it parses. Raises ConfigError."""
    path = home / FILE_NAME
    config = parse_config(text, str(path))
    files.replace(path, text.encode())  # mode 0600: the address of a camera may hold its password
    return config


def overlaid(config: Config, overlay: str, file: str) -> Config:
    """The configuration with the keys of `overlay` (TOML) changed. Raises ConfigError with `file` and key."""
    checked = parse_config(overlay, file, part=True)
    sections: dict[str, Any] = {}
    for section, keys in tomllib.loads(overlay).items():
        values = {key: getattr(getattr(checked, section), key) for key in keys}
        try:
            sections[section] = replace(getattr(config, section), **values)
        except ValueError as error:  # valid alone, but not together with other settings
            raise ConfigError(file, section, str(error)) from error
    return replace(config, **sections)


def config_text(config: Config) -> str:
    """The file's text, with the reason of each key."""
    return with_end(HEADER, write_sections(config))
