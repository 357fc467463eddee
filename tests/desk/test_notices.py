"""Notices of what ends, by mail and webhook."""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from desk_server import serving
from desk_twins import Department
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from storage.times import DAY_US
from sync.department.ground.settings import Settings, load_settings
from sync.department.server import notify
from sync.department.server.daily import notify_people
from sync.errors import InvalidInputError


class MailServer(smtplib.SMTP):
    """Collects mails instead of sending them."""

    sent: ClassVar[list[str]] = []
    offers_tls: ClassVar[bool] = True

    def __init__(self, host: str, port: int, timeout: float) -> None:
        assert (host, port) == ("mail.example", 2525)

    def __enter__(self) -> MailServer:
        return self

    def __exit__(self, *_details: object) -> None:
        return None

    def starttls(self, *_more: Any, context: ssl.SSLContext | None = None, **_named: Any) -> Any:
        assert context is not None
        assert context.check_hostname
        if not MailServer.offers_tls:
            raise smtplib.SMTPNotSupportedError("STARTTLS extension not supported by server.")

    def send_message(self, msg: object, *_more: object, **_named: object) -> dict[str, tuple[int, bytes]]:
        MailServer.sent.append(str(msg))
        return {}


@pytest.mark.parametrize(
    ("settings", "tls"),
    [
        pytest.param({"notice_mail": "chief@example.gov"}, False, id="STARTTLS stripped"),
        pytest.param({"notice_mail": "a\nb@example.gov"}, True, id="an address of two lines"),
        pytest.param({"notice_mail_administrator": "chief@example.gov"}, False, id="an administrator's box"),
        pytest.param({"notice_webhook": "http://[half/"}, True, id="a URL that is none"),
        pytest.param({"notice_webhook": "https://x.example:port/"}, True, id="a port that is none"),
    ],
)
def test_a_way_that_cannot_be_gone_is_named_and_sends_nothing_in_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], tls: bool
) -> None:
    monkeypatch.setattr(smtplib, "SMTP", MailServer)
    monkeypatch.setattr(MailServer, "offers_tls", tls)
    MailServer.sent.clear()
    made = Settings(name="Two\nlines", notice_smtp="mail.example:2525", **settings)  # type: ignore[arg-type]
    told: list[str] = []
    ways = [*notify.ways_of(made), *notify.ways_to_administrators(made), told.extend]
    assert len(ways) == 2
    assert notify.notify(tmp_path, ways, ["the password of chief ends"], 1)
    assert (told, MailServer.sent) == (["the password of chief ends"], [])


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://chat.example.gov/hook", True),
        ("http://localhost:8080/hook", True),
        ("http://127.0.0.1/hook", True),
        ("http://chat.example.gov/hook", False),
        ("http://localhost@chat.example.gov/hook", False),
        ("ftp://localhost/hook", False),
        ("chat.example.gov/hook", False),
        ("http://[half/", False),
        ("https:///hook", False),
    ],
)
def test_a_webhook_gets_names_of_people_under_tls_alone(tmp_path: Path, url: str, taken: bool) -> None:
    path = tmp_path / "department.toml"
    path.write_text(f'notice_webhook = "{url}"\n')
    if taken:
        assert load_settings(path).notice_webhook == url
        return
    with pytest.raises(InvalidInputError, match="must be an https:// URL") as refused:
        load_settings(path)
    assert refused.value.where == f"{path}: notice_webhook"


def test_a_name_of_two_lines_is_not_a_second_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtplib, "SMTP", MailServer)
    MailServer.sent.clear()
    made = Settings(
        name="PD\nBcc: all@example.gov", notice_mail="chief@example.gov", notice_smtp="mail.example:2525"
    )
    notify.send_mail(made, ["a line"], made.notice_mail)
    assert "\nBcc:" not in MailServer.sent[0]


def test_notices_go_out_by_mail_and_webhook_when_there_is_something_new(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[dict[str, object]] = []

    async def take(request: Request) -> JSONResponse:
        posted.append(json.loads(await request.body()))
        return JSONResponse({})

    monkeypatch.setattr(smtplib, "SMTP", MailServer)
    MailServer.sent.clear()
    with serving(Starlette(routes=[Route("/hook", take, methods=["POST"])])) as client:
        settings = Settings(
            name="Monrovia PD",
            notice_mail="chief@example.gov",
            notice_smtp="mail.example:2525",
            notice_webhook=f"{client.base_url}/hook".replace("//hook", "/hook"),
        )
        ways = notify.ways_of(settings)
        assert len(ways) == 2
        department.clock.step(340 * DAY_US)
        assert notify_people(department.front, ways)
        assert not notify_people(department.front, ways)  # nothing is new
        department.clock.step(8 * DAY_US)
        assert notify_people(department.front, ways)
    assert len(MailServer.sent) == len(posted) == 2
    assert "the password of chief ends" in MailServer.sent[0]
    assert "the password of chief ends" in str(posted[0]["text"])
    for text in (*MailServer.sent, json.dumps(posted)):
        assert not any(plate in text for plate in ("7ABC", "8XYZ"))


def test_a_mail_server_that_is_away_is_tried_again(tmp_path: Path) -> None:
    tried: list[str] = []

    def away(lines: Sequence[str]) -> None:
        tried.append(lines[0])
        raise httpx.ConnectError("no")

    assert not notify.notify(tmp_path, [away], ["a"], 0)
    assert not notify.notify(tmp_path, [away], ["a"], 1)
    assert tried == ["a", "a"]
    assert not notify.notify(tmp_path, [], ["a"], 0)
    assert notify.ways_of(Settings()) == []
