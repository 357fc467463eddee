"""After the store is restored from an older backup, units still get newer versions than any before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_root import covered_by
from desk_twins import Department
from receiver_twins import Joined
from restore_twins import joined_today, set_reviewer
from sync_twins import backed_up, converse

from storage import envelope
from storage.grant_format import REVOCATIONS
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US, HOUR_US
from sync.department.desk.documents.calls import SignForm
from sync.department.desk.machine.joined import TAKEN_BACK
from sync.department.desk.machine.unit_calls import RevokeUnitForm
from sync.department.journal import check_log
from sync.department.server import daily, older_store
from sync.department.server.open_desk import front_of
from sync.department.server.server import Department as Server
from sync.department.server.unit_reports import Reported
from sync.department.server.verify import Checker
from sync.department.units import documents
from sync.department.units.hot_lists import Offer, publish_list
from sync.documents import open_kept
from sync.errors import RefusedByDepartmentError
from sync.hot_lists.document import head_name
from sync.hot_lists.entry import ListEntry
from sync.hot_lists.held import CLEARED, MUTED
from sync.membership import make_vouch

KEYS = [SshPublicKey.of(Ed25519PrivateKey.generate()).line for _ in range(4)]


@pytest.fixture
def unit(department: Department, server: Server, tmp_path: Path) -> Iterator[Joined]:
    with joined_today(department, server, tmp_path / "unit") as made:
        yield made


def _out(server: Server, name: str) -> int:
    with server.store.read() as connection:
        return documents.version_out(connection, name)


def _said(department: Department, name: str) -> int:
    department.desk.refresh()
    return department.desk.book.sent.version(name, "")


def _older(department: Department, server: Server) -> list[str]:
    return [one.what for one in older_store.overdue(server.store, department.desk)]


def _in_force(unit: Joined) -> tuple[int, bool]:
    """The (version of the roster, whether the reviewer is revoked) at the unit."""
    roster = unit.ledger.standing.roster
    return roster.version, next(one.revoked for one in roster.people if one.user == "reviewer1")


def test_a_person_who_is_removed_after_a_restore_is_revoked_at_the_unit(
    department: Department, server: Server, unit: Joined, tmp_path: Path
) -> None:
    restore = backed_up(server, tmp_path / "backup.db")
    for key in KEYS[:3]:
        set_reviewer(department, key)
    converse(unit, server)
    version, revoked = _in_force(unit)
    assert (version, revoked) == (_said(department, "roster"), False)
    restore()
    assert _out(server, "roster") < version
    set_reviewer(department, KEYS[0], active=False)
    assert _out(server, "roster") == version + 1
    converse(unit, server)
    assert _in_force(unit) == (version + 1, True)


def test_the_daily_run_offers_again_what_a_restored_store_lacks_and_compliance_names_it_until_then(
    department: Department, server: Server, unit: Joined, tmp_path: Path
) -> None:
    department.front.grants.revoke(["t.okafor"], department.clock.us)
    department.front.offer_cleared()
    department.front.enter_sent()
    restore = backed_up(server, tmp_path / "backup.db")
    department.clock.step(HOUR_US)
    set_reviewer(department, KEYS[0])
    department.front.grants.revoke(["m.lopez"], department.clock.us)
    department.front.offer_cleared()
    with server.store.read() as connection:
        before = documents.version_out(connection, "day-keys")
    department.clock.step(120 * DAY_US)
    server.time.accept(department.clock.us)
    department.front.send_down()
    department.front.enter_sent()
    names = ("roster", "day-keys", REVOCATIONS, CLEARED, MUTED)
    said = {name: _said(department, name) for name in names}
    assert said["day-keys"] > before
    assert _older(department, server) == []
    restore()
    roster = (
        f"units hold roster {said['roster']}, the store offers {_out(server, 'roster')}: the store is older"
    )
    lines = _older(department, server)
    assert any(line.startswith(roster) for line in lines), lines
    assert {line.split()[2] for line in lines} == set(names)
    assert {one.what for one in department.front.overdue_from_store(department.clock.us)} >= set(lines)
    department.front.send_down()
    assert _older(department, server) == []
    assert {name for name in names if _out(server, name) <= said[name]} == set()
    assert department.front.send_down() == []
    covered, log = covered_by(department), department.desk.log
    assert check_log.check(log.folder, log.public, keys=log.keys, taken=covered).problems == ()
    key = server.home.log_key().public_key()
    out = Checker(server.store, server.keys, server.packs, key).run().reported.documents
    wrong = covered.compare(Reported(documents=out))[0]
    assert [line for line in wrong if "document" in line or "offered" in line] == []


def test_revocations_of_a_restored_store_go_out_whole(
    department: Department, server: Server, unit: Joined, tmp_path: Path
) -> None:
    department.front.grants.revoke(["t.okafor"], department.clock.us)
    department.front.enter_sent()
    restore = backed_up(server, tmp_path / "backup.db")
    department.front.grants.revoke(["m.lopez"], department.clock.us)
    department.front.enter_sent()
    restore()
    department.front.send_down()
    converse(unit, server)
    carried = open_kept(unit.folder.inbox, REVOCATIONS, unit.folder.member())
    assert envelope.decode(carried.body) == ["m.lopez", "t.okafor"]


def test_a_unit_that_was_revoked_since_the_backup_is_not_admitted_and_is_revoked_again(
    department: Department, server: Server, unit: Joined, tmp_path: Path
) -> None:
    """At once, for every request, even before the daily run."""
    front = front_of(server)
    assert front is not None
    restore = backed_up(server, tmp_path / "backup.db")
    converse(unit, server)
    department.call("unit/revoke", department.logon("chief"), RevokeUnitForm(unit="car 12", reason="stolen"))
    front.desk.refresh()
    restore()
    with pytest.raises(RefusedByDepartmentError, match="revoked"):
        converse(unit, server)
    with pytest.raises(RefusedByDepartmentError, match="revoked"):
        server.enrollment.answer(
            "renew", make_vouch(unit.folder, unit.folder.unit_key(), unit.outbox.log_public)
        )
    (line,) = [one.what for one in front.overdue_from_store(front.desk.now_us()) if one.kind == "enrollment"]
    assert line == f"unit car 12 {TAKEN_BACK}"
    daily.run(front, server.retention)
    assert [one.state for one in server.enrollment.listed() if one.name == "car 12"] == ["revoked"]
    assert [one for one in front.overdue_from_store(front.desk.now_us()) if one.kind == "enrollment"] == []
    with pytest.raises(RefusedByDepartmentError, match="revoked"):
        converse(unit, server)
    front.close()


def test_what_only_a_person_signs_is_named_and_goes_out_above_the_log(
    department: Department, server: Server, unit: Joined, tmp_path: Path
) -> None:
    """A configuration, even if the department's clock was set back since."""
    restore = backed_up(server, tmp_path / "backup.db")
    for fps in (20, 25):
        form = SignForm(kind="configuration", body=b"[camera]\nfps = %d\n" % fps, reason="a better lens")
        department.two_hands("document/sign", department.logon("super"), form, second="chief")
    said = _said(department, "configuration")
    restore()
    department.front.send_down()
    (line,) = _older(department, server)
    assert line.startswith(f"units hold configuration {said}, the store offers none: the store is older")
    assert line.endswith("sign it again: department send")
    back_us = department.clock.us - 2 * HOUR_US
    department.front.sign_document("configuration", b"[camera]\nfps = 30\n", back_us, "")
    assert _out(server, "configuration") > said
    assert _older(department, server) == []


