"""Alerts and hits in a conversation: what precedes the backlog, in which order, and nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from uplink_twins import KB, Log, Office, a_leaf, conversation, talk

from storage.record_base import KeyClass
from sync import messages
from sync.errors import NotStoredError


def hit_log(count: int, alerts: Sequence[int], hits: Sequence[int]) -> Log:
    log = Log(hits=sorted([*alerts, *hits])).reads(count)
    for one in alerts:
        log.rows[one] = a_leaf(one, "alert")
    return log


@pytest.mark.parametrize(
    ("alerts", "hits", "complete_to", "told"),
    [
        ([3, 5], [4], 0, [5, 3]), ([3, 5], [], 4, [5]), ([3, 5], [], 3, [5, 3]), ([], [4], 0, []),
        (range(70), [], 0, [*range(69, 5, -1)]),
    ],
)  # fmt: skip
def test_the_newest_64_alerts_go_ahead_the_newest_first(
    alerts: Sequence[int], hits: Sequence[int], complete_to: int, told: list[int]
) -> None:
    log, office = hit_log(80, alerts, hits), Office(size=80, complete_to=complete_to)
    assert talk(log, office).alerts == len(told)
    assert office.records("alert") == [[one] for one in told]
    assert [one.leaf for one in office.sent("alert")] == [log.rows[one] for one in told]


@pytest.mark.parametrize(("count", "told"), [(200, []), (201, [4])])
def test_hits_go_ahead_of_a_backlog_of_more_than_200_records(count: int, told: list[int]) -> None:
    log, office = hit_log(count + 9, [], [4 + 9]), Office(size=count + 9, complete_to=9)
    talk(log, office)
    assert office.records("alert") == [[one + 9] for one in told]


def test_the_oldest_64_hits_are_announced_first_and_none_twice() -> None:
    log, office = hit_log(300, [2], range(3, 80)), Office(size=300)
    talk(log, office)
    assert office.records("alert") == [[2], *([one] for one in range(3, 67))]


def test_an_alert_is_looked_for_among_the_newest_512_hits() -> None:
    for oldest, told in ((0, []), (1, [1])):
        log, office = hit_log(513, [oldest], [one for one in range(513) if one != oldest]), Office(size=513)
        conversation(log, office)._alerts(office.state, near=1000)
        assert office.records("alert") == ([told] if told else [])


def test_an_alert_brings_its_key_although_it_was_sent_before_and_a_parcel_still_does_not() -> None:
    log, office = hit_log(3, [1], []), Office(size=3)
    made = conversation(log, office)
    made._sent_keys.add(1)
    made._send_alert(1, log.rows[1])
    assert [key.epoch for key in office.sent("alert")[0].keys] == [1]
    assert made._sent_keys == {1}
    made._sent_keys.clear()
    made._send_alert(1, log.rows[1])
    assert made._sent_keys == set()  # the next parcel has it, since an alert is sent out of order


def test_an_alert_raised_while_leaves_are_sent_goes_before_the_next_of_them() -> None:
    """The hit just before it was already sent ahead."""
    log, office = Log(rows=[a_leaf(0, "incident", KeyClass.AUDIT)] * 1999).reads(1), Office()
    log.hits = [1999]

    def raised(asked: messages.LeafBatch) -> messages.Message:
        if log.hits == [1999]:
            log.rows.append(a_leaf(2000, "alert", KeyClass.OPEN, names=("entry",)))
            log.content[2000, "entry"] = b"x"
            log.hits = [1999, 2000]
        return office.leaves(asked)

    office.instead["leaves"] = raised
    talk(log, office)
    assert office.names()[2:6] == ["alert", "leaves", "alert", "leaves"]
    assert office.records("alert") == [[1999], [2000]]


@pytest.mark.parametrize("at", ["leaves", "parcel"])
def test_an_alert_raised_on_the_way_is_announced_once_and_a_hit_waits(at: str) -> None:
    log, office = Log().reads(4, size=600 * KB), Office(size=0 if at == "leaves" else 4)

    def raised(asked: Any) -> messages.Message:
        if len(log.rows) == 4:
            log.reads(2, size=600 * KB)
            log.rows[5] = a_leaf(5, "alert")
            log.hits = [4, 5]
        return getattr(Office, at)(office, asked)  # type: ignore[no-any-return]

    office.instead[at] = raised
    assert talk(log, office).alerts == 1
    assert office.records("alert") == [[5]]


def test_a_joining_that_cannot_be_stored_keeps_no_alert_and_is_sent_once() -> None:
    """The department uses the unit's clock until it has that record, which the next conversation sends."""
    log, office = hit_log(6, [2, 4], []), Office(size=6)
    log.joined = 0

    def stores(asked: messages.ParcelHeader) -> messages.Message:
        if asked.items[0].sequence == 0:
            raise NotStoredError("cannot store now: keep everything")
        return office.parcel(asked)

    office.instead["alert"] = stores
    with pytest.raises(NotStoredError, match="cannot store now"):
        talk(log, office)
    assert office.records("alert") == [[0], [4], [2]]
    del office.instead["alert"]
    again = Office(size=6)
    assert talk(log, again).alerts == 2
    assert again.records("alert") == [[0], [4], [2]]
