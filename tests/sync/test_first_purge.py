"""The server purges what is due before it listens, and a stop during that purge ends it cleanly."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading

import pytest
from structlog.testing import capture_logs

from sync.department.content.key_remote import ADDRESS_FILE
from sync.department.server import server
from sync.department.server.retention import AnyReceipt
from sync.department.server.server import Department, serve

REMOTE = 'url = "https://keys.example"\ntoken = "t"\n'


def stop() -> None:
    signal.raise_signal(signal.SIGTERM)


def test_what_is_due_is_purged_before_the_server_listens(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restored backup contains what became due meanwhile, which must not be served to anyone."""
    order: list[str] = []
    retain = department.retain

    def purge() -> list[AnyReceipt]:
        order.append("purge")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", department.home.settings.desk_port), 1).close()
        return retain()

    def ready(_units: int, desk: int) -> None:
        order.append("listens")
        socket.create_connection(("127.0.0.1", desk), 5).close()

    def daily() -> None:
        order.append("daily")
        stop()

    monkeypatch.setattr(department, "retain", purge)
    asyncio.run(serve(department, [], ready, daily))
    assert order == ["purge", "listens", "daily"]


def test_a_certificate_that_cannot_be_renewed_keeps_no_purge_from_being_made(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk has no room for a new certificate until what is due is purged."""
    purged: list[str] = []

    def purge() -> list[AnyReceipt]:
        purged.append("purge")
        return []

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(server, "renew_server", full)
    monkeypatch.setattr(department, "retain", purge)
    with capture_logs() as events:
        asyncio.run(server._purge(department, (), lambda: None))
    assert purged == ["purge"]
    assert [one["event"] for one in events] == ["certificate_not_renewed", "retention_ran"]


def test_documents_that_cannot_be_renewed_keep_no_day_from_being_counted(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_department: Department) -> None:
        raise PermissionError("command.key")

    monkeypatch.setattr(server, "_renew_documents", broken)
    done: list[str] = []

    def daily() -> None:
        done.append("daily")
        stop()

    with capture_logs() as events:
        asyncio.run(serve(department, [], lambda _units, _desk: None, daily))
    assert done == ["daily"]
    assert "documents_not_renewed" in [one["event"] for one in events]


@pytest.mark.parametrize("remote", [True, False], ids=["elsewhere", "in this process"])
def test_only_a_key_service_elsewhere_is_not_waited_for(
    department: Department, monkeypatch: pytest.MonkeyPatch, remote: bool
) -> None:
    """A remote one may hang, but then opens nothing. A local one purges, however long that takes."""
    order: list[str] = []
    listens = threading.Event()

    def purge() -> list[AnyReceipt]:
        listens.wait(60 if remote else 1)
        order.append("purge")
        return []

    def ready(_units: int, _desk: int) -> None:
        order.append("listens")
        listens.set()

    def daily() -> None:
        order.append("daily")
        stop()

    if remote:
        (department.home.path / ADDRESS_FILE).write_text(REMOTE)
    monkeypatch.setattr(server, "FIRST_PURGE_S", 0.01)
    monkeypatch.setattr(department, "retain", purge)
    asyncio.run(serve(department, [], ready, daily))
    first = ["listens", "purge"] if remote else ["purge", "listens"]
    assert order == [*first, "daily"]


def test_a_stop_in_the_first_purge_ends_it_in_order_and_nothing_listens(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def purge() -> list[AnyReceipt]:
        order.append("purge")
        stop()
        return []

    monkeypatch.setattr(department, "retain", purge)
    asyncio.run(
        serve(
            department,
            [],
            lambda _units, _desk: order.append("listens"),
            lambda: order.append("daily"),
            lambda: order.append("hourly"),
        )
    )
    assert order == ["purge"]


def test_a_stop_before_the_daily_work_leaves_it_out(department: Department) -> None:
    order: list[str] = []
    asyncio.run(serve(department, [], lambda _units, _desk: stop(), lambda: order.append("daily")))
    assert order == []
