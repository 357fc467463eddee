"""Notifies people of what is overdue and what expires soon: by mail (SMTP) or webhook, as the settings say.

It sends at most once a day, and only if something is new or a week has passed. The text is that of
`department compliance`: names of people and units, clauses and days, never a plate, a place or a time of a
read. It says nothing of covert entries, because the desk does not know who reads it. A mailbox of only
administrators gets what an administrator sees, where waiting alerts of covert entries are counted.
HOME/notified.cbor and notified-administrators.cbor keep what was sent.
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import httpx
import structlog

from storage import files
from storage.codec import from_bytes, to_bytes
from storage.errors import StorageError
from storage.times import DAY_US
from sync.department.ground.settings import LOCAL, Settings

log_events = structlog.get_logger("department.notify")
FILE, ADMINISTRATORS_FILE = "notified.cbor", "notified-administrators.cbor"
AGAIN_US = 7 * DAY_US
TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _SentNotices:
    lines: tuple[bytes, ...]
    at_us: int


Way = Callable[[Sequence[str]], None]


def notify(folder: Path, ways: Sequence[Way], lines: Sequence[str], now_us: int, *, kept: str = FILE) -> bool:
    """Send `lines` in every way if there is something new. Returns whether at least one way worked."""
    sent = _load(folder / kept)
    digests = tuple(hashlib.sha256(line.encode()).digest() for line in lines)
    new = not set(digests) <= set(sent.lines)
    if not lines or not ways or (not new and now_us - sent.at_us < AGAIN_US):
        return False
    done = False
    for way in ways:
        try:
            way(lines)
        except Exception as error:  # noqa: BLE001 - a wrong URL, a name that no header takes: logged, and the others follow
            log_events.warning(
                "notice_not_sent", way=getattr(way, "__name__", "way"), kind=type(error).__name__
            )
        else:
            done = True
    if done:
        files.replace(folder / kept, to_bytes(_SentNotices(lines=digests, at_us=now_us)))
    return done


def _load(path: Path) -> _SentNotices:
    try:
        return from_bytes(_SentNotices, path.read_bytes())
    except (OSError, StorageError):
        return _SentNotices(lines=(), at_us=-AGAIN_US)


def ways_of(settings: Settings) -> list[Way]:
    """The ways to notify people, from the settings."""
    ways: list[Way] = []
    if settings.notice_mail:
        ways.append(_mail_to(settings, settings.notice_mail))
    if settings.notice_webhook:

        def webhook(lines: Sequence[str]) -> None:
            post_webhook(settings, lines)

        ways.append(webhook)
    return ways


def ways_to_administrators(settings: Settings) -> list[Way]:
    """The ways to notify only administrators."""
    box = settings.notice_mail_administrator
    return [_mail_to(settings, box)] if box else []


def _mail_to(settings: Settings, box: str) -> Way:
    def mail(lines: Sequence[str]) -> None:
        send_mail(settings, lines, box)

    return mail


def send_mail(settings: Settings, lines: Sequence[str], box: str) -> None:
    """Send one mail with all lines. Raises OSError, SMTPException, and ValueError for an invalid address.

    It names people, so it leaves this machine only under TLS. Stripping STARTTLS gains nothing.
    """
    message = EmailMessage()
    name = " ".join(settings.name.split())
    message["Subject"] = f"{name}: {len(lines)} notices of the ALPR desk"
    message["From"] = settings.notice_from or box
    message["To"] = box
    message.set_content("\n".join(lines) + "\n")
    host, _, port = settings.notice_smtp.partition(":")
    with smtplib.SMTP(host, int(port or 25), timeout=TIMEOUT_S) as server:
        if host not in LOCAL:
            server.starttls(context=ssl.create_default_context())  # raises if it is not offered
        server.send_message(message)


def post_webhook(settings: Settings, lines: Sequence[str]) -> None:
    """Post all lines as JSON: {"text", "department", "notices"}. Raises HTTPError."""
    body = {"text": "\n".join(lines), "department": settings.name, "notices": list(lines)}
    with httpx.Client(timeout=TIMEOUT_S) as client:
        client.post(settings.notice_webhook, json=body).raise_for_status()
