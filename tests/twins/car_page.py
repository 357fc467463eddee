"""A unit that serves its alert page over real TLS, and the laptop in the car."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from alert_twins import HEAD, KNOWN, Held, entry, plate_box, seen
from board_twins import raise_alerts
from cryptography.hazmat.primitives.serialization import Encoding
from custody_twins import SteppedTime, add_reads
from waiting import PATIENCE_S

from detector.plates import PlateBox, PlateText
from firmware.alerts.board import AlertBoard, OpenAlert
from firmware.alerts.cleared import ClearedPlates
from firmware.alerts.matching import match
from firmware.alerts.page_api import PageApi
from firmware.alerts.page_server import Feed, PageServer
from firmware.alerts.sessions import PageSessions, subject_of
from firmware.custody.asking import proof_of
from storage import access, codec
from storage.alert_terms import DEFAULT_ALERTS
from storage.envelope import decode, encode
from storage.ledger import Ledger
from storage.times import HOUR_US
from sync.department.units.authority import Authority
from sync.hot_lists.entry import ListEntry
from sync.membership import SyncFolder
from sync.vouch import public_der

UNIT = "6a1a3b7de7135e7e4fe730fa747d291f"


def certificate(folder: SyncFolder, authority: Authority) -> None:
    """The unit's certificate, as its department issues it."""
    folder.make()
    made = authority.issue_unit(public_der(folder.tls_private().public_key()), UNIT, 90)
    folder.save_certificate(made.public_bytes(Encoding.DER))


class Car:
    """A unit with its page, and a laptop."""

    def __init__(self, ledger: Ledger, time: SteppedTime, folder: SyncFolder, authority: Authority) -> None:
        self.ledger, self.time = ledger, time
        home = ledger.store.home.root
        self.feed = Feed()
        self.cleared = ClearedPlates(home / "hotlists", ledger.hot_list_key())
        self.board = AlertBoard(ledger, self.cleared, terms=lambda: DEFAULT_ALERTS, changed=self.feed.changed)
        self.sessions = PageSessions(ledger, lambda: UNIT, boot=time.boot)
        api = PageApi(ledger, self.board, self.sessions, lambda: time.now().us)
        self.server = PageServer(("127.0.0.1", 0), folder, api, self.sessions, self.feed)
        context = ssl.create_default_context(cafile=str(authority.folder / "ca.pem"))
        context.check_hostname = False
        self.address = f"https://127.0.0.1:{self.server.port}"
        self._context = context
        self._laptops: list[httpx.Client] = []

    def laptop(self) -> httpx.Client:
        made = httpx.Client(verify=self._context, base_url=self.address, trust_env=False, timeout=PATIENCE_S)
        self._laptops.append(made)
        return made

    def close(self) -> None:
        for one in self._laptops:
            one.close()

    def log_on(self, client: httpx.Client, user: str, role: str, **changes: str) -> httpx.Response:
        facts = {
            "action": "alerts",
            "purpose": "alerts",
            "case_number": "",
            "subject": subject_of(UNIT),
        } | changes
        request = access.Request(user=user, role=role, **facts)
        given = decode(client.post("/logon/challenge", content=b"").content)
        proof = proof_of(self.ledger.store.home.root, request, None, given)
        body = {"request": codec.to_plain(request), "proof": codec.to_plain(proof)}
        return client.post("/logon", content=encode(body))

    def enter(self, user: str = "demo-officer", role: str = "sworn-officer") -> httpx.Client:
        client = self.laptop()
        answer = self.log_on(client, user, role)
        assert answer.status_code == 200, answer.content
        entered = client.get(f"/enter?ticket={decode(answer.content)['ticket']}")
        assert entered.status_code == 303
        return client

    def passes(self, text: str = "7XKR219", found: ListEntry | None = None) -> OpenAlert:
        wanted = found or entry(make="KIA", reason="VICTIM armed", case="26-1042")
        (made,) = self.meets(seen(text), wanted)
        return made

    def meets(self, text: PlateText, wanted: ListEntry, box: PlateBox | None = None) -> list[OpenAlert]:
        """A vehicle passes. Returns the alerts that it raises: none for a match that a person cleared."""
        now_us = self.time.now().us
        head = replace(HEAD, extracted_us=now_us - HOUR_US, expires_us=now_us + HOUR_US)
        matches = match(
            text,
            box or plate_box(),
            [Held([wanted], head)],
            DEFAULT_ALERTS,
            KNOWN,
            now_us,
            cleared=self.cleared.all,
        )
        if not matches:
            return []
        read = add_reads(self.ledger, self.time, 1, hit=True)[0]
        return raise_alerts(self.board, self.ledger, read, matches, now_us)


def post(client: httpx.Client, path: str, **body: Any) -> httpx.Response:
    return client.post(path, content=json.dumps(body), headers={"X-Alert-Page": "1"})


@pytest.fixture
def car(ledger: Ledger, time: SteppedTime, tmp_path: Path) -> Iterator[Car]:
    """A unit whose page is served over TLS, with a certificate from its department's authority."""
    folder = SyncFolder.of(tmp_path / "unit")
    authority = Authority.create(tmp_path / "authority", "Monrovia PD")
    certificate(folder, authority)
    made = Car(ledger, time, folder, authority)
    with made.server:
        yield made
        made.close()
