"""The department's settings: typed, ranged, explained; unknown keys are refused by name.

No setting goes beyond the policy: the year of 463.8 is a floor and a ceiling.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sync.errors import ConfigError

YEAR_DAYS = 365  # policy 463.8: "should be stored for 1 year. Thereafter ... purged"


def setting(default: Any, *, why: str, low: float | None = None, high: float | None = None) -> Any:
    """A field with its default, its range and its reason."""
    return field(default=default, metadata={"why": why, "low": low, "high": high})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `department.toml` may say."""

    name: str = setting(
        "Monrovia Police Department", why="stands in receipts, packages and the enrolment code"
    )
    host: str = setting("localhost", why="the name or address by which units reach this server")
    listen: str = setting("0.0.0.0", why="the address to listen on")  # noqa: S104 - units come from outside
    unit_port: int = setting(8463, low=0, high=65535, why="units connect here, with their certificate")
    desk_port: int = setting(8464, low=0, high=65535, why="enrolment, and people at the desk")
    database: str = setting("", why="empty: SQLite in this folder; or postgresql+psycopg://user@host/name")
    blobs_folder: str = setting(
        "", why="empty: blobs/ in this folder; else the folder of sealed images, or s3://BUCKET/PREFIX"
    )
    blobs_endpoint: str = setting(
        "", why="with s3: empty for AWS, else the store's URL; credentials come from the environment"
    )
    keys_folder: str = setting(
        "", why="empty: keys/ in this folder; best on another disk, outside every backup of the database"
    )
    keep_days: int = setting(
        YEAR_DAYS, low=YEAR_DAYS, high=YEAR_DAYS, why="463.8: one year from receipt, no less and no more"
    )
    day_keys_ahead: int = setting(400, low=2, high=400, why="public day keys that a unit gets in advance")
    purge_hour: int = setting(
        3, low=0, high=23, why="hour (UTC) of the daily purge, run by the server itself"
    )
    max_connections: int = setting(256, low=1, high=10_000, why="more at once are answered 503")
    request_seconds: int = setting(60, low=5, high=3600, why="a silent client is cut off after this long")
    certificate_days: int = setting(90, low=1, high=90, why="life of a unit's TLS certificate")
    code_hours: int = setting(24, low=1, high=168, why="life of a one-time enrolment code")


def load_settings(path: Path) -> Settings:
    """Parse and check. Raises ConfigError naming file and key."""
    try:
        values = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not TOML: {error}", where=str(path)) from None
    known = {one.name: one for one in dataclasses.fields(Settings)}
    for key, value in values.items():
        where = f"{path}: {key}"
        if key not in known:
            raise ConfigError("unknown setting", where=where, cure="known are " + ", ".join(known))
        _check(known[key], value, where)
    return Settings(**values)


def _check(one: dataclasses.Field[Any], value: object, where: str) -> None:
    if type(value) is not type(one.default):
        wanted = type(one.default).__name__
        raise ConfigError(f"is a {type(value).__name__} where {wanted} belongs", where=where)
    low, high = one.metadata["low"], one.metadata["high"]
    if low is not None and isinstance(value, int) and not low <= value <= high:
        between = f"must be {low}" if low == high else f"must lie in {low} to {high}"
        raise ConfigError(f"{value} {between}", where=where, cure=one.metadata["why"])


def settings_text(settings: Settings) -> str:
    """A settings file with comments; parses back to `settings`."""
    lines = ["# Settings of the department server. Changes hold from the next start.", ""]
    for one in dataclasses.fields(settings):
        value = getattr(settings, one.name)
        shown = str(value) if isinstance(value, int) else _quoted(value)
        lines += [f"# {one.metadata['why']}", f"{one.name} = {shown}", ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if any(ord(letter) < 32 for letter in text):
        raise ConfigError("control characters cannot stand in a setting")
    return f'"{escaped}"'
