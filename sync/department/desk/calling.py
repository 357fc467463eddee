"""How a call reaches the desk from a server: in a thread, in its turn, once; how errors are answered.

The HTTP API and the pages share one `Calling`, so that they share its limits and answer alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
from starlette.responses import Response

from storage.errors import RecordError
from storage.times import MINUTE_US
from sync.department.desk.alerts.events import AlertEvents
from sync.department.desk.context import DeskContext
from sync.department.desk.idempotency import MadeOnce
from sync.department.desk.logon_forms import (
    BeginForm,
    Begun,
    FreshlyProven,
    LoggedOn,
    LogonForm,
    ProveForm,
    UnlockForm,
)
from sync.department.desk.operations import OPERATIONS, Operation
from sync.department.desk.people.passkeys import Options, begin_passkey, begin_proof, begin_unlock
from sync.department.desk.whoami import logged_on
from sync.department.desk.words import demand_plain
from sync.department.ground.problem import AGAIN_S, FULL, problem, words_of_unforeseen
from sync.department.ground.sparingly import Sparingly
from sync.department.journal.person_entries import CODE, PASSKEY, FreshProof
from sync.department.policy.refusals import FRESH_PROOF, DeskRefusal, FormError, FreshProofError, TooManyError
from sync.errors import KeyServiceError, RefusedByDepartmentError, StoreAwayError

THREADS = 6
LOGON_THREADS = 2  # each costs the memory of a password hash
READING_THREADS = 2  # for a large body before its call is known, which takes no call's turn
LOGONS_WAITING = 64
BODY_STATUS = {"too-large": 413, "too-slow": 408}
BODY_CURES = {
    "too-large": "send a smaller file, or the list in parts; or run the command at the server itself, "
    "without DEPARTMENT_URL"
}
AGAIN = "send it again: its entry stays"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """What the caller gets to know of an error.

    `code`: one word for programs; `clause`: the rule; `parts`: each wrong field of a form, if there are
    several; `proof`: what proves a call that was refused for lack of a proof; `after_s`: after how many
    seconds a client may ask again, if only time helps.
    """

    status: int
    code: str
    what: str
    clause: str = ""
    cure: str = ""
    parts: tuple[ErrorAnswer, ...] = ()
    fields: tuple[str, ...] = ()
    proof: str = ""
    after_s: int = AGAIN_S

    @property
    def codes(self) -> frozenset[str]:
        """The codes of everything that is wrong, and the names of a form's wrong fields."""
        return frozenset({self.code, *self.fields}).union(*(one.codes for one in self.parts))


def error_answer(error: BaseException, events: Sparingly) -> ErrorAnswer:
    """The answer to an error: a refusal in its own words, and only the kind of any other error."""
    if isinstance(error, RecordError):
        error = FormError(str(error), code="form", clause="463.5")
    if isinstance(error, DeskRefusal):
        events.report(f"refused_{error.code}", clause=error.clause)
        return _refused(error)
    if isinstance(error, RefusedByDepartmentError):
        cure = BODY_CURES.get(error.code, "send it again later")
        return ErrorAnswer(
            status=BODY_STATUS.get(error.code, 503), code=error.code, what=error.what, cure=cure
        )
    status, code, what, cure = words_of_unforeseen(error, events)
    if code == FULL:
        pass  # whatever hit it
    elif isinstance(error, KeyServiceError):
        where = error.where or "the key service"
        what, cure = f"{where}: {error.what}", f"{error.cure or 'restore it'}; then {AGAIN}"
    elif isinstance(error, StoreAwayError):  # without its path: a login gets this answer too
        what, cure = "the department's database does not answer", error.cure
    return ErrorAnswer(status=status, code=code, what=what, cure=cure)


def problem_of(error: BaseException, events: Sparingly) -> Response:
    """The answer to an error as problem details. A 401 says what it asks for (a fresh proof: RFC 9470)."""
    said = error_answer(error, events)
    wanted = ' error="insufficient_user_authentication"' if said.code == FRESH_PROOF else ""
    return problem(
        said.status,
        said.code,
        said.what,
        clause=said.clause,
        cure=said.cure,
        headers={"www-authenticate": f"Bearer{wanted}"} if said.status == 401 else {},
        more={"proof": said.proof} if said.proof else {},
        after_s=said.after_s,
    )


def _refused(error: DeskRefusal) -> ErrorAnswer:
    return ErrorAnswer(
        status=error.status,
        code=error.code,
        what=error.what,
        clause=error.clause,
        cure=error.cure,
        parts=tuple(_refused(one) for one in error.parts) if isinstance(error, FormError) else (),
        fields=error.fields if isinstance(error, FormError) and not error.parts else (),
        proof=error.proof if isinstance(error, FreshProofError) else "",
        after_s=error.after_s if isinstance(error, TooManyError) else AGAIN_S,
    )


def known_operation(name: str) -> Operation:
    """Look up an operation in the table. Raises FormError."""
    known = OPERATIONS.get(name)
    if known is None:
        raise FormError("there is no such call", code="no-call", clause="463.5")
    return known


