"""Pages of lists and forms, made from descriptions. Each list and each form is one call of the table.

A form that needs a second person is proposed. The session keeps it and brings it back for the call itself
once the second person has agreed (`changing.py`). Nothing is decided here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

from starlette.responses import Response

from sync.department.desk.calling import known_operation
from sync.department.desk.field_help import words_of
from sync.department.journal.inquiry_entries import Ground
from sync.department.pages import grounds, shield
from sync.department.pages.cells import WITH_PLATES, Cell, cell_of, heading
from sync.department.pages.charts import Chart
from sync.department.pages.fields import SECOND, Field, Options, fields_of, suggested, value_of
from sync.department.pages.paging import cut
from sync.department.pages.values import Values
from sync.department.pages.visit import Page, Visit
from sync.department.policy.refusals import FormError

Choices: TypeAlias = Callable[[Visit], Options]
Reading: TypeAlias = Callable[[Visit], Any]
PROPOSALS = "proposals"
BYTES_OF_FORM = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file in an answer: a name of letters, digits and dots; a media type; the bytes."""

    name: str
    kind: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One form.

    `fixed`: fields that a row gives, by the row's attribute; `buttons`: (label, field, value), instead of one
    button; `options`: what the policy offers; `first`: what a field shows at first; `read`: how to read
    fields that are special; `skip`: fields that keep their defaults.

    `said`: the message after the call; `file`: the file in the answer, which leaves the browser on this page,
    so `after` says there what is next; `template`: a page that shows the answer once. `when`: for which rows
    it is offered; `from_path`: fields that the page's address gives; `extra`: fields that only `read` knows;
    `may_lack`: fields that may stay empty if one of those is filled in.
    """

    operation: str
    title: str
    button: str = "Enter"
    lead: str = ""
    buttons: tuple[tuple[str, str, str], ...] = ()
    fixed: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Choices] = field(default_factory=dict)
    first: Mapping[str, Callable[[Visit], str]] = field(default_factory=dict)
    read: Mapping[str, Reading] = field(default_factory=dict)
    skip: frozenset[str] = frozenset()
    extra: tuple[Field, ...] = ()
    may_lack: frozenset[str] = frozenset()
    from_path: Mapping[str, str] = field(default_factory=dict)
    said: Callable[[Any], str] = lambda _answer: "It is entered."
    file: Callable[[Any], File | None] = lambda _answer: None
    after: str = ""
    template: str = ""
    when: Callable[[Any, Visit], bool] = lambda _row, _visit: True
    to: str = ""

    @property
    def form(self) -> type[Any]:
        return known_operation(self.operation).form

    @property
    def hidden(self) -> frozenset[str]:
        """The fields that the person does not fill in."""
        return (
            self.skip
            | set(self.fixed)
            | set(self.from_path)
            | {name for _label, name, _value in self.buttons}
        )

    def fields(self, visit: Visit) -> list[Field]:
        """The fields as the page shows them."""
        options = {name: choices(visit) for name, choices in self.options.items()}
        made = fields_of(self.form, options, self.hidden)
        firsts = {name: give(visit) for name, give in self.first.items()}
        shown = [dataclasses.replace(one, value=firsts.get(one.name, one.value)) for one in made]
        lacking = [
            dataclasses.replace(one, required=one.required and one.name not in self.may_lack) for one in shown
        ]
        return [*self.extra, *lacking, *(self._approval() if self.takes_two else ())]

    def _approval(self) -> tuple[Field, ...]:
        """The field for the number of an approved proposal, for a form that is filled in again in a later
        session."""
        words = words_of(self.form, "approval")
        return (Field(name="approval", kind="number", label=words.label, help=words.help, required=False),)

    @property
    def has_ground(self) -> bool:
        return any(one.type in {"Ground", Ground} for one in dataclasses.fields(self.form))

    @property
    def takes_two(self) -> bool:
        return set(SECOND) <= {one.name for one in dataclasses.fields(self.form)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A link from a row to its page. `path`: has {} for the row's first column, {number} for its number."""

    operation: str
    path: str
    text: str
    when: Callable[[Any, Visit], bool] = lambda _row, _visit: True


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One list.

    `columns`: attributes of a row, the first of which names it; `under`: attributes shown in small type under
    a column, where more columns would be wider than a screen; `plain`: attributes that people typed; `codes`:
    the words for a column's codes; `acts`: the forms of a row; `late`: whether a row needs a person and so
    comes first, and `late_word` why; `links`: (attribute, path with {}) of a cell; `rows`: the rows in the
    answer, of which the page has those that it `shows`; `value`: the form of the call, from the page's
    fields; `older`: for a call that returns a page of a long list, `before` of the next page, or -1.
    """

    operation: str
    title: str
    columns: tuple[str, ...]
    under: Mapping[str, str] = field(default_factory=dict)
    empty: str = "Nothing."
    lead: str = ""
    plain: frozenset[str] = frozenset()
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    acts: tuple[Ask, ...] = ()
    opens: tuple[Opening, ...] = ()
    late: Callable[[Any, int], bool] = lambda _row, _now_us: False
    late_word: str = "overdue"
    links: Mapping[str, str] = field(default_factory=dict)
    rows: Callable[[Any], Sequence[Any]] = list
    value: Callable[[Visit], dict[str, Any]] = lambda _visit: {}
    charts: Callable[[Any], Sequence[Chart]] = lambda _answer: ()
    facts: Callable[[Any], Sequence[tuple[str, Any]]] = lambda _answer: ()
    older: Callable[[Any], int] = lambda _answer: -1
    shows: Callable[[Any, Visit], bool] = lambda _row, _visit: True


@dataclass(frozen=True, slots=True)
class PageLink:
    """A link under a page's title. `operation`: only people who may make that call see it."""

    path: str
    text: str
    operation: str = "policy/read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One page.

    `duty`: the clause and what it asks, in a line; `filters`: fields in the page's own address; `offered`:
    the choices for some of them.
    """

    path: str
    title: str
    duty: str
    listings: tuple[Listing, ...] = ()
    asks: tuple[Ask, ...] = ()
    filters: tuple[Field, ...] = ()
    offered: Mapping[str, Choices] = field(default_factory=dict)
    more: Callable[[Visit], Awaitable[dict[str, Any]]] | None = None
    template: str = "sheet.html"
    links: tuple[PageLink, ...] = ()

    def every(self) -> list[Ask]:
        """All forms of the page."""
        return [*self.asks, *(act for listing in self.listings for act in listing.acts)]


def pages_of(sheet: Sheet) -> tuple[Page, ...]:
    """The routes of a sheet. GET shows it; POST takes the form of the operation that it names."""

    async def show(visit: Visit) -> Response:
        return await shown(sheet, visit)

    async def send(visit: Visit) -> Response:
        return await taken(sheet, visit)

    send_form = send if sheet.every() else None
    return (Page(path=sheet.path, show=show, send=send_form, asks=bool(sheet.filters)),)


async def shown(sheet: Sheet, visit: Visit) -> Response:
    """Show the page, with what this person may see and do on it."""
    names = [*(one.operation for one in sheet.listings), *(one.operation for one in sheet.every())]
    if names and not any(may(visit, name) for name in names):
        await visit.demand(names[0])  # refused with role and clause, and entered
    parts = []
    filter_refused = visit.refusal is not None and visit.request.method == "GET"
    for listing in sheet.listings:
        if may(visit, listing.operation) and not filter_refused:
            answer = await visit.call(listing.operation, **listing.value(visit))
            parts.append(part_of(listing, answer, visit))
    if not sheet.listings and not any(may(visit, one.operation) for one in sheet.asks):
        await visit.demand("policy/read")
    asks = [prepared(one, visit) for one in sheet.asks if may(visit, one.operation)]
    ground = grounds.carried(visit) if any(one["ask"].has_ground for one in asks) else {}
    more = await sheet.more(visit) if sheet.more else {}
    filters = [_offered(sheet, one, visit) for one in sheet.filters]
    forms = [*asks, *(one for part in parts for row in part["rows"] for one in row["forms"])]
    base: dict[str, Any] = {
        "sheet": sheet,
        "parts": parts,
        "asks": asks,
        "typed": visit.request.query_params,
        "facts": (),
        "filters": filters,
        "filter_refused": filter_refused,
        "suggested": suggested([*filters, *(each for one in forms for each in one["fields"])]),
        "links": [one for one in sheet.links if may(visit, one.operation)],
    }
    return visit.page(sheet.template, **(base | ground | more))


def _offered(sheet: Sheet, one: Field, visit: Visit) -> Field:
    choices = sheet.offered.get(one.name)
    return one if choices is None else one.offering(choices(visit))


def may(visit: Visit, operation: str) -> bool:
    """Whether one of the person's roles may make the call."""
    return visit.may(known_operation(operation).call)


