"""Slow strangers on the car's network, of any number and kind: the officer's page still answers."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

import pytest
from car_page import Car, post
from waiting import PATIENCE_S

from firmware.alerts import page_server
from firmware.alerts.page_server import MOST_AN_ADDRESS, MOST_CONNECTIONS

HALF = {
    "no handshake": b"",
    "half a handshake": b"\x16\x03\x01\x02\x00\x01",
    "no header": b"",
    "half a header": b"GET / HTTP/1.1\r\nHost: car\r\nX: ",
    "half a body": b"POST /logon HTTP/1.1\r\nHost: car\r\nContent-Length: 8000\r\n\r\n{",
    "an answer that is not read": b"GET /page.js HTTP/1.1\r\nHost: car\r\n\r\n",
}


def stranger(car: Car, kind: str, address: str = "127.0.0.1") -> socket.socket:
    """Open a connection that sends only half of a message."""
    raw = socket.create_connection(
        ("127.0.0.1", car.server.port), timeout=PATIENCE_S, source_address=(address, 0)
    )
    if not kind.endswith("handshake"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = context.wrap_socket(raw)
    raw.sendall(HALF[kind])
    return raw


def is_cut(line: socket.socket) -> bool:
    """Wait until the unit closes a connection; False if it stays open for a minute."""
    try:
        while line.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


@contextlib.contextmanager
def all_of(car: Car, addresses: list[str]) -> Iterator[list[socket.socket]]:
    """A stranger of each kind in turn, each from its own address."""
    kinds = list(HALF)
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(stranger(car, kinds[at % len(kinds)], address))
            for at, address in enumerate(addresses)
        ]


@pytest.mark.thorough_rows
@pytest.mark.one_python
@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param(["127.0.0.1"] * (MOST_CONNECTIONS + 4), id="one that is the officer's own"),
        pytest.param([f"127.0.0.{at}" for at in range(2, MOST_CONNECTIONS + 6)], id="many"),
    ],
)
def test_strangers_make_room_for_each_other_and_for_the_officer(car: Car, addresses: list[str]) -> None:
    officer, alert = car.enter(), car.passes()
    with officer.stream("GET", "/api/events") as events, all_of(car, addresses) as lines:
        said = events.iter_lines()
        assert next(said) == ": hello"
        assert is_cut(lines[0])
        with car.laptop() as other:
            assert other.get("/").status_code == 200
            assert car.log_on(other, "demo-supervisor", "ccat-supervisor").status_code == 200
        assert post(officer, f"/api/alerts/{alert.number}/view").status_code == 200
        # its feed was not cut off to make room; on a busy machine a beat may come first
        assert any(line.startswith("data: ") for line in said)


def test_one_address_holds_a_few_connections_alone(car: Car) -> None:
    with all_of(car, ["127.0.0.7"] * (MOST_AN_ADDRESS + 3)) as lines, car.laptop() as other:
        assert all(is_cut(one) for one in lines[:3])
        assert other.get("/").status_code == 200


@pytest.mark.parametrize("kind", [kind for kind in HALF if kind != "an answer that is not read"])
def test_handshake_header_and_body_have_one_clock(
    car: Car, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """An occasional byte does not restart the clock."""
    monkeypatch.setattr(page_server, "REQUEST_S", 1.0)
    with stranger(car, kind) as line:
        line.settimeout(0.1)
        for _ in range(600):
            try:
                if kind.startswith("half a") and kind != "half a handshake":
                    line.sendall(b"a")
                if not line.recv(4096):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("is never cut off")


def test_a_stranger_who_asks_on_and_on_stays_unproven(car: Car) -> None:
    """Full requests without a login keep a connection only until another client needs its place."""
    first = stranger(car, "no header", "127.0.0.9")
    with contextlib.closing(first):
        first.sendall(b"GET /api/alerts HTTP/1.1\r\nHost: car\r\n\r\n")
        assert b" 401 " in first.recv(200)
        with all_of(car, ["127.0.0.9"] * MOST_AN_ADDRESS):
            assert is_cut(first)
