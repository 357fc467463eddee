"""The desk's refusals, each with its clause and its HTTP status.

    storage.errors.RefusedError
    └── DeskRefusal              understood and refused; `code` is one word, `status` the HTTP status
        ├── NotProvenError       no session, a stolen or expired token, a wrong password or code
        │   └── FreshProofError  the session is open, but the last proof of identity is too old
        ├── LockedError          a locked session or a locked-out account
        ├── TooManyError         too many requests from one address
        ├── NotYetError          allowed once something else has happened: an approval, the witness, a booking
        └── FormError            lacks what the policy requires, or asks for what does not exist
            └── UnreadError      a check needs a field that could not be read

No message contains a plate, a password, a code or a token, since messages end up in logs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from storage.counts import counted
from storage.errors import RecordError, RefusedError, StorageError

FRESH_PROOF = "fresh-proof"
BUSY = "busy"  # another call is in progress: a client should retry
MAX_NAMED = 20  # wrong lines of a file that a refusal names, at most


class DeskRefusal(RefusedError):  # noqa: N818 - a refusal is an answer, not an error
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

    `proof`: what a client must name to prove this one call.
    """

    proof = ""

    @classmethod
    def within(cls, minutes: int, *, proof: str, others: Sequence[str] = ()) -> FreshProofError:
        """The refusal of a call without a proof this fresh. `others`: calls for which there is a proof."""
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
    """The person's identity is proven, but the session or account is locked."""

    status = 423


class TooManyError(DeskRefusal):
    """Too many requests from one address. `after_s`: seconds until the next is accepted."""

    status = 429

    def __init__(self, what: str, *, clause: str, cure: str, after_s: int = 60) -> None:
        self.after_s = after_s
        super().__init__(what, code="too-many", clause=clause, cure=cure)


class NotYetError(DeskRefusal):
    """The call would be allowed after a step that has not happened yet."""

    status = 409


class FormError(DeskRefusal):
    """The request itself is incomplete or malformed.

    `parts`: an error for each wrong field, if there are several. `fields`: the wrong fields, if `code` does
    not name one.
    """

    status = 422
    parts: tuple[FormError, ...] = ()

    def __init__(
        self, what: str, *, code: str, clause: str, cure: str = "", fields: tuple[str, ...] = ()
    ) -> None:
        self.fields = fields or (code,)
        super().__init__(what, code=code, clause=clause, cure=cure)


def done_already(user: str, did: str, *, code: str, clause: str) -> NotYetError:
    """The refusal of a step that another person or window took first; says who did what."""
    return NotYetError(f"{user} {did} already", code=code, clause=clause, cure="list them again")


def decided_already(user: str, what: str, *, granted: bool, clause: str) -> NotYetError:
    """The refusal of a second decision on the same matter; says who decided it and how."""
    did = f"{'approved' if granted else 'refused'} that {what}"
    return done_already(user, did, code="decided", clause=clause)


class UnreadError(FormError):
    """A check needs a missing or malformed field, which the refusal already names."""


def demand(
    holds: object, what: str, *, code: str, clause: str, cure: str = "", fields: tuple[str, ...] = ()
) -> None:
    """Raises FormError unless `holds` is true."""
    if not holds:
        raise FormError(what, code=code, clause=clause, cure=cure, fields=fields)


def refuse_each(*checks: Callable[[], object]) -> None:
    """Run every check and raise all errors as one refusal; a single error is raised unchanged."""
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