def prepared(ask: Ask, visit: Visit, row: Any = None, name: str = "") -> dict[str, Any]:
    """A form for the template. A refused form is filled in with what was typed."""
    fixed = {key: str(getattr(row, source)) for key, source in ask.fixed.items()} if row is not None else {}
    fixed |= {key: str(visit.request.path_params[part]) for key, part in ask.from_path.items()}
    again = (visit.refusal is not None or visit.restored) and visit.values.get("act") == ask.operation
    again = again and all(visit.values.get(key) == value for key, value in fixed.items())
    return {
        "ask": ask,
        "key": "-".join(filter(None, (ask.operation.replace("/", "-"), name))),
        "fields": ask.fields(visit),
        "fixed": fixed,
        "given": visit.values if again else Values(),
        "refused": again,
    }


def part_of(listing: Listing, answer: Any, visit: Visit) -> dict[str, Any]:
    """A list for the template."""
    listed = (row for row in listing.rows(answer) if listing.shows(row, visit))
    rows = sorted(listed, key=lambda row: not listing.late(row, visit.now_us))
    sought = [one for one in (*listing.columns, *listing.under.values()) if one not in WITH_PLATES]

    def texts(row: Any) -> Iterator[str]:
        return (cell_of(column, getattr(row, column), listing, visit).text for column in sought)

    shown_rows = cut(visit, rows, listing.operation.replace("/", "-"), texts=texts)
    acts = [one for one in listing.acts if may(visit, one.operation)]
    made = []
    for place, row in enumerate(shown_rows.rows):
        name = str(getattr(row, listing.columns[0]))
        forms = [prepared(one, visit, row, str(place)) for one in acts if one.when(row, visit)]
        cells = [_cell(row, column, listing, visit) for column in listing.columns]
        links = [
            (one.path.format(name, number=quote(str(getattr(row, "number", "")))), one.text)
            for one in listing.opens
            if may(visit, one.operation) and one.when(row, visit)
        ]
        late = listing.late(row, visit.now_us)
        made.append({"name": name, "cells": cells, "late": late, "forms": forms, "links": links})
    return {
        "listing": listing,
        "heads": [Cell(heading(one), small=heading(listing.under.get(one, ""))) for one in listing.columns],
        "rows": made,
        "cut": shown_rows,
        "older": older_of(listing, answer, visit),
        "count": len(rows),
        "acts": bool(acts) or any(row["links"] for row in made),
        "charts": listing.charts(answer),
        "facts": [
            (label, cell_of(label, value, listing, visit).text) for label, value in listing.facts(answer)
        ],
    }


