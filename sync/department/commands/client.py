"""A desk elsewhere: its calls over HTTPS with a session's token, answered as the operations table types them.

    DEPARTMENT_URL    https://HOST:PORT of the desk
    DEPARTMENT_TOKEN  a session's token, as `department user login` prints it
    DEPARTMENT_CA     a PEM file of the authority that the server's certificate is of; else the machine's own

A person's command needs nothing else: it opens no home, no key and no log. No command itself.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import typing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from storage.errors import RecordError
from sync.department.desk.json_forms import read_form, to_json
from sync.department.desk.logon_forms import LoggedOn, LogonForm, UnlockForm
from sync.department.desk.openapi import answer_of
from sync.department.desk.operations import OPERATIONS
from sync.department.ground.tls import client_context
from sync.department.journal.marking import mark_unwitnessed
from sync.department.policy.refusals import (
    DeskRefusal,
    FormError,
    LockedError,
    NotProvenError,
    NotYetError,
)
from sync.errors import ConfigError, LinkError

URL, TOKEN, CA = "DEPARTMENT_URL", "DEPARTMENT_TOKEN", "DEPARTMENT_CA"
SECONDS = 60.0
ANSWER_BYTES = 256 << 20
REFUSALS: dict[int, type[DeskRefusal]] = {
    one.status: one for one in (NotProvenError, LockedError, NotYetError, FormError)
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def configured() -> bool:
    """Whether this person's desk is elsewhere."""
    return bool(os.environ.get(URL))


class RemoteDesk:
    """The desk at an address. Close it after use."""

    def __init__(self, url: str, token: str = "", *, ca: str = "") -> None:
        """Raises ConfigError for an address that is none, or would send a token in clear."""
        parts = urlsplit(url)
        plain = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or plain) or parts.path.strip("/"):
            raise ConfigError("must be https://HOST:PORT", where=URL)
        if ca and not Path(ca).is_file():
            raise ConfigError("is no file", where=CA, cure="the PEM file of the department's authority")
        self._token = token
        self._client = httpx.Client(
            base_url=f"{parts.scheme}://{parts.netloc}",
            timeout=SECONDS,
            trust_env=False,
            verify=client_context(ca) if parts.scheme == "https" else False,
        )

    @classmethod
    def of_environment(cls) -> RemoteDesk:
        """The desk that the environment names. Raises ConfigError."""
        return cls(os.environ.get(URL, ""), os.environ.get(TOKEN, ""), ca=os.environ.get(CA, ""))

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> RemoteDesk:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def logon(self, user: str, password: str, code: str, *, post: str = "") -> LoggedOn:
        """Log on; the session is used from now on. Raises DeskRefusal, LinkError."""
        form = LogonForm(user=user, password=password, code=code, post=post)
        made: LoggedOn = read_answer(LoggedOn, self._post("session/logon", to_json(form)))
        self._token = made.token
        return made

    def unlock(self, password: str, code: str) -> None:
        """Open the locked session again. Raises DeskRefusal, LinkError."""
        self._post("session/unlock", to_json(UnlockForm(password=password, code=code)))

    def logoff(self) -> None:
        """End the session. Raises DeskRefusal, LinkError."""
        self._post("session/logoff", {})

    def call(self, name: str, form: Any) -> Any:
        """Make one call of the table. Raises DeskRefusal as the desk does, LinkError where it is not reached.

        A call that the line cut off is safe to make again: it has a key, and is made once.
        """
        known = OPERATIONS[name]
        sent = _without_defaults(form)
        key = secrets.token_urlsafe(18)
        try:
            value = self._post(name, sent, key=key)
        except LinkError:
            value = self._post(name, sent, key=key)
        return read_answer(answer_of(known.make), value)

    def _post(self, name: str, value: Any, *, key: str = "") -> Any:
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        if key:
            headers["idempotency-key"] = key
        try:
            answer = self._client.post(f"/desk/{name}", json=value, headers=headers)
        except httpx.HTTPError as error:
            raise LinkError(
                f"the desk does not answer: {type(error).__name__}", where=URL, cure="is the server running?"
            ) from None
        if len(answer.content) > ANSWER_BYTES:
            raise LinkError("the answer is too large", where=name)
        try:
            said = answer.json()
        except ValueError:
            raise LinkError("the answer is no JSON", where=name, cure=f"is {URL} a desk?") from None
        if answer.status_code != 200:
            raise _refusal(answer.status_code, said)
        if "x-not-witnessed" in answer.headers:
            mark_unwitnessed()
        return said


def _refusal(status: int, said: Any) -> Exception:
    """The refusal in an answer of the desk."""
    if not isinstance(said, dict) or not all(
        isinstance(said.get(one), str) for one in ("refused", "clause", "what", "cure")
    ):
        return LinkError(f"the desk answers {status} without a reason", where=URL)
    if status >= 500:
        return LinkError(said["what"], where=URL, cure=said["cure"])
    kind = REFUSALS.get(status, DeskRefusal)
    return kind(said["what"], code=said["refused"], clause=said["clause"], cure=said["cure"])


def _without_defaults(form: Any) -> Any:
    """A form as JSON, without what is left at its default."""
    value = to_json(form)
    return {
        one.name: value[one.name]
        for one in dataclasses.fields(form)
        if one.default is dataclasses.MISSING or getattr(form, one.name) != one.default
    }


def read_answer(hint: Any, value: Any) -> Any:
    """An answer's JSON as the type that the call answers. Raises LinkError where it is none."""
    try:
        if typing.get_origin(hint) is not tuple:
            return read_form(hint, value)
        rows = value if isinstance(value, list) else [value]
        return tuple(read_form(typing.get_args(hint)[0], one) for one in rows)
    except (RecordError, FormError) as error:
        raise LinkError(
            f"the answer is not what this version knows: {error.what}",
            where=URL,
            cure="commands and server of one version",
        ) from None
