"""A remote desk: its calls over HTTPS with a session's token; the operations table types the answers.

    DEPARTMENT_URL    https://HOST:PORT of the desk
    DEPARTMENT_TOKEN  a session's token, as `department user login` prints it; it holds the session's key,
                      which signs calls here and never goes to the desk
    DEPARTMENT_CA     a copy of the server's HOME/authority/ca.pem, which signed its certificate; else the
                      machine's own authorities

A person's command needs nothing else: it opens no home, no key and no log. Not a command.
"""

from __future__ import annotations

import base64
import dataclasses
import os
import secrets
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.errors import RecordError
from storage.times import now_us
from sync.department.desk.json_forms import read_form, to_json
from sync.department.desk.logon_forms import (
    BeginForm,
    Begun,
    FreshlyProven,
    LoggedOn,
    LogonForm,
    ProveForm,
    UnlockForm,
)
from sync.department.desk.openapi import answer_of
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people.challenges import NONCE_BYTES
from sync.department.desk.sessions import digest_of
from sync.department.ground.home import DESK_URL
from sync.department.ground.person_key import SessionToken, derive_key, read_token
from sync.department.ground.tls import client_context
from sync.department.journal.marking import mark_unwitnessed
from sync.department.journal.passkeys import proof_of
from sync.department.journal.signed_forms import SIGNED_CALLS
from sync.department.journal.statements import CALL_PROOF, SESSION, certify, form_bytes, sign_call
from sync.department.policy.refusals import (
    FRESH_PROOF,
    DeskRefusal,
    FormError,
    FreshProofError,
    LockedError,
    NotProvenError,
    NotYetError,
)
from sync.errors import DeskAwayError, InvalidInputError, LinkError

