"""A whole run with a hot list: the listed vehicle of the drive-by clip becomes a hit and an alert."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from alert_twins import entry
from reader_process import TWO_CARS

from firmware.alerts.opened_lists import open_lists
from firmware.cli import main
from firmware.custody.opening import create_ledger, open_ledger
from firmware.health.list_health import ListHealth
from firmware.health.report import HealthWatch
from firmware.run import app
from firmware.run.run_result import RunOptions
from storage.ledger import Ledger
from storage.read_records import Alert
from storage.record_base import KeyClass
from storage.times import HOUR_US
from sync.health import Alarm
from sync.hot_lists.document import ListHead, digest_of, total_digest
from sync.hot_lists.entry import ListEntry
from sync.membership import SyncFolder

pytestmark = pytest.mark.slow


def give_list(home: Path, entries: list[ListEntry], *, hours: int = 24) -> None:
    """Write a list as a sync would have left it, valid for this many more hours."""
    ledger = open_ledger(home)
    now_us = ledger.store.time.now().us
    data = [one.to_bytes() for one in entries]
    head = ListHead(
        list_id="doj",
        sequence=1,
        organization="demo",
        issuer="DOJ",
        source="SVS",
        agency="",
        extracted_us=now_us + min(-1, hours - 1) * HOUR_US,
        expires_us=now_us + hours * HOUR_US,
        count=len(data),
        digest=total_digest(map(digest_of, data)),
        snapshot=1,
        parts=1,
    )
    held = open_lists(home, ledger, SyncFolder.of(home))
    held.keep(head, data)
    held.close()
    ledger.close()


def kinds(ledger: Ledger) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for sequence in range(ledger.store.log.size()):
        found.setdefault(ledger.store.leaf(sequence).kind, []).append(sequence)
    return found


def read_clip(home: Path) -> str:
    err = io.StringIO()
    app.run(home, RunOptions(source=str(TWO_CARS), once=True), out=io.StringIO(), err=err)
    return err.getvalue()


def texts(home: Path) -> list[str]:
    ledger = open_ledger(home)
    found = [ledger.read(sequence).text for sequence in kinds(ledger)["read"]]
    ledger.close()
    return found


def test_the_listed_vehicle_of_the_clip_raises_one_alert(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    create_ledger(plain).close()
    read_clip(plain)
    seen = texts(plain)
    home = tmp_path / "home"
    create_ledger(home).close()
    give_list(home, [entry(seen[0], state=""), entry("0ZZZ000")])
    said = read_clip(home)
    ledger = open_ledger(home)
    found = kinds(ledger)
    (alert,) = found["alert"]
    record = ledger.store.record(alert)
    assert isinstance(record, Alert)
    assert ledger.read(record.read).text == seen[0]
    hits = [one for one in found["read"] if ledger.store.leaf(one).key_class is KeyClass.HIT]
    assert hits == [record.read]
    assert len(found["read"]) == len(seen)
    ledger.close()
    for text in seen:
        assert text not in said


@pytest.mark.parametrize(("hours", "off"), [(24, False), (-1, True)])
def test_the_status_says_of_which_list_alerts_are_off_why_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hours: int, off: bool
) -> None:
    """Even if no reader runs."""
    home = tmp_path / "home"
    create_ledger(home).close()
    give_list(home, [entry("0ZZZ000")], hours=hours)
    main(["--home", str(home), "status"])
    shown = capsys.readouterr().out
    assert ("list_expired: its alerts are OFF: reader hotlist list says why" in shown) is off
    assert ("alerts       OFF for doj: the list expired on 20" in shown) is off
    assert ("alerts  " in shown) is off
    main(["--home", str(home), "--json", "status"])
    facts = json.loads(capsys.readouterr().out)
    assert ("list_expired" in facts["alarms"]) is off
    assert [one[:11] for one in facts["alerts"]] == ["OFF for doj"] * off


@pytest.mark.parametrize(("hours", "alarm"), [(24, False), (-1, True)])
def test_a_run_with_an_expired_list_matches_nothing_and_raises_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int, alarm: bool
) -> None:
    home = tmp_path / "home"
    create_ledger(home).close()
    give_list(home, [entry("0ZZZ000")], hours=hours)
    watched: list[HealthWatch] = []
    watch_lists = HealthWatch.watch_lists

    def keep(self: HealthWatch, lists: Callable[[], ListHealth]) -> None:
        watch_lists(self, lists)
        watched.append(self)
        assert (Alarm.LIST_EXPIRED in self.report().alarms) is alarm

    monkeypatch.setattr(HealthWatch, "watch_lists", keep)
    said = read_clip(home)
    assert len(watched) == 1
    assert ("hot_list_expired" in said) is alarm
