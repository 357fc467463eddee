"""Every way the desk can refuse, with the clause that refuses and the answer an HTTP caller gets.

    storage.errors.RefusedError
    └── DeskRefusal              asked, understood and refused; `code` is one word, `status` the HTTP answer
        ├── NotProvenError       no session, a stolen or expired token, a wrong password or code
        │   └── FreshProofError  an open session whose person has not proven themselves within minutes
        ├── LockedError          a locked session or a locked-out account
        ├── TooManyError         asked too often from one address
        ├── NotYetError          allowed once something else has happened: an approval, the witness, a booking
        └── FormError            a request that lacks what the policy asks, or asks for what does not exist
            └── UnreadError      a field that could not be read, when a check of the rest reads it

No message carries a plate, a password, a code or a token: messages end up in logs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from storage.counts import counted
from storage.errors import RecordError, RefusedError, StorageError

FRESH_PROOF = "fresh-proof"
BUSY = "busy"  # the call in progress will end: a client should ask again
MAX_NAMED = 20  # wrong lines of a file that a refusal names


class DeskRefusal(RefusedError):  # noqa: N818 - a refusal is an answer, not an accident
    """A refusal by the desk. `code`: one word for programs; `clause`: the rule; `cure`: what to do."""

    status = 403

    def __init__(self, what: str, *, code: str, clause: str, cure: str = "") -> None:
        self.code = code
        super().__init__(what, clause=clause, cure=cure)


class NotProvenError(DeskRefusal):
    """The caller's identity is not proven."""

    status = 401


class FreshProofError(NotProvenError):
    """The session is open, but the call needs a proof that is only minutes old (RFC 9470).

    `proof`: what a client names to prove just this call.
    """

    proof = ""

    @classmethod
    def within(cls, minutes: int, *, proof: str, others: Sequence[str] = ()) -> FreshProofError:
        """The refusal where a proof is at most so old. `others`: the calls of which there is one."""
        made = cls(
            f"this asks for a proof of this one call, at most {counted(minutes, 'minute')} old: "
            "password and code, or a passkey"
            + (f"; the proof that is here is of another call ({', '.join(others)})" if others else ""),
            code=FRESH_PROOF,
            clause="CJIS IA-11",
            cure="prove it at /desk/session/prove (in a browser: /proof), then ask again",
        )
        made.proof = proof
        return made


class LockedError(DeskRefusal):
    """The person was proven, but is locked now: idle too long, or too many failed logons."""

    status = 423


class TooManyError(DeskRefusal):
    """Too many requests from one place. `after_s`: seconds until one more is taken."""

    status = 429

    def __init__(self, what: str, *, clause: str, cure: str, after_s: int = 60) -> None:
        self.after_s = after_s
        super().__init__(what, code="too-many", clause=clause, cure=cure)


class NotYetError(DeskRefusal):
    """The call would be allowed after a step that has not happened yet."""

    status = 409


class FormError(DeskRefusal):
    """The request itself is incomplete or malformed. `parts`: each wrong field, if there are several;
    `fields`: the wrong fields, where `code` is not the name of one."""

    status = 422
    parts: tuple[FormError, ...] = ()

    def __init__(
        self, what: str, *, code: str, clause: str, cure: str = "", fields: tuple[str, ...] = ()
    ) -> None:
        self.fields = fields or (code,)
        super().__init__(what, code=code, clause=clause, cure=cure)


def done_already(user: str, did: str, *, code: str, clause: str) -> NotYetError:
    """The refusal of what another person, or another window, did first; says who did what."""
    return NotYetError(f"{user} {did} already", code=code, clause=clause, cure="list them again")


def decided_already(user: str, what: str, *, granted: bool, clause: str) -> NotYetError:
    """The refusal of a second decision about the same matter; says who decided it, and how."""
    did = f"{'approved' if granted else 'refused'} that {what}"
    return done_already(user, did, code="decided", clause=clause)


class UnreadError(FormError):
    """A check reached a missing or malformed field, which the refusal already names."""


def demand(
    holds: object, what: str, *, code: str, clause: str, cure: str = "", fields: tuple[str, ...] = ()
) -> None:
    """Raises FormError unless `holds` is true."""
    if not holds:
        raise FormError(what, code=code, clause=clause, cure=cure, fields=fields)


def refuse_each(*checks: Callable[[], object]) -> None:
    """Run every check, and raise all errors as one refusal; a single error is raised unchanged."""
    wrong: list[FormError] = []
    found: list[StorageError] = []
    for check in checks:
        try:
            check()
        except UnreadError:
            continue
        except RecordError as error:
            found.append(error)
            wrong.append(FormError(str(error), code="form", clause="463.5"))
        except FormError as error:
            found.append(error)
            wrong.append(error)
    if len(found) == 1:
        raise found[0]
    refuse_all(wrong)


def refuse_all(wrong: Sequence[FormError]) -> None:
    """Raise all errors of a form as one refusal, with the first one's code."""
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        every = FormError(
            "; ".join(one.what for one in wrong),
            code=wrong[0].code,
            clause=", ".join(dict.fromkeys(one.clause for one in wrong)),
            cure="; ".join(dict.fromkeys(one.cure for one in wrong if one.cure)),
        )
        every.parts = tuple(part for one in wrong for part in (one.parts or (one,)))
        raise every


def refuse_lines(wrong: Sequence[FormError]) -> None:
    """Raise the errors of a file's lines as one refusal that names the first ones."""
    named, more = list(wrong[:MAX_NAMED]), len(wrong) - MAX_NAMED
    if more > 0:
        what = f"{counted(more, 'more line is', 'more lines are')} wrong"
        named.append(FormError(what, code=named[0].code, clause=named[0].clause))
    refuse_all(named)
