"""Which calls ask for a fresh proof.

These are calls by which content leaves the desk or is kept beyond its year, another person gets in, or a unit
is shut out.

A stolen session (a screen left open, a stolen cookie) opens what its person could open. But it removes
nothing, gives no one access, shuts no unit out, hides no entry, registers no passkey and replaces no password
or authenticator. To ask a second person (`propose`) does none of that yet. A proof is for the one call that
asked for it, made once. Within `demanding`, `Desk.act` knows that the call under way asks for a proof.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from sync.department.desk.state import DeskState
from sync.department.journal.change_entries import ChangeProposed
from sync.department.journal.passkeys import ProvenUse

Asks = Callable[[Any, DeskState], bool]


def _made_now(form: Any, _book: DeskState) -> bool:
    """Whether the form acts now and does not only ask a second person."""
    return not getattr(form, "propose", False)


def _covert(form: Any, book: DeskState) -> bool:
    return bool(form.recipients) and _made_now(form, book)


def _second_word(form: Any, book: DeskState) -> bool:
    """Whether the form is a yes to a call that itself asks for a proof."""
    entry = book.changes.proposed.get(form.proposal)
    note = entry.note if entry is not None else None
    return bool(form.granted) and isinstance(note, ChangeProposed) and note.call in PROVEN_CALLS


def _asked_by_the_call(_form: Any, _book: DeskState) -> bool:
    """Always false: the call itself asks, unless its person must change the password."""
    return False


PROVEN_CALLS: Mapping[str, Asks] = {
    "hold/place": _made_now,
    "hold/export": _made_now,
    "hold/release": _made_now,
    "share/decide": _made_now,
    "share/deliver": _made_now,
    "grant/issue": _made_now,
    "grant/enter": _made_now,
    "grant/lend": _made_now,
    "hotlist/add": _covert,
    "change/approve": _second_word,
    "unit/revoke": _made_now,
    "user/passkey-options": _made_now,
    "user/passkey": _made_now,
    "user/remove-passkey": _made_now,
    "user/password": _asked_by_the_call,
}
"""By the name of the call: whether this form asks for a fresh proof."""

_demanded: ContextVar[tuple[ProvenUse | None, bool]] = ContextVar("fresh proof", default=(None, False))


def asks(name: str, form: Any, book: DeskState) -> bool:
    """Whether a call asks for a fresh proof."""
    wanted = PROVEN_CALLS.get(name)
    return wanted is not None and wanted(form, book)


@contextlib.contextmanager
def demanding(use: ProvenUse, *, must: bool) -> Iterator[None]:
    """Within this, a fresh proof of this use can prove the call, and if `must`, has to."""
    before = _demanded.set((use, must))
    try:
        yield
    finally:
        _demanded.reset(before)


def provable() -> ProvenUse | None:
    """The use that a fresh proof of the call under way is for."""
    return _demanded.get()[0]


def demanded() -> ProvenUse | None:
    """The use for which the call under way asks a fresh proof; None if it asks for none."""
    use, must = _demanded.get()
    return use if must else None
