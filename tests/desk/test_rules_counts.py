"""The public counts: what each fact in the log adds to which figure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from log_entries import POLICY

from storage.alert_life import AlertAnswer, AlertEvent
from sync.department.desk.transparency.facts import Fact
from sync.department.desk.transparency.rules import (
    Agency,
    CaseNumbers,
    Emergencies,
    Hits,
    HotList,
    Redress,
    Seen,
    Tally,
    count,
    silent_before,
)
from sync.department.journal.alert_entries import AlertKnown, AlertStepTaken
from sync.department.journal.change_entries import (
    CasesCompared,
    DayCounted,
    DocumentSigned,
    GlassBroken,
    GlassJudged,
    ListSent,
)
from sync.department.journal.entries import AuditDone, FindingClosed, FindingOpened, Refused, WitnessAway
from sync.department.journal.hold_entries import HoldPlaced, HoldReleased, Purged
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.redress_entries import RedressAnswered, RedressAsked
from sync.department.journal.sharing_entries import ShareAsked, ShareDecided, ShareDelivered, ShareRouted

TERMS = replace(POLICY.alerts, source_rejected_least=3, source_rejected_percent=50)
SEEN = Seen(
    department="PD", policy_version=7, as_of_us=8, entries=9, witnesses=("court",), quorum=1, checkpoint="c",
    alert_terms=TERMS,
)  # fmt: skip
One = tuple[str, tuple[str, ...], tuple[int, ...]]


def made_of(*facts: One) -> list[Fact]:
    return [
        Fact(entry=at, kind=kind, words=words, numbers=numbers)
        for at, (kind, words, numbers) in enumerate(facts)
    ]


def counted(*facts: One) -> Any:
    return count(made_of(*facts), SEEN)


EMPTY = counted()


@pytest.mark.parametrize(
    ("facts", "changed"),
    [
        pytest.param(
            [(Access.KIND, (one, "enforcement"), ()) for one in ("search", "image", "search")],
            {
                "accesses": (Tally(name="image", count=1), Tally(name="search", count=2)),
                "inquiries_by_purpose": (Tally(name="enforcement", count=2),),
            },
            id="accesses",
        ),
        pytest.param(
            [(DayCounted.KIND, (day,), (reads,)) for day, reads in (("d1", 5), ("d2", 2), ("d1", 7))],
            {"days_counted": 2, "reads_received": 9},
            id="days, each by its newest count",
        ),
        pytest.param(
            [(Purged.KIND, ("d1",), (5,)), (Purged.KIND, ("d1",), (2,))],
            {"days_purged": 1, "reads_purged": 7},
            id="purges, all of a day together",
        ),
        pytest.param(
            [(GlassBroken.KIND, (), ())] * 4
            + [(GlassJudged.KIND, (), one) for one in ((1, 1), (2, 1), (3, 0))],
            {"emergencies": Emergencies(searches=4, justified=2, unjustified=1, waiting=1)},
            id="emergencies",
        ),
        pytest.param(
            [(CasesCompared.KIND, (), (3, 2)), (CasesCompared.KIND, (), (5, 4))],
            {"case_numbers": CaseNumbers(compared=8, existing=6, share=0.75)},
            id="case numbers",
        ),
        pytest.param(
            [
                (ShareAsked.KIND, ("LASD",), ()),
                (ShareAsked.KIND, ("DA",), ()),
                (ShareAsked.KIND, ("LASD",), ()),
                (ShareDecided.KIND, (), (0, 1)),
                (ShareDecided.KIND, (), (1, 0)),
                (ShareDelivered.KIND, (), (0, 4)),
                (ShareDelivered.KIND, (), (0, 3)),
                (ShareRouted.KIND, (), ()),
            ],
            {
                "sharing": (
                    Agency(agency="DA", requests=1, approved=0, refused=1, transfers=0, reads=0),
                    Agency(agency="LASD", requests=2, approved=1, refused=0, transfers=2, reads=7),
                ),
                "sent_to_records_release": 1,
            },
            id="sharing",
        ),
        pytest.param(
            [(FindingOpened.KIND, ("burst",), ())] * 2 + [(FindingClosed.KIND, ("misuse",), ())],
            {
                "findings_opened": (Tally(name="burst", count=2),),
                "findings_closed": (Tally(name="misuse", count=1),),
            },
            id="findings",
        ),
        pytest.param(
            [(kind, (), ()) for kind in (Refused.KIND, AuditDone.KIND, HoldPlaced.KIND, HoldPlaced.KIND)]
            + [(HoldReleased.KIND, (), ()), (WitnessAway.KIND, (), ())],
            {"refusals": 1, "audits": 1, "holds_placed": 2, "holds_released": 1, "witness_absences": 1},
            id="what is counted by its kind",
        ),
        pytest.param(
            [(Refused.KIND, (), ())] * 2 + [(Refused.KIND, ("again",), ())] * 3,
            {"refusals": 2},
            id="no refusal that only asked for a proof or a login again",
        ),
        pytest.param(
            [(DocumentSigned.KIND, ("hot-list",), ()), (DocumentSigned.KIND, ("update",), ())],
            {"hot_lists_signed": 1},
            id="signed lists",
        ),
        pytest.param(
            [(RedressAsked.KIND, (), ())] * 2 + [(RedressAnswered.KIND, (), (0,))] * 2,
            {"redress": Redress(asked=2, answered=1)},
            id="redress, an answer once",
        ),
        pytest.param(
            [
                (ListSent.KIND, ("b", "DOJ", "", "old"), (1, 0, 1)),
                (ListSent.KIND, ("b", "DOJ", "", "stolen", "felony"), (9, 2, 6, 3)),
                (ListSent.KIND, ("a", "SVS", "LASD"), (4, 0)),
            ],
            {
                "hot_lists": (
                    HotList(list_id="a", source="SVS", agency="LASD", entries=4, covert=0, categories=()),
                    HotList(
                        list_id="b", source="DOJ", agency="", entries=9, covert=2,
                        categories=(Tally(name="stolen", count=6), Tally(name="felony", count=3)),
                    ),
                )
            },
            id="hot lists, each by its newest version",
        ),
    ],
)  # fmt: skip
def test_a_fact_counts_where_it_belongs_and_nowhere_else(facts: list[One], changed: dict[str, Any]) -> None:
    assert counted(*facts) == replace(EMPTY, **changed)


def test_before_any_fact_every_count_is_zero_and_no_share_is_known() -> None:
    assert EMPTY.case_numbers == CaseNumbers(compared=0, existing=0, share=-1.0)
    assert (EMPTY.hits.raised, EMPTY.hits.catch_rate, EMPTY.sharing, EMPTY.redress.asked) == (0, -1.0, (), 0)
    assert (EMPTY.department, EMPTY.policy_version, EMPTY.as_of_us, EMPTY.entries) == ("PD", 7, 8, 9)
    assert (EMPTY.witnesses, EMPTY.quorum, EMPTY.checkpoint) == (("court",), 1, "c")


def known(alert: str, *, planted: int = 0, silent: int = 0, covert: int = 0, source: str = "DOJ") -> One:
    return AlertKnown.KIND, (alert, source, "stolen"), (planted, silent, covert)


def step(alert: str, event: AlertEvent, answer: str = "", *numbers: int) -> One:
    return AlertStepTaken.KIND, (alert, event.value, answer), numbers


ANSWERED, CLOSED, TYPED = AlertEvent.ANSWERED, AlertEvent.CLOSED, AlertEvent.TRANSCRIBED


def test_hits_are_counted_by_what_people_found() -> None:
    found = counted(
        known("a", silent=1),
        known("a", covert=1),  # the same alert again
        known("b", covert=1),
        known("c"),
        known("d"),
        step("a", ANSWERED, AlertAnswer.CANNOT_TELL.value),
        step("a", ANSWERED, AlertAnswer.WRONG_STATE.value),
        step("b", ANSWERED, AlertAnswer.WRONG_CHARACTER.value),
        step("c", ANSWERED, AlertAnswer.NOT_THIS_VEHICLE.value),
        step("d", TYPED),
        step("x", ANSWERED, AlertAnswer.CONFIRMED.value),  # for an alert that the log does not have
    ).hits
    assert found == Hits(
        raised=4, silent=1, covert=1, answered=3, misreads=2, other_vehicle=1, tests=0, tests_caught=0,
        catch_rate=-1.0,
    )  # fmt: skip


def test_a_planted_mismatch_is_a_hit_until_it_is_closed_and_a_test_from_then_on() -> None:
    shown = (known("p", planted=1), step("p", TYPED, "", 1), step("p", TYPED, "", 0), step("p", TYPED, "", 1))
    during = counted(*shown).hits
    assert (during.raised, during.tests, during.catch_rate) == (1, 0, -1.0)
    after = counted(*shown, step("p", CLOSED)).hits
    assert (after.raised, after.tests, after.tests_caught) == (0, 3, 2)
    assert after.catch_rate == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("answers", "silent"),
    [
        ([AlertAnswer.WRONG_STATE] * 2 + [AlertAnswer.CONFIRMED], ("DOJ",)),
        ([AlertAnswer.WRONG_CHARACTER] * 2 + [AlertAnswer.CONFIRMED], ()),
        ([AlertAnswer.WRONG_STATE] * 2, ()),
        ([AlertAnswer.WRONG_STATE] * 2 + [AlertAnswer.CANNOT_TELL] * 2, ()),
        ([AlertAnswer.NOT_THIS_VEHICLE] * 2 + [AlertAnswer.CONFIRMED] * 2, ()),
    ],
)
def test_a_source_that_is_wrong_too_often_is_named(
    answers: list[AlertAnswer], silent: tuple[str, ...]
) -> None:
    facts = [
        fact
        for at, one in enumerate(answers)
        for fact in (known(str(at)), step(str(at), ANSWERED, one.value))
    ]
    planted = [known("p", planted=1), step("p", ANSWERED, AlertAnswer.WRONG_CHARACTER.value)]
    assert counted(*facts, *planted).silent_sources == silent
    misread = bool(silent) or (AlertAnswer.WRONG_CHARACTER in answers and AlertAnswer.CONFIRMED in answers)
    assert silent_before(made_of(*facts, *planted), TERMS) == (("DOJ",) if misread else ())
