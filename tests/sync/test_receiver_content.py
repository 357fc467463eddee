"""Content at the receiver: alerts, bad parcels, receipts, and the traces of tampering."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest
from flipped import flip
from receiver_twins import Joined, incident_kinds, purge_all, size_held
from sqlalchemy import select, update
from sync_twins import LoopbackLink, checked, converse

from storage import leaf as leaves_of
from storage.log_records import Incident
from storage.outgoing import Outgoing
from sync import messages
from sync.department.server.server import Department
from sync.department.store import unit_logs
from sync.department.store.tables import alerts, bad_records, elements, leaves, logs, receipts, tokens
from sync.errors import LinkError


def damage_parcels(data: bytes) -> bytes:
    """Flip a bit in the last element of each parcel."""
    return flip(data)


def test_a_bad_record_is_asked_for_again_and_taken_when_it_comes_right(
    department: Department, unit: Joined
) -> None:
    unit.add(4)
    link = LoopbackLink(department)
    link.before = lambda name, data: damage_parcels(data) if name == "parcel" else data
    first = converse(unit, department, link)
    assert first.bad == 1
    assert converse(unit, department).bad == 0
    assert incident_kinds(department) == []
    assert checked(department.home).problems == []
    assert unit.outbox.received_to() > 4


def test_a_record_that_never_comes_right_is_an_incident_and_holds_nothing_up(
    department: Department, unit: Joined
) -> None:
    numbers = unit.add(1) + unit.add(3)
    link = LoopbackLink(department)

    def before(name: str, data: bytes) -> bytes:
        return damage_parcels(data) if name == "parcel" and len(data) > 2500 else data

    link.before = before
    for _ in range(3):
        converse(unit, department, link)
    assert "bad-record" in incident_kinds(department)
    book = unit.ledger.store.book
    received = [number for number in numbers if book.is_received(number)]
    assert len(received) == len(numbers) - 1
    converse(unit, department)
    assert checked(department.home).problems == []


def test_reads_whose_epochs_key_the_unit_lost_are_an_incident_and_hold_nothing_up(
    department: Department, unit: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit.add(3)
    monkeypatch.setattr(Outgoing, "key_for_department", lambda *_: None)
    for _ in range(4):
        converse(unit, department)
    assert incident_kinds(department) == ["bad-record"]
    assert unit.outbox.received_to() > 3


def test_content_that_was_purged_here_before_it_could_be_sent_is_not_a_bad_record(
    department: Department, unit: Joined
) -> None:
    unit.add(3)
    purge_all(unit)
    size = unit.outbox.size()
    progress = converse(unit, department)
    assert progress.bad == 0
    assert progress.purged > 0
    assert progress.done
    kinds = [leaves_of.unchecked(leaf).kind for leaf in unit.outbox.leaves(size, unit.outbox.size() - size)]
    assert Incident.KIND not in kinds
    assert incident_kinds(department) == ["bad-record"]  # the department learns what it never received
    assert converse(unit, department).purged == 0


def test_nothing_is_receipted_on_a_mere_tree_size(department: Department, unit: Joined) -> None:
    numbers = unit.add(3)
    link = LoopbackLink(department)

    def before(name: str, data: bytes) -> bytes:
        if name == "parcel":
            raise LinkError("cut before any content")
        return data

    link.before = before
    with pytest.raises(LinkError):
        converse(unit, department, link)
    wanted = messages.ReceiptWanted(log_id=unit.outbox.log_id, first=0)
    answer = department.receiver.answer("receipt", messages.seal_message(wanted, unit.outbox.sign))
    receipt = messages.open_message(messages.Receipt, answer, department.home.log_key().public_key())
    covered = {n for first, last in receipt.ranges for n in range(first, last + 1)}
    assert size_held(department, unit) > max(numbers)
    assert covered.isdisjoint(numbers)
    assert unit.outbox.anchored_size() > max(numbers)


def test_an_alert_goes_ahead_of_a_long_backlog_and_is_held_once(department: Department, unit: Joined) -> None:
    unit.add(210, size=40)
    (hit,) = unit.add(1, hit=True, size=40)
    link = LoopbackLink(department)
    converse(unit, department, link)
    assert link.names.index("alert") < link.names.index("leaves")
    with department.store.read() as connection:
        log = unit_logs.find_log(connection, unit.outbox.log_id)
        assert log is not None
        here = unit_logs.names_held(connection, log.log_no, [hit])
    assert {name for _, name in here} == {"text", "place", "patch", "overview"}
    assert checked(department.home).problems == []


@pytest.mark.thorough
def test_an_alert_is_taken_with_its_leaf_although_its_own_parcel_never_comes(
    department: Department, unit: Joined
) -> None:
    unit.add(210, size=40)
    (hit,) = unit.add(1, hit=True, size=40)
    link = LoopbackLink(department)

    def before(name: str, data: bytes) -> bytes:
        if name == "parcel":
            raise LinkError("the unit was never seen again")
        return data

    link.before = before
    with pytest.raises(LinkError):
        converse(unit, department, link)
    with department.store.read() as connection:
        log = unit_logs.find_log(connection, unit.outbox.log_id)
        assert log is not None
        here = unit_logs.names_held(connection, log.log_no, [hit])
        assert connection.execute(select(alerts)).all() == []
        assert [row.sequence for row in connection.execute(select(tokens))] == [hit]
    assert {name for _, name in here} == {"text", "place", "patch", "overview"}
    assert converse(unit, department).done
    assert checked(department.home).problems == []


TAMPERINGS = [
    pytest.param(update(leaves).where(leaves.c.sequence == 2).values(leaf=b"x"), "record 2", id="a leaf"),
    pytest.param(update(logs).values(size=3), "tree", id="the size of a log"),
    pytest.param(
        update(elements).where(elements.c.name == "text").values(stored=b"y" * 300),
        "text",
        id="a sealed text",
    ),
    pytest.param(elements.delete().where(elements.c.name == "patch"), "account for", id="patches deleted"),
    pytest.param(update(logs).values(cosigned="x"), "co-signed", id="the co-signed checkpoint"),
    pytest.param(update(logs).values(vouch=b"x"), "vouch", id="the unit's word for its log"),
]


@pytest.mark.parametrize(("statement", "named"), TAMPERINGS)
def test_verify_names_what_was_tampered_with(
    department: Department, unit: Joined, statement: object, named: str
) -> None:
    unit.add(3)
    converse(unit, department)
    assert checked(department.home).problems == []
    with department.store.write() as connection:
        connection.execute(statement)  # type: ignore[call-overload]
    assert any(named in problem for problem in checked(department.home).problems)


@pytest.mark.parametrize("excuse", ["still to come", "given up"])
@pytest.mark.parametrize("kept", ["the store's receipts", "the unit's"])
def test_the_stores_own_excuse_for_a_loss_does_not_hold_against_a_receipt(
    department: Department, unit: Joined, excuse: str, kept: str
) -> None:
    (number,) = unit.add(1)
    converse(unit, department)
    converse(unit, department)  # the unit's record of the receipt
    with department.store.write() as connection:
        (log_no,) = connection.execute(select(logs.c.log_no)).scalars()
        patch = (elements.c.sequence == number) & (elements.c.name == "patch")
        connection.execute(elements.delete().where(patch))
        if excuse == "given up":
            values = {"sequence": number, "name": "patch", "tries": 3, "reason": "x", "given_up_us": 1}
            connection.execute(bad_records.insert().values(log_no=log_no, **values))
        else:
            connection.execute(update(leaves).where(leaves.c.sequence == number).values(missing=1))
        connection.execute(
            receipts.delete()
            if kept == "the unit's"
            else elements.delete().where(elements.c.form == unit_logs.FORM_OPEN)
        )
    told = f"record {number}, patch: marked as {excuse}, but a receipt was given for it"
    assert any(told in problem for problem in checked(department.home).problems)


def test_no_table_shows_a_plate(department: Department, unit: Joined) -> None:
    unit.add(2, text="PLATE42")
    converse(unit, department)
    department.store.shrink()
    everything = b"".join(path.read_bytes() for path in department.home.path.rglob("*") if path.is_file())
    assert b"PLATE42" not in everything


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OSError(28, "No space left on device"), id="a full disk"),
        pytest.param(OSError(5, "I/O error"), id="a broken disk"),
        pytest.param(RuntimeError("7XKR219"), id="an error of ours"),
    ],
)
def test_what_fails_behind_the_receiver_is_answered_with_a_signed_refusal(
    department: Department, tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk was once a 500 with a traceback. The unit keeps everything and retries later."""
    from desk_server import serving

    from sync.department.units.http_app import unit_app

    def fail(_day: int, _blobs: object) -> str:
        raise error

    unit = Joined(tmp_path / "unit", department, "unit")
    unit.add(2, size=20_000)
    monkeypatch.setattr(department.packs, "put", fail)
    key = department.home.log_key().public_key()
    with serving(unit_app(department.receiver, department.enrollment)) as client:

        class Link(LoopbackLink):
            def post(self, name: str, pieces: Sequence[bytes]) -> bytes:
                answer = client.post(f"/v1/{name}", content=b"".join(pieces))
                if answer.status_code == 200:
                    return answer.content
                said = messages.open_message(messages.Refusal, answer.content, key)
                assert (answer.status_code, said.code) == (503, "unavailable")
                assert "7XKR219" not in said.what
                raise LinkError(said.what)

        with pytest.raises(LinkError, match="keep everything"):
            converse(unit, department, Link(department))
    monkeypatch.undo()
    assert converse(unit, department).done
    assert checked(department.home).problems == []
    unit.close()


