"""The desk's HTTP API described in OpenAPI 3.1, made from the operations table. No I/O.

Every call's form and answer is the schema of its frozen dataclass, so that the description cannot differ from
the code.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Callable
from typing import Any

from storage.codec import hints_of, without_none
from sync.department.desk.alerts import events
from sync.department.desk.inquiry import stream
from sync.department.desk.logon_forms import (
    AskProofForm,
    BeginForm,
    Begun,
    FreshlyProven,
    LoggedOn,
    LogonForm,
    ProveForm,
    UnlockForm,
)
from sync.department.desk.operations import OPERATIONS, Operation
from sync.department.desk.people.passkeys import Options
from sync.department.desk.proofs import PROVEN_CALLS
from sync.department.desk.transparency.rules import Transparency
from sync.department.desk.words import longest
from sync.department.ground.problem import retry_headers
from sync.department.journal.second_hand_facts import WITH_DATA
from sync.department.policy.roles import CALLS, Call

OPENAPI = "3.1.0"
PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `refused` is one word for programs; no member holds a plate.",
    "required": ["type", "title", "status", "detail", "refused", "clause", "what", "cure"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "refused": {"type": "string"},
        "clause": {"type": "string"},
        "what": {"type": "string"},
        "cure": {"type": "string"},
    },
}
STATUSES = {
    "401": "no session, a wrong password or code, or a fresh proof is needed (`refused`: fresh-proof)",
    "403": "refused by the policy",
    "409": "needs another step first: a second person, the witness, your own password",
    "413": "the body is too large",
    "422": "the form lacks something, or asks for what does not exist",
    "423": "a locked session or account",
    "429": "too many attempts from this address",
    "503": "the desk cannot answer now",
    "507": "the server's disk is full",
}
RETRY_AFTER = {"Retry-After": {"description": "seconds (RFC 9110, 10.2.3)", "schema": {"type": "integer"}}}
PRIMITIVES: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    bytes: {"type": "string", "contentEncoding": "base64"},
}


class _Schemas:
    """The schemas of dataclasses, each once, by name."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self._names: dict[type[Any], str] = {}
        self._typed = _typed_records()

    def of(self, hint: Any) -> dict[str, Any]:  # noqa: PLR0911 - one case per kind of type
        """The schema of a type that forms and answers use. Raises TypeError for any other type."""
        if hint is None or hint is type(None):
            return {"type": "object", "properties": {}}
        if hint in PRIMITIVES:
            return dict(PRIMITIVES[hint])
        hint, may_lack = without_none(hint)
        if may_lack:
            return {"anyOf": [self.of(hint), {"type": "null"}]}
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if origin is tuple:
            kinds = [one for one in inner if one is not Ellipsis]
            if len(set(kinds)) > 1:  # a row of different fields
                return {"type": "array", "prefixItems": [self.of(one) for one in kinds], "items": False}
            return {"type": "array", "items": self.of(inner[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(inner[1])}
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return {"$ref": f"#/components/schemas/{self._named(hint)}"}
        if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
            return {"type": "string", "enum": [str(one) for one in hint]}
        raise TypeError(f"{hint} is not a type of a form or an answer")

    def _named(self, cls: type[Any]) -> str:
        if cls in self._names:
            return self._names[cls]
        name = self._names[cls] = cls.__name__  # unique among the product's forms and answers
        self.made[name] = {}
        hints = hints_of(cls)
        properties = {
            one.name: self._property(one, hints[one.name], typed=cls in self._typed)
            for one in dataclasses.fields(cls)
        }
        required = [
            one.name
            for one in dataclasses.fields(cls)
            if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        ]
        self.made[name] = {
            "type": "object",
            "description": _words(cls.__doc__),
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
        return name

    def _property(self, field: dataclasses.Field[Any], hint: Any, *, typed: bool) -> dict[str, Any]:
        schema = self.of(hint)
        text = schema.get("items", schema) if typed else {}
        if text == PRIMITIVES[str]:
            text["maxLength"] = longest(field.name)
        if field.name.endswith("_us") and hint is int:
            schema["description"] = "UTC microseconds since 1970; a form also takes ISO 8601 text ending in Z"
        if field.default is not dataclasses.MISSING and not isinstance(field.default, bytes):
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            if dataclasses.is_dataclass(default):
                return schema
            schema["default"] = default
        return schema


def _typed_records() -> frozenset[type[Any]]:
    """The forms of the table and the records in them, the length of whose texts is checked."""
    found: set[type[Any]] = set()
    left = [one.form for one in OPERATIONS.values()]
    while left:
        cls = left.pop()
        if cls in found:
            continue
        found.add(cls)
        for hint in hints_of(cls).values():
            parts = (hint, *typing.get_args(hint))
            left += [one for one in parts if isinstance(one, type) and dataclasses.is_dataclass(one)]
    return frozenset(found)


def _words(text: str | None) -> str:
    """A docstring as one paragraph."""
    return " ".join((text or "").split())


def answer_of(make: Callable[..., Any]) -> Any:
    """The type that a call answers."""
    return typing.get_type_hints(make)["return"]


def document() -> dict[str, Any]:
    """The description of every call, as OpenAPI 3.1."""
    schemas = _Schemas()
    paths: dict[str, Any] = {
        "/desk/session/begin": {
            "post": _call(
                schemas, "session/begin", "What a client makes its key with.", BeginForm, Begun, secured=False
            )
        },
        "/desk/session/passkey": {
            "post": _call(
                schemas, "session/passkey", "Options of a passkey's login.", BeginForm, Options, secured=False
            )
        },
        "/desk/session/logon": {
            "post": _call(schemas, "session/logon", "Log in.", LogonForm, LoggedOn, secured=False)
        },
        "/desk/session/unlock-passkey": {
            "post": _call(
                schemas, "session/unlock-passkey", "Options of an unlock with a passkey.", None, Options
            )
        },
        "/desk/session/unlock": {
            "post": _call(schemas, "session/unlock", "Open a locked session again.", UnlockForm, None)
        },
        "/desk/session/prove-passkey": {
            "post": _call(
                schemas,
                "session/prove-passkey",
                "Options of a passkey's proof of one refused call.",
                AskProofForm,
                Options,
            )
        },
        "/desk/session/prove": {
            "post": _call(
                schemas,
                "session/prove",
                "A fresh proof of one call, good once in the policy's minutes.",
                ProveForm,
                FreshlyProven,
            )
        },
        "/desk/session/logoff": {"post": _call(schemas, "session/logoff", "End the session.", None, None)},
        "/desk/transparency.json": {
            "get": _public(
                "transparency", "The public counts, recomputed once an hour.", schemas.of(Transparency)
            )
        },
        "/desk/alert/events": {"get": _events()},
        "/desk/inquiry/stream": {"post": _search_stream(schemas)},
        "/desk/openapi.json": {"get": _public("openapi", "This description.", {"type": "object"})},
    }
    for name, one in sorted(OPERATIONS.items()):
        paths[f"/desk/{name}"] = {"post": _operation(schemas, name, one)}
    components = {
        "schemas": {"Problem": PROBLEM} | dict(sorted(schemas.made.items())),
        "securitySchemes": {"session": {"type": "http", "scheme": "bearer"}},
    }
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "ALPR policy desk",
            "version": "1",
            "description": "Every call is a POST of one JSON object. Unknown members are refused by name. "
            "A call with the header Idempotency-Key is made once: the same key, session and body get the "
            "same answer.",
        },
        "paths": paths,
        "components": components,
    }


def _operation(schemas: _Schemas, name: str, one: Operation) -> dict[str, Any]:
    rule = CALLS[one.call]
    made = _call(schemas, name, _words(one.make.__doc__), one.form, answer_of(one.make))
    made["x-call"] = str(one.call)
    made["x-clause"] = rule.clause
    made["x-needs-training"] = rule.touches_data or name in WITH_DATA
    made["x-needs-fresh-proof"] = name in PROVEN_CALLS
    made["parameters"] = [
        {"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string"}}
    ]
    return made


