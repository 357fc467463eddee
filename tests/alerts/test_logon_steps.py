"""A login in the car step by step, with a ledger in memory; what ends a visit; what a log still shows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from alert_twins import entry

from detector.plates import ALPHABET, PlateText
from firmware.alerts import likelihood, sessions
from firmware.alerts.board import AlertBoard
from firmware.alerts.recorded import recorded_alerts
from firmware.alerts.sessions import SHIFT_US, TICKET_US, Officer, PageSessions, subject_of
from storage import access, codec
from storage.alert_life import AlertAnswer, AlertEvent, AlertStep
from storage.audit_records import UnitAccess
from storage.errors import KeyLostError, RecordError, RefusedError
from storage.plate_text import fold
from storage.read_records import Alert, AlertStepped
from storage.record_base import ClockState, KeyClass
from storage.times import DAY_US

UNIT = "6a1a3b7de7135e7e4fe730fa747d291f"
PERSON = SimpleNamespace(user="o.diaz", organisation="Bend PD")


class Page:
    """Logons over a ledger in memory. `proofs`: (fresh, locked) of each proof; `permitted`: what may pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.boot_us, self.entries = DAY_US, list[UnitAccess]()
        self.moment = SimpleNamespace(us=7, state=ClockState.UNKNOWN)
        self.proofs: list[tuple[bool, bool]] = []
        self.asked: list[int] = []
        self.wrong = False
        self.permitted: Callable[[int], bool] = lambda _now_us: True
        self.roster = SimpleNamespace(demo=True, person=lambda user: PERSON if user == PERSON.user else None)
        store = SimpleNamespace(
            log_id=bytes(32), policy=SimpleNamespace(organisation="Bend"),
            time=SimpleNamespace(now=lambda: self.moment, perhaps_us=self.perhaps_us),
        )  # fmt: skip
        ledger = SimpleNamespace(
            store=store, standing=SimpleNamespace(roster=self.roster), append=self.append
        )
        self.sessions = PageSessions(cast(Any, ledger), lambda: UNIT, boot=lambda: self.boot_us)
        monkeypatch.setattr(access, "prove", self.prove)
        monkeypatch.setattr(access, "permit_alerts", self.permit)

    def perhaps_us(self) -> tuple[int, ...]:
        return (7, 3) if self.moment.state is ClockState.UNKNOWN else (7,)

    def append(self, record: UnitAccess) -> SimpleNamespace:
        self.entries.append(record)
        return SimpleNamespace(sequence=len(self.entries))

    def prove(self, *_: object, log_id: bytes, fresh: bool, locked: bool) -> object:
        self.proofs.append((fresh, locked))
        if locked or not fresh or self.wrong:
            raise RefusedError(access.BAD_CREDENTIAL, clause="463.3")
        return PERSON

    def permit(self, _person: object, _role: str, _policy: object, *, now_us: int) -> None:
        self.asked.append(now_us)
        if not self.permitted(now_us):
            raise RefusedError("training is not current", clause="463.9")

    def log_on(self, nonce: bytes | None = None, password: str | None = None, **changes: str) -> str:
        facts = {
            "action": "alerts", "user": "o.diaz", "role": "sworn-officer", "purpose": "alerts",
            "case_number": "", "subject": subject_of(UNIT),
        }  # fmt: skip
        given = nonce if nonce is not None else bytes(self.sessions.challenge()["nonce"])
        proof = access.Proof(nonce=given, signature=None if password else b"x", password=password)
        self.boot_us += 20_000_000  # as an address may
        body = {
            "request": codec.to_plain(access.Request(**(facts | changes))),
            "proof": codec.to_plain(proof),
        }
        return self.sessions.log_on(body, "10.0.0.1")

    def enter(self) -> str:
        return self.sessions.redeem(self.log_on())


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    return Page(monkeypatch)


def test_a_proof_opens_the_page_once(page: Page) -> None:
    nonce = bytes(page.sessions.challenge()["nonce"])
    assert page.log_on(nonce)
    with pytest.raises(RefusedError):
        page.log_on(nonce)
    assert page.proofs == [(True, False), (False, False)]
    assert [(one.allowed, one.user, one.role) for one in page.entries] == [
        (True, "o.diaz", "sworn-officer"), (False, "o.diaz", "sworn-officer")
    ]  # fmt: skip
    assert {(one.purpose, one.proof, one.demo) for one in page.entries} == {("alerts", "credential", True)}


