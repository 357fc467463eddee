"""Configurations and updates for units, signed at the desk (463.4). For hot lists, see `lists.py`.

Signing takes a person's call, an entry and a second person, because an update is every unit's software and a
configuration can blind every camera or take the alert page out of every car.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from storage.codec import parse_toml
from storage.errors import RecordError
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Plan
from sync.department.desk.documents.updates import UpdateTrust, check_update, document_refusal, release_words
from sync.department.desk.words import demand_words
from sync.department.journal.change_entries import ChangeProposed, DocumentSigned
from sync.department.journal.entries import Entry
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call
from sync.documents import named_at_the_unit
from sync.errors import InvalidInputError

CLAUSE = "463.4"
KINDS = ("configuration", "update")
MAX_CONFIGURATION_BYTES = 256 * 1024
MAX_SETTINGS = 4000  # characters of all settings of a configuration, since a second person reads them
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}")  # the names that units accept


@dataclass(frozen=True, slots=True, kw_only=True)
class SignForm:
    """A document to sign. `kind`: configuration or update; `name`: of an update.

    `unit`: the id of the only unit that it is for. `propose`: only ask for a second person; `approval`: the
    approved proposal, or -1.
    """

    kind: str
    name: str = ""
    body: bytes = field(repr=False)
    unit: str = ""
    reason: str
    propose: bool = False
    approval: int = -1

    @property
    def digest(self) -> str:
        """SHA-256 of the body, in hex."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signed document: its entry, name and version. `proposal`: set if the call only asked for a second
    person."""

    entry: int
    name: str
    version: int
    digest: str
    proposal: int = -1


def name_of(form: SignForm) -> str:
    """The name under which units carry it. Raises FormError."""
    if form.kind not in KINDS:
        what, kinds = "there is no such kind of document", ", ".join(KINDS)
        raise FormError(what, code="document", clause=CLAUSE, cure=kinds, fields=("kind",))
    if form.kind == "configuration":
        return "configuration"
    if not _NAME.fullmatch(form.name):
        raise FormError(
            "its name is KIND/ID, and the id has 1 to 31 letters, digits, . _ -", code="name", clause=CLAUSE
        )
    return f"{form.kind}/{form.name}"


def check(form: SignForm, trusted: Callable[[], UpdateTrust]) -> str:
    """Check a document and describe it: all settings of a configuration, or the release of an update.

    `trusted`: called only for an update. Raises FormError for a document that no unit would accept.
    """
    demand_words(form.reason, "say why", code="reason", clause=CLAUSE)
    if form.kind == "update":
        trust = trusted()
        return release_words(check_update(form.body, trust), trust)
    if len(form.body) > MAX_CONFIGURATION_BYTES:
        what = f"a configuration has at most {MAX_CONFIGURATION_BYTES} bytes"
        raise document_refusal(what)
    try:
        sections = parse_toml(form.body, where="the configuration")
    except RecordError as error:
        raise document_refusal(str(error)) from None
    named = named_at_the_unit(sections)
    if named:
        what = f"{named} is set only at the unit: units would refuse the whole file"
        raise document_refusal(what, "take it out of the file")
    said = _settings(sections)
    if len(said) > MAX_SETTINGS:
        what = f"a configuration sets at most {MAX_SETTINGS:,} characters, for a second person to read"
        raise document_refusal(what, "name only what changes")
    return said


def _settings(sections: Mapping[str, object]) -> str:
    """The settings of a configuration, each as `section.key = value` in ASCII."""
    named = (
        (f"{section}.{key}", value)
        for section, keys in sections.items()
        for key, value in (keys.items() if isinstance(keys, dict) else [("", keys)])
    )
    words = [
        f"{json.dumps(name)[1:-1].rstrip('.')} = {json.dumps(value, default=str)}" for name, value in named
    ]
    return ", ".join(words) or "nothing"


def _summary(front: DeskContext, form: SignForm, said: str, now_us: int) -> str:
    """Describe a document to the second person: which units it is for, and what it is.

    Raises FormError for an unknown unit.
    """
    whose = "every unit"
    if form.unit:
        row = next((one for one in front.state.units(now_us) if one.unit == form.unit), None)
        if row is None:
            what = f"no unit has the id {form.unit}"
            raise FormError(what, code="unit", clause=CLAUSE, cure="department enroll --list")
        whose = f"{row.name} ({row.unit})"
    name, facts = name_of(form), f"{len(form.body)} bytes, SHA-256 {form.digest[:16]}"
    return f"{name} for {whose}: {said}; {facts}; {form.reason}"


def sign(front: DeskContext, token: str, form: SignForm) -> Signed:
    """Sign a document and offer it to units. The entry comes first."""
    desk = front.desk
    desk.demand(token, Call.DOCUMENT_SIGN)
    try:
        name = name_of(form)
        said = check(form, front.update_trust)  # before the desk is locked, since an update is large
    except FormError as refusal:
        desk.refuse(token, Call.DOCUMENT_SIGN, refusal)
    digest = hashlib.sha256(form.body).digest()

    def plan(caller: Caller) -> Plan[tuple[Entry, int, bool]]:
        summary = _summary(front, form, said, caller.at_us)
        second = desk.second_person(caller, "document/sign", form, about=name, summary=summary)
        if isinstance(second, ChangeProposed):
            return [second], lambda made: (made[0], 0, True)
        note = DocumentSigned(name=name, digest=digest, size=len(form.body), unit=form.unit, expires_us=-1)
        return [*second, note], lambda made: (made[-1], caller.at_us, False)

    entry, at_us, proposed = desk.act(token, Call.DOCUMENT_SIGN, plan)
    if proposed:
        return Signed(entry=-1, name=name, version=0, digest=digest.hex(), proposal=entry.sequence)
    try:
        version = front.sign_document(name, form.body, at_us, form.unit)
    except InvalidInputError as error:
        raise FormError(error.what, code="unit", clause=CLAUSE, cure=error.cure) from None
    desk.try_cover(entry.sequence)
    return Signed(entry=entry.sequence, name=name, version=version, digest=digest.hex())
