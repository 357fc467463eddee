"""The department's settings, with types, ranges and reasons; unknown keys are refused by name.

No setting can exceed the policy, and none says how long content is kept: the policy file does (463.8).
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from storage.text_end import with_end
from sync.errors import InvalidInputError
from sync.toml_settings import SettingError, load_table, setting, write_table

RETIRED = {"keep_days": 365}  # until 0.2.0 each file had it, always with this value
LOCAL = frozenset({"localhost", "127.0.0.1"})  # hosts to which notices that name people may go without TLS
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL}){{0,20}}")
HEADER = "# Settings of the department server. Changes take effect at the next start.\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in `department.toml`."""

    name: str = setting(
        "Monrovia Police Department", why="shown in receipts, packages and the enrollment code"
    )
    host: str = setting(
        "localhost",
        why="the name or address by which units reach this server; put the previous one in former_hosts",
    )
    former_hosts: str = setting(
        "",
        why="its former names, with commas: they stay in its certificate, for units that joined by one",
    )
    listen: str = setting("0.0.0.0", why="the address to listen on")  # noqa: S104 - units come from outside
    unit_port: int = setting(8463, low=0, high=65535, why="units connect here, with their certificate")
    desk_port: int = setting(8464, low=0, high=65535, why="enrollment, and people at the desk")
    desk_origin: str = setting(
        "",
        why="the desk's address in browsers, for passkeys, where a proxy changes it; empty: https://host:port",
    )
    trusted_proxy: str = setting(
        "", why="the IP address of a proxy before the desk, whose X-Forwarded-For is believed; empty: none"
    )
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
    day_keys_ahead: int = setting(400, low=2, high=400, why="public day keys that a unit gets in advance")
    purge_hour: int = setting(
        3, low=0, high=23, why="hour (UTC) of the daily purge, run by the server itself"
    )
    max_connections: int = setting(256, low=1, high=10_000, why="more at once are answered 503")
    request_seconds: int = setting(60, low=5, high=3600, why="a silent client is cut off after this long")
    certificate_days: int = setting(90, low=1, high=90, why="life of a unit's TLS certificate")
    map_file: str = setting(
        "", why="a PMTiles file of streets for the desk's pages; empty: places are plotted without streets"
    )
    notice_mail: str = setting("", why="mail address that gets what is overdue or ends soon; empty: none")
    notice_mail_administrator: str = setting(
        "",
        why="mailbox of administrators alone: the same, and alerts of covert entries counted; empty: none",
    )
    notice_from: str = setting("", why="sender of these mails; empty: the same address")
    notice_smtp: str = setting(
        "localhost:25", why="HOST:PORT of the mail server; with STARTTLS, unless it is localhost"
    )
    notice_webhook: str = setting(
        "", why="https:// URL that is posted the same as JSON; http:// only for localhost; empty: none"
    )
    code_hours: int = setting(24, low=1, high=168, why="life of a one-time enrollment code")

    @property
    def former(self) -> tuple[str, ...]:
        """The former names of the server."""
        return tuple(filter(None, (one.strip() for one in self.former_hosts.split(","))))


def load_settings(path: Path) -> Settings:
    """Read and check the settings. Raises InvalidInputError naming file and key."""
    try:
        settings = load_table(path.read_text(encoding="utf-8"), str(path), Settings, RETIRED)
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"is not UTF-8: byte {error.start}", where=str(path)) from None
    except SettingError as error:
        raise InvalidInputError(error.reason, where=f"{path}: {error.key}") from None
    wrong = [one for one in settings.former if not _is_host(one)]
    if wrong:
        what = f"{wrong[0][:64]!r} is not a name or address: name each as units reach it, separated by commas"
        raise InvalidInputError(what, where=f"{path}: former_hosts")
    try:
        if settings.trusted_proxy:
            ipaddress.ip_address(settings.trusted_proxy)
    except ValueError:
        raise InvalidInputError("must be one IP address", where=f"{path}: trusted_proxy") from None
    if settings.notice_webhook and not _is_private(settings.notice_webhook):
        what = "must be an https:// URL, because it gets people's names; http:// only to localhost"
        raise InvalidInputError(what, where=f"{path}: notice_webhook")
    return settings


def _is_private(url: str) -> bool:
    """Whether posts to this URL use TLS or stay on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return host is not None and (parts.scheme == "https" or (parts.scheme == "http" and host in LOCAL))


def _is_host(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return _HOST.fullmatch(name) is not None
    return True


def with_database(path: Path, url: str) -> bytes:
    """The settings file with another `database`, otherwise unchanged. Raises InvalidInputError.

    If the setting has no line of its own, the file is generated again.
    """
    wanted = replace(load_settings(path), database=url)
    fresh = settings_text(wanted)
    (line,) = (one for one in fresh.splitlines() if one.startswith("database = "))
    text = path.read_text(encoding="utf-8")
    edited, found = re.subn(r"(?m)^[ \t]*database[ \t]*=.*$", lambda _: line, text)
    for one in (edited, fresh) if found == 1 else (fresh,):
        with contextlib.suppress(SettingError):
            if load_table(one, str(path), Settings, RETIRED) == wanted:
                return one.encode()
    raise InvalidInputError("is not a valid value: printable, at most 200 characters", where="database")


def settings_text(settings: Settings) -> str:
    """A settings file with comments; `load_settings` reads it back. Raises InvalidInputError."""
    try:
        return with_end(HEADER, write_table(settings))
    except ValueError as error:
        raise InvalidInputError(str(error)) from None
