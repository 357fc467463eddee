"""The client's address is the connection's own, unless that belongs to the configured proxy."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from bounded_server import bounded
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from waiting import PATIENCE_S

from sync.department.ground.listener import Bounds
from sync.department.ground.settings import load_settings
from sync.errors import InvalidInputError

HEADERS = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "Forwarded": "for=203.0.113.7"}


async def told(scope: object, receive: object, send: object) -> None:
    request = Request(scope)  # type: ignore[arg-type]
    assert request.client is not None
    answer: Response = PlainTextResponse(f"{request.client.host} {request.url.scheme}")
    await answer(scope, receive, send)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("proxy", "seen"),
    [("", "127.0.0.1 http"), ("192.0.2.1", "127.0.0.1 http"), ("127.0.0.1", "203.0.113.7 https")],
)
def test_a_client_cannot_name_its_own_address(proxy: str, seen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    with bounded(told, Bounds(), proxy) as port:
        assert (
            httpx.get(f"http://127.0.0.1:{port}/", headers=HEADERS, trust_env=False, timeout=PATIENCE_S).text
            == seen
        )


@pytest.mark.parametrize("wrong", ["*", "10.0.0.0/8", "proxy.example.gov", "10.0.0.1, 10.0.0.2"])
def test_the_proxy_is_one_address(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "department.toml"
    path.write_text(f'trusted_proxy = "{wrong}"\n')
    with pytest.raises(InvalidInputError, match=r"one IP address.*|trusted_proxy"):
        load_settings(path)
