"""Writes the reference of the desk's HTTP operations from their table: forms, answers, roles and clauses.

python -m tests.tools.http_reference sync/department/desk/HTTP.md
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sync.department.desk.field_help import words_of
from sync.department.desk.logon_forms import AskProofForm, BeginForm, LogonForm, ProveForm, UnlockForm
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.proofs import PROVEN_CALLS
from sync.department.desk.words import longest
from sync.department.journal.second_hand_facts import WITH_DATA
from sync.department.policy.policy_file import default_document, parse_policy
from sync.department.policy.roles import CALLS, Call, Role
from sync.hot_lists.layout import shipped

HEADER = """\
# The desk over HTTP

For the authors of a client, such as a records management system. `make reference` makes this page from the table of
operations, and a test compares the two. The commands of `department` use the same table, so the checks, entries and
refusals are the same.

Every operation is `POST /desk/NOUN/VERB` on the desk's port, under TLS, with one JSON object in the body, one in the
answer, and the header `Authorization: Bearer TOKEN`.

| JSON | means |
|---|---|
| a field ending in `_us` | UTC microseconds since 1970; in a form also ISO 8601 text ending in `Z` |
| `bytes` | base64 |
| a field with a default | may be left out |
| an unknown field | is refused by name |
| `text (to 400)` | at most 400 characters on one line, none of them invisible |

**Begin.** The department's own authority issues the server's certificate: get `HOME/authority/ca.pem` from the
administrator. `GET /health` answers `ok`. Log in with `session/logon`. A code is TOTP (RFC 6238: SHA-1, six digits, 30
seconds) and works once, so keep the token. The session locks when it is idle (`locks_after_min`) and ends at
`expires_us`.

WORDS_OF_POLICY

**Signatures.** A call that opens content or changes the roster needs the caller's signature. A client that keeps the
session's key sends it in the header `Statement` (base64 of COSE_Sign1, `journal/statements.py`). If the client logged
in with the password itself, the token holds the key and the server signs.

**Two people.** A call that needs a second person answers 409 `second-person`.

1. Send it again with `propose` true. The answer has the proposal's number in `proposal`, or in `entry` if it has no
   such field.
2. Another person decides it with `change/approve`.
3. Send the same form again, with that number as `approval`.

For a search without a full plate use `inquiry/propose`, `inquiry/approve`, and `inquiry/run` with `proposal`.

**A fresh proof.** Holds, exports, sharing, grants, covert entries and passkeys need one. Without it the answer is 401
with `refused` `fresh-proof`, and `WWW-Authenticate` names `insufficient_user_authentication` (RFC 9470). Make the proof
with `session/prove` in the same session, then repeat the call. A proof counts for one call, once, within the policy's
minutes (`sessions.proof_minutes`). The refusal names that call in `proof`; a proof without `proof` is for the call that
was refused last. The entry of the call names its proof. A session with its own key sends no password: the person's
key certifies the call's challenge with a `nonce` (`ProvenUse.challenge`).

**Refusals** answer 401, 403, 409, 422, 423 or 429 with problem details (RFC 9457): `refused` (a word), `clause`, `what`
and `cure`. Each is an entry of the access log and holds no plate. 429 and 503 have the header `Retry-After`, in
seconds. While the witness is away, a list has the header `X-Not-Witnessed`, and any other answer the field
`unwitnessed`.

**Sizes.** A body over 1 MiB answers 413. In an open session, a call whose form has `bytes` takes up to 16 MiB and 64
KiB (a file of 12 MiB as base64, and the other fields). Over 1 MiB, a body has at most 50,000 lists, objects and items.

**A large search**, without a plate of its own, opens every read of its time. `inquiry/begin` says how many and about
how long it takes. `inquiry/step` opens the next part (about a second) until `after` is empty. `inquiry/stop` cancels.
`POST /desk/inquiry/stream` takes the form of `inquiry/begin` and makes all steps itself; it answers newline-delimited
JSON with `event` `begin`, `step`, `end` or `refused`. A client that disconnects cancels. Each part is in the log before
it is opened, so the log says how far a search went.

