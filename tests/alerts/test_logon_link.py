"""The machine that `reader logon` connects to, and the address that the officer's browser gets."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from car_page import UNIT, Car
from cryptography.hazmat.primitives.serialization import Encoding

from firmware.cli import main
from firmware.commands.logon import hosts_line, named_unit, resolved
from firmware.errors import UsageError
from storage.audit_records import UnitAccess
from sync.department.units.authority import Authority
from sync.membership import SyncFolder, page_host, unit_of_page
from sync.vouch import public_der

NAME = page_host(UNIT)
STOLEN = "ff" * 16


@pytest.mark.parametrize(
    ("address", "unit", "expected"),
    [
        ("https://192.168.10.2:8467", UNIT, NAME),
        ("https://car12.example:8467", UNIT, NAME),
        (f"https://{NAME}:8467", "", NAME),
        (f"https://{NAME}:8467", UNIT, NAME),
        ("https://192.168.10.2:8467", "", "say which unit you mean"),
        ("https://car12.example:8467", "", "say which unit you mean"),
        ("https://192.168.10.2:8467", "car-12", "32 digits"),
        (f"https://{NAME}:8467", STOLEN, "name different units"),
    ],
)
def test_the_unit_that_is_meant_is_always_said(address: str, unit: str, expected: str) -> None:
    if expected == NAME:
        assert named_unit(urlsplit(address), unit) == NAME
        assert unit_of_page(NAME) == UNIT
    else:
        with pytest.raises(UsageError, match=expected):
            named_unit(urlsplit(address), unit)


def test_the_hosts_line_is_printed_until_the_laptop_knows_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"192.168.10.2": frozenset({"192.168.10.2"}), "car12": frozenset({"192.168.10.2"})}
    monkeypatch.setattr("firmware.commands.logon.resolved", lambda host: known.get(host, frozenset()))
    assert hosts_line("192.168.10.2", NAME) == hosts_line("car12", NAME) == f"192.168.10.2 {NAME}"
    known[NAME] = frozenset({"192.168.10.3"})  # another car
    assert hosts_line("192.168.10.2", NAME) == f"192.168.10.2 {NAME}"
    known[NAME] = frozenset({"192.168.10.2"})
    assert hosts_line("192.168.10.2", NAME) == hosts_line("car12", NAME) == ""


def test_a_name_that_the_laptop_does_not_know_has_no_number() -> None:
    assert resolved("unit-that-is-not-there.invalid") == frozenset()
    assert "127.0.0.1" in resolved("localhost")


@contextmanager
def another_machine(car: Car, authority: Authority, folder: Path, asked: list[str]) -> Iterator[str]:
    """A machine at the car's address with a stolen unit's certificate; it forwards what it receives."""
    stolen = SyncFolder.of(folder)
    stolen.make()
    made = authority.issue_unit(public_der(stolen.tls_private().public_key()), STOLEN, 90)
    stolen.save_certificate(made.public_bytes(Encoding.DER))
    relay = car.laptop()

    class Relay(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            answer = relay.post(self.path, content=body)
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_parts: object) -> None:
            """Print nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Ignore a laptop that disconnects."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(stolen.certificate, stolen.tls_key)
    with Quiet(("127.0.0.1", 0), Relay) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def words(car: Car, tmp_path: Path) -> list[str]:
    key = car.ledger.store.home.root / "store" / "demo-people" / "demo-officer"
    said = ["--user", "demo-officer", "--role", "sworn-officer", "--credential", str(key)]
    return [*said, "--ca", str(tmp_path / "authority" / "ca.pem")]


def test_a_stolen_unit_at_the_cars_address_is_asked_for_nothing(
    car: Car, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    with another_machine(car, Authority.open(tmp_path / "authority"), tmp_path / "stolen", asked) as address:
        assert main(["logon", address, "--unit", UNIT, *words]) != 0
        assert main(["logon", address, *words]) == 2
    said = capsys.readouterr()
    assert (said.out, asked) == ("", [])
    assert f"does not show the certificate of {NAME}" in said.err
    assert f"unit-{STOLEN}" not in said.err  # it is not recommended to anyone


def test_a_proof_made_for_another_unit_opens_nothing_when_it_is_passed_on(
    car: Car, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The officer does log in at the stolen unit, by its real name; the thief forwards the proof."""
    asked: list[str] = []
    before = car.ledger.store.log.size()
    with another_machine(car, Authority.open(tmp_path / "authority"), tmp_path / "stolen", asked) as address:
        assert main(["logon", address, "--unit", STOLEN, *words]) != 0
    said = capsys.readouterr()
    assert (said.out, asked) == ("", ["/logon/challenge", "/logon"])
    assert "signed for another unit" in said.err
    entries = [car.ledger.store.record(number) for number in range(before, car.ledger.store.log.size())]
    assert [one.allowed for one in entries if isinstance(one, UnitAccess)] == [False]


def test_the_unit_that_is_meant_gives_a_link_by_its_name(
    car: Car, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logon", car.address, "--unit", UNIT, *words]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"https://{NAME}:{car.server.port}/enter?ticket=")
    assert f"'127.0.0.1 {NAME}'" in said.err


@pytest.mark.parametrize("address", ["http://127.0.0.1:8467", "https://", "https://[::1", "127.0.0.1:8467"])
def test_a_proof_is_sent_over_tls_alone(
    address: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logon", address, "--unit", UNIT, *words]) == 2
    assert "not an address of the form https://HOST:PORT" in capsys.readouterr().err
