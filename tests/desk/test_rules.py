"""Rules of the desk on their own, for cases that the whole desk reaches only indirectly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sync.department.desk.grants.rules import Settled, to_settle
from sync.department.desk.inquiry.rules import InquiryQueue, proposal_to_decide
from sync.department.desk.transparency.facts import Fact
from sync.department.desk.transparency.rules import Seen, count
from sync.department.journal.entries import Entry, EntryOf
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.hold_entries import Purged
from sync.department.journal.inquiry_entries import Ground, Query, SearchApproved, SearchProposed
from sync.department.journal.office_entries import IncidentSettled
from sync.department.journal.second_hands import SecondHands
from sync.department.policy.policy_file import default_document, parse_policy
from sync.department.policy.refusals import DeskRefusal
from sync.department.store.incidents import StoredIncident

GROUND = Ground(
    purpose="investigation", basis="bolo", number="26-001234", number_kind="case", justification="x"
)


def entry(sequence: int, user: str, note: Note) -> Entry:
    stamp = Stamp(at_us=1, user=user, role="ccat", organisation="PD", session=b"", demo=True)
    return EntryOf(sequence=sequence, stamp=stamp, note=note)


def queue_with(*entries: Entry) -> InquiryQueue:
    queue = InquiryQueue()
    for one in entries:
        queue.apply(one)
    return queue


def proposed(by: str) -> Entry:
    query = Query(plate="8X*", since_us=0, until_us=1)
    return entry(4, by, SearchProposed(query=query, ground=GROUND, request=-1))


def code_of_deciding(queue: InquiryQueue, number: int, second: str) -> str:
    with pytest.raises(DeskRefusal) as refused:
        proposal_to_decide(queue, number, second, now_us=0)
    return refused.value.code


def test_a_proposal_is_decided_once_by_another_person() -> None:
    queue = queue_with(proposed("ann"))
    assert proposal_to_decide(queue, 4, "ben", now_us=0).sequence == 4
    assert code_of_deciding(queue, 4, "ann") == "second-person"
    assert code_of_deciding(queue, 5, "ben") == "no-proposal"
    queue.apply(entry(6, "ben", SearchApproved(proposal=4, granted=True, reason="as asked")))
    assert code_of_deciding(queue, 4, "cat") == "decided"


INCIDENT = StoredIncident(
    number=3, at_us=1, unit_id="unit-7", unit_name="", kind="fork", detail="", times=1, closed_us=None,
    closed_by=None, second_by=None,
)  # fmt: skip

PEOPLE = SecondHands()


def settled(number: int, by: str, *, second: bool) -> Entry:
    note = IncidentSettled(
        incident=number, kind="fork", unit="unit-7", opened_us=1, finding="a cloned card", second=second
    )
    return entry(9, by, note)


def test_an_incident_is_settled_by_two_different_people() -> None:
    state = Settled()
    assert to_settle(state, INCIDENT, PEOPLE, "ann", "a cloned card") is False
    state.apply(settled(3, "ann", second=False))
    with pytest.raises(DeskRefusal) as refused:
        to_settle(state, INCIDENT, PEOPLE, "ann", "a cloned card")
    assert refused.value.code == "second-person"
    assert to_settle(state, INCIDENT, PEOPLE, "ben", "a cloned card") is True
    with pytest.raises(DeskRefusal) as refused:
        to_settle(state, INCIDENT, PEOPLE, "ben", "cloned card")
    assert refused.value.code == "finding"
    state.apply(settled(3, "ben", second=True))
    with pytest.raises(DeskRefusal) as refused:
        to_settle(state, INCIDENT, PEOPLE, "cat", "a cloned card")
    assert refused.value.code == "closed"


@pytest.mark.parametrize("other", [{"at_us": 2}, {"kind": "rollback"}, {"unit_id": None}])
def test_words_on_an_incident_do_not_count_for_another_of_the_same_number(other: dict[str, Any]) -> None:
    state, another = Settled(), replace(INCIDENT, **other)
    state.apply(settled(3, "ann", second=False))
    assert to_settle(state, another, PEOPLE, "ann", "a cloned card") is False  # replaced between the two
    state.apply(settled(3, "ben", second=True))
    assert to_settle(state, another, PEOPLE, "ben", "a cloned card") is False
    assert state.words(another, PEOPLE) == (None, None)


def test_the_public_counts_add_up_every_purge_of_a_day() -> None:
    seen = Seen(
        department="PD",
        policy_version=1,
        as_of_us=1,
        entries=3,
        witnesses=("court",),
        quorum=1,
        checkpoint="",
        alert_terms=parse_policy(default_document()).alerts,
    )
    purges = [("2025-01-01", 7), ("2025-01-01", 5), ("2025-01-02", 3)]
    counts = count(
        [
            Fact(entry=at, kind=Purged.KIND, words=(day,), numbers=(reads,))
            for at, (day, reads) in enumerate(purges)
        ],
        seen,
    )
    assert (counts.days_purged, counts.reads_purged) == (2, 15)
