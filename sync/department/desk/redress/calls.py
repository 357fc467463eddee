"""Redress at the desk: anyone asks, and the administrator or a designee sees the request and answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from storage.times import DAY_US
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.inquiry.forms import Entered, NothingForm, first_entered
from sync.department.desk.redress import rules
from sync.department.desk.words import demand_plain, without_marks
from sync.department.journal.entries import EntryOf, LogRead
from sync.department.journal.redress_entries import RedressAnswered, RedressAsked
from sync.department.policy.policy import Policy
from sync.department.policy.refusals import refuse_each
from sync.department.policy.roles import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class RedressForm:
    """A request from anyone. `about`: wrong-read, stop, access, other.

    `contact`: email, phone or mailing address for the answer; `words`: what happened.
    """

    about: str
    contact: str = field(repr=False)
    words: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperForm:
    """A request that came on a paper form. `received_us`: when it came; its days count from then."""

    about: str
    contact: str = field(repr=False)
    words: str = field(repr=False)
    received_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The number of a request, for asking about it, and the number of days until it must be answered."""

    request: int
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RedressAnswerForm:
    """How a request was settled. `outcome`: corrected, nothing-found, referred, unclear."""

    request: int
    outcome: str
    note: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedressRow:
    """A request with its state.

    `at_us`: when it was made or its paper form came; `entered_by`: who entered that form, else empty;
    `outcome`, `note`, `answered_by`: empty while it waits.
    """

    request: int
    at_us: int
    due_us: int
    about: str
    contact: str = field(repr=False)
    words: str = field(repr=False)
    outcome: str
    note: str = field(repr=False)
    answered_by: str
    entered_by: str


def ask(front: DeskContext, address: str, form: RedressForm) -> Asked:
    """Take a request from the public, without a session. Raises FormError, TooManyError.

    The address is only used for the pace and kept nowhere. Invisible marks that a keyboard wrote are dropped:
    no one could find them to take them out.
    """
    desk = front.desk
    note = _asked(replace(form, contact=without_marks(form.contact), words=without_marks(form.words)))
    front.redress.demand(address, desk.now_us())
    with desk.log.writing():
        desk.refresh()
        rules.demand_room(desk.book.redress, desk.now_us())
        (entry,) = desk.system(note)
    desk.try_cover(entry.sequence)
    return Asked(request=entry.sequence, days=rules.ANSWER_DAYS)


def _asked(form: RedressForm | PaperForm) -> RedressAsked:
    """The entry of a request, with blanks tidied. Raises FormError."""
    tidy = replace(form, contact=" ".join(form.contact.split()), words=" ".join(form.words.split()))
    demand_plain(tidy, type(form).__name__)
    rules.check_asked(tidy)
    received_us = tidy.received_us if isinstance(tidy, PaperForm) else 0
    return RedressAsked(about=tidy.about, contact=tidy.contact, words=tidy.words, received_us=received_us)


def check_paper(_policy: Policy, form: PaperForm, now_us: int) -> None:
    """Check a paper form. Raises FormError naming each wrong field."""
    refuse_each(lambda: rules.check_asked(form), lambda: rules.check_received(form.received_us, now_us))


def enter(front: DeskContext, token: str, form: PaperForm) -> Asked:
    """Enter a request that came on paper. It answers the request's number and the days until it must be
    answered."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        check_paper(desk.policy, form, caller.at_us)
        return [_asked(form)], first_entered

    number = desk.act(token, Call.REDRESS_ANSWER, plan).entry
    desk.try_cover(number)
    entry = desk.book.redress.asked[number]
    days = max(0, -(-(rules.due_us(entry) - entry.stamp.at_us) // DAY_US))
    return Asked(request=number, days=days)


def listed(front: DeskContext, token: str, form: NothingForm) -> tuple[RedressRow, ...]:  # noqa: ARG001
    """List requests from the public: those that wait first, each group with the oldest first."""
    desk = front.desk

    def look(_caller: Caller) -> tuple[LogRead, tuple[RedressRow, ...]]:
        known = desk.book.redress
        rows = [_row(known, entry) for entry in known.asked.values()]
        rows.sort(key=lambda one: (bool(one.outcome), one.request))
        return LogRead(elements="requests for redress", count=len(rows)), tuple(rows)

    return desk.show(token, Call.REDRESS_ANSWER, look)


def _row(known: rules.Requests, entry: EntryOf[RedressAsked]) -> RedressRow:
    asked, settled = entry.note, known.answered.get(entry.sequence)
    answer = settled.note if settled is not None else None
    return RedressRow(
        request=entry.sequence,
        at_us=asked.received_us or entry.stamp.at_us,
        due_us=rules.due_us(entry),
        about=asked.about,
        contact=asked.contact,
        words=asked.words,
        outcome=answer.outcome if answer else "",
        note=answer.note if answer else "",
        answered_by=settled.stamp.user if settled is not None else "",
        entered_by=entry.stamp.user if rules.is_paper(entry) else "",
    )


def answer(front: DeskContext, token: str, form: RedressAnswerForm) -> Entered:
    """Enter the outcome of a request, after the person was informed."""
    desk = front.desk

    def plan(_caller: Caller) -> Plan[Entered]:
        rules.check_answer(desk.book.redress, form.request, form.outcome, form.note)
        note = RedressAnswered(request=form.request, outcome=form.outcome, note=form.note)
        return [note], first_entered

    return desk.act(token, Call.REDRESS_ANSWER, plan)
