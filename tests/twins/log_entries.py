"""Handmade entries of the access log, for tests of rules that read nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from storage.errors import StorageError
from sync.department.desk.people.rules import Accounts
from sync.department.journal.entries import AccountSet, Entry, EntryOf
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.inquiry_entries import Ground
from sync.department.policy.policy_file import default_document, parse_policy
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role

NOW_US = 1_780_000_000_000_000
POLICY = parse_policy(default_document())
GROUND = Ground(
    purpose="investigation",
    basis="criminal-investigation",
    number="26-001234",
    number_kind="case",
    justification="the car seen at the burglary",
)


def entry(sequence: int, user: str, note: Note, at_us: int = NOW_US) -> Entry:
    """An entry by this user."""
    stamp = Stamp(at_us=at_us, user=user, role="ccat", organisation="PD", session=b"", demo=True)
    return EntryOf(sequence=sequence, stamp=stamp, note=note)


def account(user: str, *roles: Role, active: bool = True, keys: tuple[bytes, ...] = ()) -> AccountSet:
    """An account as its administrator set it."""
    return AccountSet(
        user=user,
        name="N",
        organisation="PD",
        roles=roles,
        shift=None,
        active=active,
        reason="r",
        ssh_keys=keys,
    )


def accounts(*notes: tuple[str, Note]) -> Accounts:
    """The accounts after these notes, given as (user who made it, note)."""
    made = Accounts()
    for at, (user, note) in enumerate(notes):
        made.apply(entry(at, user, note, NOW_US + at))
    return made


def code_of(call: Callable[..., object], *args: Any, **named: Any) -> str:
    """The code with which a call is refused, the text of an error without a code, or "" on success."""
    try:
        call(*args, **named)
    except DeskRefusal as refused:
        return refused.code
    except StorageError as error:
        return error.what
    return ""


def refused(code: str, call: Callable[..., object], *args: Any, **named: Any) -> None:
    """Assert that the call is refused with this code."""
    with pytest.raises(DeskRefusal) as raised:
        call(*args, **named)
    assert raised.value.code == code