def test_a_hot_list_after_a_restore_goes_out_whole(
    department: Department, server: Server, tmp_path: Path
) -> None:
    """Otherwise a unit that was off would lack the steps that the store lost."""

    def push(count: int) -> bool:
        entries = [
            ListEntry(plate=f"7ABC{at:03}", category="stolen-vehicle", state="US-CA") for at in range(count)
        ]
        at_us = department.clock.us
        offer = Offer(list_id="doj", issuer="DOJ", source="SVS", agency="", extracted_us=at_us, hours=24)
        said = department.desk.book.sent.version
        made = publish_list(department.home, server.store, offer, entries, at_us, said=said)
        department.front.enter_sent()
        return made.as_snapshot

    assert push(60)
    restore = backed_up(server, tmp_path / "backup.db")
    assert not push(61)
    said = _said(department, head_name("doj"))
    restore()
    (line,) = [one for one in _older(department, server) if "doj" in one]
    assert line.endswith("push or change that list again")
    assert push(62)
    assert _out(server, head_name("doj")) > said
    assert not push(63)


def test_day_keys_are_not_made_up_to_a_day_that_only_a_forged_entry_names(
    department: Department, server: Server
) -> None:
    before = _out(server, "day-keys")
    far: documents.Said = lambda name, _unit: 1 << 40 if name == "day-keys" else 0  # noqa: E731
    documents.refresh(department.home, server.store, server.keys, department.clock.us, said=far)
    assert _out(server, "day-keys") <= max(before, department.clock.us // DAY_US + 400)
