"""The steps of a conversation, with a log and a department in memory: order, hello and leaves."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from uplink_twins import KB, LOG_ID, MB, Log, Office, a_leaf, conversation, talk

from firmware.health.health_message import health_message
from firmware.health.report import HealthWatch
from hw.clock import SetClock
from hw.vitals import ScriptedBoard
from storage.errors import ForkedLogError
from storage.record_base import KeyClass
from sync import messages
from sync.errors import BatchRefusedError, LinkError, RefusedByDepartmentError
from sync.parcel_size import ParcelSize
from sync.uplink import SyncProgress


def test_a_conversation_has_its_order_and_is_done_when_nothing_is_left() -> None:
    log, office = Log(hits=[0]).reads(2), Office()
    log.rows[0] = a_leaf(0, "alert", KeyClass.OPEN, names=("entry",))
    log.content[0, "entry"] = b"x"
    progress = talk(log, office)
    assert office.names() == ["challenge", "hello", "alert", "leaves", "parcel", "receipt"]
    assert (progress.leaves, progress.elements, progress.alerts, progress.done) == (2, 3, 1, True)
    assert office.bodies == [("alert", b"x"), ("parcel", b"x" + bytes(10))]
    assert progress.sent_bytes == office.sent_bytes > 0


def test_before_it_begins_nothing_is_done() -> None:
    assert astuple(SyncProgress()) == (0, 0, 0, 0, 0, 0, 0, (), (), 0, False)


def test_alerts_alone_leave_everything_else_for_later() -> None:
    log, office = Log(hits=[0]).reads(1), Office()
    progress = talk(log, office, alerts_only=True)
    assert office.names() == ["challenge", "hello", "alert"]  # the hit too, even with a small backlog
    assert (progress.alerts, progress.done) == (1, False)


def test_a_unit_that_may_not_continue_sends_no_record_and_is_not_done() -> None:
    document = messages.DocumentRef(name="policy", version=2)
    log, office = Log().reads(2), Office(size=2, documents=(document,))
    assert not talk(log, office, may_continue=lambda: False).done
    assert office.names() == ["challenge", "hello", "receipt"]


@pytest.mark.parametrize(
    ("error", "size"),
    [(LinkError("cut"), 256 * KB), (RefusedByDepartmentError("no", code="revoked"), MB)],
    ids=["a cut", "a refusal"],
)
def test_a_cut_alone_makes_the_parcels_smaller_and_what_was_sent_counts(error: Exception, size: int) -> None:
    def fail(_asked: object) -> messages.Message:
        raise error

    office, parcel_size = Office(), ParcelSize()
    office.instead["leaves"] = fail
    made = conversation(Log().reads(1), office, parcel_size)
    with pytest.raises(type(error)):
        made.run()
    assert parcel_size.size == size
    assert made.progress.sent_bytes == office.sent_bytes > 0
    assert not made.progress.done


@pytest.mark.parametrize(("held", "records"), [(2, [[0, 1]]), (9, [[0, 1, 2]])])
def test_of_a_refused_log_the_content_of_what_is_held_there_is_delivered(
    held: int, records: list[list[int]]
) -> None:
    log, office = Log().reads(3), Office(size=held)
    progress = conversation(log, office).deliver()
    assert office.records() == records
    assert office.names() == ["challenge", "hello", "parcel", "receipt"]
    assert progress.sent_bytes == office.sent_bytes > 0


@pytest.mark.parametrize("reports", [0, 1])
def test_a_unit_that_knows_how_it_is_says_so_ahead_of_its_backlog(reports: int) -> None:
    watch = HealthWatch(board=ScriptedBoard(), now=SetClock(1).now, watching=False)
    report = health_message(watch.report(), LOG_ID)
    office = Office()
    conversation(Log().reads(1), office, health=lambda: report if reports else None).run()
    assert office.sent("health") == [report] * reports
    assert office.names()[2] == ("health" if reports else "leaves")


@pytest.mark.parametrize(("anchored", "proven"), [(0, False), (1, True), (3, True), (4, False)])
def test_a_hello_proves_its_head_from_the_last_size_the_department_signed(
    anchored: int, proven: bool
) -> None:
    log, office = Log(anchored=anchored).reads(3), Office()
    talk(log, office)
    (hello,) = office.sent("hello")
    assert hello.proof == (tuple(log.consistency(anchored, 3)) if proven else ())
    assert (hello.held, hello.checkpoint, hello.at_us) == (anchored, "head of 3", 77)
    assert hello.software == "alpr-reader"


@pytest.mark.parametrize(("note", "size", "taken"), [("note", 2, True), ("note", 1, False), (None, 2, False)])
def test_a_co_signature_is_taken_where_it_is_newer(note: str | None, size: int, taken: bool) -> None:
    log, office = Log(anchored=1).reads(2), Office(size=size, cosigned=note)
    talk(log, office)
    assert (("cosigned", note) in log.done) is taken


def test_a_department_that_signed_another_past_is_shown_ours() -> None:
    log, office = Log(fails=ForkedLogError("another past")).reads(3), Office(size=2, cosigned="note")
    with pytest.raises(BatchRefusedError, match="another past") as refused:
        talk(log, office)
    assert (refused.value.code, refused.value.held) == ("fork", 2)
    assert [(one.first, one.leaves) for one in office.sent("leaves")] == [(2, (log.rows[2],))]


def test_leaves_go_in_batches_each_with_the_way_to_the_head() -> None:
    log, office = Log(rows=[a_leaf(0, "incident", KeyClass.AUDIT)] * 2051), Office(size=2, complete_to=2)
    progress = talk(log, office)
    asked = office.sent("leaves")
    assert [(one.first, len(one.leaves)) for one in asked] == [(2, 1024), (1026, 1024), (2050, 1)]
    assert [one.proof for one in asked] == [
        tuple(log.consistency(1026, 2051)), tuple(log.consistency(2050, 2051)), ()
    ]  # fmt: skip
    assert (progress.leaves, {one.checkpoint for one in asked}) == (2049, {"head of 2051"})


def test_a_batch_of_leaves_has_half_of_what_its_message_may_have() -> None:
    half = messages.MAX_LEAVES_BYTES // 2
    log = Log(rows=[bytes(64 * KB - 8)] * 40)
    assert len(conversation(log, Office(), ParcelSize(8 * MB))._cut_leaves(0, 40)) == half // (64 * KB)


@pytest.mark.parametrize(("more", "batches"), [(0, [0, 2]), (1, [0])])
def test_a_department_that_holds_more_leaves_than_were_sent_gets_no_more(
    more: int, batches: list[int]
) -> None:
    log, office = Log().reads(3), Office()
    office.instead["leaves"] = lambda asked: messages.LeavesHeld(
        log_id=LOG_ID, size=asked.first + len(asked.leaves) + more, cosigned="note" if more else None
    )
    made = conversation(log, office)
    made._cut_leaves = lambda first, count: log.rows[first : first + min(2, count)]  # type: ignore[method-assign]
    progress = made.run()
    assert [one.first for one in office.sent("leaves")] == batches
    assert (progress.leaves, progress.cosigned_size) == (3, 3 * more)
    assert [one for one in log.done if one[0] == "cosigned"] == [("cosigned", "note")] * more