def _cell(row: Any, column: str, listing: Listing, visit: Visit) -> Cell:
    """A cell, with what is shown under it."""
    made, under = cell_of(column, getattr(row, column), listing, visit), listing.under.get(column)
    if under is None:
        return made
    return dataclasses.replace(made, small=cell_of(under, getattr(row, under), listing, visit).text)


def older_of(listing: Listing, answer: Any, visit: Visit) -> str:
    """The address of older rows, for a call that pages by itself; empty if there are none."""
    before = listing.older(answer)
    others = [one for one in visit.request.query_params.multi_items() if one[0] != "before"]
    return "?" + urlencode([*others, ("before", str(before))]) if before >= 0 else ""


async def taken(sheet: Sheet, visit: Visit) -> Response:
    """Take a sent form, and make its call or propose it."""
    here = visit.request.url.path
    named = visit.values.get("act", "")
    ask = next((one for one in sheet.every() if one.operation == named), None)
    if ask is None:
        raise FormError("that page has no such form", code="form", clause="463.5")
    value, wrong = typed_value(ask, visit)
    if ask.takes_two and visit.values.get("do") == "propose":
        return await propose(ask, value, visit, here, wrong)
    answer = await visit.call(ask.operation, wrong, **value)
    if "ground" in value:
        grounds.remember(visit, value["ground"])
    return answered(ask, answer, visit, here)