URL, TOKEN, CA = DESK_URL, "DEPARTMENT_TOKEN", "DEPARTMENT_CA"
SECONDS = 60.0
ANSWER_BYTES = 256 << 20
REFUSALS: dict[int, type[DeskRefusal]] = {
    one.status: one for one in (NotProvenError, LockedError, NotYetError, FormError)
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def configured() -> bool:
    """Whether the environment names a remote desk."""
    return bool(os.environ.get(URL))


class _CutOffError(DeskAwayError):
    """No answer arrived: the call may be in progress or done."""


class RemoteDesk:
    """The desk at an address. Close it after use."""

    def __init__(self, url: str, token: str = "", *, ca: str = "") -> None:
        """Refuse an invalid address, or one that would send a token unencrypted. Raises InvalidInputError."""
        parts = urlsplit(url)
        plain = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or plain) or parts.path.strip("/"):
            raise InvalidInputError("must be https://HOST:PORT", where=URL)
        if ca and not Path(ca).is_file():
            raise InvalidInputError(
                "is not a file", where=CA, cure="your copy of the server's HOME/authority/ca.pem"
            )
        self._token = read_token(token)
        self._client = httpx.Client(
            base_url=f"{parts.scheme}://{parts.netloc}",
            timeout=SECONDS,
            trust_env=False,
            verify=client_context(ca) if parts.scheme == "https" else False,
        )

    @classmethod
    def of_environment(cls) -> RemoteDesk:
        """The desk that the environment names. Raises InvalidInputError."""
        return cls(os.environ.get(URL, ""), os.environ.get(TOKEN, ""), ca=os.environ.get(CA, ""))

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> RemoteDesk:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def logon(
        self,
        user: str,
        password: str,
        code: str,
        *,
        post: str = "",
        send_password: bool = False,
        proves: bool = False,
    ) -> LoggedOn:
        """Log in and use the session from then on. Raises DeskRefusal, LinkError.

        The password stays here, where it makes the key that certifies the session's key. `send_password`: for
        a first password, which has no key, and for a change of the password. `proves`: whether the login is a
        fresh proof, for the session of one command.
        """
        if send_password:
            made = self._logon(LogonForm(user=user, password=password, code=code, post=post, proves=proves))
            self._token = read_token(made.token)
            return made
        begun, before_us = self._begin(user), now_us()
        session = Ed25519PrivateKey.generate()
        public = session.public_key().public_bytes_raw()
        certificate = _certificate(begun, user, password, SESSION, public)
        form = LogonForm(user=user, code=code, post=post, certificate=certificate, proves=proves)
        made = self._logon(form)
        self._token = SessionToken(
            secret=made.token,
            key=session,
            department=begun.department,
            user=user,
            ahead_us=begun.now_us - before_us,
        )
        return dataclasses.replace(made, token=self._token.text())

    def _begin(self, user: str) -> Begun:
        made: Begun = read_answer(Begun, self._post("session/begin", to_json(BeginForm(user=user))))
        return made

    def _logon(self, form: LogonForm) -> LoggedOn:
        made: LoggedOn = read_answer(LoggedOn, self._post("session/logon", _without_defaults(form)))
        return made

    def unlock(self, password: str, code: str) -> None:
        """Open the locked session again. Raises DeskRefusal, LinkError."""
        certificate = self._certified_again(password)
        form = UnlockForm(password="" if certificate else password, code=code, certificate=certificate)
        self._post("session/unlock", _without_defaults(form))

    def prove(self, name: str, called: Any, password: str, code: str) -> FreshlyProven:
        """Give a fresh proof in this session for the call that was refused for lack of one.

        If the session has a key, the password stays here. Raises DeskRefusal, LinkError.
        """
        use = proof_of(name, form_bytes(called))
        form, token = ProveForm(password=password, code=code, proof=use.name), self._token
        if token.key is not None:
            nonce = os.urandom(NONCE_BYTES)
            challenge = use.challenge(token.department, digest_of(token.secret), nonce)
            certificate = _certificate(self._begin(token.user), token.user, password, CALL_PROOF, challenge)
            form = dataclasses.replace(form, password="", certificate=certificate, nonce=nonce)
        made: FreshlyProven = read_answer(FreshlyProven, self._post("session/prove", _without_defaults(form)))
        return made

    def _certified_again(self, password: str) -> bytes:
        """Certify the session's key again with the person's key; b"" if it has none. The password stays
        here."""
        if self._token.key is None:
            return b""
        user = self._token.user
        public = self._token.key.public_key().public_bytes_raw()
        return _certificate(self._begin(user), user, password, SESSION, public)

    def logoff(self) -> None:
        """End the session. Raises DeskRefusal, LinkError."""
        self._post("session/logoff", {})

    def call(self, name: str, form: Any) -> Any:
        """Make one call of the table. Raises DeskRefusal as the desk does, LinkError if it is not reachable.

        An interrupted call is safe to retry: it has an idempotency key, so the desk makes it once. A call
        that the desk could not answer is not sent again, since its entry may be in the log.
        """
        known = OPERATIONS[name]
        sent = _without_defaults(form)
        headers = {"idempotency-key": secrets.token_urlsafe(18)}
        if self._token.key is not None and name in SIGNED_CALLS:
            at_us = now_us() + self._token.ahead_us
            statement = sign_call(
                self._token.key, self._token.department, self._token.user, name, form, at_us
            )
            headers["statement"] = base64.b64encode(statement).decode()
        try:
            value = self._post(name, sent, headers)
        except _CutOffError:
            value = self._post(name, sent, headers)
        return read_answer(answer_of(known.make), value)

    def _post(self, name: str, value: Any, more: Mapping[str, str] | None = None) -> Any:
        secret = self._token.secret
        headers = ({"authorization": f"Bearer {secret}"} if secret else {}) | dict(more or {})
        try:
            answer = self._client.post(f"/desk/{name}", json=value, headers=headers)
        except httpx.HTTPError as error:
            raise _CutOffError(
                f"the desk does not answer: {type(error).__name__}", where=URL, cure="is the server running?"
            ) from None
        if len(answer.content) > ANSWER_BYTES:
            raise LinkError("the answer is too large", where=name)
        try:
            said = answer.json()
        except ValueError:
            raise LinkError("the answer is not JSON", where=name, cure=f"is {URL} a desk?") from None
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
        return DeskAwayError(said["what"], where=URL, cure=said["cure"])
    kind = FreshProofError if said["refused"] == FRESH_PROOF else REFUSALS.get(status, DeskRefusal)
    return kind(said["what"], code=said["refused"], clause=said["clause"], cure=said["cure"])


def _certificate(begun: Begun, user: str, password: str, use: str, public: bytes) -> bytes:
    """Certify a session's key, or a call's challenge, with the key that the password makes here."""
    key = derive_key(password, begun.salt, begun.scheme, department=begun.department, user=user)
    return certify(key, begun.department, user, use, public, begun.now_us)


def _without_defaults(form: Any) -> Any:
    """A form as JSON, without default values."""
    value = to_json(form)
    return {
        one.name: value[one.name]
        for one in dataclasses.fields(form)
        if one.default is dataclasses.MISSING or getattr(form, one.name) != one.default
    }


def read_answer(hint: Any, value: Any) -> Any:
    """Convert an answer's JSON to the call's answer type. Raises LinkError if it does not fit."""
    try:
        if typing.get_origin(hint) is not tuple:
            return read_form(hint, value)
        rows = value if isinstance(value, list) else [value]
        return tuple(read_form(typing.get_args(hint)[0], one) for one in rows)
    except (RecordError, FormError) as error:
        raise LinkError(
            f"this version does not know the answer: {error.what}",
            where=URL,
            cure="use commands and a server of the same version",
        ) from None