**Packages.** `hold/export` and `share/deliver` answer a ZIP in `package`. Its recipient checks it with
`department verify PACKAGE --key LOGKEY --witness-key KEYS`. The keys come from the department (`department witness
log-key`) and from the witness.

**Once only.** A POST with the header `Idempotency-Key` (8 to 100 characters) is made once: the same key, session and
body get the first answer for ten minutes.

**Alerts.** `GET /desk/alert/events` streams them (server-sent events, call `alert.list`): number, state, sounded or
silent, counts. The stream ends with the session, and `Last-Event-ID` resumes it.

**Without a session**: `GET /desk/openapi.json` (or `department api`) is all of this as OpenAPI 3.1, and
`GET /desk/transparency.json` has the public counts.

## Sessions

"""  # noqa: E501 - a page, not code


NESTED = ("Area", "Filing", "Ground", "PersonLine", "Query", "Scope", "Shift")  # records within forms


def words_of_policy() -> list[str]:
    """The words that the shipped policy and layouts define for fields of forms."""
    policy = parse_policy(default_document())
    words: dict[str, Iterable[str]] = {
        "purpose": (one.id for one in policy.purposes),
        "basis": policy.inquiry.bases,
        "number_kind": (one.kind for one in policy.inquiry.numbers),
        "hold_ground": (one.id for one in policy.holds),
        "agency_kind": policy.sharing.allowed_kinds,
        "topics": (one.id for one in policy.training.topics),
        "category": (one.id for one in policy.alerts.categories),
        "layout": shipped(),
    }
    return [
        "The policy file defines some words (here those of section 463). The refusal of another word lists",
        "them in `cure`, and `policy/read` answers the file:",
        "",
        "| field | one of |",
        "|---|---|",
        *(f"| `{name}` | {', '.join(f'`{one}`' for one in found)} |" for name, found in words.items()),
    ]


def name_of(hint: Any) -> str:
    """A type as the reference names it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union}:
        return " or ".join("null" if one is type(None) else name_of(one) for one in arguments)
    if origin in {tuple, list, frozenset}:
        return f"list of {name_of(arguments[0])}"
    if origin is dict or origin is not None:
        return "object"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return " \\| ".join(f"`{one.value}`" for one in hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return f"[{hint.__name__}](#{anchor(hint)})"
    plain = {str: "text", int: "integer", float: "number", bool: "true or false", bytes: "bytes"}
    return plain.get(hint, getattr(hint, "__name__", str(hint)))


def anchor(record: Any) -> str:
    """The anchor of a record's section. Two records may share a name."""
    return f"{record.__module__.rsplit('.', 2)[-2]}-{record.__name__}".lower().replace("_", "-")


def parts(hint: Any) -> Iterator[Any]:
    """The records in a type."""
    if dataclasses.is_dataclass(hint):
        yield hint
    for one in typing.get_args(hint):
        yield from parts(one)


def fields(record: Any, *, limits: bool = True) -> list[str]:
    """The rows of a record's fields. `limits`: also how long a text of a form may be."""
    hints = typing.get_type_hints(record)
    words = form_words(record)
    rows = ["| field | type | default |", "|---|---|---|"]
    if words:
        rows = ["| field | type | default | what it is |", "|---|---|---|---|"]
    for one in dataclasses.fields(record):
        kind = f"{name_of(hints[one.name])}{limit_of(hints[one.name], one.name) if words and limits else ''}"
        default = "" if one.default is dataclasses.MISSING else f"`{plain_default(one.default)}`"
        said = f" {words[one.name]} |" if words else ""
        rows.append(f"| `{one.name}` | {kind} | {default} |{said}")
    return rows if len(rows) > 2 else []


def limit_of(hint: Any, name: str) -> str:
    """How long a text of a form may be."""
    texts = [one for one in (hint, *typing.get_args(hint)) if one is str]
    return f" (to {longest(name):,})" if texts else ""


def form_words(record: Any) -> dict[str, str]:
    """Label and help of each field of a form; empty for an answer."""
    if not record.__name__.endswith("Form") and record.__name__ not in NESTED:
        return {}
    found = {}
    for one in dataclasses.fields(record):
        words = words_of(record, one.name)
        found[one.name] = f"{words.label}: {words.help}" if words.help else words.label
    return found


def plain_default(value: Any) -> str:
    """A default as JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return str(list(value))
    if value is None:
        return "null"
    return f'"{value}"' if isinstance(value, str) else str(value)


def about(thing: Any) -> str:
    """The docstring, wrapped to the page's width."""
    return textwrap.fill(" ".join((thing.__doc__ or "").split()), 120)


def who(call: Call, path: str = "") -> str:
    """The clause and the training that a call needs, and the roles that the default policy gives it to."""
    grants = parse_policy(default_document()).grants
    roles = ", ".join(sorted(role.value for role in Role if call in grants.get(role, frozenset())))
    trained = CALLS[call].touches_data or path in WITH_DATA
    training = "needs current training" if trained else "needs no training"
    return f"Call `{call.value}` ({CALLS[call].clause}; {training}). Default roles: {roles or 'none'}."


def fresh(path: str) -> str:
    """A sentence if the call asks for a fresh proof."""
    return " Asks for a fresh proof." if path in PROVEN_CALLS else ""


def reference() -> str:
    """The whole page."""
    lines = [HEADER.rstrip("\n").replace("WORDS_OF_POLICY", "\n".join(words_of_policy())), ""]
    records: dict[Any, None] = {}
    for verb, form, answer in (
        ("begin", BeginForm, "what a client makes a person's key with"),
        ("passkey", BeginForm, "`options`: what navigator.credentials.get() is given, as JSON"),
        ("logon", LogonForm, "`token`, whose it is, until when"),
        ("unlock-passkey", None, "`options` of an unlock with a passkey, as JSON"),
        ("unlock", UnlockForm, "nothing"),
        ("prove-passkey", AskProofForm, "`options` of a fresh proof with a passkey, as JSON"),
        ("prove", ProveForm, "`entry` of the fresh proof, `how`, `call`, `until_us`"),
        ("logoff", None, "nothing"),
    ):  # fmt: skip
        lines += [f"### `POST /desk/session/{verb}`", ""]
        if form is not None:
            lines += [about(form), "", *fields(form, limits=False), ""]
        lines += [f"Answer: {answer}.", ""]
    noun = ""
    for path, operation in sorted(OPERATIONS.items()):
        if path.partition("/")[0] != noun:
            noun = path.partition("/")[0]
            lines += [f"## {noun.capitalize()}", ""]
        answer = typing.get_type_hints(operation.make)["return"]
        lines += [
            f"### `POST /desk/{path}`",
            "",
            about(operation.make),
            "",
            who(operation.call, path) + fresh(path),
            "",
        ]
        rows = fields(operation.form)
        lines += [f"Form: {about(operation.form)}" if rows else "Form: no fields.", ""]
        lines += [*rows, ""] if rows else []
        lines += [f"Answer: {name_of(answer)}.", ""]
        for hint in (*typing.get_type_hints(operation.form).values(), answer):
            records |= dict.fromkeys(parts(hint))
    lines += ["## Records", ""]
    known: set[Any] = set()
    while waiting := [one for one in records if one not in known]:
        for one in waiting:
            known.add(one)
            for hint in typing.get_type_hints(one).values():
                records |= dict.fromkeys(parts(hint))
    for one in sorted(records, key=lambda record: (record.__name__, record.__module__)):
        lines += [f'<a id="{anchor(one)}"></a>', f"### {one.__name__}", "", about(one), "", *fields(one), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="where to write the reference")
    parser.parse_args().file.write_text(reference(), encoding="utf-8")
