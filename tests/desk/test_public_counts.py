"""The public counts (463.5) follow from the log alone, in whole weeks, without plates, people or cases."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from desk_asking import look_up
from desk_twins import CAD, Department
from log_entries import entry

from storage.times import DAY_US, HOUR_US
from sync.department.desk.break_glass.calls import GlassForm
from sync.department.desk.inquiry.forms import (
    NothingForm,
)
from sync.department.desk.json_forms import to_json
from sync.department.desk.transparency.counts import PublicCounts, counted, seen_now, week_of
from sync.department.desk.transparency.facts import Fact, facts_of
from sync.department.desk.transparency.rules import Tally, Transparency, count, for_public
from sync.department.journal.entries import Refused
from sync.department.journal.inquiry_entries import Access
from sync.department.policy.refusals import DeskRefusal
from sync.department.server import daily

Tokens = Callable[[str], str]


def tallied(tallies: tuple[Tally, ...]) -> dict[str, int]:
    return {one.name: one.count for one in tallies}


def test_the_public_counts_are_what_another_count_of_the_log_gives(
    department: Department, tokens: Tokens
) -> None:
    for number in range(4):
        look_up(department, tokens("comm1"), f"26-00{number}234")
    for bad in ("TEST", "0000"):
        with pytest.raises(DeskRefusal):
            look_up(department, tokens("comm1"), bad)
    query = replace(department.plate("8XY*"), since_us=department.clock.us - DAY_US)
    glass = GlassForm(query=query, ground=CAD, danger="a child is in the trunk")
    department.call("inquiry/break-glass", tokens("disp1"), glass)
    daily.count_days(department.front)
    department.desk.try_cover(department.desk.log.size() - 1)
    counts = counted(department.desk)
    entries = list(department.desk.log.entries())
    accesses = [one.note for one in entries if isinstance(one.note, Access)]
    assert tallied(counts.accesses) == dict(Counter(one.action for one in accesses)) == {"search": 5}
    assert tallied(counts.inquiries_by_purpose) == {"investigation": 5}
    assert counts.refusals == sum(isinstance(one.note, Refused) for one in entries)
    assert (counts.emergencies.searches, counts.emergencies.waiting) == (1, 1)
    assert (counts.days_counted, counts.reads_received) == (3, 33)
    assert counts.entries == len(entries)
    assert counts.checkpoint == department.desk.log.cosigned()[1]
    assert daily.count_days(department.front) == 0


def test_the_public_counts_add_each_agencys_requests_decisions_and_transfers(department: Department) -> None:
    facts = [
        *(
            Fact(entry=at, kind="share_asked", words=(name,))
            for at, name in enumerate(("Chico PD", "Chico PD", "DOJ"))
        ),
        Fact(entry=3, kind="share_decided", numbers=(0, 1)),
        Fact(entry=4, kind="share_decided", numbers=(1, 0)),
        Fact(entry=5, kind="share_decided", numbers=(2, 1)),
        *(Fact(entry=at, kind="share_delivered", numbers=(0, 7)) for at in (6, 7)),
    ]
    made = count(facts, seen_now(department.desk, department.desk.log.size(), ""))
    shown = [
        (one.agency, one.requests, one.approved, one.refused, one.transfers, one.reads)
        for one in made.sharing
    ]
    assert shown == [("Chico PD", 2, 1, 1, 2, 14), ("DOJ", 1, 1, 0, 0, 0)]


def test_the_public_counts_hold_no_plate_no_person_and_no_case(
    department: Department, tokens: Tokens
) -> None:
    look_up(department, tokens("comm1"))
    department.desk.try_cover(department.desk.log.size() - 1)
    text = json.dumps(to_json(counted(department.desk)))
    for part in ("8XYZ", "comm1", "26-001234", "Myrtle", "chief"):
        assert part not in text


@pytest.mark.parametrize(
    ("code", "words"),
    [("role", ()), ("fresh-proof", ("again",)), ("session-locked", ("again",)), ("session-over", ("again",))],
)
def test_a_refusal_that_only_asks_for_a_proof_or_a_logon_again_says_so(
    code: str, words: tuple[str, ...]
) -> None:
    [fact] = facts_of([entry(0, "super", Refused(call="hold.export", code=code, clause="463.8"))])
    assert fact.words == words


def test_what_no_witness_saw_is_not_counted(department: Department, tokens: Tokens) -> None:
    before = counted(department.desk)
    department.witness.away = True
    look_up(department, tokens("comm1"))
    assert counted(department.desk) == before


def test_the_public_sees_whole_weeks_that_are_over(department: Department, tokens: Tokens) -> None:
    desk, public = department.desk, PublicCounts()
    look_up(department, tokens("comm1"))
    desk.try_cover(desk.log.size() - 1)
    size, clock = desk.log.size(), department.clock
    clock.step(week_of(clock.us) + 7 * DAY_US - 1 - clock.us)  # the last moment of Sunday
    before = public.newest(desk)
    assert tallied(before.accesses) == {}
    assert before.entries < size
    clock.step(1)
    first = public.newest(desk)
    assert (tallied(first.accesses), first.entries) == ({"search": 1}, size)
    assert first.checkpoint == desk.log.cosigned(size)[1]
    for _ in range(13):  # hour by hour through a day with lookups
        look_up(department, department.logon("comm1"))
        clock.step(HOUR_US)
        assert public.newest(desk) is first
        assert PublicCounts().newest(desk) == first  # a restarted server says the same
    read = department.call("transparency/read", department.logon("officer1"), NothingForm())
    assert read == first
    clock.step(7 * DAY_US)
    assert tallied(public.newest(desk).accesses) == {"search": 14}


def alert(number: int, *, covert: bool) -> list[Fact]:
    """A hit that sounded and its answer."""
    name = f"log/{number}"
    return [
        Fact(
            entry=2 * number,
            kind="alert_known",
            words=(name, "own list", "wanted"),
            numbers=(0, 0, int(covert)),
        ),
        Fact(entry=2 * number + 1, kind="alert_step", words=(name, "answered", "misread"), numbers=(0,)),
    ]


def test_a_covert_hit_moves_no_public_number(department: Department) -> None:
    seen = replace(seen_now(department.desk, department.desk.log.size(), ""), entries=0, as_of_us=0)

    def shown(covert: int) -> Transparency:
        own = ("own", "own list", "", "wanted")
        sent = Fact(entry=0, kind="list_sent", words=own, numbers=(40 + covert, covert, 40))
        hits = [one for number in range(1, 6) for one in alert(number, covert=False)]
        hits += [one for number in range(covert) for one in alert(50 + number, covert=True)]
        hits += [
            Fact(entry=900 + number, kind="access", words=(action, ""), numbers=())
            for number, action in enumerate(("alert", "alert-image") * covert)
        ]
        signed = [
            Fact(entry=950 + number, kind="document_signed", words=("hot-list",)) for number in range(covert)
        ]
        return for_public([sent, *hits, *signed], seen)

    for number in range(1, 10):
        assert shown(number) == shown(0)
    assert shown(0).hits.raised == 5
    (own,) = shown(10).hot_lists
    assert (shown(10).hits.covert, own.covert, own.entries, tallied(own.categories)) == (
        10,
        10,
        40,
        {"wanted": 40},
    )


def test_a_list_of_an_earlier_version_with_covert_entries_is_public_in_tens(department: Department) -> None:
    """Its categories count the covert entries."""
    seen = seen_now(department.desk, department.desk.log.size(), "")
    words = ("own", "own list", "", "stolen", "wanted")
    sent = Fact(entry=0, kind="list_sent", words=words, numbers=(43, 1, 30, 13))
    (own,) = for_public([sent], seen).hot_lists
    assert (own.entries, own.covert, tallied(own.categories)) == (40, 0, {"stolen": 30, "wanted": 10})
    alone = Fact(entry=0, kind="list_sent", words=words[:3], numbers=(1, 1))
    assert for_public([alone], seen).hot_lists == ()
    (exact,) = count([sent], seen).hot_lists
    assert (exact.entries, exact.covert) == (43, 1)