def test_a_day_key_that_is_gone_under_a_running_server_is_due_until_it_is_back(
    department: Department, unit: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit.add(1)
    folder = department.home.keys / "day"
    away = folder.rename(folder.with_name("away"))
    folder.mkdir()
    with pytest.raises(LinkError, match="keep everything"):
        converse(unit, department)
    (line,) = department.receiver.lost_keys()
    assert ", to which units seal, is gone: restore its folder day/" in line
    folder.rmdir()
    away.rename(folder)
    with monkeypatch.context() as unreadable:  # restored with another owner

        def refuse(path: Path) -> bytes:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        unreadable.setattr(Path, "read_bytes", refuse)
        assert department.receiver.lost_keys() == [line]
    assert department.receiver.lost_keys() == []  # restored before the unit comes back
    assert converse(unit, department).done
    store = folder.with_name("store")
    (key,) = store.glob("*.key")
    kept = key.rename(key.with_suffix(".away"))
    unit.add(1)
    department.receiver._arrival._day_of_key = -1  # as after a restart
    with pytest.raises(LinkError, match="keep everything"):
        converse(unit, department)
    assert len(department.receiver.lost_keys()) == 1
    kept.rename(key)
    assert department.receiver.lost_keys() == []


def test_a_receipt_that_is_asked_for_again_is_not_kept_again(department: Department, tmp_path: Path) -> None:
    unit = Joined(tmp_path / "unit", department, "unit")
    unit.add(3)
    assert converse(unit, department).done

    def kept() -> int:
        with department.store.read() as connection:
            return len(connection.execute(select(receipts.c.receipt_no)).all())

    before = kept()
    wanted = messages.ReceiptWanted(log_id=unit.outbox.log_id, first=0)
    key = department.home.log_key().public_key()
    for _ in range(20):
        answer = department.receiver.answer("receipt", messages.seal_message(wanted, unit.outbox.sign))
        assert messages.open_message(messages.Receipt, answer, key).ranges
    assert kept() <= before + 1
    assert checked(department.home).problems == []
    unit.close()