def typed_value(ask: Ask, visit: Visit) -> tuple[dict[str, Any], list[FormError]]:
    """The typed fields in the call's form, and every field that could not be read."""
    zone = visit.calling.front.desk.policy.zone
    moment_us = partial(visit.values.moment_us, zone=zone, now_us=visit.now_us)
    value, wrong = value_of(ask.form, visit.values, moment_us, ask.skip | set(ask.read))
    for name, read in ask.read.items():
        try:
            value[name] = read(visit)
        except FormError as error:
            label = words_of(ask.form, name).label
            wrong += [
                FormError(f"{label}: {one.what}", code=name, clause=one.clause, cure=one.cure)
                for one in error.parts or (error,)
            ]
    if ask.has_ground:
        value["ground"] = grounds.completed(visit, grounds.ground_of(visit.values))
    return value, wrong


def answered(ask: Ask, answer: Any, visit: Visit, path: str) -> Response:
    """The response to an accepted form: a file, a page that shows the answer once, or a message on the same
    page."""
    made = ask.file(answer)
    if made is not None:
        visit.say(ask.said(answer))  # on the next page: the browser stays on the one with the form
        return download(made, visit)
    if ask.template:
        return visit.page(ask.template, answer=answer, path_back=ask.to or path)
    visit.say(ask.said(answer))
    return visit.to(ask.to or visit.same(path))


def download(made: File, visit: Visit) -> Response:
    """Answer with a file to save, which the browser does not show."""
    safe = "".join(one if one.isascii() and (one.isalnum() or one in "._-") else "_" for one in made.name)
    headers = shield.headers_of(visit.nonce) | {
        "content-disposition": f'attachment; filename="{safe.lstrip(".") or "file"}"'
    }
    return Response(made.data, media_type=made.kind, headers=headers)


async def propose(
    ask: Ask, value: dict[str, Any], visit: Visit, path: str, wrong: Sequence[FormError] = ()
) -> Response:
    """Ask for a second person, and keep the form for the call itself."""
    value.pop("approval", None)
    answer = await visit.call(ask.operation, wrong, **value, propose=True)
    numbers = (getattr(answer, name, -1) for name in ("proposal", "entry"))
    number = next((one for one in numbers if one >= 0), -1)
    kept = dict(visit.shelf.get(PROPOSALS, visit.now_us) or {})
    kept[number] = (ask, value, path)
    size = sum(len(repr(one[1])) for one in kept.values()) + BYTES_OF_FORM
    visit.shelf.put(PROPOSALS, dict(list(kept.items())[-20:]), visit.now_us, size)
    visit.say(f"Proposal {number} waits for a second person. Then carry it out here.")
    return visit.to("/changes")
