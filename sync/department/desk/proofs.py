"""Which calls ask for a fresh proof: what leaves the desk, what keeps it beyond its year, who else gets in,
which unit is shut out.

A stolen session (a screen left open, a stolen cookie) opens what its person could open, but removes nothing,
gives no one access, shuts no unit out, hides no entry, registers no passkey and replaces no password or
authenticator. Asking a second person (`propose`) does none of that yet. A proof is of the one call that asked
for it, made once. `demanding` says to the door that the call under way asks for one.
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
    """The act itself, and not the question to a second person."""
    return not getattr(form, "propose", False)


def _covert(form: Any, book: DeskState) -> bool:
    return bool(form.recipients) and _made_now(form, book)


def _second_word(form: Any, book: DeskState) -> bool:
    """A yes to an act that itself asks for a proof."""
    entry = book.changes.proposed.get(form.proposal)
    note = entry.note if entry is not None else None
    return bool(form.granted) and isinstance(note, ChangeProposed) and note.call in PROVEN_CALLS


def _asked_by_the_call(_form: Any, _book: DeskState) -> bool:
    """The call asks by the state of its person: a password that must be changed opens nothing else."""
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
    """The call that is made inside can be proven by a fresh proof of this use, and `must` be."""
    before = _demanded.set((use, must))
    try:
        yield
    finally:
        _demanded.reset(before)


def provable() -> ProvenUse | None:
    """What a fresh proof of the call under way is of."""
    return _demanded.get()[0]


def demanded() -> ProvenUse | None:
    """What the call under way asks a fresh proof for; None if it asks for none."""
    use, must = _demanded.get()
    return use if must else None
