"""The life of an alert: confirmation needs a look, a blind transcription and a fitting vehicle."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from storage.alert_life import (
    NEGATIVE,
    AlertAnswer,
    AlertEvent,
    AlertState,
    AlertStep,
    Fit,
    Outcome,
    Wanted,
    caught,
    compare,
    demand_step,
    ruled_out,
    typed_by,
    verdict_of,
)
from storage.errors import RefusedError
from storage.times import HOUR_US, MINUTE_US

WANTED = Wanted(plate="5SOW750", state="US-CA", requester="det.lee")
PLATES = st.text("ABO01I?8", min_size=1, max_size=8)


def step(kind: AlertEvent, at_us: int = 1, user: str = "o.diaz", **fields: object) -> AlertStep:
    return AlertStep(step=kind, user=user, role="dispatcher", at_us=at_us, **fields)  # type: ignore[arg-type]


def state(*steps: AlertStep) -> AlertState:
    return AlertState(raised_us=0, steps=steps, taken_us=tuple(one.at_us for one in steps))


LOOK = step(AlertEvent.VIEWED)
TYPED = step(AlertEvent.TRANSCRIBED, plate="5SOW750", state="US-CA")
CONFIRMED = step(AlertEvent.ANSWERED, fit=Fit.YES, answer=AlertAnswer.CONFIRMED)


def walk(*steps: AlertStep, wanted: Wanted = WANTED) -> AlertState:
    """The state after these steps, each of which must be allowed."""
    made = state()
    for one in steps:
        demand_step(made, one, wanted)
        made = made.after(one)
    return made


def test_a_look_a_transcription_and_a_vehicle_that_fits_confirm() -> None:
    assert walk(LOOK, TYPED, CONFIRMED).answer is AlertAnswer.CONFIRMED


REFUSED = [
    pytest.param((TYPED,), "look at the image", id="typed without a look"),
    pytest.param((replace(LOOK, user="other"), TYPED), "look at the image", id="another person looked"),
    pytest.param((LOOK, CONFIRMED), "type plate and state", id="answered without typing"),
    pytest.param(
        (LOOK, TYPED, replace(CONFIRMED, user="other")),
        "type plate and state",
        id="answered for another person",
    ),
    pytest.param(
        (LOOK, TYPED, replace(CONFIRMED, fit=None)), "whether the vehicle fits", id="no word on the vehicle"
    ),
    pytest.param(
        (LOOK, TYPED, replace(CONFIRMED, fit=Fit.NO)), "does not follow", id="a vehicle that does not fit"
    ),
    pytest.param(
        (LOOK, replace(TYPED, plate="5SOW350"), CONFIRMED),
        "does not follow",
        id="confirmed although it differs",
    ),
    pytest.param((LOOK, TYPED, replace(TYPED, plate="5SOW350")), "was shown to you", id="typed again"),
    pytest.param(
        (replace(LOOK, user="det.lee"), replace(TYPED, user="det.lee")),
        "you requested",
        id="by who asked for it",
    ),
    pytest.param((LOOK, replace(TYPED, plate="")), "type the plate", id="typed nothing"),
    pytest.param((LOOK, replace(TYPED, plate="5ЅOW750")), "type the plate", id="a Cyrillic letter"),
    pytest.param(
        (step(AlertEvent.CLETS, practicable=True, text="CLETS 1"),), "confirmed alert", id="CLETS unconfirmed"
    ),
    pytest.param(
        (LOOK, TYPED, CONFIRMED, step(AlertEvent.CLETS, practicable=False, text="no")),
        "why CLETS was not",
        id="CLETS unsaid",
    ),
    pytest.param(
        (LOOK, TYPED, CONFIRMED, step(AlertEvent.CLETS, text="reference")),
        "give the CLETS",
        id="CLETS undecided",
    ),
    pytest.param((step(AlertEvent.CLOSED),), "with an outcome", id="closed without an outcome"),
    pytest.param(
        (step(AlertEvent.CLOSED, user="", outcome=Outcome.NO_STOP),),
        "by a person",
        id="closed by the machine",
    ),
    pytest.param(
        (step(AlertEvent.CLOSED, outcome=Outcome.ARREST),), "without action", id="an arrest unconfirmed"
    ),
    pytest.param((step(AlertEvent.CLOSED, outcome=Outcome.STOP),), "without action", id="a stop unconfirmed"),
    pytest.param(
        (step(AlertEvent.CLOSED, outcome=Outcome.RELEASED),), "without action", id="a release unconfirmed"
    ),
    *(
        pytest.param(
            (LOOK, TYPED, CONFIRMED, step(AlertEvent.CLOSED, outcome=outcome)),
            "what CLETS has",
            id=f"{outcome} without CLETS or a reason",
        )
        for outcome in (Outcome.STOP, Outcome.ARREST, Outcome.RELEASED)
    ),
    pytest.param(
        (step(AlertEvent.CLOSED, outcome=Outcome.HANDED_OVER), LOOK), "is closed", id="a step after the end"
    ),
    *(
        pytest.param(
            (*seen, step(AlertEvent.CLOSED, outcome=outcome)), "no one has looked", id=f"{outcome}, {what}"
        )
        for outcome in (Outcome.UNFOUNDED, Outcome.NO_STOP)
        for seen, what in (((), "unseen"), ((LOOK,), "only opened"), ((LOOK, TYPED), "not answered"))
    ),
    pytest.param((step(AlertEvent.RECALLED), LOOK), "withdrawn", id="a look after the recall"),
]


@pytest.mark.parametrize(("steps", "why"), REFUSED)
def test_a_step_out_of_its_order_is_refused_with_the_clause(steps: tuple[AlertStep, ...], why: str) -> None:
    made = walk(*steps[:-1])
    with pytest.raises(RefusedError, match=why) as refused:
        demand_step(made, steps[-1], WANTED)
    assert refused.value.clause == "463.7"


def test_a_colleague_types_what_another_has_typed_after_a_look_of_their_own() -> None:
    other = replace(LOOK, user="other")
    demand_step(walk(LOOK, TYPED, other), replace(TYPED, user="other"), WANTED)


VERDICTS = [
    ("5SOW750", "US-CA", Fit.YES, AlertAnswer.CONFIRMED),
    ("5S0W75O", "US-CA", Fit.YES, AlertAnswer.CONFIRMED),  # O and 0 are the same
    ("5sow 750", "US-CA", Fit.YES, AlertAnswer.CONFIRMED),
    ("5SOW350", "US-CA", Fit.YES, AlertAnswer.WRONG_CHARACTER),
    ("5SOW75", "US-CA", Fit.YES, AlertAnswer.WRONG_CHARACTER),
    ("5SOW7500", "US-CA", Fit.YES, AlertAnswer.WRONG_CHARACTER),
    ("5SOW750", "US-MT", Fit.YES, AlertAnswer.WRONG_STATE),
    ("5SOW750", "US-CA", Fit.NO, AlertAnswer.NOT_THIS_VEHICLE),
    ("5SOW75?", "US-CA", Fit.YES, AlertAnswer.CANNOT_TELL),
    ("5SOW750", "", Fit.YES, AlertAnswer.CANNOT_TELL),
    ("5SOW750", "US-CA", Fit.CANNOT_TELL, AlertAnswer.CANNOT_TELL),
]


@pytest.mark.parametrize(("plate", "where", "fit", "answer"), VERDICTS)
def test_the_answer_is_computed_from_what_was_typed(
    plate: str, where: str, fit: Fit, answer: AlertAnswer
) -> None:
    assert verdict_of(step(AlertEvent.TRANSCRIBED, plate=plate, state=where), fit, WANTED) is answer


def test_an_entry_without_a_state_is_confirmed_without_one() -> None:
    wanted = replace(WANTED, state="")
    assert verdict_of(step(AlertEvent.TRANSCRIBED, plate="5SOW750"), Fit.YES, wanted) is AlertAnswer.CONFIRMED


@given(PLATES, st.sampled_from(list(Fit)), st.sampled_from(["US-CA", "US-MT", ""]))
def test_a_planted_mismatch_is_never_confirmed(plate: str, fit: Fit, where: str) -> None:
    wanted = Wanted(plate="A8I0", state="US-CA", planted=True)
    typed = step(AlertEvent.TRANSCRIBED, plate=plate, state=where)
    assert verdict_of(typed, fit, wanted) is not AlertAnswer.CONFIRMED
    assert caught(typed, wanted) == any(not one.agrees for one in compare(plate, "A8I0"))


@given(PLATES, PLATES)
def test_slots_agree_exactly_where_the_folded_plates_do(typed: str, wanted: str) -> None:
    slots = compare(typed, wanted)
    fold = str.maketrans("OI", "01")
    assert all(one.agrees for one in slots) == (typed.translate(fold) == wanted.translate(fold))
    assert "".join(one.wanted for one in slots) == wanted


def test_a_confirmed_alert_owes_a_clets_answer_after_its_minutes() -> None:
    made = walk(LOOK, TYPED, CONFIRMED)
    assert made.clets_due_us(10) == 1 + 10 * MINUTE_US
    asked = made.after(step(AlertEvent.CLETS, practicable=True, text="CLETS 123"))
    assert asked.clets_due_us(10) is None
    assert walk(LOOK, TYPED).clets_due_us(10) is None
    assert made.after(step(AlertEvent.RECALLED)).clets_due_us(10) is None


def test_an_alert_without_an_outcome_is_overdue_and_never_closes_by_itself() -> None:
    made = walk(LOOK, TYPED, CONFIRMED)
    assert not made.overdue(24 * HOUR_US - 1, 24)
    assert made.overdue(24 * HOUR_US, 24)
    ended = made.after(step(AlertEvent.CLOSED, outcome=Outcome.ARREST))
    assert not ended.overdue(10**18, 24)


def test_negative_answers_are_those_that_clear_a_plate() -> None:
    assert {AlertAnswer.WRONG_CHARACTER, AlertAnswer.WRONG_STATE, AlertAnswer.NOT_THIS_VEHICLE} == NEGATIVE


def test_no_plate_shows_in_a_repr() -> None:
    for one in (TYPED, WANTED, compare("5SOW750", "5SOW750")[0]):
        assert "5SOW" not in repr(one)


class AnyOrder(RuleBasedStateMachine):
    """Steps in any order by anyone: whatever is accepted, a confirmation had all that it needs."""

    def __init__(self) -> None:
        super().__init__()
        self.made = state()
        self.at_us = 1

    @rule(
        kind=st.sampled_from(list(AlertEvent)),
        user=st.sampled_from(["a", "b", "det.lee", ""]),
        plate=st.sampled_from(["5SOW750", "5S0W750", "5SOW350", ""]),
        where=st.sampled_from(["US-CA", "US-MT", ""]),
        fit=st.sampled_from([None, *Fit]),
        answer=st.sampled_from([None, *AlertAnswer]),
        outcome=st.sampled_from([None, *Outcome]),
        practicable=st.sampled_from([None, True, False]),
        text=st.sampled_from(["", "CLETS 4711", "no terminal in the car"]),
        later=st.integers(-1, 5),
    )
    def take(
        self,
        kind: AlertEvent,
        user: str,
        plate: str,
        where: str,
        fit: Fit | None,
        answer: AlertAnswer | None,
        outcome: Outcome | None,
        practicable: bool | None,
        text: str,
        later: int,
    ) -> None:
        asked = AlertStep(
            step=kind, user=user, role="", at_us=self.at_us + later, plate=plate, state=where, fit=fit,
            answer=answer, outcome=outcome, practicable=practicable, text=text,
        )  # fmt: skip
        try:
            demand_step(self.made, asked, WANTED)
        except RefusedError:
            return
        self.at_us = max(self.at_us, asked.at_us)
        before, self.made = self.made, self.made.after(asked)
        if kind is AlertEvent.ANSWERED and answer is AlertAnswer.CONFIRMED:
            mine = [one for one in before.steps if one.user == user]
            assert any(one.step is AlertEvent.VIEWED for one in mine)
            typed = next(one for one in mine if one.step is AlertEvent.TRANSCRIBED)
            assert all(one.agrees for one in compare(typed.plate, WANTED.plate))
            assert (typed.state, fit, user != "det.lee") == ("US-CA", Fit.YES, True)
        if kind is AlertEvent.CLOSED:
            assert user
            assert outcome is not None
            if outcome in {Outcome.STOP, Outcome.ARREST, Outcome.RELEASED}:
                assert before.answer is AlertAnswer.CONFIRMED
                assert before.recalled or before.last(AlertEvent.CLETS) is not None


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestAnyOrder = pytest.mark.one_python(AnyOrder.TestCase)


def test_an_alert_that_was_recalled_is_closed_without_a_look() -> None:
    ended = state(step(AlertEvent.RECALLED))
    demand_step(ended, step(AlertEvent.CLOSED, outcome=Outcome.UNFOUNDED), WANTED)


def test_a_closed_alert_asks_for_no_next_step() -> None:
    closed = step(AlertEvent.CLOSED, outcome=Outcome.NO_STOP)
    assert state().next_step(5, 10) == "look at the image"
    assert state(LOOK).next_step(5, 10) == "type plate and state"
    assert state(LOOK, closed).next_step(5, 10) == "nothing: it is closed"


CLETS = step(AlertEvent.CLETS, practicable=True, text="CLETS 1")
ENDED = step(AlertEvent.CLOSED, outcome=Outcome.NO_STOP)


@pytest.mark.parametrize(
    ("steps", "now_us", "words"),
    [
        ((), 0, "look at the image"),
        ((LOOK,), 0, "type plate and state"),
        ((LOOK, TYPED), 0, "say whether the vehicle fits"),
        ((LOOK, TYPED, CONFIRMED), 10 * MINUTE_US, "CLETS reference"),
        ((LOOK, TYPED, CONFIRMED), 10 * MINUTE_US + 1, "CLETS reference overdue"),
        ((LOOK, TYPED, CONFIRMED, CLETS), 10 * MINUTE_US + 1, "outcome"),
        ((LOOK, TYPED, replace(CONFIRMED, answer=AlertAnswer.WRONG_STATE)), 10**18, "close"),
        ((LOOK, TYPED, CONFIRMED, step(AlertEvent.RECALLED)), 10**18, "close: the entry was withdrawn"),
        ((LOOK, TYPED, step(AlertEvent.RECALLED), ENDED), 10**18, "nothing: it is closed"),
    ],
)
def test_the_next_step_is_the_first_that_is_missing(
    steps: tuple[AlertStep, ...], now_us: int, words: str
) -> None:
    assert state(*steps).next_step(now_us, 10) == words


def test_steps_follow_each_other_as_they_were_recorded_whatever_their_clocks_say() -> None:
    """A unit's clock may be years ahead of the desk's, and may be set back between two steps."""
    made = walk(replace(LOOK, at_us=2**53), replace(TYPED, at_us=5), replace(CONFIRMED, at_us=1))
    assert made.answer is AlertAnswer.CONFIRMED
    asked = made.after(step(AlertEvent.CLETS, at_us=0, practicable=True, text="CLETS 123"), 9)
    assert asked.clets_due_us(10) is None
    assert [made.owes_clets, asked.owes_clets] == [True, False]


def test_what_is_due_counts_by_the_clock_of_the_one_who_keeps_the_alert() -> None:
    made = AlertState(raised_us=100)
    for at, one in enumerate((LOOK, TYPED, CONFIRMED)):
        made = made.after(replace(one, at_us=2**53), 101 + at)
    assert made.clets_due_us(10) == 103 + 10 * MINUTE_US
    assert made.overdue(100 + 24 * HOUR_US, 24)


def test_an_answer_after_the_clets_reference_owes_another_one() -> None:
    again = step(AlertEvent.ANSWERED, at_us=3, fit=Fit.YES, answer=AlertAnswer.CONFIRMED)
    assert state(CONFIRMED, replace(CLETS, at_us=2), again).clets_due_us(10) == 3 + 10 * MINUTE_US
    assert state(CONFIRMED, replace(CLETS, at_us=4), again).clets_due_us(10) == 3 + 10 * MINUTE_US
    assert state(CONFIRMED, again, replace(CLETS, at_us=2)).clets_due_us(10) is None
    assert state(CONFIRMED, ENDED).clets_due_us(10) is None


@pytest.mark.parametrize(("practicable", "least"), [(True, 3), (False, 8)])
def test_a_clets_reference_and_a_reason_have_their_least_lengths(practicable: bool, least: int) -> None:
    made = walk(LOOK, TYPED, CONFIRMED)
    asked = step(AlertEvent.CLETS, practicable=practicable, text=f" {'x' * least} ")
    demand_step(made, asked, WANTED)
    with pytest.raises(RefusedError, match=f"has at least {least} letters or digits"):
        demand_step(made, replace(asked, text=f" {'x' * (least - 1)} - ... "), WANTED)
    with pytest.raises(RefusedError, match="give the CLETS reference"):
        demand_step(made, replace(asked, practicable=None), WANTED)


@pytest.mark.parametrize(
    ("plate", "taken"),
    [("A" * 16, True), ("A" * 17, False), ("?" * 3, False), ("A?", True), ("A@B", False)],
)
def test_a_typed_plate_has_1_to_16_characters(plate: str, taken: bool) -> None:
    asked = replace(TYPED, plate=plate)
    if taken:
        demand_step(walk(LOOK), asked, WANTED)
        return
    with pytest.raises(RefusedError, match="type the plate as the image shows it"):
        demand_step(walk(LOOK), asked, WANTED)


def test_who_asked_for_an_entry_or_approved_it_is_not_who_verifies_it() -> None:
    wanted = Wanted(plate="5SOW750", state="", requester="", approver="o.diaz")
    with pytest.raises(RefusedError, match="you requested or approved"):
        demand_step(walk(LOOK), TYPED, wanted)
    nobody = replace(TYPED, user="")  # an entry from a source, with an unknown requester
    demand_step(state(replace(LOOK, user="")), nobody, replace(wanted, approver=""))


def test_a_recalled_alert_can_be_shown_and_closed_and_no_more() -> None:
    made = state(LOOK, step(AlertEvent.RECALLED))
    for allowed in (step(AlertEvent.SHOWN), ENDED):
        demand_step(made, allowed, WANTED)
    with pytest.raises(RefusedError, match="the entry was withdrawn"):
        demand_step(made, LOOK, WANTED)
    demand_step(made, replace(ENDED, outcome=Outcome.HANDED_OVER), WANTED)
    acted = walk(LOOK, TYPED, CONFIRMED).after(step(AlertEvent.RECALLED))  # the stop was before the recall
    demand_step(acted, replace(ENDED, outcome=Outcome.STOP), WANTED)


def test_a_confirmed_alert_ends_with_an_arrest_and_one_dated_alike_follows() -> None:
    asked = step(AlertEvent.CLETS, practicable=False, text="radio out of reach")
    made = walk(LOOK, TYPED, CONFIRMED, asked, step(AlertEvent.CLOSED, outcome=Outcome.STOP))
    assert made.closed
    assert (made.last(AlertEvent.SHOWN), made.last(AlertEvent.VIEWED)) == (None, LOOK)


WRONG = step(AlertEvent.ANSWERED, fit=Fit.YES, answer=AlertAnswer.WRONG_CHARACTER)


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ((LOOK, TYPED, WRONG), TYPED),
        ((LOOK, TYPED, CONFIRMED), None),
        ((LOOK, TYPED), None),
        ((LOOK, replace(TYPED, plate="5SOW35?"), WRONG), None),
        ((replace(TYPED, user="other"), WRONG), None),
    ],
)
def test_a_plate_is_ruled_out_by_a_whole_transcription_of_who_answered(
    steps: tuple[AlertStep, ...], found: AlertStep | None
) -> None:
    assert ruled_out(state(*steps)) == found


def test_the_newest_transcription_of_a_person_counts() -> None:
    newer = replace(TYPED, plate="5SOW350", at_us=2)
    made = state(TYPED, newer, replace(TYPED, user="other"))
    assert (typed_by(made, "o.diaz"), typed_by(made, "nobody")) == (newer, None)


def test_a_planted_mismatch_is_caught_only_where_it_was_planted() -> None:
    typed = replace(TYPED, plate="5SOW350")
    assert not caught(typed, WANTED)
    assert caught(typed, replace(WANTED, planted=True))
    assert not caught(TYPED, replace(WANTED, planted=True))


def test_what_cannot_be_read_hides_no_character_that_differs() -> None:
    shown = step(AlertEvent.TRANSCRIBED, plate="?SOW350", state="US-CA")
    assert verdict_of(shown, Fit.YES, WANTED) is AlertAnswer.WRONG_CHARACTER
    other = replace(shown, plate="5SOW75?", state="US-MT")
    assert verdict_of(other, Fit.YES, WANTED) is AlertAnswer.WRONG_STATE
    assert verdict_of(replace(TYPED, state=""), Fit.NO, WANTED) is AlertAnswer.NOT_THIS_VEHICLE
    assert compare("5SOW7", "5SOW750")[5:] == compare("5SOW7 ", "5SOW750")[5:]
    assert [(one.typed, one.wanted, one.agrees) for one in compare("A", "AB")] == [
        ("A", "A", True),
        ("", "B", False),
    ]
