"""Fields of a call's form, made from the form itself: what a page shows, and what the call gets. No I/O.

Labels and help are those of the API's reference (`desk/field_help.py`). What HTML cannot send directly is
converted here: files, local times, lists with one item per line.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from storage.codec import hints_of, without_none
from storage.errors import RecordError
from sync.department.desk.field_help import words_of
from sync.department.desk.words import LONGEST, longest
from sync.department.journal.entries import Shift
from sync.department.journal.inquiry_entries import Ground
from sync.department.pages.values import CLAUSE, Values
from sync.department.pages.wording import word_of
from sync.department.policy.refusals import FormError

Options: TypeAlias = Sequence[tuple[str, str]]
Moments: TypeAlias = Callable[[str], int]
DAYS = frozenset({"day", "through"})  # fields that hold a day as YYYY-MM-DD
CHOSEN = {
    "ids, one per line": "tick each",
    "its name or id": "",
    "user name": "",
    "user name of the person trained": "",
    "user name; 463.9: the CCAT supervisor": "463.9: the CCAT supervisor",
    "user names, as on the sign-in sheet": "as on the sign-in sheet",
    "user names; empty: everyone on duty": "none ticked: everyone on duty",
    "one per line; none: repair; factory-reset, update need a second person": (
        "none ticked: repair; factory-reset and update need a second person"
    ),
    "463.6 (d): its id; empty if there is none": "463.6 (d)",
    "car, motorcycle, trailer, truck; empty if unknown": "",
    "empty for all": "none: every unit",
    "as the policy names it": "",
    "maintenance or repair (463.3)": "463.3",
}
"""Help on how a field is typed, and what is said instead where the page offers a choice."""
MOST_OFFERED = 100
"""The most that one field lists: in a larger department a person types."""
SECOND = ("propose", "approval")  # a button, and a number that comes with a second person's yes


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field.

    `kind`: text, lines, number, time, date, file, tick, choice, many, or typed, for which the browser
    suggests the options. `name`: as in the call, after the name
    of its record and a dot, if it is in one.
    """

    name: str
    kind: str
    label: str
    help: str
    required: bool
    options: Options = ()
    value: str = ""
    longest: int = LONGEST

    def offering(self, options: Options, help_: str | None = None) -> Field:
        """The same field with a choice, typed if there are too many. `help_`: instead where it is chosen."""
        if len(options) > MOST_OFFERED:
            return dataclasses.replace(self, kind="typed", options=options)
        help_ = self.help if help_ is None else help_
        return dataclasses.replace(self, kind="choice", options=options, help=help_)


def suggested(fields: Iterable[Field]) -> dict[str, Options]:
    """What the browser suggests for typed fields, by the field's name: one list for all forms of a page."""
    found: dict[str, dict[str, str]] = {}
    for one in fields:
        if one.kind == "typed":
            found.setdefault(one.name, {}).update(one.options)
    return {name: list(options.items()) for name, options in found.items()}


def fields_of(
    form: type[Any], options: Mapping[str, Options], skip: frozenset[str] = frozenset()
) -> list[Field]:
    """The fields of a form in order, without its ground, `skip`, and those that ask for a second person."""
    hints = hints_of(form)
    found: list[Field] = []
    for one in dataclasses.fields(form):
        hint, may_lack = without_none(hints[one.name])
        if one.name in SECOND or one.name in skip or hint is Ground:
            continue
        if dataclasses.is_dataclass(hint) and hint is not Shift:
            inner = fields_of(typing.cast("type[Any]", hint), options, skip)
            found += [
                dataclasses.replace(
                    each, name=f"{one.name}.{each.name}", required=each.required and not may_lack
                )
                for each in inner
            ]
            continue
        words = words_of(form, one.name)
        kind, choices = _kind(one.name, hint, options)
        if kind == "many" and len(choices) > MOST_OFFERED and words.help.startswith("user names"):
            kind, choices = "lines", ()
        default, chosen = one.default is not dataclasses.MISSING, CHOSEN.get(words.help, words.help)
        made = Field(
            name=_name(one.name, hints),
            kind=kind,
            label=words.label,
            help=chosen if kind == "many" and choices else words.help,
            required=not (default or may_lack or kind == "tick"),
            options=choices,
            value="yes" if one.default is True else "",
            longest=longest(one.name),
        )
        found.append(made.offering(choices, chosen) if kind == "choice" else made)
    return found


