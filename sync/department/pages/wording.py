"""Words for the codes of calls, roles and states, as pages show them. No I/O."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from datetime import datetime, tzinfo

from sync.department.desk.calling import ErrorAnswer
from sync.department.desk.field_help import labels_of, words_of
from sync.department.desk.operations import OPERATIONS
from sync.department.policy.policy import Policy
from sync.department.policy.roles import CALLS, Call, Role

WORDS = {
    "organisation": "organization",
    "case": "case number",
    "cad": "CAD incident number",
    "action": "administrative action number",
    "criminal-investigation": "criminal investigation",
    "civil-action": "civil action of the department",
    "administrative-action": "administrative action of the department",
    "wrong-character": "rejected: wrong character",
    "wrong-state": "rejected: wrong state",
    "not-this-vehicle": "rejected: not this vehicle",
    "cannot-tell": "cannot tell",
    "no-stop": "no stop",
    "handed-over": "handed over",
    "first-password": "this password was made by another person",
    "password-expired": "this password has expired",
    "held-year": "year of a hold",
    "policy-training": "training under an older policy",
    "list-entry": "entry of our own hot list",
    "recipients": "own entry without a verifier",
    "delegation": "key for grants at night",
    "authority": "certificate authority",
    "certificate": "server certificate",
    "audit": "periodic audit",
    "policy": "yearly review of the policy",
    "same_plate": "same plate repeatedly",
    "break_glass": "emergency search",
}


_CODE = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")


def word_of(code: object) -> str:
    """A code in words: its own words, or its parts with blanks between. What a person typed stays as it
    is."""
    text = str(code)
    plain = text.replace("_", " ").replace("-", " ") if _CODE.fullmatch(text) else text
    return WORDS.get(text, plain)


def promise_of(test: str) -> str:
    """What a test proves, from its name: a.py::test_a_purpose_outside_463_2_is_refused."""
    words = test.rpartition("::")[2].removeprefix("test_").replace("_", " ")
    words = re.sub(r"(?<=\d) (?=\d)", ".", words)
    words = re.sub(r"(?<=\d) ([a-d])\b", r" (\1)", words)
    words = re.sub(r"\b(alpr|clets)\b", lambda found: found[0].upper(), words)
    return words[:1].upper() + words[1:] or "none yet"


def title_of(policy: Policy, role: object) -> str:
    """A role's title in the policy; for what is not a role, its words."""
    known = {one.value: one for one in Role}.get(str(role))
    return policy.title(known) if known is not None else word_of(role)


_UTC = re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::\d\d(?:\.\d+)?)?Z")


def in_local_time(text: str, zone: tzinfo) -> str:
    """A line with its UTC times converted to the department's clocks: 2026-11-26 06:05."""

    def local_of(found: re.Match[str]) -> str:
        try:
            at = datetime.fromisoformat(f"{found[1]}:00+00:00")
        except ValueError:
            return found[0]
        return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")

    return _UTC.sub(local_of, text)


_ELEMENTS = (
    (re.compile(r"\bplate=\(none\)"), "no plate"),
    (re.compile(r"\bplate=(\S+)"), r"plate \1"),
    (re.compile(r"\bfrom=(\S+ ?\S*) to="), r", \1 to "),
    (re.compile(r" ?\barea=([\d.-]+),([\d.-]+),([\d.e+]+)m"), r", within \3 m of \1, \2"),
    (re.compile(r" ?\bunit="), ", unit "),
    (re.compile(r" ,"), ","),
)


def elements_of(text: str, zone: tzinfo) -> str:
    """A query's text from an entry (`Query.text`), in words and local time."""
    words = in_local_time(text, zone)
    for pattern, made in _ELEMENTS:
        words = pattern.sub(made, words)
    return words


def act_of(operation: object) -> str:
    """What a call does: the first sentence of its docstring, as in the API's reference."""
    known = OPERATIONS.get(str(operation))
    if known is None:
        return word_of(operation)
    words = " ".join((known.make.__doc__ or "").split())
    return re.split(r"[;:]|\.(?:\s|$)", words)[0] or word_of(operation)


def done_of(about: object) -> str:
    """What an event is about. For a refused call this is what the call does; all else is unchanged."""
    known = {one.value: CALLS[one].words for one in Call}
    text = str(about).replace("hot-list/", "hot list ")
    return known.get(text, text)


_COMMAND = re.compile(r"(?:(?P<page>.*?),? ?(?:or with|or|see|run): )?department [a-z].*", re.DOTALL)


_CODES = re.compile(r"(?:one of:? )?{0}(?:, {0})+".format(r"[a-z0-9]+(?:[-_][a-z0-9]+)*"))


def _on_pages(cure: str) -> str:
    """A cure without the command that does the same, or the codes of what the page offers by name.

    If only a command at the server helps, this says who runs it.
    """
    if _CODES.fullmatch(cure):
        return "choose one that the page offers"
    found = _COMMAND.fullmatch(cure)
    if found is None:
        return cure
    return found["page"] or "ask the administrator, who has the command for it"


_FIELD = re.compile(
    r"(?:[\d.]+: )*(?:(?P<form>[A-Za-z]\w*)(?P<within>(?:\.\w+|\[\d+\])*?)\.)?(?P<name>[a-z]\w*)(?:\[\d+\])?"
    r": (?P<what>.+)",
    re.DOTALL,
)
_OF_QUERIES = {"range": "When", "since": "From", "until": "To", "radius_m": "Radius in meters", "row": "Row"}


def _labeled(said: ErrorAnswer) -> ErrorAnswer:
    """One of several wrong fields, with its label in front unless the text names it."""
    name = said.fields[0].rpartition(".")[2] if said.fields else said.code
    label = _OF_QUERIES.get(name, "")
    with contextlib.suppress(KeyError):
        label = label or words_of("", name).label
    has_label = said.what.partition(": ")[0] in labels_of(name)  # the label that its form gives it
    if not label or has_label or label.casefold() in said.what.casefold():
        return said
    return dataclasses.replace(said, what=f"{label}: {said.what}")


def in_page_words(said: ErrorAnswer) -> ErrorAnswer:
    """A refusal of a field, with the field's label on the page instead of its name in the call.

    "AccountForm.name: is missing" becomes "Name: is missing". Its code becomes the field's name, so that the
    page marks the field.
    """
    if said.parts:
        parts = tuple(_labeled(in_page_words(one)) for one in said.parts)
        what = "; ".join(one.what for one in parts)
        cure = "; ".join(dict.fromkeys(one.cure for one in parts if one.cure))
        return dataclasses.replace(said, what=what, code=parts[0].code, cure=cure, parts=parts)
    absent = "go back to the list, and open it from there" if said.code.startswith("no-") else ""
    said = dataclasses.replace(said, cure=_on_pages(said.cure) or absent)
    found = _FIELD.fullmatch(said.what)
    if found is None:
        return said
    form, name = found["form"] or "", found["name"]
    label = _OF_QUERIES.get(name, "")
    with contextlib.suppress(KeyError):
        label = label or words_of(form, name).label
    if not label and not form:
        return said  # a sentence with a colon
    words = label or word_of(name).capitalize()
    code = name if said.code in {"form", "characters"} else said.code
    return dataclasses.replace(said, what=f"{words}: {found['what']}", code=code)
