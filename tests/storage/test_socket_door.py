"""The door over the socket, for other processes: the same answers, and limited harm from bad requests."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from custody_twins import PLATE, SteppedTime, add_reads, query_body
from waiting import PATIENCE_S

from storage import envelope
from storage.door import Door
from storage.errors import LedgerError, RecordError, RefusedError
from storage.home import Home
from storage.ledger import Ledger
from storage.socket_door import DoorServer, _receive, ask, bind_private, is_served, short_name


def _raise(error: OSError) -> None:
    raise error


@pytest.fixture
def served(ledger: Ledger, door: Door) -> Iterator[Home]:
    with DoorServer(door, ledger.store.home, unserved=_raise):
        yield ledger.store.home


class Asked(Door):
    """A door over the socket, for helpers that expect a door."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def answer(self, op: str, body: dict[str, object]) -> dict[str, object]:
        return ask(self._home, op, body)


def test_a_query_over_the_socket_is_answered_and_logged_alike(
    served: Home, ledger: Ledger, time: SteppedTime
) -> None:
    add_reads(ledger, time, 1)
    answer = ask(served, "query", query_body(Asked(served), ledger))
    assert [read["text"] for read in answer["reads"]] == [PLATE]
    assert ledger.store.leaf(answer["entry"]).kind == "access"


def test_a_refusal_keeps_its_clause_over_the_socket(served: Home, ledger: Ledger) -> None:
    with pytest.raises(RefusedError) as refusal:
        ask(served, "query", query_body(Asked(served), ledger, purpose=""))
    assert refusal.value.clause == "463.2"


@pytest.mark.parametrize(
    "error",
    [OSError(5, "Input/output error"), sqlite3.OperationalError("disk I/O error"), RuntimeError(PLATE)],
    ids=["system", "database", "unforeseen"],
)
def test_what_goes_wrong_behind_the_door_is_the_askers_answer(
    served: Home, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(ledger, "status", fail)
    with pytest.raises(LedgerError, match=type(error).__name__) as raised:
        ask(served, "status", {})
    assert PLATE not in str(raised.value)


def test_the_socket_is_for_its_owner_alone_and_goes_with_the_server(ledger: Ledger, door: Door) -> None:
    home = ledger.store.home
    with DoorServer(door, home, unserved=_raise):
        assert stat.S_IMODE(home.socket.stat().st_mode) == 0o600
    assert not home.socket.exists()
    with pytest.raises(LedgerError, match="does not answer"):
        ask(home, "status", {})


def test_a_message_over_the_limit_is_refused_before_it_is_read() -> None:
    for size, error in ((8, None), (9, r"is over 8 bytes")):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(size.to_bytes(4, "big") + b"x" * 8)
            if error is None:
                assert _receive(theirs, 8) == b"x" * 8
            else:
                with pytest.raises(RecordError, match=error):
                    _receive(theirs, 8)


@pytest.mark.parametrize(
    "asked", [{"query": {}}, ["query"], ["query", {}, {}], ["query", []]], ids=["map", "one", "three", "list"]
)
def test_a_request_of_another_form_is_refused_by_name(served: Home, asked: object) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        with short_name(served.socket) as name:
            connection.connect(name)
        data = envelope.encode(asked)
        connection.sendall(len(data).to_bytes(4, "big") + data)
        connection.settimeout(PATIENCE_S)
        answer = envelope.decode(_receive(connection, 1 << 20))
    assert answer[0] is False
    assert (answer[1]["kind"], answer[1]["what"]) == ("RecordError", "is not [operation, body]")


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"\xff\xff\xff\xff", id="a length over the limit"),
        pytest.param(b"\x00\x00\x00\x02\xff\xff", id="no CBOR"),
        pytest.param(b"\x00\x00\x00\x01\x01", id="no request"),
        pytest.param(b"\x00\x00\x00\x05\x82\x63abc", id="cut short"),
        pytest.param(
            (11).to_bytes(4, "big") + envelope.encode(["unlock", {}])[:11], id="an unknown operation"
        ),
    ],
)
def test_a_malformed_request_does_no_harm(served: Home, request_bytes: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        with short_name(served.socket) as name:
            connection.connect(name)
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(PATIENCE_S)
        connection.recv(4096)
    assert ask(served, "status", {})["records"] > 0


def test_the_folder_of_a_socket_is_let_go_with_its_short_name(tmp_path: Path) -> None:
    with short_name(tmp_path / "door.sock") as name:
        folder = Path(name).parent
        assert (folder.samefile(tmp_path), Path(name).name) == (True, "door.sock")
    assert not (folder.exists() and folder.samefile(tmp_path))


def test_a_socket_is_its_owners_alone_and_shuts_no_folder_made_meanwhile(tmp_path: Path) -> None:
    """Once, the umask that kept the socket private also took the owner's rights to a new folder."""
    path, folder = tmp_path / "door.sock", tmp_path / "folder"

    class BusyElsewhere(socket.socket):
        def bind(self, address: object) -> None:
            super().bind(address)  # type: ignore[arg-type]
            folder.mkdir(mode=0o700)

    before = os.umask(0)
    try:
        with BusyElsewhere(socket.AF_UNIX) as listener:
            bind_private(listener, path)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(one.stat().st_mode) for one in (path, folder)] == [0o600, 0o700]


def test_a_home_is_served_while_a_server_answers(served: Home, tmp_path: Path) -> None:
    assert is_served(served)
    assert not is_served(Home(tmp_path / "other"))
    (tmp_path / "other" / "store").mkdir(parents=True)
    assert not is_served(Home(tmp_path / "other"))
