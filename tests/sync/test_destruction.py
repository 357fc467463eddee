"""A factory reset reports to its department what was never delivered, once and signed, even offline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from receiver_twins import Joined
from sync_twins import LoopbackLink, converse

from storage.times import DAY_US, HOUR_US, now_us
from sync import messages
from sync.department.cli import main
from sync.department.desk.grants.rules import Grants
from sync.department.journal.office_entries import GrantIssued
from sync.department.server.machine_due import unreported_resets
from sync.department.server.server import Department
from sync.department.server.verify import Checker
from sync.department.store import incidents, unit_health
from sync.department.store.tables import units
from sync.destruction import (
    MAX_RANGES,
    Destroyed,
    DestroyedHeld,
    as_text,
    keep,
    of_text,
    ranges_of,
    send,
    send_kept,
)
from sync.errors import LinkError, MessageError, RefusedByDepartmentError


def word(unit: Joined, left: list[int], **changes: object) -> Destroyed:
    return replace(unit.last_word(left), **changes)  # type: ignore[arg-type]


def signed(unit: Joined, said: Destroyed) -> bytes:
    return messages.seal_message(said, unit.outbox.sign)


def resets(department: Department) -> list[tuple[str, str, int]]:
    with department.store.read() as connection:
        return [
            (one.kind, one.detail, one.times)
            for one in incidents.listed(connection)
            if one.kind.startswith("reset")
        ]


def take(department: Department, message: bytes) -> None:
    key = department.home.log_key().public_key()
    messages.open_message(DestroyedHeld, department.receiver.answer("destroyed", message), key)


def test_what_was_never_delivered_is_an_incident_with_counts_and_record_numbers(
    unit: Joined, department: Department
) -> None:
    unit.add(3)
    converse(unit, department)
    left = unit.add(2) + unit.add(1)
    take(department, signed(unit, word(unit, left)))
    [(kind, detail, times)] = resets(department)
    assert (kind, times) == ("reset", 1)
    assert "under grant g-463" in detail
    assert "never delivered: 3 reads" in detail
    assert f"records {left[0]} to" in detail
    key = department.home.log_key().public_key()
    assert Checker(department.store, department.keys, department.packs, key).run().problems == []


def test_the_same_receipt_again_is_taken_once_and_another_one_is_an_incident(
    unit: Joined, department: Department
) -> None:
    left = unit.add(2)
    message = signed(unit, word(unit, left))
    for _ in range(3):
        take(department, message)
    assert [(kind, times) for kind, _, times in resets(department)] == [("reset", 1)]
    with pytest.raises(RefusedByDepartmentError, match="another destruction receipt"):
        take(department, signed(unit, word(unit, left[:1])))
    take(department, message)
    assert [kind for kind, _, _ in resets(department)] == ["reset", "reset-twice"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"unit_id": "f" * 32}, id="another unit's id"),
        pytest.param({"size": 99}, id="another size than its checkpoint"),
        pytest.param({"checkpoint": "none\n0\n\n"}, id="a checkpoint that is none"),
        pytest.param({"grant_id": "g 463; drop"}, id="a grant's name that is none"),
        pytest.param({"undelivered": 9}, id="fewer records than it counts"),
        pytest.param({"ranges": ((3, 1),)}, id="a range that runs back"),
        pytest.param({"ranges": ((0, 1 << 40),)}, id="a range beyond the log"),
        pytest.param({"log_id": bytes(32)}, id="a log that no one knows"),
    ],
)
def test_a_receipt_that_does_not_hold_together_is_refused_and_leaves_nothing(
    unit: Joined, department: Department, change: dict[str, object]
) -> None:
    left = unit.add(2)
    with pytest.raises(RefusedByDepartmentError):
        take(department, signed(unit, word(unit, left, **change)))
    assert resets(department) == []


def test_a_receipt_by_any_other_key_is_refused(unit: Joined, department: Department, tmp_path: Path) -> None:
    """Neither a stranger nor another unit can claim that this one was reset."""
    other = Joined(tmp_path / "other", department, "other")
    try:
        left = unit.add(2)
        said = word(unit, left)
        for key in (Ed25519PrivateKey.generate(), other.outbox.sign, department.home.log_key()):
            with pytest.raises(RefusedByDepartmentError):
                take(department, messages.seal_message(said, key))
    finally:
        other.close()
    assert resets(department) == []
    converse(unit, department)  # its log is not closed


def test_a_unit_that_was_reset_is_overdue_until_it_is_taken_out_of_service(
    unit: Joined, department: Department
) -> None:
    """But not for its last report's alarms or its silence: it will never sync again."""

    def due() -> list[str]:
        with department.store.read() as connection:
            return unit_health.due_in(connection, now_us() + 30 * DAY_US)

    converse(unit, department)
    (silent,) = due()
    assert "has not synced since" in silent
    take(department, signed(unit, word(unit, unit.add(2))))
    (reset,) = due()
    assert "was reset" in reset
    assert "enroll --revoke" in reset
    department.enrollment.revoke(unit.folder.member().unit_id, "retired")
    assert due() == []


