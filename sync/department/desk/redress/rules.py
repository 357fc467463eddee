"""Redress: what a member of the public may ask, how often, and what waits. No I/O.

Anyone may ask, so the form is small, names no plate and no person, and is limited per address and per day: a
stranger can neither fill the log nor hide an honest request among many.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

from storage.times import DAY_US, HOUR_US, SECOND_US
from sync.department.desk.words import demand_sentence, demand_words
from sync.department.journal.entries import Entry, EntryOf, is_of
from sync.department.journal.redress_entries import RedressAnswered, RedressAsked
from sync.department.policy.refusals import (
    FormError,
    TooManyError,
    demand,
    done_already,
    refuse_each,
)
from sync.networks import network_of

CLAUSE = "463.4"
ABOUT = {
    "wrong-read": "a plate was read wrong",
    "stop": "I was stopped because of an alert",
    "access": "a person looked up my vehicle",
    "other": "something else about license plate readers",
}
OUTCOMES = {
    "corrected": "it was wrong, and is corrected",
    "nothing-found": "nothing about it was found",
    "referred": "referred to another office",
    "unclear": "it could not be determined",
}
A_DAY = 100  # requests per day, from everybody
AN_HOUR = 3  # requests per hour, from one address
A_DAY_OF_AREA = 10  # requests per day, from a provider's network (/24, IPv6 /48)
ANSWER_DAYS = 30
OLDEST_US = 366 * DAY_US  # an older paper form has the wrong date
REMEMBERED = 10_000


@dataclass(slots=True)
class Requests:
    """What the log says of requests for redress."""

    asked: dict[int, EntryOf[RedressAsked]] = field(default_factory=dict)
    answered: dict[int, EntryOf[RedressAnswered]] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        if is_of(entry, RedressAsked):
            self.asked[entry.sequence] = entry
        elif is_of(entry, RedressAnswered):
            self.answered[entry.note.request] = entry

    def waiting(self) -> list[EntryOf[RedressAsked]]:
        """Those without an answer, the oldest first."""
        return [entry for number, entry in self.asked.items() if number not in self.answered]


class AddressPace:
    """How often each address asked in the last hour, and each wider network in the last day.

    So one person with a few addresses cannot use up the places of others. Only in memory. Thread-safe.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._times: OrderedDict[str, list[int]] = OrderedDict()
        self._areas: OrderedDict[str, list[int]] = OrderedDict()

    def demand(self, address: str, now_us: int) -> None:
        """Count one request. Raises TooManyError."""
        own, area = network_of(address), network_of(address, wide=True)
        with self._guard:
            times = _within(self._times.get(own, []), HOUR_US, now_us)
            wide = _within(self._areas.get(area, []), DAY_US, now_us)
            if len(times) >= AN_HOUR or len(wide) >= A_DAY_OF_AREA:
                ends_us = wide[0] + DAY_US if len(wide) >= A_DAY_OF_AREA else times[0] + HOUR_US
                raise TooManyError(
                    "too many requests from this address",
                    clause=CLAUSE,
                    cure="ask tomorrow, or by letter" if len(wide) >= A_DAY_OF_AREA else "ask in an hour",
                    after_s=(ends_us - now_us) // SECOND_US + 1,
                )
            for table, name, known in ((self._times, own, times), (self._areas, area, wide)):
                table[name] = [*known, now_us]
                table.move_to_end(name)
                while len(table) > REMEMBERED:
                    table.popitem(last=False)


def _within(times: list[int], span_us: int, now_us: int) -> list[int]:
    return [one for one in times if 0 <= now_us - one < span_us]


def is_paper(entry: EntryOf[RedressAsked]) -> bool:
    """Whether a person of the department entered the request from a paper form."""
    return entry.note.received_us > 0


def due_us(entry: EntryOf[RedressAsked]) -> int:
    """When a request must be answered: so many days after it was made or its paper form came."""
    return (entry.note.received_us or entry.stamp.at_us) + ANSWER_DAYS * DAY_US


def check_received(received_us: int, now_us: int) -> None:
    """Refuse a paper form that is dated in the future or years ago. Raises FormError."""
    if not now_us - OLDEST_US <= received_us <= now_us:
        raise FormError(
            "a paper form must have been received within the last year",
            code="received_us",
            clause=CLAUSE,
            cure="see the date on the form",
        )


def demand_room(requests: Requests, now_us: int) -> None:
    """Refuse a request once the day has its limit. Raises TooManyError."""
    today = 0
    for entry in reversed(requests.asked.values()):
        if now_us - entry.stamp.at_us >= DAY_US:
            break
        today += not is_paper(entry)
    if today >= A_DAY:
        raise TooManyError(
            "the department accepts no more requests today",
            clause=CLAUSE,
            cure="ask tomorrow, or by letter",
            after_s=DAY_US // SECOND_US,
        )


class _AskedForm(Protocol):
    """The fields of a request."""

    @property
    def about(self) -> str: ...
    @property
    def contact(self) -> str: ...
    @property
    def words(self) -> str: ...


def check_asked(form: _AskedForm) -> None:
    """Check subject, contact and words. Raises FormError naming each wrong field."""
    how = "say how to answer: mail, telephone or post"
    what = "say what happened, in at least three words: when, where, what"
    refuse_each(
        lambda: demand(
            form.about in ABOUT,
            "say what it is about",
            code="about",
            clause=CLAUSE,
            cure="one of: " + "; ".join(ABOUT.values()),
        ),
        lambda: demand_words(form.contact, how, code="contact", clause=CLAUSE, least=5),
        lambda: demand_sentence(form.words, what, code="words", clause=CLAUSE),
    )


def check_answer(requests: Requests, number: int, outcome: str, note: str) -> None:
    """Check the outcome and the note, and that the request is open. Raises DeskRefusal."""
    if number not in requests.asked:
        raise FormError("there is no such request", code="no-request", clause=CLAUSE)
    answered = requests.answered.get(number)
    if answered is not None:
        raise done_already(answered.stamp.user, "answered that request", code="answered", clause=CLAUSE)
    outcomes = "one of: " + "; ".join(OUTCOMES.values())
    found = "say what you found and what you answered the person, in at least three words"
    refuse_each(
        lambda: demand(
            outcome in OUTCOMES, "that is not an outcome", code="outcome", clause=CLAUSE, cure=outcomes
        ),
        lambda: demand_sentence(note, found, code="note", clause=CLAUSE),
    )