def _name(name: str, hints: Mapping[str, Any]) -> str:
    """A field's name on the page, which differs from those of the ground on the same page."""
    return f"own.{name}" if Ground in hints.values() and name in Ground.__dataclass_fields__ else name


def _kind(name: str, hint: Any, options: Mapping[str, Options]) -> tuple[str, Options]:
    item = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None
    if name in options:
        return ("many" if item is not None else "choice"), options[name]
    for one, kind in ((hint, "choice"), (item, "many")):
        if isinstance(one, type) and issubclass(one, enum.Enum):
            return kind, [(str(each.value), word_of(each.value)) for each in one]
    if item is not None:
        return ("file" if dataclasses.is_dataclass(item) else "lines"), ()
    if hint is int:
        return ("time" if name.endswith("_us") else "number"), ()
    if hint is str and name in DAYS:
        return "date", ()
    return {bool: "tick", bytes: "file"}.get(hint, "text"), ()


def value_of(
    form: type[Any], values: Values, moment_us: Moments, skip: frozenset[str]
) -> tuple[dict[str, Any], list[FormError]]:
    """What was typed, as the call's JSON, and each missing or malformed field.

    Empty fields with a default are left out. `moment_us`: returns the time typed in a field of this name.
    """
    wrong: list[FormError] = []
    return _read(form, values, moment_us, skip, "", wrong), wrong


def _read(  # noqa: PLR0917 - one form, or a record within it
    form: type[Any],
    values: Values,
    moment_us: Moments,
    skip: frozenset[str],
    before: str,
    wrong: list[FormError],
) -> dict[str, Any]:
    hints = hints_of(form)
    found: dict[str, Any] = {}
    for one in dataclasses.fields(form):
        hint, may_lack = without_none(hints[one.name])
        name = f"{before}{_name(one.name, hints)}"
        if one.name in skip or one.name == "propose" or hint is Ground:
            continue
        if dataclasses.is_dataclass(hint) and hint is not Shift:
            if may_lack and not any(values.get(key) for key in values if key.startswith(f"{name}.")):
                continue
            found[one.name] = _read(
                typing.cast("type[Any]", hint), values, moment_us, skip, f"{name}.", wrong
            )
            continue
        label = words_of(form, one.name).label
        try:
            value = _value(name, hint, values, moment_us)
        except FormError as error:
            what = error.what.removeprefix(f"{name}: ").removeprefix(f"{one.name}: ")
            wrong.append(FormError(f"{label}: {what}", code=name, clause=error.clause))
            continue
        if value is not None:
            found[one.name] = value
        elif one.default is dataclasses.MISSING and not may_lack:
            wrong.append(FormError(f"{label}: is missing", code=name, clause=CLAUSE))
    return found


def _value(name: str, hint: Any, values: Values, moment_us: Moments) -> Any:  # noqa: PLR0911 - one case per type
    """One field's value; None if it was left empty."""
    last = name.rpartition(".")[2]
    if hint is bool:
        return values.ticked(name)
    if hint is bytes:
        return base64.b64encode(values.files[name][1]).decode() if name in values.files else None
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        typed = values.all_of(name)
        parts = [part.strip() for text in typed for part in text.replace(",", "\n").splitlines()]
        lines = [part for part in parts if part]
        if item is int and not all(part.isascii() and part.isdigit() and len(part) < 16 for part in lines):
            raise FormError(f"{name}: holds something that is not a number", code=last, clause=CLAUSE)
        return [int(part) if item is int else part for part in lines] or None
    text = values.text(name)
    if hint is Shift:
        return _shift(text) if text else None
    if hint is int and last.endswith("_us"):
        return moment_us(name) if text else None
    if hint is int:
        return values.number(name) if text else None
    return text or None


def _shift(text: str) -> dict[str, int]:
    """Parse a shift as people write it: 22:00-06:00. Raises FormError."""
    try:
        shift = Shift.parse(text)
    except RecordError as error:
        raise FormError(f"shift: {error.what}", code="shift", clause=CLAUSE) from None
    return {"start_min": shift.start_min, "end_min": shift.end_min}