def test_wrong_passwords_lock_the_password_and_never_the_key(page: Page) -> None:
    page.wrong = True
    for _ in range(5):
        with pytest.raises(RefusedError):
            page.log_on(password="a guess")  # noqa: S106
    page.wrong, page.proofs = False, []
    assert page.log_on()
    with pytest.raises(RefusedError):
        page.log_on(password="the right one")  # noqa: S106
    assert page.proofs == [(True, False), (True, True)]


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"action": "export"}, RecordError), ({"subject": subject_of("f" * 32)}, RefusedError)],
)
def test_a_request_for_something_else_or_another_unit_opens_nothing(
    page: Page, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        page.log_on(**changes)
    assert [one.allowed for one in page.entries] == ([False] if "subject" in changes else [])


@pytest.mark.parametrize(
    ("state", "by_clock", "by_trust", "good", "asked"),
    [
        (ClockState.DISCIPLINED, True, True, True, [7]), (ClockState.DISCIPLINED, False, True, False, [7]),
        (ClockState.UNKNOWN, False, True, True, [7, 3]), (ClockState.UNKNOWN, False, False, False, [7, 3]),
        (ClockState.UNKNOWN, True, False, True, [7]),
    ],
)  # fmt: skip
def test_training_is_current_by_the_clock_or_where_that_knows_nothing_by_the_believed_time(
    page: Page, state: ClockState, by_clock: bool, by_trust: bool, good: bool, asked: list[int]
) -> None:
    page.moment.state = state
    page.permitted = lambda now_us: by_clock if now_us == 7 else by_trust
    if good:
        assert page.log_on()
    else:
        with pytest.raises(RefusedError, match="training is not current"):
            page.log_on()
    assert page.asked == asked
    assert [one.allowed for one in page.entries] == [good]


@pytest.mark.parametrize(("after_us", "good"), [(0, True), (TICKET_US - 1, True), (TICKET_US, False)])
def test_a_ticket_is_good_for_a_minute_and_once(page: Page, after_us: int, good: bool) -> None:
    ticket = page.log_on()
    page.boot_us += after_us
    if good:
        assert page.sessions.find(page.sessions.redeem(ticket)).user == "o.diaz"
    with pytest.raises(RefusedError, match="this link was used or has expired"):
        page.sessions.redeem(ticket)


@pytest.mark.parametrize(("after_us", "good"), [(SHIFT_US - 1, True), (SHIFT_US, False)])
def test_a_session_ends_with_the_shift(page: Page, after_us: int, good: bool) -> None:
    token = page.enter()
    page.boot_us += after_us
    if good:
        assert page.sessions.find(token) == Officer(
            user="o.diaz", role="sworn-officer", organization="Bend PD"
        )
        return
    with pytest.raises(RefusedError, match="log in"):
        page.sessions.find(token)


def test_a_session_ends_by_a_logoff_the_roster_and_the_training(page: Page) -> None:
    token, other = page.enter(), page.enter()
    page.sessions.end(token)
    for one in (token, token[:-2], token + "00", "z" * 64, ""):
        with pytest.raises(RefusedError, match="log in"):
            page.sessions.find(one)
    page.moment.state, page.permitted = ClockState.DISCIPLINED, lambda _now_us: False
    with pytest.raises(RefusedError, match="training"):
        page.sessions.find(other)
    page.roster.person = lambda _user: None
    with pytest.raises(RefusedError, match="no longer names this user"):
        page.sessions.find(other)


def test_so_many_logons_wait_at_once_and_no_more(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_TICKETS", 2)
    page.log_on()
    page.log_on()
    with pytest.raises(RefusedError, match="too many logins wait"):
        page.log_on()
    page.boot_us += TICKET_US
    assert page.log_on()


def test_a_look_is_an_entry_of_the_session(page: Page) -> None:
    officer = page.sessions.find(page.enter())
    assert page.sessions.enter_look(officer, 12, 15, "alerts", "26-1") == len(page.entries)
    made = page.entries[-1]
    assert (made.records, made.proof, made.allowed, made.case_number) == ((12,), "session", True, "26-1")
    assert (made.elements, made.user, made.organisation) == ("image of alert 15", "o.diaz", "Bend PD")


# --- visits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "answer", "before", "outcome"),
    [
        (AlertEvent.ANSWERED, AlertAnswer.WRONG_CHARACTER, None, "settle"),
        (AlertEvent.ANSWERED, AlertAnswer.CANNOT_TELL, None, "end"),
        (AlertEvent.ANSWERED, AlertAnswer.CONFIRMED, None, ""),
        (AlertEvent.VIEWED, AlertAnswer.WRONG_CHARACTER, None, ""),
        (AlertEvent.VIEWED, AlertAnswer.CANNOT_TELL, None, ""), (AlertEvent.RECALLED, None, None, "end"),
        (AlertEvent.CLOSED, None, None, "end"), (AlertEvent.CLOSED, None, AlertAnswer.CONFIRMED, ""),
        (AlertEvent.VIEWED, None, None, ""),
    ],
)  # fmt: skip
def test_a_visit_ends_where_the_wanted_vehicle_may_follow(
    event: AlertEvent, answer: AlertAnswer | None, before: AlertAnswer | None, outcome: str
) -> None:
    done: list[str] = []
    visits = SimpleNamespace(
        settle=lambda _visit, at_us: done.append("settle" * (at_us == 9)),
        end=lambda _visit: done.append("end"),
    )
    state = SimpleNamespace(answer=before)
    alert = SimpleNamespace(visit="a visit", state=state, last_us=5, seen_us=100)
    step = SimpleNamespace(step=event, answer=answer, at_us=2**53)
    board = SimpleNamespace(_episodes=visits, running_us=104)
    AlertBoard._end_visit(cast(Any, board), cast(Any, alert), cast(Any, step))
    assert done == ([outcome] if outcome else [])


def test_each_likely_form_is_tried_once() -> None:
    """A form that differs in two slots can be reached in two ways."""
    slots = np.full((2, len(ALPHABET) + 1), 1e-6)
    for slot in slots:
        slot[ALPHABET.index("A")], slot[ALPHABET.index("4")] = 0.6, 0.4
    forms = [form for form, _ in likelihood._slot_forms(slots, 0.1)]
    assert sorted(forms) == ["44", "4A", "A4", "AA"]


def test_every_form_of_a_text_of_one_character_is_tried() -> None:
    (slot,) = slots = np.full((1, len(ALPHABET) + 1), 0.01)
    slot[ALPHABET.index("A")] = 0.6
    forms = [form for form, _ in likelihood._slot_forms(slots, 0.0)]
    assert (forms[0], len(forms)) == ("A", len(set(map(fold, ALPHABET))))


def test_a_form_counts_from_the_threshold_on() -> None:
    named = (("7ABC123", 0.5), ("7ABC124", 0.25))
    slots = np.full((7, len(ALPHABET) + 1), 1 / 37, np.float32)
    text = PlateText(text="7ABC123", confidence=0.5, slots=slots, candidates=named)
    assert likelihood.likely_forms(text, 0.25) == [("7ABC123", 0.5), ("7ABC124", 0.25)]
    assert likelihood.likely_forms(text, 0.2501) == [("7ABC123", 0.5)]
    assert likelihood.likely_forms(text, 0.5, exact_only=True) == [("7ABC123", 0.5)]


# --- what the log of a unit without a department shows --------------------------------------------------


def an_alert(category: str = "stolen-vehicle") -> Alert:
    return Alert(
        read=1, list_id="doj", list_version=1, source="SVS", entry=entry().to_bytes(), category=category,
        score=0.97, twin=False, disagrees=(), silent=("score",), stale=True, at_us=5,
    )  # fmt: skip


def a_step(alert: int) -> AlertStepped:
    step = AlertStep(step=AlertEvent.SHOWN, user="o.diaz", role="sworn-officer", at_us=6)
    return AlertStepped(alert=alert, step=step)


@pytest.mark.parametrize(
    ("end", "enrolled", "found"),
    [
        (None, False, [(2, "Stolen vehicle", 1), (6, "strange", 0)]),
        (7, False, [(2, "Stolen vehicle", 1), (6, "strange", 0)]),
        (6, False, [(2, "Stolen vehicle", 1)]), (2, False, []), (None, True, []),
    ],
)  # fmt: skip
def test_the_alerts_that_a_unit_can_open_are_shown_with_their_steps(
    end: int | None, enrolled: bool, found: list[tuple[int, str, int]]
) -> None:
    records: dict[int, Any] = {
        1: SimpleNamespace(KIND="read"), 2: an_alert(), 3: a_step(2), 4: KeyLostError("purged"), 5: a_step(4),
        6: an_alert("strange"), 8: an_alert(),
    }  # fmt: skip

    def record(number: int) -> Any:
        assert number not in {1, 8}, "opened without need"
        if isinstance(records[number], Exception):
            raise records[number]
        return records[number]

    epochs = {
        1: SimpleNamespace(epoch=1, key_class=KeyClass.HIT, purged_by=None),
        2: SimpleNamespace(epoch=2, key_class=KeyClass.READ, purged_by=None),
        3: SimpleNamespace(epoch=3, key_class=KeyClass.HIT, purged_by=7),
    }
    known = {"stolen-vehicle": SimpleNamespace(says="Stolen vehicle")}
    named = SimpleNamespace(category=known.get)
    store = SimpleNamespace(
        lock=contextlib.nullcontext(), enrolled=enrolled, log=SimpleNamespace(size=lambda: 9), record=record,
        leaf=lambda number: SimpleNamespace(kind=getattr(records[number], "KIND", Alert.KIND)),
        sequences=lambda epoch: {1: [6, 5, 4, 3, 2, 1], 2: [8], 3: [8]}[epoch],
        book=SimpleNamespace(epochs=epochs), policy=SimpleNamespace(alerts=named),
    )  # fmt: skip
    made = recorded_alerts(cast(Any, SimpleNamespace(store=store)), end)
    assert [(one.number, one.category, len(one.state.steps)) for one in made] == found
    assert all((one.silent, one.stale, one.list_id) == (("score",), True, "doj") for one in made)
