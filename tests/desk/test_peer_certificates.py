"""The end of the certificates of the key service and the witnesses is announced in time."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

from desk_keys import TOKEN
from desk_twins import Department

from storage.times import DAY_US, now_us
from sync.department.content.key_remote import ADDRESS_FILE
from sync.department.desk.due import endings_now
from sync.department.desk.endings import soon
from sync.department.server.open_desk import open_front
from sync.department.server.peer_certificates import Peer, PeerCertificates, peers_of, shown_by
from sync.department.units.authority import Authority

PATIENCE_S = 20.0


def test_the_end_of_another_offices_certificate_is_announced(department: Department, tmp_path: Path) -> None:
    chain = Authority.create(tmp_path / "authority", "Other office").server_files(("127.0.0.1",))
    ca = chain[0].parent / "ca.pem"
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*chain)

    def take() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                context.wrap_socket(connection, server_side=True).close()

    thread = threading.Thread(target=take)
    thread.start()
    (department.home.path / ADDRESS_FILE).write_text(
        f'url = "https://127.0.0.1:{port}"\ntoken = "{TOKEN}"\nca = "{ca}"\n'
    )
    front = open_front(department.home, clock=department.clock, link=department.witness)
    try:
        (found,) = [
            one
            for one in endings_now(front, now_us(), frozenset({"certificate"}))
            if one.about == "key service"
        ]
        policy = front.desk.policy
    finally:
        front.close()
        thread.join(PATIENCE_S)
        listener.close()
    assert found.ends_us > now_us()
    assert found in soon(policy, [found], found.ends_us - 10 * DAY_US)
    assert "department keys serve --certificate" in found.command
    peer = Peer(what="key service", url=f"https://127.0.0.1:{port}", ca=str(ca), command="")
    assert shown_by(peer) is None  # nothing listens, which others report


def test_the_certificates_of_other_offices_are_asked_for_by_the_hourly_run_and_by_no_call() -> None:
    peer = Peer(what="witness w", url="https://w.example", command="department witness serve --certificate")
    asked: list[Peer] = []

    def look(one: Peer) -> tuple[int, int] | None:
        asked.append(one)
        return (0, 400 * DAY_US) if len(asked) == 1 else None

    certificates = PeerCertificates(lambda: [peer], look)
    (found,) = certificates.ending()  # a command beside the server has no hourly run
    assert found.is_soon(371 * DAY_US, 30)
    assert not found.is_soon(369 * DAY_US, 30)
    assert certificates.ending() == [found]
    assert len(asked) == 1
    certificates.ask()
    assert certificates.ending() == []
    assert len(asked) == 2


def test_the_witnesses_of_the_root_are_asked_too(department: Department) -> None:
    (found,) = peers_of(department.home, department.desk.root)
    assert (found.what, found.url) == ("witness witness.example/monrovia", "https://witness.example")
    assert peers_of(department.home, None) == []