def test_the_list_of_units_says_which_was_reset(
    unit: Joined, department: Department, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed() -> tuple[str, str, bool]:
        """The unit's (word in the list, state in JSON, whether the JSON has a time)."""
        words = []
        for more in ([], ["--json"]):
            assert main(["enroll", "--list", "--home", str(department.home.path), *more]) == 0
            words.append(capsys.readouterr().out)
        facts = json.loads(words[1])
        return words[0].split()[1], facts["state"], facts["reset_us"] is not None

    converse(unit, department)
    assert listed() == ("enrolled", "enrolled", False)
    take(department, signed(unit, word(unit, unit.add(2))))
    assert listed() == ("reset", "reset", True)
    department.enrollment.revoke(unit.folder.member().unit_id, "retired")
    assert listed() == ("revoked", "revoked", True)


def test_after_its_receipt_a_log_takes_nothing_more(unit: Joined, department: Department) -> None:
    left = unit.add(2)
    take(department, signed(unit, word(unit, left)))
    unit.add(1)
    with pytest.raises(RefusedByDepartmentError) as refused:
        converse(unit, department)
    assert refused.value.code == "closed"


def test_a_receipt_that_says_less_than_the_store_knows_is_named(unit: Joined, department: Department) -> None:
    unit.add(3)
    link = LoopbackLink(department)

    def cut(name: str, data: bytes) -> bytes:
        if name in {"parcel", "alert", "piece"}:
            raise LinkError("cut")
        return data

    link.before = cut
    with pytest.raises(LinkError):
        converse(unit, department, link)
    take(department, signed(unit, word(unit, [])))
    [(_, detail, _)] = resets(department)
    assert "but 3 reads lack content here: more than it says" in detail


def test_a_receipt_that_was_kept_goes_with_the_first_sync_after_joining_again(
    unit: Joined, department: Department, tmp_path: Path
) -> None:
    left = unit.add(4)
    message = signed(unit, word(unit, left))
    department.enrollment.revoke("unit", "was reset, joins again")
    again = Joined(tmp_path / "again", department, "unit 2")
    try:
        keep(again.home, unit.outbox.log_id, message)
        key = department.home.log_key().public_key()
        link = LoopbackLink(department)
        link.before = lambda _name, _data: (_ for _ in ()).throw(LinkError("no line"))
        with pytest.raises(LinkError):
            send_kept(again.home, link, key)
        assert resets(department) == []
        assert send_kept(again.home, LoopbackLink(department), key) == 1
        assert send_kept(again.home, LoopbackLink(department), key) == 0
        assert [kind for kind, _, _ in resets(department)] == ["reset"]
    finally:
        again.close()


def test_an_answer_that_is_not_the_departments_keeps_the_receipt(
    unit: Joined, department: Department
) -> None:
    message = signed(unit, word(unit, unit.add(1)))
    with pytest.raises(LinkError, match="not the department's"):
        send(LoopbackLink(department), Ed25519PrivateKey.generate().public_key(), message)


def test_the_printed_receipt_is_the_receipt(unit: Joined) -> None:
    message = signed(unit, word(unit, unit.add(2)))
    lines = as_text(message)
    assert of_text(("\r\n".join(["chatter", *lines, "more"])).encode()) == message
    assert of_text(message) == message
    with pytest.raises(MessageError, match="copy all of it again"):
        of_text("\n".join([*lines[:2], "!!", *lines[3:]]).encode())


@given(st.sets(st.integers(0, 3000), max_size=400))
def test_ranges_hold_exactly_the_numbers(numbers: set[int]) -> None:
    found = ranges_of(numbers)
    inside = {one for first, last in found for one in range(first, last + 1)}
    assert inside <= numbers
    if len(found) < MAX_RANGES:
        assert inside == numbers


def overdue(department: Department, grants: Grants, moment_us: int) -> list[str]:
    return [one.what for one in unreported_resets(department.store, grants.resets(), moment_us)]


def granted(unit: Joined, commands: tuple[str, ...]) -> tuple[Grants, int]:
    """Enter a grant for this unit. Returns (the log, the time just after the grant's end)."""
    from_us = now_us()
    note = GrantIssued(
        grant_id="g-463", person="t.okafor", organisation="bureau", role="technician", holder="SHA256:x",
        purpose="retire it", work_order="WO-1", units=(unit.folder.member().unit_id, "department"),
        commands=commands, from_us=from_us, to_us=from_us + HOUR_US, digest=bytes(32), signer="command",
    )  # fmt: skip
    return Grants(issued={note.grant_id: cast(Any, SimpleNamespace(note=note))}), note.to_us


def test_a_unit_that_is_silent_since_its_grant_to_be_reset_is_overdue_until_its_receipt_came(
    unit: Joined, department: Department
) -> None:
    """Otherwise a missing receipt goes unnoticed: retired units are revoked and no longer count as silent."""
    converse(unit, department)
    grants, ended_us = granted(unit, ("factory-reset", "status"))
    later_us = ended_us + DAY_US
    assert overdue(department, grants, later_us - 1) == []
    [what] = overdue(department, grants, later_us)
    assert f"unit {unit.folder.member().name}: a grant to reset it ended" in what
    assert "no destruction receipt came" in what
    with department.store.write() as connection:
        connection.execute(sa.update(units).values(revoked_us=ended_us))
    assert overdue(department, grants, later_us) == [what]
    take(department, signed(unit, word(unit, [])))
    assert overdue(department, grants, later_us) == []


@pytest.mark.parametrize("why", ["another grant", "revoked", "synced again"])
def test_no_receipt_is_missed_of_a_unit_that_was_not_to_be_reset_or_lives(
    unit: Joined, department: Department, why: str
) -> None:
    converse(unit, department)
    grants, ended_us = granted(unit, ("status",) if why == "another grant" else ("factory-reset",))
    if why == "revoked":
        grants.revoked.add("g-463")
    if why == "synced again":
        with department.store.write() as connection:
            connection.execute(sa.update(units).values(seen_us=ended_us))
    assert overdue(department, grants, ended_us + DAY_US) == []