def _call(
    schemas: _Schemas, name: str, about: str, form: Any, answer: Any, *, secured: bool = True
) -> dict[str, Any]:
    return {
        "operationId": name.replace("/", "."),
        "tags": [name.split("/", maxsplit=1)[0]],
        "summary": about,
        "security": [{"session": []}] if secured else [],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schemas.of(form)}}},
        "responses": {
            "200": {"description": "done", "content": {"application/json": {"schema": schemas.of(answer)}}},
            **_problems(),
        },
    }


def _problems() -> dict[str, Any]:
    """The responses of refusals."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": what, "content": content}
        | ({"headers": RETRY_AFTER} if retry_headers(int(status)) else {})
        for status, what in STATUSES.items()
    }


def _events() -> dict[str, Any]:
    """The path of the stream of alerts, which is not a call of the table."""
    rule, stream = CALLS[Call.ALERT_LIST], {"schema": {"type": "string"}}
    return {
        "operationId": "alert.events",
        "tags": ["alert"],
        "summary": "The alerts as they come, as server-sent events.",
        "description": " ".join((events.__doc__ or "").split()),
        "security": [{"session": []}],
        "x-call": str(Call.ALERT_LIST),
        "x-clause": rule.clause,
        "x-needs-training": rule.touches_data,
        "parameters": [
            {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}
        ],
        "responses": {
            "200": {"description": "a stream", "content": {"text/event-stream": stream}},
            **_problems(),
        },
    }


def _search_stream(schemas: _Schemas) -> dict[str, Any]:
    """The path of a search as a stream, which is not a call of the table."""
    rule, known = CALLS[Call.INQUIRY_RUN], OPERATIONS["inquiry/begin"]
    about = "A search step by step, as newline-delimited JSON."
    made = _call(schemas, "inquiry/stream", about, known.form, None)
    made["description"] = " ".join((stream.__doc__ or "").split())
    made["x-call"], made["x-clause"] = str(Call.INQUIRY_RUN), rule.clause
    made["x-needs-training"] = rule.touches_data
    content = {stream.MEDIA_TYPE: {"schema": {"type": "string"}}}
    made["responses"]["200"] = {"description": "a stream", "content": content}
    return made


def _public(name: str, about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": ["public"],
        "summary": about,
        "security": [],
        "responses": {"200": {"description": "done", "content": {"application/json": {"schema": schema}}}},
    }