class Calling:
    """Makes the calls of one front, each in a thread, and only so many at once."""

    def __init__(self, front: DeskContext) -> None:
        self.front = front
        self._limiter = anyio.CapacityLimiter(THREADS)
        self._logons = anyio.CapacityLimiter(LOGON_THREADS)
        self._reading = anyio.CapacityLimiter(READING_THREADS)
        self.alert_events = AlertEvents(front)
        self._once = MadeOnce(front.desk.now_us)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do `work` in one of the threads."""
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)

    async def reading(self, work: Callable[[], T]) -> T:
        """Read, in a thread, a body that is too large for the event loop."""
        return await anyio.to_thread.run_sync(work, limiter=self._reading)

    async def begin(self, form: BeginForm, address: str) -> Begun:
        """What a client needs to make a person's key. Raises FormError, TooManyError."""
        demand_plain(form, "BeginForm")
        return await self.in_thread(lambda: self.front.desk.logons.begin(form.user, address))

    async def begin_passkey(self, form: BeginForm, address: str) -> Options:
        """The options of a login with a passkey. Its answer goes into `logon`. Raises FormError,
        TooManyError."""
        demand_plain(form, "BeginForm")
        desk = self.front.desk
        return Options(options=await self.in_thread(lambda: begin_passkey(desk, form.user, address)))

    async def logon(self, form: LogonForm, address: str) -> LoggedOn:
        """Begin a session. Raises DeskRefusal."""
        demand_plain(form, "LogonForm")
        desk = self.front.desk

        def work() -> LoggedOn:
            post = form.post
            if form.passkey:
                token = desk.logons.logon_passkey(form.passkey, post=post, address=address)
            elif form.certificate:
                certificate, code = form.certificate, form.code
                token = desk.logons.logon_signed(
                    form.user, certificate, code, post=post, address=address, proves=form.proves
                )
            else:
                token = desk.logons.logon(
                    form.user, form.password, form.code, post=post, address=address, proves=form.proves
                )
            return logged_on(desk, token)

        self._demand_turn()
        return await anyio.to_thread.run_sync(work, limiter=self._logons)

    async def unlock(self, token: str, form: UnlockForm, address: str) -> None:
        """Open a locked session again. Raises DeskRefusal."""
        demand_plain(form, "UnlockForm")
        desk = self.front.desk
        self._demand_turn()

        def work() -> None:
            if form.passkey:
                desk.logons.unlock_passkey(token, form.passkey, address=address)
            else:
                desk.logons.unlock(
                    token, form.password, form.code, certificate=form.certificate, address=address
                )

        await anyio.to_thread.run_sync(work, limiter=self._logons)

    async def begin_unlock(self, token: str) -> Options:
        """The options of an unlock with a passkey. Its answer goes into `unlock`. Raises DeskRefusal."""
        desk = self.front.desk
        return Options(options=await self.in_thread(lambda: begin_unlock(desk, token)))

    async def begin_proof(self, token: str, proof: str = "") -> Options:
        """The options of a fresh proof with a passkey. Its answer goes into `prove`. Raises DeskRefusal."""
        desk = self.front.desk
        return Options(options=await self.in_thread(lambda: begin_proof(desk, token, proof)))

    async def prove(self, token: str, form: ProveForm, address: str) -> FreshlyProven:
        """Give a fresh proof in an open session. Raises DeskRefusal."""
        demand_plain(form, "ProveForm")
        logons, minutes = self.front.desk.logons, self.front.desk.policy.sessions.proof_minutes

        def work() -> FreshlyProven:
            if form.passkey:
                entry = logons.prove_passkey(token, form.passkey, address=address)
            else:
                entry = logons.prove(
                    token,
                    form.password,
                    form.code,
                    certificate=form.certificate,
                    nonce=form.nonce,
                    proof=form.proof,
                    address=address,
                )
            note = entry.note
            return FreshlyProven(
                entry=entry.sequence,
                call=note.use if isinstance(note, FreshProof) else "",
                how=PASSKEY if form.passkey else CODE,
                until_us=entry.stamp.at_us + minutes * MINUTE_US,
            )

        self._demand_turn()
        return await anyio.to_thread.run_sync(work, limiter=self._logons)

    async def logoff(self, token: str, *, lock: bool = False) -> None:
        """End a session, or lock it. Raises DeskRefusal."""
        await self.in_thread(lambda: self.front.desk.logons.logoff(token, lock=lock))
        self.front.bell.ring()

    async def operation(  # noqa: PLR0917 - a call, and how it was sent
        self,
        name: str,
        token: str,
        value: Any,
        key: str = "",
        typed: bytes = b"",
        wrong: Sequence[FormError] = (),
    ) -> Any:
        """Make one call of the table. Raises DeskRefusal and the call's errors.

        `key`: a call with the same key is made only once; `typed`: what must then be the same, `value` itself
        by default; `wrong`: the fields that could not be read from the form that `value` was made from.
        """
        known = known_operation(name)

        def work() -> Any:  # in its thread from the start: a form may hold a file
            form = known.read(self.front, value, wrong)
            body = (typed or json.dumps(value, sort_keys=True).encode()) if key else b""
            return self._once.run(
                key,
                token,
                name,
                body,
                lambda: known.run(self.front, token, form),
                lambda: self._demand_open(token, known),
            )

        return await self.in_thread(work)

    async def once(self, key: str, name: str, typed: bytes, work: Callable[[], T]) -> T:
        """Do the work of a page without a session, once per form: a form sent twice gets the first answer."""
        made: T = await self.in_thread(lambda: self._once.run(key, "", name, typed, work))
        return made

    def _demand_open(self, token: str, known: Operation) -> None:
        """Give a remembered answer only to a person who could make the call now. Raises DeskRefusal."""
        self.front.desk.demand(token, known.call)

    def _demand_turn(self) -> None:
        """Limit how many logins wait for their turn. Raises TooManyError."""
        if self._logons.statistics().tasks_waiting >= LOGONS_WAITING:
            raise TooManyError("too many logins at once", clause="CJIS AC-7", cure="ask again", after_s=5)
